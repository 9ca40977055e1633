// A whole control plane as one multi-call binary: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kubectl. One binary because they
// share nearly all their code, so linking once costs a fifth of the time and disk.
//
// It deliberately adds nothing of its own: no flags, no defaults. How the
// programs are started is the lab's business (e2e/lab).
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const programs = "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl"

func main() {
	args := os.Args
	// Called through a link named after a program, or with its name as first argument.
	args[0] = filepath.Base(args[0])
	if run(args) {
		return
	}
	if len(args) > 1 && run(args[1:]) {
		return
	}
	fmt.Fprintf(os.Stderr, "controlplane: name a program as the first argument: %s\n", programs)
	os.Exit(2)
}

// run starts the program args[0] and reports whether there is one of that name.
func run(args []string) bool {
	var command *cobra.Command
	switch args[0] {
	case "etcd":
		os.Args = args
		etcdmain.Main(args)
		return true
	case "kube-apiserver":
		os.Args = args
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		os.Args = args
		command = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		os.Args = args
		command = scheduler.NewSchedulerCommand()
	case "kubectl":
		os.Args = args
		// As kubectl's own main does: it prints its errors itself.
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
		os.Exit(0)
	default:
		return false
	}
	os.Exit(cli.Run(command))
	return true
}
