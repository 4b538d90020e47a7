#!/bin/sh
# Makes a local image with NGINX 1.30 or later from Debian's packages, for machines that cannot pull nginx:stable.
#
#   scripts/nginx-image.sh [TAG]          TAG is canaryd-nginx:local by default
#
# Nothing is done, and no network is used, when the image is there already (remove it to build it anew).
# The image is a stand-in for nginx:stable: /usr/sbin/nginx, its libraries, /etc/nginx/mime.types; it runs read-only,
# without capabilities and as any user. It has no STOPSIGNAL (docker import cannot set one): say --stop-signal SIGQUIT.
#
# Settings by environment: DEBIAN_MIRROR (the one that apt uses), DEBIAN_SUITE (testing; stable has 1.26, whose reloads
# lose requests).
set -eu

tag=${1:-canaryd-nginx:local}
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)}
suite=${DEBIAN_SUITE:-testing}

say() { printf 'nginx-image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

command -v docker >/dev/null || die "docker is not installed"
if docker image inspect "$tag" >/dev/null 2>&1; then
    say "$tag is there already"
    exit 0
fi
command -v mmdebstrap >/dev/null || die "mmdebstrap is not installed (apt-get install mmdebstrap): it fetches NGINX from Debian's packages"

[ -n "$mirror" ] || die "apt knows no Debian mirror: run apt-get update, or set DEBIAN_MIRROR"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT INT TERM
say "making $tag from nginx in Debian $suite ($mirror); about 10 MB to fetch"

# Unpacked packages only: no installation scripts, no essential packages. What base-files would set up (merged /usr, a
# user database) is done by hand; what NGINX never reads is left out. A mirror's Release file may have expired: its
# signature is still checked.
cat > "$dir/trim" <<'HOOK'
#!/bin/sh
set -eu
cd "$1"
for d in bin sbin lib lib32 lib64; do
    if [ -d "usr/$d" ] && [ ! -e "$d" ]; then ln -s "usr/$d" "$d"; fi
done
printf 'root:x:0:0:root:/root:/usr/sbin/nologin\nwww-data:x:33:33:www-data:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' > etc/passwd
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' > etc/group
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/perl5 usr/share/lintian usr/share/bash-completion \
    usr/share/debconf usr/share/nginx/modules-available usr/lib/*/gconv usr/lib/*/engines-3 usr/lib/*/perl-base \
    usr/lib/systemd usr/bin etc/ufw etc/init.d etc/logrotate.d
mkdir -p tmp var/log/nginx var/cache/nginx run etc/nginx
chmod 1777 tmp
HOOK
chmod +x "$dir/trim"
# Without root: unpacking alone needs no chroot, and so neither user namespaces nor newuidmap.
mode=auto
[ "$(id -u)" = 0 ] || mode=chrootless
mmdebstrap --quiet --mode="$mode" --variant=extract --include=nginx \
    --aptopt='Acquire::Check-Valid-Until "false"' --extract-hook="$dir/trim \"\$1\"" \
    "$suite" "$dir/root.tar" "$mirror" 2> "$dir/log" \
    || { cat "$dir/log" >&2; die "mmdebstrap failed: is $mirror reachable, and are Debian's keys there (package debian-archive-keyring)?"; }
docker import \
    --change 'ENTRYPOINT []' --change 'CMD ["/usr/sbin/nginx", "-g", "daemon off;"]' \
    --change 'EXPOSE 80' --change 'LABEL io.canaryd.origin=debian' \
    "$dir/root.tar" "$tag" >/dev/null
version=$(docker run --rm --network none --read-only --user 10001:10001 --cap-drop ALL "$tag" /usr/sbin/nginx -v 2>&1) || {
    docker image rm "$tag" >/dev/null
    die "the image does not work: $version"
}
say "made $tag: $version"
