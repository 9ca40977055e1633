package cluster

// The objects of a fresh cluster: definitions, the gateway and what says that all
// is in place. It only ever creates, because the cluster is always empty.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

const objectsLimit = 60 * time.Second

// resources maps the kinds the lab creates; discovery would cost a second for nothing.
var resources = map[string]schema.GroupVersionResource{
	"CustomResourceDefinition": {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
	"Namespace":                {Version: "v1", Resource: "namespaces"},
	"ServiceAccount":           {Version: "v1", Resource: "serviceaccounts"},
	"Node":                     {Version: "v1", Resource: "nodes"},
	"GatewayClass":             {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"},
	"Gateway":                  {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
	"HTTPRoute":                {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
}

type objects struct{ client dynamic.Interface }

func newObjects(plan Plan) (objects, error) {
	config, err := clientcmd.BuildConfigFromFlags("", plan.path("kubeconfig-admin"))
	if err != nil {
		return objects{}, fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 500, 500
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return objects{}, fmt.Errorf("failed to make a client: %w", err)
	}
	return objects{client: client}, nil
}

// createDefinitions creates all CRDs and waits until the API server serves them.
func (o objects) createDefinitions(ctx context.Context, plan Plan) error {
	paths, err := filepath.Glob(plan.partFile("crds/gateway-api/gateway.networking*.yaml"))
	if err != nil {
		return fmt.Errorf("failed to list the definitions: %w", err)
	}
	var definitions []*unstructured.Unstructured
	for _, path := range append(paths, plan.partFile("crds/contour.yaml")) {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("failed to read the definitions: %w", err)
		}
		parsed, err := parse(text)
		if err != nil {
			return fmt.Errorf("failed to read %s: %w", filepath.Base(path), err)
		}
		definitions = append(definitions, parsed...)
	}
	if err := o.create(ctx, definitions); err != nil {
		return err
	}
	for _, definition := range definitions {
		if err := o.waitCondition(ctx, "CustomResourceDefinition", "", definition.GetName(), "Established"); err != nil {
			return err
		}
	}
	return nil
}

func (o objects) create(ctx context.Context, all []*unstructured.Unstructured) error {
	for _, object := range all {
		resource, ok := resources[object.GetKind()]
		if !ok {
			return fmt.Errorf("failed to create a %s: the lab does not know this kind", object.GetKind())
		}
		_, err := o.client.Resource(resource).Namespace(object.GetNamespace()).Create(ctx, object, v1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("failed to create %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// waitCondition waits until status.conditions has the type with status True.
func (o objects) waitCondition(ctx context.Context, kind, namespace, name, condition string) error {
	return o.wait(ctx, kind, namespace, name, condition, func(object *unstructured.Unstructured) bool {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		for _, entry := range conditions {
			fields, _ := entry.(map[string]any)
			if fields["type"] == condition && fields["status"] == "True" {
				return true
			}
		}
		return false
	})
}

func (o objects) wait(ctx context.Context, kind, namespace, name, what string, holds func(*unstructured.Unstructured) bool) error {
	ctx, cancel := context.WithTimeout(ctx, objectsLimit)
	defer cancel()
	for {
		object, err := o.client.Resource(resources[kind]).Namespace(namespace).Get(ctx, name, v1.GetOptions{})
		if err == nil && holds(object) {
			return nil
		}
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			return fmt.Errorf("failed to read %s %s: %w", kind, name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("failed to see %s %s become %s", kind, name, what)
		case <-time.After(readyPause):
		}
	}
}

func parse(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var all []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if object.Object != nil {
			all = append(all, object)
		}
	}
}
