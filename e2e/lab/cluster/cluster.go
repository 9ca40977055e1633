package cluster

// The order in which a cluster comes up. Each line below waits for what it needs and for
// nothing else. Taking down deliberately has no order (see run.go).

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

//go:embed manifests
var manifests embed.FS

type cluster struct {
	plan  Plan
	parts map[string]*process
}

func newCluster(plan Plan) *cluster {
	all := &cluster{plan: plan, parts: map[string]*process{}}
	for _, part := range []*process{
		etcd(plan), apiServer(plan), controllerManager(plan), scheduler(plan), nodeAgent(plan),
		contour(plan), envoy(plan), prometheus(plan),
	} {
		all.parts[part.name] = part
	}
	return all
}

// up returns when a test may start: a Deployment gets pods and a route gets traffic.
func (c *cluster) up(ctx context.Context) error {
	if err := c.writeFiles(); err != nil {
		return err
	}
	if err := c.startAndWait(ctx, "etcd"); err != nil {
		return err
	}
	if err := c.parts["kube-apiserver"].start(); err != nil {
		return err
	}
	if err := writeBootstrap(ctx, c.plan); err != nil { // meanwhile
		return err
	}
	if err := c.parts["kube-apiserver"].waitReady(ctx); err != nil {
		return err
	}
	objects, err := newObjects(c.plan)
	if err != nil {
		return err
	}
	return inParallel(
		func() error { return c.upWorkloads(ctx, objects) },
		func() error { return c.upGateway(ctx, objects) },
	)
}

func (c *cluster) upWorkloads(ctx context.Context, objects objects) error {
	for _, name := range []string{"kube-controller-manager", "agent", "kube-scheduler", "prometheus"} {
		if err := c.parts[name].start(); err != nil {
			return err
		}
	}
	// Pods are refused before the controller manager has made this account.
	exists := func(*unstructured.Unstructured) bool { return true }
	if err := objects.wait(ctx, "ServiceAccount", "default", "default", "present", exists); err != nil {
		return c.explain(err, "kube-controller-manager")
	}
	if err := objects.waitCondition(ctx, "Node", "", "lab-0", "Ready"); err != nil {
		return c.explain(err, "agent")
	}
	untainted := func(node *unstructured.Unstructured) bool {
		taints, _, _ := unstructured.NestedSlice(node.Object, "spec", "taints")
		return len(taints) == 0
	}
	if err := objects.wait(ctx, "Node", "", "lab-0", "free of taints", untainted); err != nil {
		return c.explain(err, "kube-controller-manager")
	}
	return c.parts["prometheus"].waitReady(ctx)
}

func (c *cluster) upGateway(ctx context.Context, objects objects) error {
	if err := objects.createDefinitions(ctx, c.plan); err != nil {
		return err
	}
	text, err := manifests.ReadFile("manifests/gateway.yaml")
	if err != nil {
		return fmt.Errorf("failed to read the gateway's objects: %w", err)
	}
	gateway, err := parse(text)
	if err != nil {
		return fmt.Errorf("failed to read the gateway's objects: %w", err)
	}
	if err := objects.create(ctx, gateway); err != nil {
		return err
	}
	if err := c.startAndWait(ctx, "contour"); err != nil {
		return err
	}
	if err := c.startAndWait(ctx, "envoy"); err != nil {
		return err
	}
	if err := objects.waitCondition(ctx, "Gateway", "projectcontour", "edge", "Programmed"); err != nil {
		return c.explain(err, "contour")
	}
	if err := waitListening(ctx, gatewayAddress); err != nil {
		return c.explain(err, "envoy")
	}
	return nil
}

func (c *cluster) startAndWait(ctx context.Context, name string) error {
	part := c.parts[name]
	if err := part.start(); err != nil {
		return err
	}
	return part.waitReady(ctx)
}

// explain adds the log of the part that should have done it.
func (c *cluster) explain(err error, name string) error {
	return fmt.Errorf("%w; the log of %s says:\n%s", err, name, c.parts[name].tail())
}

func (c *cluster) writeFiles() error {
	if err := writeCertificates(c.plan.Folder, time.Now()); err != nil {
		return err
	}
	if err := writeUsers(c.plan); err != nil {
		return err
	}
	values := strings.NewReplacer(
		"${SCRAPE_INTERVAL}", promDuration(c.plan.ScrapeInterval),
		"${ENVOY_STATS}", envoyStatsAddress,
		"${KUBECONFIG}", c.plan.path("kubeconfig-admin"),
	)
	for _, name := range []string{"audit-policy.yaml", "contour-config.yaml", "prometheus.yaml"} {
		text, err := manifests.ReadFile("manifests/" + name)
		if err != nil {
			return fmt.Errorf("failed to read %s: %w", name, err)
		}
		if err := os.WriteFile(c.plan.path(name), []byte(values.Replace(string(text))), 0o600); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	return c.linkPrograms()
}

// linkPrograms fills the folder that stands first on PATH inside.
func (c *cluster) linkPrograms() error {
	programs := map[string]string{
		"lab": c.plan.Binary, "helm": c.plan.partFile("helm/helm"), "prometheus": c.plan.partFile("prometheus/prometheus"),
		"contour": c.plan.partFile("contour/contour"), "envoy": c.plan.partFile("envoy/envoy/_bin/envoy"),
	}
	for _, name := range []string{"kubectl", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		programs[name] = c.plan.partFile("controlplane/controlplane")
	}
	for name, target := range programs {
		if err := os.Symlink(target, c.plan.path("bin", name)); err != nil {
			return fmt.Errorf("failed to link %s: %w", name, err)
		}
	}
	return nil
}

// partFile turns "part/file" into the path in the cache.
func (p Plan) partFile(file string) string {
	part, rest, _ := strings.Cut(file, "/")
	return filepath.Join(p.Parts[part], rest)
}

// promDuration writes a duration without fractions, which Prometheus does not read.
func promDuration(duration time.Duration) string {
	return fmt.Sprintf("%dms", max(duration.Milliseconds(), 100))
}

// inParallel runs all and returns the first error by order, not by time.
func inParallel(steps ...func() error) error {
	failures := make([]error, len(steps))
	var group sync.WaitGroup
	for index, step := range steps {
		group.Go(func() { failures[index] = step() })
	}
	group.Wait()
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	return nil
}
