#!/usr/bin/env bash
# Builds the image with the package in it: DEB, or the one in dist/. Sourced; make_image prints the image's name.
# shellcheck source=tests/container/engine.sh
. "$(dirname "${BASH_SOURCE[0]}")/engine.sh"

# BASE where it is given, else the public image of this release, else a base of our own making.
choose_base() {
    local public
    public=docker.io/library/debian:$(suite)
    if [ -n "${BASE:-}" ]; then
        echo "$BASE"
    elif engine image inspect "$public" >/dev/null 2>&1 || timeout 300 "${engine[@]}" pull -q "$public" >/dev/null 2>&1; then
        echo "$public"
    else
        "$root/tests/container/base.sh"
    fi
}

package() { realpath "${DEB:-$(echo "$root"/dist/libpam-otp_*.deb)}"; }

make_image() {
    local base context name
    name=localhost/pam-otp-test:$(suite)
    base=$(choose_base)
    context=$(mktemp -d)
    cp "$root/tests/container/packages" "$root/tests/container/Containerfile" "$context/"
    cp "$(package)" "$context/libpam-otp.deb"
    say "image: the package on $base"
    quietly engine build "${build_options[@]}" --build-arg "BASE=$base" -t "$name" \
        -f "$context/Containerfile" "$context" || die "the image was not built"
    rm -rf "$context"
    echo "$name"
}
