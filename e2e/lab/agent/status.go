package agent

// What the agent knows of a pod, and the status it writes. The patch deliberately names
// only the conditions that are the node's: the scheduler's and the readiness gates' stay as they are.

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// writeLimit bounds one write, so that a hung API server does not hold a pod's loop for long.
const writeLimit = 5 * time.Second

// facts is the state of the pod's one container.
type facts struct {
	address   string
	startTime v1.Time
	phase     corev1.PodPhase
	state     corev1.ContainerState
	lastState corev1.ContainerState
	ready     bool
	restarts  int32
	// conditions keeps the transition times.
	conditions map[corev1.PodConditionType]corev1.PodCondition
}

func newFacts(address string, now time.Time) facts {
	return facts{
		address: address, startTime: v1.NewTime(now), phase: corev1.PodPending,
		state:      corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
		conditions: map[corev1.PodConditionType]corev1.PodCondition{},
	}
}

func (f *facts) start(at time.Time, ready bool) {
	f.phase, f.ready = corev1.PodRunning, ready
	f.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: v1.NewTime(at)}}
}

func (f *facts) failToStart(message string) {
	f.ready = false
	f.wait("RunContainerError", message)
}

func (f *facts) wait(reason, message string) {
	f.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// end decides by the restart policy whether the pod is over.
func (f *facts) end(result exit, policy corev1.RestartPolicy) {
	reason := "Completed"
	if result.code != 0 {
		reason = "Error"
	}
	f.ready = false
	f.state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: int32(result.code), Signal: int32(result.signal), Reason: reason,
		StartedAt: v1.NewTime(result.startedAt), FinishedAt: v1.NewTime(result.finishedAt),
	}}
	f.lastState = f.state
	switch {
	case policy == corev1.RestartPolicyNever && result.code != 0:
		f.phase = corev1.PodFailed
	case policy != corev1.RestartPolicyAlways && policy != "" && result.code == 0:
		f.phase = corev1.PodSucceeded
	}
}

// status is pure but for the transition times it remembers.
func (f *facts) status(object *corev1.Pod, now time.Time) corev1.PodStatus {
	started := f.state.Running != nil
	container := object.Spec.Containers[0]
	status := corev1.PodStatus{
		ObservedGeneration: object.Generation,
		Phase:              f.phase, StartTime: &f.startTime, HostIP: nodeAddress, HostIPs: []corev1.HostIP{{IP: nodeAddress}},
		PodIP: f.address, PodIPs: []corev1.PodIP{{IP: f.address}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: container.Name, Image: container.Image, ImageID: container.Image, ContainerID: "lab://" + string(object.UID),
			State: f.state, LastTerminationState: f.lastState, Ready: f.ready, Started: &started, RestartCount: f.restarts,
		}},
	}
	done := f.phase == corev1.PodSucceeded
	status.Conditions = []corev1.PodCondition{
		f.condition(corev1.PodReadyToStartContainers, true, "", now),
		f.condition(corev1.PodInitialized, true, "", now),
		f.condition(corev1.ContainersReady, f.ready, notReadyReason(done, "ContainersNotReady"), now),
		f.condition(corev1.PodReady, f.ready && gatesOpen(object), notReadyReason(done, notReady(f.ready)), now),
	}
	if !hasCondition(object, corev1.PodScheduled) {
		status.Conditions = append(status.Conditions, f.condition(corev1.PodScheduled, true, "", now))
	}
	return status
}

func notReady(containersReady bool) string {
	if containersReady {
		return "ReadinessGatesNotReady"
	}
	return "ContainersNotReady"
}

func notReadyReason(done bool, otherwise string) string {
	if done {
		return "PodCompleted"
	}
	return otherwise
}

func (f *facts) condition(kind corev1.PodConditionType, holds bool, reason string, now time.Time) corev1.PodCondition {
	fresh := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: v1.NewTime(now)}
	if holds {
		fresh.Status, fresh.Reason = corev1.ConditionTrue, ""
	}
	if old, ok := f.conditions[kind]; ok && old.Status == fresh.Status {
		fresh.LastTransitionTime = old.LastTransitionTime
	}
	f.conditions[kind] = fresh
	return fresh
}

func hasCondition(object *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, condition := range object.Status.Conditions {
		if condition.Type == kind {
			return true
		}
	}
	return false
}

// writeStatus patches the status of exactly this pod. A pod that is gone is no error.
func writeStatus(ctx context.Context, client kubernetes.Interface, object *corev1.Pod, facts *facts) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": object.UID},
		"status":   facts.status(object, time.Now()),
	})
	if err != nil {
		return fmt.Errorf("failed to encode the status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	_, err = client.CoreV1().Pods(object.Namespace).Patch(ctx, object.Name, types.StrategicMergePatchType, patch, v1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("failed to write the status: %w", err)
	}
	return nil
}
