#!/usr/bin/env bash
# Fetches what people have in front, for the tests of docs/front-door.md: Debian's nginx, Caddy and HAProxy, unpacked and not
# installed, so that no service is started. Nothing is done when they are there already.
#
#   scripts/front-doors.sh       leaves target/tools/front-doors with usr/sbin/nginx, usr/bin/caddy and usr/sbin/haproxy
set -euo pipefail
cd "$(dirname "$0")/.."

doors=target/tools/front-doors
[ -x "$doors/usr/sbin/haproxy" ] && exit 0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
# Libraries that the programs need and this machine has not; Caddy needs none.
libraries() {
  LC_ALL=C apt-get install --simulate --no-install-recommends nginx haproxy 2>/dev/null |
    awk '/^Inst lib/ { print $2 }'
}
fetch() { (cd "$dir" && apt-get download -q nginx caddy haproxy $(libraries) >&2); }
update() {
  echo "front doors: apt-get does not know them yet; updating the package lists" >&2
  if [ "$(id -u)" = 0 ]; then apt-get update -q >&2; else sudo apt-get update -q >&2; fi
}
echo "front doors: fetching nginx, caddy and haproxy from Debian's packages (about 13 MB), not installed" >&2
fetch || { update && fetch; }
for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
rm -rf "$doors"
mkdir -p "$(dirname "$doors")"
mv "$dir/root" "$doors"
