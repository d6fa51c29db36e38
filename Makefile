# Every chore, one line each. `make` alone lists them.

HOST    := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
AGENT   := $(TARGET)/$(HOST)/static/tarpon-agent
RELEASE := $(TARGET)/release/tarpon
STATIC  := RUSTFLAGS="-C target-feature=+crt-static" cargo build --profile static --target $(HOST)
VENV    := target/venv/bin
CLIENTS := target/clients/requirements.txt
LAMBDAS := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard functions/*/Cargo.toml)))
STAND-INS := infra/aws/stand-ins
# What is tried on AWS, always the same packages and features together: the
# SDKs would be compiled once more for any others.
ON_AWS  := --package shared --package tests --package tests-ecs --package tests-lambda --features aws,conformance,adapter
QUICK   := shared tests-simulation
export TARPON_AGENT_BINARY := $(AGENT)

.DEFAULT_GOAL := help
.PHONY: help demo test test-aws test-clients run build images check advisories bench doc fmt functions package deploy destroy check-aws lint-aws
.PHONY: bench-aws simulation tools testers agent probe doctor

help: ## list the chores
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: build images ## run both images on real input against a server of its own
	@tests/demo.sh $(RELEASE)

test: build images probe testers ## everything: units, conformance, stories, in containers too
	cargo nextest run --workspace --no-fail-fast

test-clients: build images probe $(CLIENTS) ## the vendors' own clients against a server with containers
	@infra/local/tools.sh cargo-nextest
	cargo nextest run -p tests --no-fail-fast -E 'test(/^clients::/)'

simulation: ## 10,000 worlds in which everything goes wrong that may
	TARPON_SEEDS=10000 cargo test $(QUICK:%=--config 'profile.dev.package.%.opt-level=1') --package tests-simulation

test-aws: build probe $(CLIENTS) ## the AWS adapters, the functions and the deployed template, against stand-ins for AWS
	@infra/local/tools.sh cargo-nextest docker-registry
	cargo build $(ON_AWS),lambda $(LAMBDAS:%=--package=%) --bins --test aws --test it
	@$(STAND-INS)/zips.sh $(TARGET)/debug
	$(STAND-INS)/run.sh $(STAND-INS)/images.sh $(STAND-INS)/deployed.sh \
		cargo nextest run $(ON_AWS) --lib --test aws --test it --no-fail-fast -E 'not package(tests) or test(/::aws::/)'

run: build ## serve until interrupted
	$(RELEASE) serve

build: agent ## the one binary, target/release/tarpon
	cargo build --release -p tarpon

images: doctor ## tarpon/hello and tarpon/pic-process, into the local engine
	@infra/images/build.sh

bench: build images probe ## measure, each figure beside a baseline of the same run
	cargo bench -p tests

bench-aws: functions agent probe ## measure the functions: their zips, their cold starts, what they hold
	@infra/local/tools.sh docker-registry
	@$(STAND-INS)/run.sh $(STAND-INS)/images.sh cargo bench -p tests-lambda --features aws

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
	RUSTFLAGS="-C force-unwind-tables=no" cargo build --profile lambda --target $(HOST) --features lambda $(LAMBDAS:%=--package=%)
	@infra/aws/package.py $(TARGET)/$(HOST)/lambda

package: functions agent ## all that `make deploy` takes along
	@$(STATIC) -p tarpon-image-pic-process
	@cp $(AGENT) $(TARGET)/$(HOST)/static/pic-process target/lambda/

deploy: package $(VENV)/cfn-lint ## into your own account, as the AWS environment says: `make deploy SET="AlarmEmail=me@example.com"`
	@$(VENV)/python infra/aws/deploy.py --stack $(or $(STACK),tarpon) $(SET)

destroy: $(VENV)/cfn-lint ## take it away again; the data stays, unless WITH_DATA=1
	@$(VENV)/python infra/aws/deploy.py --destroy --stack $(or $(STACK),tarpon) $(if $(WITH_DATA),--with-data)

check-aws: ## lints of what only AWS needs (compiles SDKs, the first time for some minutes)
	cargo clippy $(ON_AWS),lambda $(LAMBDAS:%=--package=%) --all-targets -- -D warnings

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

testers: target/webhooks/bin/python $(CLIENTS)
	@infra/local/tools.sh cargo-nextest busybox docker-registry

target/webhooks/bin/python:
	@python3 -m venv target/webhooks.new && target/webhooks.new/bin/pip install --quiet standardwebhooks==1.1.0
	@mv target/webhooks.new target/webhooks

$(CLIENTS): tests/clients/requirements.txt
	@rm -rf target/clients.new && python3 -m venv target/clients.new
	@target/clients.new/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@cp $< target/clients.new/ && rm -rf target/clients && mv target/clients.new target/clients

tools:
	@infra/local/tools.sh cargo-deny cargo-machete typos
