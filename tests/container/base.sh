#!/usr/bin/env bash
# Makes the base image of the container tests without an image registry: a debootstrap tree with
# the tools already in it, imported into the container engine. Prints the image's name.
# usage: base.sh [PACKAGE...]   (as root or with sudo; about two minutes)   PACKAGE: these in the place of the tools
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/container/engine.sh
. "$here/engine.sh"

# The mirror this machine's apt already uses, for this suite or for its own; debootstrap's default where that is not told.
mirror() {
    local codename found
    for codename in "$1" "$(SUITE='' suite)"; do
        # shellcheck disable=SC2016  # apt's own names, not the shell's
        found=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" 'Created-By: Packages' 2>/dev/null |
            grep -E '^https?:' | grep -v security | head -n 1 || true)
        [ -z "$found" ] || break
    done
    echo "$found"
}

# The tree goes through a pipe into the engine and is not kept.
build() {
    local suite=$1 name=$2 tree
    tree=$(mktemp -d /var/tmp/pam-otp-base.XXXXXX)
    # shellcheck disable=SC2064  # the name is known now, and the trap runs outside the function
    trap "as_root rm -rf --one-file-system '$tree'" EXIT
    quietly as_root debootstrap --variant=minbase "$suite" "$tree/root" "$(mirror "$suite")"
    # By apt, which knows in what order packages can be set up; debootstrap does not know it of all of them. Nothing starts.
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$tree/root/usr/sbin/policy-rc.d"
    as_root cp /etc/resolv.conf "$tree/root/etc/resolv.conf"
    quietly as_root chroot "$tree/root" apt-get update -q
    quietly as_root chroot "$tree/root" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -yq --no-install-recommends "${packages[@]}"
    as_root rm "$tree/root/usr/sbin/policy-rc.d" "$tree/root/etc/resolv.conf"
    as_root rm -rf "$tree/root/var/cache/apt/archives" "$tree/root/var/lib/apt/lists"
    as_root mkdir -p "$tree/root/var/cache/apt/archives/partial" "$tree/root/var/lib/apt/lists/partial"
    as_root tar -C "$tree/root" -c . | quietly engine import - "$name"
}

suite=$(suite)
packages=("$@")
[ $# -gt 0 ] || mapfile -t packages <"$here/packages"
name=localhost/pam-otp-base:$suite-$({ echo "${packages[@]}" && cat "$here/base.sh"; } | sha256sum | cut -c1-12)
if ! engine image inspect "$name" >/dev/null 2>&1; then
    need debootstrap
    say "base image: debootstrap of $suite (no image registry used)"
    build "$suite" "$name"
fi
echo "$name"
