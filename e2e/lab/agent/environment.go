package agent

// The environment of a pod's process. It deliberately passes nothing of the
// agent's own environment on, so that a test means the same on every machine.

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

var reference = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)

// environmentOf lists NAME=value. What the pod sets comes last and wins.
func environmentOf(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, address, binFolder string) ([]string, error) {
	values := map[string]string{
		"PATH": binFolder + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/tmp", "POD_IP": address, "POD_NAME": pod.Name, "POD_NAMESPACE": pod.Namespace,
	}
	for _, variable := range pod.Spec.Containers[0].Env {
		value := expand(variable.Value, values)
		if variable.ValueFrom != nil {
			var err error
			if value, err = valueFrom(ctx, client, pod, address, variable.ValueFrom); err != nil {
				return nil, fmt.Errorf("env %s: %w", variable.Name, err)
			}
		}
		values[variable.Name] = value
	}
	list := make([]string, 0, len(values))
	for name, value := range values {
		list = append(list, name+"="+value)
	}
	return list, nil
}

// expand replaces $(NAME) by what was set before it and leaves unknown names as they are.
func expand(text string, values map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if value, ok := values[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

func valueFrom(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, address string, source *corev1.EnvVarSource) (string, error) {
	switch {
	case source.FieldRef != nil:
		return field(pod, address, source.FieldRef.FieldPath)
	case source.ConfigMapKeyRef != nil:
		from := source.ConfigMapKeyRef
		found, err := client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, from.Name, v1.GetOptions{})
		if err != nil {
			return "", fmt.Errorf("failed to read the config map: %w", err)
		}
		value, ok := found.Data[from.Key]
		if !ok {
			return "", fmt.Errorf("config map %s has no key %s", from.Name, from.Key)
		}
		return value, nil
	default:
		return "", fmt.Errorf("the lab knows fieldRef and configMapKeyRef only")
	}
}

func field(pod *corev1.Pod, address, path string) (string, error) {
	if kind, key, ok := strings.Cut(path, "['"); ok {
		key = strings.TrimSuffix(key, "']")
		switch kind {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return nodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return address, nil
	case "status.hostIP":
		return nodeAddress, nil
	default:
		return "", fmt.Errorf("the lab does not know the field %s", path)
	}
}
