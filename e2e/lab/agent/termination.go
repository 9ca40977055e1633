package agent

// The end of a pod, in a kubelet's order: preStop sleep, SIGTERM, the grace period, SIGKILL,
// then the object is removed. It deliberately keeps readiness as it is: the process goes on
// serving until it decides otherwise, and routers are to hear of the end from the API.

import (
	"context"
	"log"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (p *pod) terminate(ctx context.Context) {
	begin := time.Now()
	if p.process != nil {
		sleep := min(preStopSleep(p.object), gracePeriod(p.object))
		if p.awaitEnd(ctx, begin, func() time.Duration { return min(sleep, gracePeriod(p.object)) }) {
			p.process.signal(syscall.SIGTERM)
			if p.awaitEnd(ctx, begin, func() time.Duration { return gracePeriod(p.object) }) {
				p.process.kill()
				<-p.process.ended()
			}
		}
	}
	p.remove(ctx)
}

// awaitEnd waits until the limit, counted from begin, and reports whether the process still runs. A
// second deletion may shorten the grace period, so the limit is asked again after each update.
func (p *pod) awaitEnd(ctx context.Context, begin time.Time, limit func() time.Duration) bool {
	for {
		timer := time.NewTimer(time.Until(begin.Add(limit())))
		select {
		case <-p.process.ended():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-p.vanished:
			timer.Stop()
			p.process.kill()
			<-p.process.ended()
			return false
		case p.object = <-p.updates:
		case <-p.probes:
		case <-ctx.Done():
			timer.Stop()
			return true
		}
		timer.Stop()
	}
}

// remove deletes the object for good. The UID keeps a pod of the same name that came after it safe.
func (p *pod) remove(ctx context.Context) {
	now := int64(0)
	options := v1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &v1.Preconditions{UID: &p.object.UID}}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, statusRetryMost) {
		select {
		case <-p.vanished:
			return
		default:
		}
		limited, cancel := context.WithTimeout(ctx, writeLimit)
		err := p.agent.client.CoreV1().Pods(p.object.Namespace).Delete(limited, p.object.Name, options)
		cancel()
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
			return
		}
		log.Printf("%s/%s: failed to delete: %v", p.object.Namespace, p.object.Name, err)
		select {
		case <-p.vanished:
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func gracePeriod(object *corev1.Pod) time.Duration {
	seconds := int64(30)
	if object.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *object.Spec.TerminationGracePeriodSeconds
	}
	if object.DeletionGracePeriodSeconds != nil {
		seconds = *object.DeletionGracePeriodSeconds
	}
	return time.Duration(seconds) * time.Second
}

func preStopSleep(object *corev1.Pod) time.Duration {
	lifecycle := object.Spec.Containers[0].Lifecycle
	if lifecycle == nil || lifecycle.PreStop == nil || lifecycle.PreStop.Sleep == nil {
		return 0
	}
	return time.Duration(lifecycle.PreStop.Sleep.Seconds) * time.Second
}
