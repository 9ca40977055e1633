package cluster

// How the control plane's programs are started. Admission, controllers and authorisation
// are deliberately the real ones with their defaults; the flags here only say where things
// are and take out waiting that serves large clusters.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const etcdAddress = "127.0.0.1:2379"

func etcd(plan Plan) *process {
	return plan.part("etcd", "controlplane/controlplane", []string{
		"etcd", "--data-dir", plan.path("etcd"),
		"--listen-client-urls", "http://" + etcdAddress, "--advertise-client-urls", "http://" + etcdAddress,
		"--listen-peer-urls", "http://127.0.0.1:2380",
		"--unsafe-no-fsync", // the data does not outlive the lab
		"--log-level", "warn",
	}, answers(http.DefaultClient, "http://"+etcdAddress+"/health", ""))
}

func apiServer(plan Plan) *process {
	return plan.part("kube-apiserver", "controlplane/controlplane", []string{
		"kube-apiserver", "--etcd-servers", "http://" + etcdAddress,
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", "6443",
		"--tls-cert-file", plan.path("server.crt"), "--tls-private-key-file", plan.path("server.key"),
		"--cert-dir", plan.path("certificates"),
		"--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", plan.path("accounts.pub"),
		"--service-account-signing-key-file", plan.path("accounts.key"),
		"--token-auth-file", plan.path("tokens.csv"), "--authorization-mode", "RBAC",
		"--endpoint-reconciler-type", "none", // it would refuse to publish a loopback address
		"--audit-policy-file", plan.path("audit-policy.yaml"), "--audit-log-path", plan.auditLog(),
		"--audit-log-maxsize", "500",
		"--shutdown-delay-duration", "0s",
	}, apiServerReady(plan))
}

func controllerManager(plan Plan) *process {
	return plan.part("kube-controller-manager", "controlplane/controlplane", []string{
		"kube-controller-manager", "--kubeconfig", plan.path("kubeconfig-admin"), "--leader-elect=false", "--secure-port", "0",
		"--service-account-private-key-file", plan.path("accounts.key"), "--root-ca-file", plan.path("ca.crt"),
		"--kube-api-qps", "1000", "--kube-api-burst", "2000",
		"--concurrent-deployment-syncs", "10", "--concurrent-replicaset-syncs", "10",
		"--concurrent-service-endpoint-syncs", "10", "--endpointslice-updates-batch-period", "0s",
		"--horizontal-pod-autoscaler-sync-period", "2s",
		// A test that takes the API server away must not find its pods evicted afterwards.
		"--node-monitor-grace-period", "1h",
	}, nil)
}

func scheduler(plan Plan) *process {
	return plan.part("kube-scheduler", "controlplane/controlplane", []string{
		"kube-scheduler", "--kubeconfig", plan.path("kubeconfig-admin"), "--leader-elect=false", "--secure-port", "0",
		"--kube-api-qps", "1000", "--kube-api-burst", "2000",
	}, nil)
}

func nodeAgent(plan Plan) *process {
	agent := plan.part("agent", "", []string{
		"agent", "--kubeconfig", plan.path("kubeconfig-admin"), "--bin", plan.path("bin"), "--logs", plan.path("logs", "pods"),
	}, nil)
	agent.binary = plan.Binary
	return agent
}

func (p Plan) part(name, file string, arguments []string, ready func(context.Context) error) *process {
	return &process{
		name: name, binary: p.partFile(file), arguments: arguments,
		logPath: p.path("logs", name+".log"), ready: ready,
	}
}

func (p Plan) auditLog() string { return p.path("logs", "audit.jsonl") }

// apiServerReady trusts only the lab's own authority, as every strict client will.
func apiServerReady(plan Plan) func(context.Context) error {
	return func(ctx context.Context) error {
		authority, err := os.ReadFile(plan.path("ca.crt"))
		if err != nil {
			return fmt.Errorf("failed to read the authority: %w", err)
		}
		token, err := os.ReadFile(plan.path("token-admin"))
		if err != nil {
			return fmt.Errorf("failed to read a token: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(authority) {
			return errors.New("failed to read the authority")
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		return answers(&http.Client{Transport: transport}, "https://"+apiAddress+"/readyz", string(token))(ctx)
	}
}

// answers is ready when the URL answers 200.
func answers(client *http.Client, url, token string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
