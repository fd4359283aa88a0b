#!/usr/bin/env bash
# make check: everything CI runs. The last line sums up the container tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need shellcheck lintian mandoc binutils ansible-core

scripts/test.sh

say "scripts"
mapfile -t scripts < <(git ls-files | while read -r file; do
    head -c 30 "$file" 2>/dev/null | grep -qaE '^#! ?/(usr/bin/env bash|bin/(ba)?sh)' && echo "$file"
done; ls debian/*.{postinst,prerm,postrm})
shellcheck -x "${scripts[@]}"
for playbook in docs/guide/ansible/*.yml; do
    quietly ansible-playbook --syntax-check -i localhost, "$playbook"
done

scripts/audit.sh --there

scripts/deb.sh
scripts/check-deb.sh dist/libpam-otp_*.deb
say "package: built elsewhere, it is the same"
scripts/check-reproducible.sh dist/libpam-otp_*.deb
scripts/check-release.sh

# The other release we say it is for: built there, and logged in to.
if [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = trixie ]; then other=bookworm; else other=trixie; fi
tests/container/releases.sh "$other"

tests/machine/run --built

# Nothing is left out so far that could be: a machine that can run no container fails here.
exec tests/container/e2e.sh --built
