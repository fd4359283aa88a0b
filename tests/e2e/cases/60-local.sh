#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# sudo and su, which run as somebody else's root.

# with_line SERVICE: below the password, for as long as the case runs.
_with_line() {
    local file=/etc/pam.d/$1
    cp "$file" "$said.$1"
    # shellcheck disable=SC2064
    trap "cp '$said.$1' '$file'" EXIT
    sed -i '/@include common-auth/a auth required pam_otp.so nodelay' "$file"
}

_as_user() { runuser -u "$user" -- "$@"; }

it_lets_sudo_through_with_password_and_code() {
    _with_line sudo
    usermod -aG sudo "$user"
    enroll
    local this
    this=$(code)
    "$e2e/talk" "password for $user: " "$password" 'One-time code: ' "$this" -- \
        runuser -u "$user" -- sudo id -u >"$said" || fail "accepted: $(cat "$said")"
    tail -n 1 "$said" | grep -q '^0' || fail "root"
    log_lines sudo | tail -n 1 | grep -q '^accepted method=totp' || fail "the log to say so"
    _as_user sudo -K
    refuses "$e2e/talk" "password for $user: " "$password" 'One-time code: ' "$this" -- \
        runuser -u "$user" -- sudo id -u >"$said"
}

it_lets_su_through_with_password_and_code() {
    _with_line su
    enroll
    local this
    this=$(code)
    "$e2e/talk" 'Password: ' "$password" 'One-time code: ' "$this" -- \
        runuser -u nobody -- su "$user" -c 'id -un' >"$said" || fail "accepted: $(cat "$said")"
    grep -q "^$user" "$said" || fail "her shell"
    refuses "$e2e/talk" 'Password: ' "$password" 'One-time code: ' "$this" -- \
        runuser -u nobody -- su "$user" -c 'id -un' >"$said"
    log_lines su | tail -n 1 | grep -q '^refused reason=used' || fail "the log to say so"
}
