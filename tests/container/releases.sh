#!/usr/bin/env bash
# Debian releases other than this machine's: the package is built in each with the compiler of its own packages, without network,
# and installed there; debian/tests log in to it.
# usage: releases.sh [--all] SUITE...   --all: the whole container suite and piuparts as well
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/container/engine.sh
. "$here/engine.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"
# shellcheck source=scripts/tree.sh
. "$root/scripts/tree.sh"

all=
if [ "${1:-}" = --all ]; then
    all=1
    shift
fi
[ $# -gt 0 ] || die "usage: releases.sh [--all] SUITE..."
# What they depend on, and what debian/tests need.
tools=(build-essential debhelper libpam0g-dev expect jq oathtool openssh-client openssh-server pamtester procps systemd-standalone-tmpfiles)

# Debian 12 keeps a newer Rust under names of its own; see rust_packages.
rust_of() { if [ "$1" = bookworm ]; then echo cargo-web rustc-web; else echo cargo rustc; fi; }

# build SUITE IMAGE: leaves the package in target/releases/SUITE.
build() {
    local place=$root/target/releases/$1
    mkdir -p "$place"
    # What a container wrote is root's.
    as_root rm -rf "$place/source" "$place"/libpam-otp_*
    copy_tree "$place/source"
    # Not -d: the release's own packages have to do.
    quietly engine run --rm "${run_options[@]}" -v "$place:/build" -v "$root/target/vendor:/vendor:ro" -w /build/source \
        -e CARGO_HOME=/vendor/home -e CARGO_TARGET_DIR=/build/cargo "$2" \
        nice dpkg-buildpackage -us -uc -b
}

# log_in SUITE IMAGE: in a container that has not built it. What is said beside the results is shown only where one fails.
log_in() {
    # shellcheck disable=SC2016  # the container's
    engine run --rm "${run_options[@]}" -v "$root/debian/tests:/debian/tests:ro" -v "$(package "$1"):/tmp/libpam-otp.deb:ro" "$2" \
        bash -euc 'dpkg -i /tmp/libpam-otp.deb >/dev/null
            mkdir -p /run/sshd
            for test in login removal ssh; do
                /debian/tests/$test 2>/tmp/said || { cat /tmp/said >&2; exit 1; }
            done' | sed -n "s/^ok - /ok - $1: /p"
}
package() { echo "$root/target/releases/$1"/libpam-otp_*.deb; }

# judge SUITE: what Debian's own tool says of installing and purging it.
judge() {
    local place container
    need piuparts
    place=$(mktemp -d /var/tmp/pam-otp-piuparts.XXXXXX)
    container=$(engine create "$(SUITE=$1 "$here/base.sh")" true)
    engine export "$container" | gzip -1 >"$place/base.tgz"
    engine rm "$container" >/dev/null
    as_root piuparts --basetgz "$place/base.tgz" --distribution "$1" --keep-sources-list --no-upgrade-test "$(package "$1")" >"$place/said" 2>&1 || {
        grep -A 20 -E ' (ERROR|FAIL): ' "$place/said" >&2
        as_root rm -rf --one-file-system "$place"
        die "piuparts finds something"
    }
    echo "ok - $1: piuparts finds nothing"
    as_root rm -rf --one-file-system "$place"
}

say "crates, for builds without network"
need_rust build
as_builder "$root/scripts/vendor" "$root/target/vendor" 2>/dev/null
for suite in "$@"; do
    read -ra rust <<<"$(rust_of "$suite")"
    image=$(SUITE=$suite "$here/base.sh" "${tools[@]}" "${rust[@]}")
    say "$suite: $(engine run --rm "${run_options[@]}" "$image" rustc --version)"
    build "$suite" "$image"
    log_in "$suite" "$image"
    if [ -n "$all" ]; then
        SUITE=$suite DEB=$(package "$suite") "$here/e2e.sh" --built
        judge "$suite"
    fi
done
