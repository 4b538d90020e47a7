#!/usr/bin/env bash
# Installs what `make bench` compares canaryd with, where it is missing: Docker Compose and iproute2 from Debian's packages (as root
# or through sudo), and an image of Debian's HAProxy, canaryd-haproxy:local (the package is unpacked into it, not installed here).
# Says what it does before it does it. What cannot be had is left out of the figures.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "bench-tools: $*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || packages+=(docker-compose)
command -v ip >/dev/null || packages+=(iproute2)
if [ "${#packages[@]}" != 0 ]; then
  say "installing with apt-get: ${packages[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" ||
    say "that failed; what needs it is left out"
fi

tag=canaryd-haproxy:local
if docker image inspect "$tag" >/dev/null 2>&1; then exit 0; fi
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)}
suite=${DEBIAN_SUITE:-stable}
if [ -z "$mirror" ] || ! command -v mmdebstrap >/dev/null; then
  say "no image of HAProxy without mmdebstrap and a Debian mirror; it is left out"
  exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
say "making $tag from haproxy in Debian $suite ($mirror); about 10 MB to fetch"
cat > "$dir/trim" <<'HOOK'
#!/bin/sh
set -eu
cd "$1"
for d in bin sbin lib lib64; do
    if [ -d "usr/$d" ] && [ ! -e "$d" ]; then ln -s "usr/$d" "$d"; fi
done
rm -rf usr/share usr/lib/systemd etc/init.d
mkdir -p tmp run etc
printf 'root:x:0:0:root:/root:/usr/sbin/nologin\n' > etc/passwd
HOOK
chmod +x "$dir/trim"
mode=auto
[ "$(id -u)" = 0 ] || mode=chrootless
if mmdebstrap --quiet --mode="$mode" --variant=extract --include=haproxy \
  --aptopt='Acquire::Check-Valid-Until "false"' --extract-hook="$dir/trim \"\$1\"" \
  "$suite" "$dir/root.tar" "$mirror" 2> "$dir/log"; then
  docker import --change 'CMD ["/usr/sbin/haproxy", "-v"]' "$dir/root.tar" "$tag" >/dev/null
  say "made $tag: $(docker run --rm --network none "$tag" /usr/sbin/haproxy -v 2>&1 | head -n 1)"
else
  cat "$dir/log" >&2
  say "HAProxy cannot be had from $mirror; it is left out"
fi
