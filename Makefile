TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo clean-demo test lint deny bench run-demo run-tests run-bench

# Where scripts/bootstrap.sh puts Rust and the tools of the tests.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: ## Show the main job on real traffic; installs and builds what is missing (under three minutes once built)
	scripts/bootstrap.sh
	@scripts/with-docker.sh $(MAKE) --no-print-directory run-demo

run-demo:
	docker image inspect nginx:stable >/dev/null 2>&1 || timeout 120 docker pull --quiet nginx:stable || scripts/nginx-image.sh
	scripts/images.sh
	cargo build --locked -p canaryd
	$(TARGET)/debug/canaryd demo

clean-demo: ## Take away what the demo left: containers, networks, images
	-scripts/with-docker.sh $(TARGET)/debug/canaryd demo --clean
	-scripts/with-docker.sh docker image rm canaryd-demo:v1 canaryd-demo:v2 canaryd-demo:v3 canaryd-demo:v4 canaryd-demo:base

lint: ## Formatting, and clippy: a warning is an error
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

deny: ## Licences, bans and sources of the dependencies, where cargo-deny is installed
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check licenses bans sources; \
	else echo "deny: SKIPPED, cargo-deny is not installed (CANARYD_DENY=1 make test installs it)"; fi

test: ## Install what is missing, then lint and run every test
	scripts/bootstrap.sh tests
	@scripts/with-docker.sh $(MAKE) --no-print-directory run-tests

run-tests: lint deny
	scripts/nginx-image.sh
	scripts/images.sh
	scripts/registry.sh
	scripts/front-doors.sh
	cargo build --locked --workspace --all-targets
	cargo nextest run --locked --workspace

bench: ## Measure what is promised, beside other ways (half an hour); installs what is missing; SCENARIOS="weights lost" for some
	scripts/bootstrap.sh
	@scripts/with-docker.sh $(MAKE) --no-print-directory run-bench

run-bench:
	scripts/nginx-image.sh
	scripts/images.sh
	scripts/bench-tools.sh
	cargo build --locked --release -p canaryd
	cargo bench --locked -p canaryd-e2e --bench figures -- $(SCENARIOS)
