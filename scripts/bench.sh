#!/usr/bin/env bash
# make bench: what a login costs, beside the modules people use today. Writes target/bench/logins.md.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

need build-essential libpam0g-dev libpam-oath libpam-google-authenticator libnss-db
need_rust build
as_builder "$root/scripts/bench-crates"
