package agent

// One pod's life on the node: address, process, probe, status, restarts, end. Everything
// happens in one loop per pod, so nothing here is locked. It deliberately reports
// nothing while a pod terminates: the endpoint controllers act on the deletion itself.

import (
	"context"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	backOffFirst = time.Second
	backOffMost  = 30 * time.Second
	// backOffForgiven is how long a process must run for its next end to count as the first.
	backOffForgiven = time.Minute
	statusRetryMost = 2 * time.Second
)

// pod is one pod on this node. The fields up to finished belong to the agent and its lock.
type pod struct {
	agent    *agent
	updates  chan *corev1.Pod // holds the newest object only
	vanished chan struct{}    // closed when the object is gone
	removed  bool
	finished bool

	object  *corev1.Pod
	address string
	facts   facts
	process *process
	probes  chan verdictOf
	backOff time.Duration
	restart <-chan time.Time
	retry   <-chan time.Time // of a status write that failed
	pause   time.Duration
}

// verdictOf names the process, because a late verdict may be about the one before.
type verdictOf struct {
	process *process
	ready   bool
}

func newPod(agent *agent, object *corev1.Pod) *pod {
	return &pod{
		agent: agent, object: object, updates: make(chan *corev1.Pod, 1),
		vanished: make(chan struct{}), probes: make(chan verdictOf),
	}
}

// offer replaces an object the loop has not read yet. There is one sender: the informer.
func (p *pod) offer(object *corev1.Pod) {
	select {
	case <-p.updates:
	default:
	}
	p.updates <- object
}

func (p *pod) run(ctx context.Context) {
	if finishedPhase(p.object) {
		p.awaitDeletion(ctx)
		return
	}
	if err := p.adopt(); err != nil {
		log.Printf("%s/%s: %v", p.object.Namespace, p.object.Name, err)
		p.awaitDeletion(ctx)
		return
	}
	if p.object.DeletionTimestamp == nil {
		p.startProcess(ctx)
	}
	for {
		if p.object.DeletionTimestamp != nil {
			p.terminate(ctx)
			return
		}
		if finishedPhase(p.object) || p.facts.phase == corev1.PodSucceeded || p.facts.phase == corev1.PodFailed {
			p.report(ctx)
			if p.retry == nil {
				p.awaitDeletion(ctx)
				return
			}
		}
		if !p.step(ctx) {
			return
		}
	}
}

// adopt gives the pod its address. A pod of an earlier agent keeps what the API already says of
// it: an address cannot change, and its process has ended with that agent.
func (p *pod) adopt() error {
	if known := p.object.Status.PodIP; known != "" && p.agent.addresses.claim(known) {
		p.address = known
	} else {
		address, err := p.agent.addresses.take()
		if err != nil {
			return err
		}
		p.address = address
	}
	p.facts = newFacts(p.address, time.Now())
	if statuses := p.object.Status.ContainerStatuses; len(statuses) > 0 {
		p.facts.restarts = statuses[0].RestartCount + 1
	}
	return nil
}

// step handles one event and reports whether the pod goes on.
func (p *pod) step(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-p.vanished:
		p.process.kill()
		return false
	case object := <-p.updates:
		before := gatesOpen(p.object)
		p.object = object
		if gatesOpen(object) != before {
			p.report(ctx)
		}
	case verdict := <-p.probes:
		if verdict.process == p.process {
			p.facts.ready = verdict.ready
			p.report(ctx)
		}
	case <-p.process.ended():
		p.processEnded(ctx)
	case <-p.restart:
		p.restart = nil
		p.facts.restarts++
		p.startProcess(ctx)
	case <-p.retry:
		p.report(ctx)
	}
	return true
}

// startProcess starts the container's command and its probe; a failure to start is a failed run.
func (p *pod) startProcess(ctx context.Context) {
	container := p.object.Spec.Containers[0]
	environment, err := environmentOf(ctx, p.agent.client, p.object, p.address, p.agent.binFolder)
	if err == nil {
		environment, err = p.agent.withAccount(ctx, p.object, environment)
	}
	if err == nil {
		p.process, err = startProcess(p.object, environment, p.agent)
	}
	var asked *probe
	if err == nil {
		asked, err = newProbe(container, p.address)
	}
	if err != nil {
		p.process.kill()
		p.process = nil
		p.facts.failToStart(err.Error())
		p.scheduleRestart(0)
		p.report(ctx)
		return
	}
	p.facts.start(p.process.startedAt, asked == nil)
	if asked != nil {
		go p.ask(asked, p.process)
	}
	p.report(ctx)
}

// ask probes one process until it ends.
func (p *pod) ask(asked *probe, process *process) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-process.ended()
		cancel()
	}()
	asked.run(ctx, func(ready bool) {
		select {
		case p.probes <- verdictOf{process: process, ready: ready}:
		case <-ctx.Done():
		}
	})
}

func (p *pod) processEnded(ctx context.Context) {
	ran := time.Since(p.process.startedAt)
	result := p.process.result()
	p.process = nil
	p.facts.end(result, p.object.Spec.RestartPolicy)
	if p.facts.phase == corev1.PodRunning {
		p.scheduleRestart(ran)
		p.facts.wait("CrashLoopBackOff", "the process ended; it is started again after a pause of "+p.backOff.String())
	}
	p.report(ctx)
}

func (p *pod) scheduleRestart(ran time.Duration) {
	if p.backOff == 0 || ran >= backOffForgiven {
		p.backOff = backOffFirst
	} else {
		p.backOff = min(2*p.backOff, backOffMost)
	}
	p.restart = time.After(p.backOff)
}

// report writes the status at once, and again later if that fails.
func (p *pod) report(ctx context.Context) {
	p.retry = nil
	err := writeStatus(ctx, p.agent.client, p.object, &p.facts)
	if err == nil {
		p.pause = 0
		return
	}
	if ctx.Err() == nil {
		log.Printf("%s/%s: %v", p.object.Namespace, p.object.Name, err)
	}
	p.pause = min(max(2*p.pause, 100*time.Millisecond), statusRetryMost)
	p.retry = time.After(p.pause)
}

// awaitDeletion holds a pod that runs nothing any more.
func (p *pod) awaitDeletion(ctx context.Context) {
	for p.object.DeletionTimestamp == nil {
		select {
		case <-ctx.Done():
			return
		case <-p.vanished:
			return
		case p.object = <-p.updates:
		}
	}
	p.remove(ctx)
}

func finishedPhase(object *corev1.Pod) bool {
	return object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
}

func gatesOpen(object *corev1.Pod) bool {
	for _, gate := range object.Spec.ReadinessGates {
		open := false
		for _, condition := range object.Status.Conditions {
			open = open || condition.Type == gate.ConditionType && condition.Status == corev1.ConditionTrue
		}
		if !open {
			return false
		}
	}
	return true
}
