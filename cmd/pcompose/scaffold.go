package main

import (
	_ "github.com/compose-spec/compose-go/v2/loader"
	_ "github.com/google/nftables"
	_ "github.com/opencontainers/runtime-spec/specs-go"
	_ "github.com/spf13/cobra"
	_ "github.com/vishvananda/netlink"
	_ "go.podman.io/common/libimage"
	_ "go.podman.io/common/pkg/seccomp"
	_ "go.podman.io/image/v5/copy"
	_ "go.podman.io/storage"
	_ "go.yaml.in/yaml/v3"
)

func main() {}
