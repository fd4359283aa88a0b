#!/usr/bin/env bash
# What every script here shares: how it speaks, and how it gets what it lacks. Sourced.
# shellcheck disable=SC2034  # the names are for whoever sources this

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' plain=$'\e[0m'
else
    bold='' plain=''
fi

# What the scripts tell goes to stderr, so that their output can be used.
say() { printf '%s%s%s\n' "$bold" "$*" "$plain" >&2; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Whoever owns the build: the caller of sudo, else the owner of the tree. Root builds only its own tree.
builder() {
    if [ "$(id -u)" != 0 ]; then
        id -un
    elif [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        echo "$SUDO_USER"
    else
        stat -c %U "$root"
    fi
}

# With her home: sudo hides a rustup toolchain that is there.
as_builder() {
    local user home
    user=$(builder)
    if [ "$user" = "$(id -un)" ]; then
        "$@"
    else
        home=$(getent passwd "$user" | cut -d: -f6)
        runuser -u "$user" -- env -u CARGO_HOME -u RUSTUP_HOME HOME="$home" USER="$user" LOGNAME="$user" "$@"
    fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need PACKAGE...: installs what is lacking with apt, and says so first.
need() {
    local lacking=() package
    for package in "$@"; do
        installed "$package" || lacking+=("$package")
    done
    [ ${#lacking[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "lacking: ${lacking[*]}. Install them, then run this again."
    say "installing with apt: ${lacking[*]}"
    apt_install "${lacking[@]}" || {
        as_root apt-get update -q >/dev/null
        apt_install "${lacking[@]}"
    }
}

apt_install() {
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@"
}

# quietly COMMAND...: says nothing unless it fails; then the end of what it said.
quietly() {
    local log code=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || code=$?
    [ "$code" = 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$code"
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
