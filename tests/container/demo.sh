#!/usr/bin/env bash
# make demo: the package in a throw-away container, ssh logins with one-time codes, told step by step.
# SHELL_AFTER=1 leaves a prompt inside. Nothing of this machine is touched but dist/ and target/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/container/image.sh
. "$here/image.sh"

"$root/scripts/deb.sh" >/dev/null
image=$(make_image)
trap 'engine rmi -f "$image" >/dev/null 2>&1 || true' EXIT

options=(--rm --hostname demo -e "SHELL_AFTER=${SHELL_AFTER:-}" -e "NO_COLOR=${NO_COLOR:-}" -e "TERM=${TERM:-dumb}")
if [ -t 0 ] && [ -t 1 ]; then
    options+=(-it)
elif [ -n "${SHELL_AFTER:-}" ]; then
    die "SHELL_AFTER=1 needs a terminal."
fi
engine run "${options[@]}" "${run_options[@]}" \
    -v "$here/demo-inside:/demo:ro" -v "$root/tests/e2e:/e2e:ro" "$image" /demo
