#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks; says what it does before it does it; asks nothing.
set -euo pipefail

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need gcc build-essential
need git git
need docker docker.io
need mmdebstrap mmdebstrap

if [ "${#missing[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null 2>&1 || { echo "please install: ${missing[*]}" >&2; exit 1; }
  echo "bootstrap: installing ${missing[*]} with apt-get"
  as_root apt-get update -q -o Acquire::Check-Valid-Until=false
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
if ! command -v cargo >/dev/null 2>&1; then
  echo "bootstrap: Rust is missing; install it with rustup, then run this again" >&2
  exit 1
fi
if ! cargo nextest --version >/dev/null 2>&1; then
  echo "bootstrap: building cargo-nextest (several minutes, once)"
  cargo install cargo-nextest --locked
fi
if ! docker info >/dev/null 2>&1; then
  echo "bootstrap: starting the Docker engine"
  as_root service docker start
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 1; done
  docker info >/dev/null || { echo "bootstrap: the Docker engine does not answer; see docker info" >&2; exit 1; }
fi
