#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Programs that do not run as root, where there is no systemd: otpd --listen answers them.

# otpd, for as long as the case runs.
_listen() {
    /usr/lib/pam_otp/otpd --listen &
    otpd=$!
    trap 'kill $otpd; wait $otpd' EXIT
    until [ -S /run/pam_otp/otpd.sock ]; do sleep 0.02; done
}

# own [answer...]: a login by a program of the user's own.
_own() { printf '%s\n' "$@" | runuser -u "${as:-$user}" -- pamtester "$service" "$user" authenticate >"$said" 2>&1; }

it_checks_codes_of_users_own_programs() {
    otp_line
    enroll
    _listen
    local this
    this=$(code)
    refuses _own "$(wrong_code)"
    _own "$this" || fail "accepted: $(cat "$said")"
    logged "accepted method=totp offset=0 rhost=- user=\"$user\""
    refuses _own "$this"
    logged "refused reason=used rhost=- user=\"$user\""
    _own "${recovery[0]}" || fail "a recovery code accepted: $(cat "$said")"
    runuser -u "$user" -- otpctl status | grep -q '9 of 10 left' || fail "how she stands"
}

it_answers_users_about_themselves_alone() {
    otp_line
    enroll
    _listen
    local this
    this=$(code)
    as=nobody refuses _own "$this"
    settle
    grep -aq "uid $(id -u nobody) asks about somebody else than herself\" user=\"$user\"" "$log" || fail "the log to say so"
    _own "$this" || fail "hers still: $(cat "$said")"
}

it_denies_users_own_programs_where_nobody_listens() {
    otp_line
    enroll
    refuses _own "$(code)"
    accepted "$(code)"
    refuses test -e /run/pam_otp/otpd.sock
}

it_answers_su_which_its_caller_could_stop() {
    stack 'auth required pam_otp.so nodelay' 'account required pam_permit.so' 'session required pam_permit.so'
    cp /etc/pam.d/su "$said.su"
    cp "/etc/pam.d/$service" /etc/pam.d/su
    enroll
    _listen
    trap 'cp "$said.su" /etc/pam.d/su; kill $otpd; wait $otpd' EXIT
    "$e2e/talk" 'One-time code: ' "$(code)" -- runuser -u nobody -- su "$user" -c 'id -un' >"$said" || fail "accepted: $(cat "$said")"
    otpctl status "$user" --json | jq -r '.authenticators[0].last_origin' | grep -qx "local:$(id -u nobody)" || fail "by otpd, and from her"
}
