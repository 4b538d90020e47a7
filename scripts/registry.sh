#!/usr/bin/env bash
# Fetches an image registry for the tests of pulls: Debian's docker-registry, unpacked and not installed, so that no service
# is started. Nothing is done when it is there already.
#
#   scripts/registry.sh          leaves target/tools/docker-registry
set -euo pipefail
cd "$(dirname "$0")/.."

tool=target/tools/docker-registry
[ -x "$tool" ] && exit 0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "registry: fetching docker-registry from Debian's packages (about 6 MB), not installed" >&2
chmod 755 "$dir"
fetch() { (cd "$dir" && apt-get download -q docker-registry >&2); }
update() {
  echo "registry: apt-get does not know it yet; updating the package lists" >&2
  if [ "$(id -u)" = 0 ]; then apt-get update -q >&2; else sudo apt-get update -q >&2; fi
}
fetch || { update && fetch; }
dpkg-deb -x "$dir"/docker-registry_*.deb "$dir/root"
mkdir -p "$(dirname "$tool")"
cp "$dir/root/usr/bin/docker-registry" "$tool"
