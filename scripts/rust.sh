#!/usr/bin/env bash
# Finds a Rust toolchain that is new enough, or installs one with apt. Sourced after lib.sh.
# shellcheck disable=SC2154  # root is lib.sh's

# The workspace says which version it needs.
rust_needed() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$root/Cargo.toml"; }

# Whether the cargo given is new enough.
cargo_fits() {
    local version
    version=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return 1
    dpkg --compare-versions "${version:-0}" ge "$(rust_needed)"
}

# Runs as whoever builds: sudo's PATH hides a rustup toolchain.
find_cargo() {
    local cargo
    for cargo in "$(command -v cargo || true)" "${CARGO_HOME:-$HOME/.cargo}/bin/cargo"; do
        if [ -n "$cargo" ] && cargo_fits "$cargo"; then
            PATH="$(dirname "$cargo"):$PATH"
            export PATH
            return 0
        fi
    done
    return 1
}

# Debian 12 keeps a newer Rust under names of its own; Debian 13's plain one is new enough.
rust_packages() {
    local candidate
    candidate=$(apt-cache policy rustc | sed -n 's/^ *Candidate: *//p')
    if dpkg --compare-versions "${candidate:-0}" ge "$(rust_needed)"; then
        echo "cargo rustc rust-clippy rustfmt"
    else
        echo "cargo-web rustc-web rust-web-clippy rustfmt-web"
    fi
}

# need_rust build: cargo and rustc. need_rust check: clippy and rustfmt too.
need_rust() {
    local packages
    if as_builder "$root/scripts/find-cargo" "$1"; then return 0; fi
    [ -n "$(apt-cache policy rustc)" ] || as_root apt-get update -q >/dev/null
    read -ra packages <<<"$(rust_packages)"
    [ "$1" = check ] || packages=("${packages[@]:0:2}")
    need "${packages[@]}"
}
