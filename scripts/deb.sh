#!/usr/bin/env bash
# make deb: dist/libpam-otp_<version>_<arch>.deb, built in a copy of the tree.
# Installs what the build needs with apt, then builds as whoever owns the tree, never as root for her.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

need build-essential dpkg-dev debhelper fakeroot git libpam0g-dev
need_rust build
as_builder "$root/scripts/build-deb"
