#!/usr/bin/env bash
# sudo make install: the package, built as the caller, installed with apt.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$root/scripts/deb.sh"
say "installing the package"
as_root apt-get install -y --reinstall "$root"/dist/libpam-otp_*.deb
say "No login has changed yet. Next: otpctl enroll USER, then /usr/share/doc/libpam-otp/README.Debian"
