#!/usr/bin/env bash
# make audit: what others say of the crates (cargo-deny, by deny.toml) and of the package's bill of materials (CycloneDX's own schema).
# Gets both tools, which takes minutes; --there asks only those that are there already.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/rust.sh
. "$root/scripts/rust.sh"

if [ "${1:-}" != --there ]; then
    need build-essential python3-venv
    need_rust build
fi
as_builder "$root/scripts/audit-crates" "$@"
