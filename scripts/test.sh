#!/usr/bin/env bash
# make test: format, lints, unit, property and module tests. No root, no container.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

need build-essential libpam0g-dev libpam-wrapper libpam-google-authenticator libpam-oath pamtester oathtool age faketime strace valgrind zbar-tools e2fsprogs btrfs-progs curl gammu-smsd msmtp openssl python3-aiosmtpd
need_rust check
as_builder "$root/scripts/test-crates"
