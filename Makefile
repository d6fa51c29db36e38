# Every chore, one line each. `make` alone lists them.

HOST    := $(shell rustc -vV | sed -n 's/^host: //p')
AGENT   := target/$(HOST)/static/tarpon-agent
RELEASE := target/release/tarpon
STATIC  := RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile static --target $(HOST)
export TARPON_AGENT_BINARY := $(CURDIR)/$(AGENT)

.DEFAULT_GOAL := help
.PHONY: help demo test test-aws run build images check advisories bench doc fmt tools testers agent probe doctor

help: ## list the chores
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: build images ## run both images on real input against a server of its own
	@tests/demo.sh $(RELEASE)

test: build images probe testers ## everything: units, conformance, stories, in containers too
	cargo nextest run --workspace --no-fail-fast

test-aws: ## the AWS adapters, against a stand-in for AWS's APIs
	infra/aws/stand-ins/run.sh cargo test --package shared --features aws,conformance --lib --test aws

run: build ## serve until interrupted
	$(RELEASE) serve

build: agent ## the one binary, target/release/tarpon
	cargo build --release -p tarpon

images: doctor ## tarpon/hello and tarpon/pic-process, into the local engine
	@infra/images/build.sh

bench: build images probe ## measure, each figure beside a baseline of the same run
	cargo bench -p tests

check: tools agent ## formatting, lints, licences, unused dependencies, spelling
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny --log-level error check licenses bans sources
	cargo machete
	typos

advisories: tools ## known vulnerabilities of what we depend on (asks the network)
	cargo deny check advisories

doc: ## the documentation of all crates
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

fmt: ## format all code
	cargo fmt --all

agent:
	@$(STATIC) -p tarpon-agent

probe:
	@$(STATIC) -p tests-probe

doctor:
	@infra/local/doctor.sh

testers:
	@infra/local/tools.sh cargo-nextest busybox

tools:
	@infra/local/tools.sh cargo-deny cargo-machete typos
