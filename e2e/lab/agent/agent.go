// Package agent stands in for the kubelet: it registers a node and runs each pod
// bound to it as a process that listens on the pod's own address.
//
// It deliberately has no images, volumes, cgroups or user separation, runs only a pod's
// first container, and leaves endpoints, eviction and scheduling to the real controllers.
package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodNetwork is where pod addresses come from.
const PodNetwork = "10.244.0.0/16"

const (
	nodeName    = "lab-0"
	nodeAddress = "10.244.0.1"
)

// agent is what all pods share.
type agent struct {
	client    kubernetes.Interface
	config    *rest.Config
	addresses *addresses
	binFolder string
	logFolder string

	mutex sync.Mutex
	pods  map[types.UID]*pod
}

// Main runs the agent until a signal; its processes die with it.
func Main(args []string) int {
	flags := flag.NewFlagSet("lab agent", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "the kubeconfig to use")
	binFolder := flags.String("bin", "", "the folder that stands first on every process's PATH")
	logFolder := flags.String("logs", ".", "the folder for the processes' output")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, *kubeconfig, *binFolder, *logFolder); err != nil {
		fmt.Fprintf(os.Stderr, "lab agent: %v\n", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, kubeconfig, binFolder, logFolder string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 1000, 2000
	config.UserAgent = "lab-agent"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	addresses, err := newAddresses(PodNetwork, nodeAddress)
	if err != nil {
		return err
	}
	if binFolder, err = filepath.Abs(binFolder); err != nil {
		return fmt.Errorf("failed to find the program folder: %w", err)
	}
	running := &agent{
		client: client, config: config, addresses: addresses, binFolder: binFolder, logFolder: logFolder,
		pods: map[types.UID]*pod{},
	}
	node := &node{client: client}
	if err := node.register(ctx); err != nil {
		return err
	}
	go node.renew(ctx)
	go serveLogs(logFolder)
	if err := running.watch(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// watch feeds every change of a pod on this node to that pod's own loop.
func (a *agent) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(a.client, 0, informers.WithTweakListOptions(func(options *v1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", nodeName).String()
	}))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { a.changed(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) {
			a.changed(ctx, object.(*corev1.Pod))
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if gone, ok := object.(*corev1.Pod); ok {
				a.gone(gone.UID)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("failed to watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	return nil
}

func (a *agent) changed(ctx context.Context, object *corev1.Pod) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	known, ok := a.pods[object.UID]
	if !ok {
		known = newPod(a, object)
		a.pods[object.UID] = known
		go func() {
			known.run(ctx)
			a.addresses.release(known.address)
			a.mutex.Lock()
			defer a.mutex.Unlock()
			known.finished = true
			if known.removed {
				delete(a.pods, object.UID)
			}
		}()
		return
	}
	known.offer(object)
}

// gone tells the pod's loop that the object no longer exists, as after a forced deletion. The
// entry stays until the loop has ended too: a late update must not start the pod anew.
func (a *agent) gone(uid types.UID) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	known, ok := a.pods[uid]
	if !ok {
		return
	}
	known.removed = true
	close(known.vanished)
	if known.finished {
		delete(a.pods, uid)
	}
}
