# The verbs of the project; what they do is in xtask. Each first sets up what it needs (fast when nothing is missing).
# Arguments for the program behind a verb: make demo ARGS='--seed 1000001', make test ARGS='--tier unit'.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: demo kind-demo test e2e bench dataset train lint release setup setup-demo setup-release help

export NETPRECURSOR_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/netprecursor
# What the compiler makes on the way lies outside the checkout, so that a new clone in the same place finds it. Cargo names
# files alike in every checkout: one directory for two would have them run each other's programs.
export CARGO_BUILD_BUILD_DIR ?= $(NETPRECURSOR_CACHE)/build/{workspace-path-hash}
export PATH := $(PATH):$(HOME)/.cargo/bin

demo: setup-demo ## real traffic and surges on this machine, forecasts and alerts in terminal and browser (FOREVER=1 goes on; FULL=1 adds Prometheus, Alertmanager, a Collector)
	@cargo xtask demo $(if $(FULL),--full) $(if $(FOREVER),--forever) $(ARGS)

kind-demo: setup-demo ## helm install, kubectl apply, kubectl get precursoralerts, on a three-node cluster made for it by kind
	@cargo xtask kind-demo

test: setup ## every test tier that this machine can run, with a table at the end
	@cargo xtask test $(ARGS)

e2e: setup ## stories on a three-node cluster by kind, and tests on a real API server (E2E_KUBECONFIG=… names another one)
	@cargo xtask test --tier api --tier kind $(ARGS)

lint: setup ## format, lints, direction of dependencies, documentation
	@cargo xtask test --tier lint

bench: setup ## costs and speeds beside their aims
	@cargo xtask bench $(ARGS)

dataset: setup ## training data from the lab, into out/dataset; goes on where it stopped
	@cargo xtask dataset $(ARGS)

train: setup ## the model and its report from out/dataset, into models/artifacts
	@cargo xtask train $(ARGS)

release: setup-release ## everything that a release publishes but signatures and upload, for amd64 and arm64, into out/release
	@cargo xtask release --dry-run $(ARGS)

setup:
	@scripts/setup.sh

setup-demo:
	@scripts/setup.sh demo

setup-release:
	@scripts/setup.sh release

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
