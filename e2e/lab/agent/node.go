package agent

// The node object and its heartbeat. Its capacity is deliberately made up: no
// test is about a machine that is full.

import (
	"context"
	"fmt"
	"log"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	leaseNamespace = "kube-node-lease"
	leaseSeconds   = int32(40)
	renewEvery     = 10 * time.Second
	registerLimit  = 30 * time.Second
)

type node struct{ client kubernetes.Interface }

// register creates the node as Ready. An agent that starts anew finds its own.
func (n *node) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registerLimit)
	defer cancel()
	for {
		_, err := n.client.CoreV1().Nodes().Create(ctx, n.object(time.Now()), v1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("failed to register the node: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (n *node) object(now time.Time) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("64Gi"),
		corev1.ResourcePods:             resource.MustParse("500"),
	}
	return &corev1.Node{
		ObjectMeta: v1.ObjectMeta{Name: nodeName, Labels: map[string]string{
			corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Conditions: conditions(now),
			// No host name: the API server would prefer it, and nobody resolves it.
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: nodeAddress}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: logPort}},
			NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64"},
		},
	}
}

func conditions(now time.Time) []corev1.NodeCondition {
	stamp := v1.NewTime(now)
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, LastHeartbeatTime: stamp, LastTransitionTime: stamp}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeReady, corev1.ConditionTrue, "AgentReady"),
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "Enough"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "Enough"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "Enough"),
	}
}

// renew keeps the lease and the status fresh; a failure is tried again at the next turn.
func (n *node) renew(ctx context.Context) {
	for turn := 0; ; turn++ {
		if err := n.renewLease(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.Printf("failed to renew the node's lease: %v", err)
		}
		if turn%6 == 5 {
			if err := n.renewStatus(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Printf("failed to renew the node's status: %v", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewEvery):
		}
	}
}

func (n *node) renewLease(ctx context.Context, now time.Time) error {
	leases := n.client.CoordinationV1().Leases(leaseNamespace)
	holder, seconds, stamp := nodeName, leaseSeconds, v1.NewMicroTime(now)
	lease, err := leases.Get(ctx, nodeName, v1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: v1.ObjectMeta{Name: nodeName},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &stamp},
		}, v1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &stamp
	_, err = leases.Update(ctx, lease, v1.UpdateOptions{})
	return err
}

// renewStatus also repairs a Ready condition that the node controller took away meanwhile.
func (n *node) renewStatus(ctx context.Context, now time.Time) error {
	current, err := n.client.CoreV1().Nodes().Get(ctx, nodeName, v1.GetOptions{})
	if err != nil {
		return err
	}
	fresh := conditions(now)
	for index := range fresh {
		for _, old := range current.Status.Conditions {
			if old.Type == fresh[index].Type && old.Status == fresh[index].Status {
				fresh[index].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	current.Status.Conditions = fresh
	_, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, current, v1.UpdateOptions{})
	return err
}
