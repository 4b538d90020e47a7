#!/usr/bin/env bash
# Builds the images of the demo and of the tests: the demo application as one static binary, FROM scratch, so that no
# registry is needed. canaryd-demo:base has no version; v1 to v4 are what `canaryd demo` rolls out.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}/static
echo "images: building demo-app"
# A target of its own: +crt-static must not reach the rest of the workspace, whose build it would throw away.
cargo rustc --locked -p demo-app --target-dir "$target" -- -C target-feature=+crt-static -C strip=symbols

context=$(mktemp -d)
trap 'rm -rf "$context" "$context.log"' EXIT
cp "$target/debug/demo-app" "$context/demo-app"

# build TAG: a Dockerfile on stdin, in the context of the binary. The classic builder is on every engine.
build() {
  cat > "$context/Dockerfile"
  DOCKER_BUILDKIT=0 docker build --quiet --tag "$1" "$context" > "$context.log" 2>&1 || { cat "$context.log" >&2; exit 1; }
  echo "images: $1"
}

# demo_image VERSION KEY=VALUE…: the application with this environment, as canaryd-demo:VERSION.
demo_image() {
  local version=$1
  shift
  {
    echo "FROM canaryd-demo:base"
    echo "ENV VERSION=$version"
    for setting in "$@"; do echo "ENV $setting"; done
  } | build "canaryd-demo:$version"
}

build canaryd-demo:base <<'DOCKERFILE'
FROM scratch
COPY demo-app /demo-app
USER 65534:65534
EXPOSE 8000
ENTRYPOINT ["/demo-app"]
DOCKERFILE

demo_image v1
demo_image v2
# Healthy at boot, turns to 5xx twenty seconds later, and its health check never says so.
demo_image v3 FAULT=errors FAULT_AFTER_S=20 HEALTH_LIES=well
# Crashes at 25 %: the demo's load is 200 requests/s, so 5 % brings about 10 a second and 25 % about 50.
demo_image v4 FAULT=exit FAULT_FROM=rate:30
