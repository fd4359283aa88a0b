#!/usr/bin/env bash
# scripts/check-reproducible.sh DEB: builds the package once more where everything is otherwise (folder, folder of the crates, home,
# cargo's target, time and time zone, locale, umask, times of the source, no network), and compares byte for byte.
# The crates come from scripts/vendor, so the build without network is tried as well.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

deb=$(realpath "$1")
need build-essential dpkg-dev debhelper fakeroot git libpam0g-dev faketime locales
need_rust build
as_builder "$root/scripts/build-elsewhere" "$deb" || {
    differs=$root/target/elsewhere/libpam-otp.deb
    [ -e "$differs" ] || exit 1
    # Told where they differ; the verdict is cmp's.
    need diffoscope-minimal
    diffoscope --max-report-size 20000 "$deb" "$differs" >&2 || true
    die "the package is another one when it is built elsewhere: $differs"
}
