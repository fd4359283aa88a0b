#!/usr/bin/env bash
# Makes the base image of the container tests without an image registry: a debootstrap tree with
# the tools already in it, imported into the container engine. Prints the image's name.
# usage: base.sh   (as root or with sudo; about a minute)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/container/engine.sh
. "$here/engine.sh"

# The mirror this machine's apt already uses; debootstrap's own default where that is not told.
mirror() {
    # shellcheck disable=SC2016  # apt's own names, not the shell's
    apt-get indextargets --format '$(REPO_URI)' "Codename: $1" 'Created-By: Packages' 2>/dev/null |
        grep -E '^https?:' | grep -v security | head -n 1 || true
}

# The tree goes through a pipe into the engine and is not kept.
build() {
    local suite=$1 name=$2 tree
    tree=$(mktemp -d /var/tmp/pam-otp-base.XXXXXX)
    # shellcheck disable=SC2064  # the name is known now, and the trap runs outside the function
    trap "as_root rm -rf --one-file-system '$tree'" EXIT
    quietly as_root debootstrap --variant=minbase --include="$(paste -sd, "$here/packages")" \
        "$suite" "$tree/root" "$(mirror "$suite")"
    as_root rm -rf "$tree/root/var/cache/apt/archives" "$tree/root/var/lib/apt/lists"
    as_root mkdir -p "$tree/root/var/cache/apt/archives/partial" "$tree/root/var/lib/apt/lists/partial"
    as_root tar -C "$tree/root" -c . | quietly engine import - "$name"
}

suite=$(host_suite)
name=localhost/pam-otp-base:$suite-$(sha256sum "$here/packages" | cut -c1-12)
if ! engine image inspect "$name" >/dev/null 2>&1; then
    need debootstrap
    say "base image: debootstrap of $suite (no image registry used)"
    build "$suite" "$name"
fi
echo "$name"
