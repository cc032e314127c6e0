# `make help` lists the verbs. Everything is built in one profile (dev, optimised), so that HiGHS is compiled
# once for the demo, the tests and CI alike; `make release` builds what is installed on real hosts.
#
# The binaries are built one after the other, not as a workspace: together, cargo would give both the union
# of their features, and `dvms` would link libvirt.

SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
# SETUP=no: install nothing, even when something is missing.
SETUP ?= yes
# Arguments for the program that a verb starts: make demo ARGS=--keep
ARGS ?=
# How long `make soak` goes on.
MINUTES ?= 1
# How many seconds etcd is down in `make outage`.
DOWN_S ?= 600

PURE := -p dvms -p dvms-solver -p dvms-proto
AGENT := -p dvms-agent
ifeq ($(SETUP),no)
setup = @:
else
setup = @scripts/setup.sh
endif

# cargo-nextest where it is installed, else cargo's own runner.
ifneq ($(shell $(CARGO) nextest --version 2>/dev/null),)
run_tests = $(CARGO) nextest run
else
run_tests = $(CARGO) test --no-fail-fast
endif

.PHONY: help demo demo-libvirt bench peers soak outage test lint fmt build doc release ci clean

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r verb what; \
		do printf '  make %-14s %s\n' "$$verb" "$$what"; done

demo: ## a cluster of simulated hypervisors in one process: overload, drain, night (ARGS=--keep leaves it running)
	$(setup) build
	$(CARGO) build -p dvms --bin dvms
	@$(CARGO) run --quiet -p dvms --bin dvms -- demo $(ARGS)

demo-libvirt: ## the same with QEMU guests on libvirt daemons, in namespaces of this machine; needs root
	$(setup) build agent test
	$(CARGO) build -p dvms --bin dvms
	$(CARGO) build $(AGENT) --bin dvms-agent
	@$(CARGO) run --quiet -p dvms --bin dvms -- demo --libvirt $(ARGS)

test: build ## all tests; as root with real libvirt and QEMU
	$(setup) test
	$(run_tests) $(AGENT) $(ARGS)
	$(run_tests) $(PURE) $(ARGS)

soak: ## storms over a ring of coordinators in virtual time, for so many minutes (MINUTES=1)
	$(setup) build
	@$(CARGO) build --quiet $(PURE) --tests
	@set -o pipefail; DVMS_SOAK_MINUTES=$(MINUTES) $(CARGO) test --quiet $(PURE) --lib chaos::soak -- --ignored --nocapture 2>&1 \
		| tee target/soak.log | grep --line-buffered -E '^soak:|panicked|FAILED' || { tail -40 target/soak.log; exit 1; }

outage: ## a ring whose etcd is down: a minority for so many seconds, then the majority (DOWN_S=600)
	$(setup) test
	DVMS_REQUIRE_TESTBED=1 DVMS_ETCD_DOWN_S=$(DOWN_S) $(CARGO) test --quiet $(PURE) --test api etcd_is_down -- --ignored --nocapture

bench: release ## the tables of docs/BENCHMARKS.md, and what an agent costs its host (ARGS="--row repair-64 --peers")
	$(setup) test
	DVMS_AGENT_BINARY=$(CURDIR)/target/release/dvms-agent $(CARGO) test -p dvms --test e2e -- --ignored --nocapture
	target/release/dvms bench $(ARGS)

peers: ## install the engines that `dvms bench --peers` compares with, from PyPI, into benches/peers/.venv
	benches/peers/setup.sh

lint: ## format, clippy, and cargo-deny where it is installed
	$(setup) build agent
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PURE) --all-targets -- -D warnings
	$(CARGO) clippy $(AGENT) --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --all-features check bans licenses sources; \
		else echo "lint: cargo-deny is not installed, licences and bans are not checked"; fi

fmt: ## format the sources
	$(CARGO) fmt --all

build: ## both binaries, for working on dvms
	$(setup) build agent
	$(CARGO) build -p dvms --bins
	$(CARGO) build $(AGENT) --bins

doc: ## the crates' documentation
	$(setup) build agent
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps $(PURE) $(AGENT)

release: ## both binaries, optimised and stripped, in target/release
	$(setup) build agent
	$(CARGO) build --release -p dvms --bins
	$(CARGO) build --release $(AGENT) --bins

ci: ## what CI runs
	.ci/run

clean: ## remove what was built
	$(CARGO) clean
