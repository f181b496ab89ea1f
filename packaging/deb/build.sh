#!/usr/bin/env bash
# Builds the Debian package `skywatch` from a binary that is there already.
#   packaging/deb/build.sh BINARY OUT_DIR
#
# The same binary and the same commit make the same package, to the byte. From the environment:
#   VERSION            of the package [default: Cargo.toml's and the revision, as 0.1.0-1]
#   COMPRESSION        xz, or gzip, which is quick, for tests [default: xz]
#   SOURCE_DATE_EPOCH  what time it is [default: the commit's]
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
cd "$(dirname "$0")/../.."

[ $# -eq 2 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
binary=$(realpath "$1")
out=$2

say() { printf 'deb: %s\n' "$*" >&2; }
stop() { printf 'deb: %s\n' "$*" >&2; exit 1; }

for tool in dpkg-deb dpkg-shlibdeps strip; do
    command -v $tool >/dev/null || stop "$tool is missing: apt-get install dpkg-dev binutils"
done
[ -x "$binary" ] || stop "$binary is not there: cargo build --release -p skywatch, or set BINARY"

upstream=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
VERSION=${VERSION:-$upstream-1}
COMPRESSION=${COMPRESSION:-xz}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
architecture=$(dpkg --print-architecture)
units='skywatch.service skywatch-meta.service skywatch-data.service skywatch-agent.service'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# put FILE PLACE [MODE]
put() { install -D -m "${3:-644}" "$1" "$root/$2"; }

say "skywatch $VERSION for $architecture from $binary"
put "$binary" usr/bin/skywatch 755
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/skywatch"
ln -s skywatch "$root/usr/bin/influxd-ctl"

# What the program says of itself.
program() { env -i PATH="$PATH" HOME="$work" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$root/usr/bin/skywatch" "$@"; }
program man --out "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
for name in skywatch influxd-ctl; do
    mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
    program completions bash --program $name >"$root/usr/share/bash-completion/completions/$name"
    program completions zsh --program $name >"$root/usr/share/zsh/vendor-completions/_$name"
    program completions fish --program $name >"$root/usr/share/fish/vendor_completions.d/$name.fish"
done

# Configuration: the program's own defaults, with the places of a package.
mkdir -p "$root/etc/skywatch/telegraf.d" "$root/etc/default"
configuration() { program config default "$1" | sed "s|^dir = \"skywatch-[a-z]*\"|dir = \"/var/lib/skywatch/$1\"|"; }
for role in run data meta; do
    file=$root/etc/skywatch/$([ $role = run ] && echo skywatch || echo $role).toml
    configuration $role >"$file"
    grep -q "^dir = \"/var/lib/skywatch/$role\"" "$file" || stop "the default configuration of $role has no dir"
    chmod 640 "$file"
    program config check "$file" >/dev/null
done
put packaging/etc/telegraf.conf etc/skywatch/telegraf.conf 640
put packaging/etc/skywatch.default etc/default/skywatch 640
put packaging/deb/skywatch.logrotate etc/logrotate.d/skywatch

for unit in $units; do
    put "packaging/systemd/$unit" "usr/lib/systemd/system/$unit"
done

documents=usr/share/doc/skywatch
put README.md $documents/README.md
for page in docs/*.md docs/*/*.md; do
    put "$page" "$documents/${page#docs/}"
done
put packaging/alerts.example.yaml $documents/examples/alerts.yaml
put packaging/Containerfile $documents/examples/Containerfile
put CHANGELOG.md $documents/changelog
changelog=$root/$documents/changelog.Debian
sed "s/@VERSION@/$VERSION/; s/@DATE@/$(date -u -R -d "@$SOURCE_DATE_EPOCH")/" packaging/deb/changelog >"$changelog"
gzip -9n "$root/$documents/changelog" "$changelog"
packaging/deb/copyright.py >"$root/$documents/copyright"
mkdir -p "$root/usr/share/lintian/overrides"
put packaging/deb/lintian-overrides usr/share/lintian/overrides/skywatch

# The control files.
control=$root/DEBIAN
mkdir -p "$control" "$work/debian"
cp packaging/deb/control "$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/skywatch" 2>"$work/shlibdeps.log") ||
    stop "dpkg-shlibdeps: $(cat "$work/shlibdeps.log")"
depends=${depends#shlibs:Depends=}
installed_kib=$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
{
    printf 'Package: skywatch\nVersion: %s\nArchitecture: %s\nInstalled-Size: %s\n' \
        "$VERSION" "$architecture" "$installed_kib"
    sed -n 's/^\(Section\|Priority\|Maintainer\): /&/p' packaging/deb/control
    sed -n '/^Package:/,$p' packaging/deb/control | sed -e '/^Package:/d' -e '/^Architecture:/d' \
        -e "s|\${shlibs:Depends}|$depends|"
} >"$control/control"
for script in postinst prerm postrm; do
    sed "s/@UNITS@/$units/" packaging/deb/$script >"$control/$script"
    chmod 755 "$control/$script"
done
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$control/conffiles"
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) \
    >"$control/md5sums"
chmod 644 "$control"/{control,conffiles,md5sums}
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
package=$out/skywatch_${VERSION}_$architecture.deb
[ "$COMPRESSION" = gzip ] && level=(-z1) || level=()
dpkg-deb --root-owner-group -Z"$COMPRESSION" "${level[@]}" --build "$root" "$package" >/dev/null
say "$(du -h "$package" | cut -f1) installed $((installed_kib / 1024)) MiB"
printf '%s\n' "$package"
