package agent

// The pod's service account, in place of the volume that a kubelet mounts: a kubeconfig with a
// token bound to the pod. It deliberately leaves pods of the account "default" without one.

import (
	"context"
	"fmt"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tokenSeconds outlives every lab: the token is never renewed.
const tokenSeconds = int64(24 * 60 * 60)

// withAccount adds KUBECONFIG, if the pod asks for its account's token and has an account of its own.
func (a *agent) withAccount(ctx context.Context, pod *corev1.Pod, environment []string) ([]string, error) {
	mount := pod.Spec.AutomountServiceAccountToken
	if pod.Spec.ServiceAccountName == "default" || pod.Spec.ServiceAccountName == "" || (mount != nil && !*mount) {
		return environment, nil
	}
	seconds := tokenSeconds
	asked := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}
	granted, err := a.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, asked, v1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to get a token of service account %s: %w", pod.Spec.ServiceAccountName, err)
	}
	config := api.NewConfig()
	config.CurrentContext = "lab"
	config.Clusters["lab"] = &api.Cluster{
		Server: a.config.Host, CertificateAuthorityData: a.config.CAData, CertificateAuthority: a.config.CAFile,
	}
	config.AuthInfos["lab"] = &api.AuthInfo{Token: granted.Status.Token}
	config.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: "lab", Namespace: pod.Namespace}
	path := filepath.Join(filepath.Dir(a.binFolder), fmt.Sprintf("kubeconfig-%s_%s", pod.Namespace, pod.Name))
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return nil, fmt.Errorf("failed to write a kubeconfig: %w", err)
	}
	return append(environment, "KUBECONFIG="+path), nil
}
