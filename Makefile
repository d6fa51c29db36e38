# Every chore, one line each. `make` alone lists them.

HOST    := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
AGENT   := $(TARGET)/$(HOST)/static/tarpon-agent
RELEASE := $(TARGET)/release/tarpon
STATIC  := RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile static --target $(HOST)
VENV    := target/venv/bin
LAMBDAS := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard functions/*/Cargo.toml)))
export TARPON_AGENT_BINARY := $(AGENT)

.DEFAULT_GOAL := help
.PHONY: help demo test test-aws run build images check advisories bench doc fmt functions package deploy destroy check-aws lint-aws
.PHONY: tools testers agent probe doctor

help: ## list the chores
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: build images ## run both images on real input against a server of its own
	@tests/demo.sh $(RELEASE)

test: build images probe testers ## everything: units, conformance, stories, in containers too
	cargo nextest run --workspace --no-fail-fast

test-aws: build probe ## the AWS adapters and the deployed template, against stand-ins for AWS
	@infra/local/tools.sh cargo-nextest docker-registry
	cargo build --features lambda $(LAMBDAS:%=--package=%) --package tests-ecs
	@infra/aws/stand-ins/zips.sh $(TARGET)/debug
	infra/aws/stand-ins/run.sh cargo test --package shared --features aws,conformance --lib --test aws
	cargo nextest run --package tests-ecs --features adapter
	infra/aws/stand-ins/run.sh infra/aws/stand-ins/deployed.sh \
		cargo nextest run --package tests --features aws --no-fail-fast -E 'test(/::aws::/)'

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

functions: ## every function for AWS, as target/lambda/NAME.zip
	cargo build --profile lambda --target $(HOST) --features lambda $(LAMBDAS:%=--package=%)
	@infra/aws/package.py $(TARGET)/$(HOST)/lambda

package: functions agent ## all that `make deploy` takes along
	@$(STATIC) -p tarpon-image-pic-process
	@cp $(AGENT) $(TARGET)/$(HOST)/static/pic-process target/lambda/

deploy: package $(VENV)/cfn-lint ## into your own account, as the AWS environment says: `make deploy SET="AlarmEmail=me@example.com"`
	@$(VENV)/python infra/aws/deploy.py --stack $(or $(STACK),tarpon) $(SET)

destroy: $(VENV)/cfn-lint ## take it away again; the data stays, unless WITH_DATA=1
	@$(VENV)/python infra/aws/deploy.py --destroy --stack $(or $(STACK),tarpon) $(if $(WITH_DATA),--with-data)

check-aws: ## lints of what only AWS needs (compiles SDKs, the first time for ten minutes)
	cargo clippy --features lambda $(LAMBDAS:%=--package=%) -- -D warnings
	cargo clippy -p shared --features aws,conformance --all-targets -- -D warnings
	cargo clippy -p tests -p tests-ecs --features tests/aws,tests-ecs/adapter --all-targets -- -D warnings

lint-aws: $(VENV)/cfn-lint ## the template, and that it goes with the functions
	infra/aws/functions.py --check
	$(VENV)/cfn-lint infra/aws/template.yaml

$(VENV)/cfn-lint:
	@python3 -m venv target/venv && target/venv/bin/pip install --quiet cfn-lint boto3

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
