// Command lab is a real cluster on one machine without containers, and the programs a test
// needs inside it. See README.md.
//
// This file deliberately only picks the subcommand.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lab/agent"
	"lab/app"
	"lab/cluster"
	"lab/load"
	"lab/parts"
)

const usage = `usage: lab COMMAND

  build                  build and download the parts, once
  run [flags] -- CMD     run CMD inside a fresh cluster
  up [flags]             keep a fresh cluster until Ctrl-C, reachable from outside
  helm ARGS              the lab's Helm, without a cluster
  part ACTION NAME       inside: stop, kill, start, restart, pause or resume a part
  app                    the demo application
  load [flags]           send a constant rate of requests and count the answers
  agent [flags]          the node agent (started by run and up)

lab COMMAND --help lists the flags.
`

func main() {
	// A user's PATH may lack the folders of ip.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Args[2:]))
}

func run(command string, args []string) int {
	switch command {
	case "build":
		return build()
	case "run":
		return cluster.RunMain(args)
	case "up":
		return cluster.UpMain(args)
	case "helm":
		return helm(args)
	case "part":
		return cluster.PartMain(args)
	case "app":
		return app.Main()
	case "load":
		return load.Main(args)
	case "agent":
		return agent.Main(args)
	case "inside": // how the lab starts its own processes
		return inside(args)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return 0
	default:
		fmt.Fprintf(os.Stderr, "lab: no command %q\n\n%s", command, usage)
		return 2
	}
}

func inside(args []string) int {
	if len(args) == 2 && args[0] == "first" {
		return cluster.FirstMain(args[1])
	}
	if len(args) == 2 && args[0] == "supervise" {
		return cluster.SuperviseMain(args[1])
	}
	return 2
}

// helm becomes Helm; only this part is built for it.
func helm(args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	set, err := parts.Ensure(ctx, os.Stderr, "helm")
	if err == nil {
		program := filepath.Join(set["helm"], "helm")
		err = syscall.Exec(program, append([]string{program}, args...), os.Environ())
	}
	fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	return 1
}

func build() int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	begin := time.Now()
	if _, err := parts.Ensure(ctx, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "lab: all parts are ready (%s)\n", time.Since(begin).Round(time.Millisecond))
	return 0
}
