package engine

import (
	"fmt"
	"os/exec"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/sandbox"
	"go.podman.io/common/pkg/config"
)

// outlet chooses how a new pod reaches the world outside. Asked is a kind that is meant and no other; "" leaves it to what this
// process may do, and to containers.conf: default_rootless_network_cmd, with pasta_options. Where pasta is not installed, or
// does not start, the built-in stack is used; and never slirp4netns, which would lose the addresses of clients.
func outlet(asked string) (pod.Outlet, error) {
	kind := pod.OutletKind(asked)
	if kind == "" && sandbox.MayLink() {
		kind = pod.OutletVeth
	}
	switch kind {
	case pod.OutletVeth:
		if !sandbox.MayLink() {
			return pod.Outlet{}, fmt.Errorf("cannot use network command %q: it needs root's privileges on the host's network; use %q or %q",
				kind, pod.OutletPasta, pod.OutletBuiltIn)
		}
		return pod.Outlet{Kind: kind}, nil
	case pod.OutletBuiltIn:
		return pod.Outlet{Kind: kind}, nil
	case pod.OutletPasta, "":
	default:
		return pod.Outlet{}, fmt.Errorf("cannot use network command %q: it is none of %q, %q, %q", asked, pod.OutletVeth, pod.OutletPasta, pod.OutletBuiltIn)
	}
	conf, err := config.Default()
	if err != nil {
		return pod.Outlet{}, fmt.Errorf("cannot read containers.conf: %w", err)
	}
	if kind == "" && conf.Network.DefaultRootlessNetworkCmd == string(pod.OutletBuiltIn) {
		return pod.Outlet{Kind: pod.OutletBuiltIn}, nil
	}
	program, err := conf.FindHelperBinary(string(pod.OutletPasta), true)
	if err != nil {
		if kind == "" {
			return pod.Outlet{Kind: pod.OutletBuiltIn}, nil
		}
		return pod.Outlet{}, fmt.Errorf("cannot use network command %q: %w: install it (package passt)", asked, exec.ErrNotFound)
	}
	return pod.Outlet{Kind: pod.OutletPasta, Program: program, Options: conf.Network.PastaOptions.Get(), Fallback: kind == ""}, nil
}
