#!/usr/bin/env bash
# Which container engine there is, and how to call it. Sourced.
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

# docker where its daemon answers, else podman, which is installed where neither is there.
choose_engine() {
    if [ -n "${CONTAINER_ENGINE:-}" ]; then return; fi
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        CONTAINER_ENGINE=docker
    else
        need podman runc ca-certificates
        CONTAINER_ENGINE=podman
    fi
    export CONTAINER_ENGINE
}

# Options of run and build. runc, because crun fails on machines with hybrid cgroups; the limits,
# because podman's defaults are above what a nested machine may grant; chroot isolation to build
# where a second container inside is not to be had.
engine_options() {
    run_options=(--network=none) build_options=()
    [ "$CONTAINER_ENGINE" = podman ] || return 0
    local limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
    if [ "$(id -u)" = 0 ]; then
        engine_global=(--runtime /usr/sbin/runc)
        run_options+=("${limits[@]}")
        build_options+=("${limits[@]}")
    fi
    build_options+=(--isolation=chroot --network=host)
}

engine() { "$CONTAINER_ENGINE" "${engine_global[@]}" "$@"; }

# The release the package is built on is the one it is tested on: its libc is the floor.
host_suite() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
}

engine_global=()
choose_engine
engine_options
