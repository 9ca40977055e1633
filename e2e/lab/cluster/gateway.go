package cluster

// The data plane and its metrics: Contour programs Envoy, Prometheus scrapes it and the pods.
// Contour serves its resources one type at a time and deliberately is not told otherwise: a
// controller that names and weighs a backend in one write is to fail here.

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
)

const (
	gatewayAddress    = "127.0.0.1:8080"
	envoyStatsAddress = "127.0.0.1:8002"
	prometheusAddress = "127.0.0.1:9090"
	xdsPort           = "8001"
)

// writeBootstrap lets Contour write Envoy's start configuration, which must match its version.
func writeBootstrap(ctx context.Context, plan Plan) error {
	command := exec.CommandContext(ctx, plan.partFile("contour/contour"), "bootstrap", plan.path("envoy.json"),
		"--xds-address", "127.0.0.1", "--xds-port", xdsPort, "--xds-resource-version", "v3",
		"--admin-address", plan.path("envoy-admin.sock"))
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to write Envoy's start configuration: %w\n%s", err, output)
	}
	return nil
}

func contour(plan Plan) *process {
	return plan.part("contour", "contour/contour", []string{
		"serve", "--kubeconfig", plan.path("kubeconfig-admin"), "--config-path", plan.path("contour-config.yaml"),
		"--disable-leader-election", "--insecure",
		"--xds-address", "127.0.0.1", "--xds-port", xdsPort,
		"--http-address", "127.0.0.1", "--http-port", "8004", "--health-address", "127.0.0.1", "--health-port", "8003",
		"--debug-http-address", "127.0.0.1", "--debug-http-port", "8005",
		"--stats-address", "127.0.0.1", "--stats-port", "8002",
		"--envoy-service-http-address", "127.0.0.1", "--envoy-service-http-port", "8080",
		"--envoy-service-https-address", "127.0.0.1", "--envoy-service-https-port", "8443",
		"--ingress-status-address", "127.0.0.1", // else the Gateway waits for a load balancer
		"--kubernetes-client-qps", "500", "--kubernetes-client-burst", "1000",
	}, answers(http.DefaultClient, "http://127.0.0.1:8003/healthz", ""))
}

func envoy(plan Plan) *process {
	return plan.part("envoy", "envoy/envoy/_bin/envoy", []string{
		"--config-path", plan.path("envoy.json"), "--service-cluster", "lab", "--service-node", "lab-0",
		"--concurrency", "1", "--log-level", "warning", "--disable-hot-restart",
	}, answers(http.DefaultClient, "http://"+envoyStatsAddress+"/ready", ""))
}

func prometheus(plan Plan) *process {
	return plan.part("prometheus", "prometheus/prometheus", []string{
		"--config.file", plan.path("prometheus.yaml"), "--storage.tsdb.path", plan.path("prometheus"),
		"--web.listen-address", prometheusAddress, "--web.enable-lifecycle", "--log.level", "warn",
	}, answers(http.DefaultClient, "http://"+prometheusAddress+"/-/ready", ""))
}
