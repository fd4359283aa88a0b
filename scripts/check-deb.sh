#!/usr/bin/env bash
# What must be true of the built package without installing it: lintian, exports, size, hardening, manuals, modes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

deb=$(realpath "$1")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
dpkg-deb -x "$deb" "$tree"
module=$(echo "$tree"/usr/lib/*/security/pam_otp.so)

lints() { lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "${deb%.deb}.changes"; }

# The six hooks of PAM, and not a symbol more: others could take the place of the host's.
exports() {
    local found
    found=$(nm -D --defined-only "$module" | awk '{print $3}' | sort | paste -sd' ')
    [ "$found" = "pam_sm_acct_mgmt pam_sm_authenticate pam_sm_chauthtok pam_sm_close_session pam_sm_open_session pam_sm_setcred" ] ||
        die "pam_otp.so exports: $found"
}

# Full RELRO needs immediate binding; no executable stack; no text relocation.
hardened() {
    local headers dynamic
    headers=$(readelf -lW "$1") dynamic=$(readelf -dW "$1")
    grep -q GNU_RELRO <<<"$headers" || die "$1: no RELRO"
    grep -qE 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || die "$1: not bound at load"
    grep -q 'GNU_STACK .* RW ' <<<"$headers" || die "$1: the stack is executable, or not said not to be"
    ! grep -q TEXTREL <<<"$dynamic" || die "$1: has text relocations"
}

# What every login loads: at most 1000 KiB, and no library that a host of PAM does not have already. rustc 1.95 makes 869 of it,
# the older one of Debian 13 more (docs/adr/0008-linking.md, 0012-first-login-enrolment.md, 0017-codes-on-their-way.md).
light() {
    local size needed
    size=$(stat -c %s "$module")
    [ "$size" -le $((1000 * 1024)) ] || die "pam_otp.so has $size bytes, more than 1000 KiB"
    needed=$(readelf -dW "$module" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vxE 'libpam\.so\.0|libc\.so\.6|ld-linux.*' || true)
    [ -z "$needed" ] || die "pam_otp.so loads $needed"
}

# Whoever reads the package finds no path of the machine that built it.
no_build_paths() {
    ! grep -qaF -e "$root" -e "${CARGO_HOME:-$HOME/.cargo}/registry" "$1" || die "$1: names a path of the build machine"
}

manuals() {
    local page lints level
    for page in "$tree"/usr/share/man/man*/*.gz; do
        # What clap_mangen writes has paragraphs too many and a date that is a version: harmless, and not ours to mend.
        case $page in */otpctl*) level=error ;; *) level=warning ;; esac
        lints=$(zcat "$page" | mandoc -Tlint -W "$level" | grep -v 'mandoc.db' || true)
        [ -z "$lints" ] || die "$(basename "$page"): $lints"
    done
    for page in man1/otpctl.1 man1/otpctl-enroll.1 man5/otp.toml.5 man8/otpd.8 man8/pam_otp.8; do
        [ -e "$tree/usr/share/man/$page.gz" ] || die "no manual page $page"
    done
}

modes() {
    [ "$(stat -c %a "$module")" = 644 ] || die "pam_otp.so is not 0644"
    [ "$(stat -c %a "$tree/etc/security/otp.toml")" = 644 ] || die "otp.toml is not 0644"
    [ "$(stat -c %a "$tree/usr/bin/otpctl")" = 755 ] || die "otpctl is not 0755"
    [ "$(stat -c %a "$tree/usr/lib/pam_otp/otpd")" = 755 ] || die "otpd is not 0755: nothing here is set-user-ID"
}

# Those who look for it look for this name, and not for a compressed one.
bill() { perl -MJSON::PP -0777 -ne 'exit !(decode_json($_)->{bomFormat} eq "CycloneDX")' "$tree/usr/share/doc/libpam-otp/libpam-otp.cdx.json" || die "no bill of materials"; }

say "package: lintian, exports, hardening, manuals"
lints
exports
light
hardened "$module"
hardened "$tree/usr/bin/otpctl"
hardened "$tree/usr/lib/pam_otp/otpd"
no_build_paths "$module"
no_build_paths "$tree/usr/bin/otpctl"
no_build_paths "$tree/usr/lib/pam_otp/otpd"
manuals
modes
bill
