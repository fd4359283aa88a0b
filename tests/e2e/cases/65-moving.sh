#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Users come over from other software and from backups, through the installed package.

it_takes_over_a_line_of_pam_oath_with_its_last_code() {
    otp_line
    local hex=3132333435363738393031323334353637383930
    # RFC 4226 appendix D: 254676 is of counter 5, 287922 of 6.
    printf 'HOTP %s - %s 5 254676\n' "$user" "$hex" | otpctl import - >"$said" || fail "to import: $(cat "$said")"
    refused 254676
    accepted 287922
}

it_takes_over_a_google_authenticator_file_from_its_home() {
    otp_line
    secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
    printf '%s\n" TOTP_AUTH\n" DISALLOW_REUSE %d\n12345678\n' "$secret" "$(($(date +%s) / 30))" >"/home/$user/.google_authenticator"
    chown "$user" "/home/$user/.google_authenticator"
    chmod 400 "/home/$user/.google_authenticator"
    otpctl import --homes --json >"$said" || true
    jq -e '.imported >= 1' "$said" >/dev/null || fail "to import: $(cat "$said")"
    accepted "$(code 30)"
    accepted 12345678
    refused 12345678
}

it_restores_an_archive_and_no_used_code() {
    otp_line
    only_sound_users
    enroll
    accepted "${recovery[0]}"
    echo "correct horse battery staple" >"$said.pass"
    otpctl export --output "$said.age" --passphrase-file "$said.pass" >/dev/null || fail "to export"
    otpctl remove "$user" --yes >/dev/null
    refused "${recovery[1]}"
    otpctl import --passphrase-file "$said.pass" "$said.age" --json >"$said" || true
    jq -e '.imported == 1' "$said" >/dev/null || fail "one imported: $(cat "$said")"
    refused "${recovery[0]}"
    accepted "${recovery[1]}"
}
