package agent

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func onePod(policy corev1.RestartPolicy, gates ...corev1.PodConditionType) *corev1.Pod {
	object := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, Containers: []corev1.Container{{Name: "app"}}}}
	for _, gate := range gates {
		object.Spec.ReadinessGates = append(object.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: gate})
	}
	return object
}

func conditionOf(status corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return corev1.PodCondition{}
}

func TestTransitionTimeMovesOnlyWithTheStatus(t *testing.T) {
	begin := time.Unix(1000, 0)
	known := newFacts("10.0.0.2", begin)
	known.start(begin, false)
	object := onePod(corev1.RestartPolicyAlways)
	known.status(object, begin)
	later := conditionOf(known.status(object, begin.Add(5*time.Second)), corev1.PodReady)
	if !later.LastTransitionTime.Time.Equal(begin) || later.Status != corev1.ConditionFalse {
		t.Errorf("an unchanged condition became %+v", later)
	}
	known.ready = true
	ready := conditionOf(known.status(object, begin.Add(9*time.Second)), corev1.PodReady)
	if !ready.LastTransitionTime.Time.Equal(begin.Add(9*time.Second)) || ready.Status != corev1.ConditionTrue {
		t.Errorf("a changed condition became %+v", ready)
	}
}

func TestReadinessGateHoldsThePodBack(t *testing.T) {
	known := newFacts("10.0.0.2", time.Unix(1000, 0))
	known.start(time.Unix(1000, 0), true)
	object := onePod(corev1.RestartPolicyAlways, "example.com/gate")
	status := known.status(object, time.Unix(1000, 0))
	if conditionOf(status, corev1.PodReady).Status != corev1.ConditionFalse || conditionOf(status, corev1.ContainersReady).Status != corev1.ConditionTrue {
		t.Errorf("with a closed gate: %+v", status.Conditions)
	}
	object.Status.Conditions = []corev1.PodCondition{{Type: "example.com/gate", Status: corev1.ConditionTrue}}
	if conditionOf(known.status(object, time.Unix(1001, 0)), corev1.PodReady).Status != corev1.ConditionTrue {
		t.Error("with an open gate the pod is not ready")
	}
}

func TestRestartPolicyDecidesWhetherThePodIsOver(t *testing.T) {
	for _, scenario := range []struct {
		policy corev1.RestartPolicy
		code   int
		want   corev1.PodPhase
	}{
		{corev1.RestartPolicyAlways, 0, corev1.PodRunning},
		{corev1.RestartPolicyAlways, 1, corev1.PodRunning},
		{corev1.RestartPolicyOnFailure, 0, corev1.PodSucceeded},
		{corev1.RestartPolicyOnFailure, 1, corev1.PodRunning},
		{corev1.RestartPolicyNever, 0, corev1.PodSucceeded},
		{corev1.RestartPolicyNever, 1, corev1.PodFailed},
	} {
		known := newFacts("10.0.0.2", time.Unix(1000, 0))
		known.start(time.Unix(1000, 0), true)
		known.end(exit{code: scenario.code}, scenario.policy)
		if known.phase != scenario.want || known.ready {
			t.Errorf("%s with exit code %d: phase %s ready %v, want %s", scenario.policy, scenario.code, known.phase, known.ready, scenario.want)
		}
	}
}
