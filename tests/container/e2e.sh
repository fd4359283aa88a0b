#!/usr/bin/env bash
# make e2e: the installed package in a container, with pamtester, sshd, sudo and su.
# usage: e2e.sh [--built] [WORD...]   --built: the package in dist/ is new; WORD: only cases with one of these words
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/container/image.sh
. "$here/image.sh"

if [ "${1:-}" = --built ]; then shift; else "$root/scripts/deb.sh" >/dev/null; fi
need zbar-tools
out=$(mktemp -d)
results=$out/results
image=$(make_image)
trap 'engine rmi -f "$image" >/dev/null 2>&1 || true; rm -rf "$out"' EXIT

say "container tests"
sources=(-v "$root/docs/guide:/source/docs/guide:ro" -v "$root/debian/tests:/source/debian/tests:ro")
engine run --rm "${run_options[@]}" -v "$root/tests/e2e:/e2e:ro" "${sources[@]}" -v "$out:/out" "$image" /e2e/run "$@" |
    sed '/passed, .* failed$/d' | tee "$results" || true
if [ $# = 0 ]; then
    "$root/tests/e2e/read-qr" "$out" | tee -a "$results"
    # In the base, which has never had the package.
    engine run --rm "${run_options[@]}" -v "$root/tests/e2e:/e2e:ro" -v "$(package):/libpam-otp.deb:ro" "$(choose_base)" \
        /e2e/clean /libpam-otp.deb | tee -a "$results" || true
fi

passed=$(grep -c '^ok - ' "$results" || true) failed=$(grep -c '^not ok - ' "$results" || true)
# A run that broke off has fewer results than there are cases.
cases=$(($(cat "$root"/tests/e2e/cases/*.sh | grep -c '^it_.*()') + $(grep -c '^sentence=' "$root/tests/e2e/clean")))
if [ $# = 0 ] && [ $((passed + failed)) -lt "$cases" ]; then
    say "the run broke off: $((passed + failed)) of $cases"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
