# The front door. Every target first installs what it needs and the machine lacks (scripts/bootstrap.sh).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
export PATH := $(CURDIR)/.toolchain/bin:$(PATH)
JOBS ?= $(shell nproc)
CTEST := ctest --output-on-failure --no-tests=error -j $(JOBS)

# Thread sanitizer wants address-space randomisation off where the kernel maps beyond what it knows.
FIXED_ADDRESSES := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: help demo test verify bench e2e build debug tsan test-release test-node test-debug test-tsan test-mutation test-chart format generate package \
	images clean

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## a program uses several times the memory of its card, with the same bits (GPU if there is one, else simulated)
	@scripts/demo.sh

test: test-release test-node test-debug test-tsan test-mutation ## every test: release, Node, sanitizers, mutations

verify: ## types, lint, format, file lengths, generated files up to date
	@scripts/bootstrap.sh base cxx format cuda-headers node
	@$(MAKE) node_modules/.package-lock.json
	@scripts/verify.sh

e2e: build ## end-to-end tests on a Kubernetes of their own (needs root), or on the cluster of KUBECONFIG
	@scripts/bootstrap.sh node
	@$(MAKE) node_modules/.package-lock.json
	@scripts/e2e.sh $(E2E_OPTIONS)

bench: ## measures the claims of bench/ (needs a GPU)
	@scripts/bench.sh

build: ## release build in build/release (kernels for GPUs too, where nvcc is there)
	@scripts/bootstrap.sh base cxx gtest cuda-headers
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS)

debug tsan:
	@scripts/bootstrap.sh base cxx gtest cuda-headers
	@cmake --preset $@ >/dev/null
	@cmake --build --preset $@ -j $(JOBS)

test-release: build ## C++ tests of the release build
	$(CTEST) --test-dir build/release

test-node: build ## TypeScript tests
	@scripts/bootstrap.sh node
	@$(MAKE) node_modules/.package-lock.json
	npm test

# Without the leak tracer: now and then it dies of the simulator's switched stacks.
test-debug: export ASAN_OPTIONS := detect_leaks=0
test-debug: debug ## C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(CTEST) --test-dir build/debug --label-exclude slow

test-tsan: tsan ## C++ tests under ThreadSanitizer
	$(FIXED_ADDRESSES) $(CTEST) --test-dir build/tsan --label-exclude slow

test-mutation: build ## switches each safety mechanism off in turn and expects a test to fail
	@scripts/mutation.sh

format: ## rewrites sources in the project's format
	@scripts/bootstrap.sh format node
	@$(MAKE) node_modules/.package-lock.json
	@scripts/format.sh fix

generate: build ## writes the generated files anew
	@scripts/bootstrap.sh node
	@$(MAKE) node_modules/.package-lock.json
	@scripts/generate.sh .

package: build ## the npm package of the command line, with the shim in it (cli/*.tgz)
	@scripts/bootstrap.sh node
	@$(MAKE) node_modules/.package-lock.json
	npm pack --workspace cli --pack-destination cli

images: ## container images of agent and operator, by docker, podman or buildah (IMAGE_PREFIX, IMAGE_TAG, PLATFORM)
	@scripts/images.sh

test-chart: ## what the chart renders and refuses (builds Helm once, where there is none)
	@scripts/bootstrap.sh node
	@$(MAKE) node_modules/.package-lock.json
	node --test test/chart/*.test.ts

clean: ## removes everything built (not the tools in .toolchain)
	rm -rf build node_modules dist cli/dist

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
