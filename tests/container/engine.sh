#!/usr/bin/env bash
# Which container engine there is, and how to call it. Sourced.
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

# docker where its daemon answers; else podman, as this user where that works, else as root.
choose_engine() {
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        engine=(docker)
    else
        need podman runc ca-certificates
        engine=(podman)
        if [ "$(id -u)" != 0 ] && ! podman unshare true >/dev/null 2>&1; then
            say "podman cannot run as $(id -un) here: as root, with sudo"
            engine=(sudo podman)
        fi
    fi
}

# Options of run and build. runc, because crun fails on machines with hybrid cgroups; the limits,
# because podman's defaults are above what a nested machine may grant; chroot isolation to build
# where a second container inside is not to be had.
engine_options() {
    run_options=(--network=none) build_options=()
    [ "${engine[0]}" != docker ] || return 0
    local limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
    if [ "$(id -u)" = 0 ] || [ "${engine[0]}" = sudo ]; then
        engine+=(--runtime /usr/sbin/runc)
        run_options+=("${limits[@]}")
        build_options+=("${limits[@]}")
    fi
    build_options+=(--isolation=chroot --network=host)
}

engine() { "${engine[@]}" "$@"; }

# The release the package is built on is the one it is tested on: its libc is the floor. SUITE, where another one built it (releases.sh).
suite() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "${SUITE:-${VERSION_CODENAME:-bookworm}}")
}

choose_engine
engine_options
