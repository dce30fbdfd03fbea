package main

import (
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "golang.org/x/term"
)
