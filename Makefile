.PHONY: help test lint

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

lint: ## Formatting, and clippy with warnings as errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test: ## Install what is missing, then lint and run every test
	scripts/bootstrap.sh
	scripts/nginx-image.sh
	$(MAKE) --no-print-directory lint
	cargo nextest run --locked --workspace
