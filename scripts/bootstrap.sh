#!/usr/bin/env bash
# Installs what this machine lacks to build canaryd and to run its demo; with the argument `tests` also what the tests need.
# Says what it does before it does it, asks nothing, and does nothing on a machine that has everything. Debian; on other
# systems it names what is missing.
#
# What it may do: apt-get install packages (as root or through sudo) · install Rust for this user with rustup · build
# cargo-nextest (tests; with CANARYD_DENY=1 cargo-deny as well) · start Docker · add this user to the group docker.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "bootstrap: $*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  has sudo || die "this needs root, and there is no sudo; as root: $*"
  sudo "$@"
}

# --- packages -------------------------------------------------------------------------------------------------------

apt_update() {
  say "updating apt's package lists"
  local quiet=(-q -o=APT::Update::Error-Mode=any)
  if ! as_root apt-get update "${quiet[@]}"; then
    # Signatures are still checked; what is let through is a mirror that lags behind.
    say "a package list could not be updated; once more, with lists that have expired"
    as_root apt-get update -q -o Acquire::Check-Valid-Until=false
  fi
}

apt_install() {
  say "installing with apt-get: $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# No pipe into grep -q: apt-cache would die of the closed pipe, and pipefail would call that a no.
debian_has() { [[ "$(apt-cache policy "$1" 2>/dev/null)" == *"Candidate: "[0-9]* ]]; }

# What a package is called depends on the release, which only its lists tell: they are fetched first.
packages() {
  local missing=()
  need() { has "$1" || missing+=("$2"); }
  need cc build-essential
  need make make
  need git git
  need docker docker.io
  # For scripts/nginx-image.sh, where nginx:stable cannot be pulled.
  need mmdebstrap mmdebstrap
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  has cargo || has rustup || missing+=(rustup)
  [ "${#missing[@]}" != 0 ] || return 0
  has apt-get || die "please install: ${missing[*]}"
  apt_update
  local wanted=() package
  for package in "${missing[@]}"; do
    case $package in
      # Since trixie the command line is a package of its own.
      docker.io) wanted+=(docker.io); if debian_has docker-cli; then wanted+=(docker-cli); fi ;;
      # Debian has it since trixie; before, rustup's own installer is fetched.
      rustup) if debian_has rustup; then wanted+=(rustup); else wanted+=(curl); fi ;;
      *) wanted+=("$package") ;;
    esac
  done
  apt_install "${wanted[@]}"
}

# --- Rust -----------------------------------------------------------------------------------------------------------

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

new_enough() {
  local found
  found=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
  [ "$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n 1)" = "$wanted" ]
}

no_rust() { die "Rust could not be installed; install Rust $wanted or later (cargo, clippy, rustfmt) in another way and run this again"; }

rust() {
  PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
  if new_enough && has cargo; then return; fi
  if ! has rustup && has cargo; then
    die "Rust $wanted or later is needed, this is $(rustc --version): update it, or remove it and run this again"
  fi
  if ! has rustup; then
    say "installing Rust for this user with rustup, from https://sh.rustup.rs, into ${CARGO_HOME:-$HOME/.cargo}"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs \
      | sh -s -- -y -q --no-modify-path --profile minimal -c clippy -c rustfmt || no_rust
    return
  fi
  say "installing the stable Rust toolchain with rustup"
  rustup toolchain install stable --profile minimal -c clippy -c rustfmt || no_rust
  # Somebody who chose a default keeps it; here another one counts.
  if rustup default >/dev/null 2>&1; then rustup override set stable; else rustup default stable; fi
}

cargo_tool() {
  if cargo "$1" --version >/dev/null 2>&1; then return; fi
  say "building cargo-$1 with cargo install (several minutes, once)"
  cargo install --locked "cargo-$1"
}

# --- Docker ---------------------------------------------------------------------------------------------------------

engine_answers() { docker info >/dev/null 2>&1; }
# For root an engine that this user may not ask answers as well.
engine_runs() { as_root docker info >/dev/null 2>&1; }

start_engine() {
  say "starting the Docker engine"
  as_root service docker start >/dev/null || true
  for _ in $(seq 60); do engine_runs && return; sleep 1; done
  as_root docker info || true
  die "the Docker engine does not answer"
}

engine() {
  if engine_answers; then return; fi
  # Somebody chose another engine: it is theirs to start.
  [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
  engine_runs || start_engine
  if engine_answers; then return; fi
  local me
  me=$(id -un)
  if ! id -nG "$me" | grep -qw docker; then
    say "adding $me to the group docker: its members may use Docker, and so do what root may"
    as_root usermod -aG docker "$me"
  fi
  # This session does not have the group yet: scripts/with-docker.sh takes it for what follows.
}

packages
rust
if [ "${1:-}" = tests ]; then
  cargo_tool nextest
  if [ "${CANARYD_DENY:-}" = 1 ]; then cargo_tool deny; fi
fi
engine
