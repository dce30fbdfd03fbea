# Everything a contributor runs; `make help` lists it. Works on a bare Debian with Go and root: tests install what they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Pure-Go OpenPGP, no btrfs headers. libseccomp is the one C library beyond libc: the built-in runtime filters system
# calls by it, and says so where it was built without (apt install libseccomp-dev pkg-config).
TAGS := containers_image_openpgp,exclude_graphdriver_btrfs$(shell pkg-config --exists libseccomp 2>/dev/null && echo ,seccomp)
export GOFLAGS := -tags=$(TAGS) -buildvcs=false

VERSION := $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    := $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

export GOLANGCI_LINT := v2.15.0
CACHE    := $(or $(PCOMPOSE_LAB_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/pcompose-lab),/var/cache/pcompose-lab)
LINT_DIR := $(CACHE)/golangci-lint-$(GOLANGCI_LINT)
export NFPM_VERSION := v2.44.0
NFPM_DIR := $(CACHE)/nfpm-$(NFPM_VERSION)
# testdata is no part of ./..., but is code all the same.
ALL := ./... ./testdata/bench ./testdata/bench/flow ./testdata/lab ./testdata/man ./testdata/report
# What a test run leaves for its own end: before, skips.
SCRATCH := bin/test
REPORT := bin/report -skips $(SCRATCH)/skips
# Where the script tests run, see docs/testing.md: make test goes through these, make e2e runs in one.
WORLDS := root bare user user-bare
WORLD  ?= root

.PHONY: help build test unit e2e images golden lint fmt man dist dist-check bench demo example install tools

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/pcompose
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/pcompose ./cmd/pcompose

test: install ## run every test there is (WORLDS=root for fewer), then list the skips and check that nothing is left on the machine
	@mkdir -p $(SCRATCH); rm -f $(SCRATCH)/*
	@testdata/leftovers.sh > $(SCRATCH)/before
	@failed=(); for step in lint vet unit images $(WORLDS:%=e2e-%); do \
	  echo "== $$step"; $(MAKE) --no-print-directory $$step || failed+=($$step); \
	done; \
	echo "== script tests: world, passed, skipped, failed, time"; sed 's/^/  /' $(SCRATCH)/table; \
	echo "== skipped tests"; sort -u $(SCRATCH)/skips | sed 's/^/  /'; \
	echo "== left on the machine"; testdata/leftovers.sh > $(SCRATCH)/after; \
	left=$$(comm -13 $(SCRATCH)/before $(SCRATCH)/after); \
	if [ -n "$$left" ]; then echo "$$left"; failed+=(leftovers); else echo "  nothing"; fi; \
	if [ $${#failed[@]} -gt 0 ]; then echo "FAILED: $${failed[*]}"; exit 1; fi; echo "all tests passed"

unit: tools ## run the unit tests
	@mkdir -p $(SCRATCH)
	go test -json -skip '^TestScript$$' ./... | $(REPORT)

e2e: install tools build ## run the script tests against real containers (RUN=name for some of them, WORLD=user for another world)
	@mkdir -p $(SCRATCH)
	@# Most scripts wait more than they compute: two to a core.
	PCT_WORLD=$(WORLD) PCT_E2E=$(CURDIR)/bin/pcompose bin/lab run -- go test -json -count=1 -timeout 40m -parallel 4 -run 'TestScript/$(RUN)' ./cmd/pcompose \
	  | $(REPORT) -world $(WORLD) -table $(SCRATCH)/table

e2e-%:
	@$(MAKE) --no-print-directory e2e WORLD=$*

vet:
	go vet $(ALL)

images: tools ## make the images of the tests, those that the cache does not have
	@bin/lab images > /dev/null

golden: ## rewrite golden files from what the code does now; read the diff
	go test $$(grep -rl 'flag.Bool("update"' --include='*_test.go' . | xargs -n1 dirname | sort -u) -update

lint: ## check style and the project's bars
	@testdata/install.sh lint $(LINT_DIR)
	$(LINT_DIR)/golangci-lint run --build-tags $(TAGS) $(ALL)

fmt: ## format Go files
	gofmt -l -w cmd compose engine examples planner pod testdata

man: ## write the manual pages to bin/man
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) go run ./testdata/man bin/man "$(VERSION)"

dist: ## make bin/dist: a static binary, .deb, .rpm and their SHA256SUMS; the same commit makes the same bytes
	@testdata/install.sh dist $(NFPM_DIR)
	@VERSION='$(VERSION)' COMMIT='$(COMMIT)' DATE='$(DATE)' TAGS='$(TAGS)' NFPM=$(NFPM_DIR)/nfpm testdata/dist/build.sh bin/dist

dist-check: dist ## make dist again in another folder, compare, install, and run it where nothing else is
	@VERSION='$(VERSION)' COMMIT='$(COMMIT)' DATE='$(DATE)' TAGS='$(TAGS)' NFPM=$(NFPM_DIR)/nfpm testdata/dist/check.sh bin/dist

bench: build tools ## measure against docker compose, podman-compose and the bare runtime
	bin/lab run -- go run ./testdata/bench -pcompose bin/pcompose $(BENCH)

demo: ## bring up examples/quickstart for real, look at it, take it down
	@testdata/install.sh demo
	@$(MAKE) --no-print-directory build
	@examples/quickstart/demo.sh bin/pcompose

example: build tools ## bring up examples/nginx-node-postgres on images of the lab, look at it, take it down
	@bin/lab run -- examples/nginx-node-postgres/demo.sh bin/pcompose

install:
	@testdata/install.sh

tools:
	@go build -o bin/ ./testdata/lab ./testdata/report
