TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo clean-demo test lint

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: ## Show the main job on real traffic; installs and builds what is missing (under three minutes once built)
	scripts/bootstrap.sh
	docker image inspect nginx:stable >/dev/null 2>&1 || timeout 120 docker pull --quiet nginx:stable || scripts/nginx-image.sh
	scripts/images.sh
	cargo build --locked -p canaryd
	$(TARGET)/debug/canaryd demo

clean-demo: ## Take away what the demo left: containers, networks, images
	-$(TARGET)/debug/canaryd demo --clean
	-docker image rm canaryd-demo:v1 canaryd-demo:v2 canaryd-demo:v3 canaryd-demo:v4 canaryd-demo:base

lint: ## Formatting, and clippy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets

test: ## Install what is missing, then lint and run every test
	scripts/bootstrap.sh
	scripts/nginx-image.sh
	scripts/images.sh
	scripts/registry.sh
	$(MAKE) --no-print-directory lint
	cargo nextest run --locked --workspace
