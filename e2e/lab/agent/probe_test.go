package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestVerdictNeedsItsThresholds(t *testing.T) {
	for _, scenario := range []struct {
		name             string
		success, failure int
		answers          string // + success, - failure
		verdicts         string // r ready, n not ready, after each answer
	}{
		{"one success is enough by default", 1, 3, "-+", "nr"},
		{"two successes in a row are needed", 2, 3, "+-++", "nnnr"},
		{"failures below the threshold change nothing", 1, 3, "+--+--", "rrrrrr"},
		{"three failures in a row end readiness", 1, 3, "+---+", "rrrnr"},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			counted := verdict{successThreshold: scenario.success, failureThreshold: scenario.failure}
			got := ""
			for _, answer := range scenario.answers {
				before := counted.ready
				if changed := counted.count(answer == '+'); changed != (before != counted.ready) {
					t.Fatalf("count says changed=%v, ready went from %v to %v", changed, before, counted.ready)
				}
				if counted.ready {
					got += "r"
				} else {
					got += "n"
				}
			}
			if got != scenario.verdicts {
				t.Errorf("answers %s give %s, want %s", scenario.answers, got, scenario.verdicts)
			}
		})
	}
}

func TestProbeAsksAFreshContainerMoreOftenThanItsPeriod(t *testing.T) {
	asked := 0
	fresh := probe{period: time.Hour, timeout: time.Second, successThreshold: 1, failureThreshold: 1}
	fresh.ask = func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("refused")
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fresh.run(ctx, func(ready bool) {
		if !ready {
			t.Error("the first report is not ready")
		}
		cancel()
	})
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

func TestProbePortMayBeAName(t *testing.T) {
	container := corev1.Container{Name: "app", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}
	if port, err := portNumber(intstr.FromString("http"), container); err != nil || port != 8080 {
		t.Errorf("http is %d, %v", port, err)
	}
	if _, err := portNumber(intstr.FromString("admin"), container); err == nil {
		t.Error("an undeclared name is no error")
	}
}
