#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Programs that run as the user: otpd answers them, screen lockers among them, and the profile has every service ask.

# Until COMMAND... succeeds: 20 s.
_soon() {
    for _ in $(seq 200); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    fail "soon: $*; $(cat "$said".* 2>/dev/null)"
}

# With otpd for as long as the case runs.
_with_otpd() {
    /usr/lib/pam_otp/otpd --listen &
    # Waited for: it takes its socket along.
    at_end="kill $!; wait $!; ${at_end:-}"
    # shellcheck disable=SC2064  # what is known now
    trap "$at_end" EXIT
    _soon test -S /run/pam_otp/otpd.sock
}

# With the profile enabled for as long as the case runs.
_with_profile() {
    DEBIAN_FRONTEND=noninteractive pam-auth-update --enable otp >"$said.profile" 2>&1 || fail "enabled: $(cat "$said.profile")"
    grep -q pam_otp /etc/pam.d/common-auth || fail "the line in common-auth"
    at_end="DEBIAN_FRONTEND=noninteractive pam-auth-update --disable otp; ${at_end:-}"
    # shellcheck disable=SC2064
    trap "$at_end" EXIT
}

# as WHOM ANSWER...: a program of hers that asks for the case's user.
_as() {
    local whom=$1
    shift
    printf '%s\n' "$@" | runuser -u "$whom" -- pamtester "$service" "$user" authenticate >"$said" 2>&1
}

it_checks_a_code_for_a_program_that_is_not_root() {
    _with_otpd
    otp_line
    enroll
    local this
    this=$(code)
    refuses _as "$user" "$(wrong_code)"
    logged "refused reason=mismatch rhost=- user=\"$user\""
    _as "$user" "$this" || fail "accepted; it said: $(cat "$said")"
    logged "accepted method=totp offset=0 rhost=- user=\"$user\""
    refuses _as "$user" "$this"
    grep -q 'Authentication failure' "$said" || fail "a plain refusal: $(cat "$said")"
    logged "refused reason=used rhost=- user=\"$user\""
    runuser -u "$user" -- otpctl status >"$said" || fail "how she stands: $(cat "$said")"
    grep -q "^$user" "$said" || fail "how she stands: $(cat "$said")"
}

it_tells_nobody_whether_the_code_of_another_is_right() {
    _with_otpd
    otp_line
    enroll
    refuses _as nobody "$(code)"
    grep -qF "$unavailable" "$said" || fail "no answer: $(cat "$said")"
    # By otpd; the module tells its host's log that it has no answer.
    log_lines | grep -q '^refused reason=unavailable .*what="uid 65534 asks about somebody else than herself"' ||
        fail "the log to say so: $(log_lines)"
    _as "$user" "$(code)" || fail "the code is good still: $(cat "$said")"
}

it_denies_and_says_what_to_do_where_otpd_is_not_running() {
    otp_line
    enroll
    refuses _as "$user" "$(code)"
    grep -qF "$unavailable" "$said" || fail "no answer: $(cat "$said")"
    log_lines | tail -n 1 | grep -q "what=\"there is no /run/pam_otp/otpd.sock.*'otpd --listen' where there is no systemd" ||
        fail "the log to say so: $(log_lines)"
}

# --- screen lockers, on a screen that nobody sees

# _locked COMMAND...: hers, which has the screen locked from then on, as $locker.
_locked() {
    export DISPLAY=:7
    Xvfb "$DISPLAY" -ac -nolisten tcp >"$said.x" 2>&1 &
    at_end="kill $!; ${at_end:-}"
    _soon xdotool getdisplaygeometry
    runuser -u "$user" -- "$@" >"$said.locker" 2>&1 &
    locker=$!
    # shellcheck disable=SC2064
    trap "$at_end" EXIT
    _soon xdotool search --onlyvisible .
    # It has its window, and takes the keyboard.
    sleep 1
}

_is_locked() { kill -0 "$locker" 2>/dev/null; }

# types TEXT...: each with Enter behind it.
_types() {
    local text
    for text; do
        xdotool type --delay 20 -- "$text"
        xdotool key Return
        sleep 0.5
    done
}

# judged N SERVICE: until the log has so many lines of hers.
_judged() { _soon _are_judged "$@"; }
_are_judged() { [ "$(log_lines "$2" | wc -l)" -ge "$1" ]; }

_opens() {
    _soon _is_open
    wait "$locker" || fail "it ended by itself: $(cat "$said.locker")"
}
_is_open() { ! _is_locked; }

it_unlocks_i3lock_as_the_guide_has_it_on_the_right_code_alone() {
    _with_otpd
    cp /etc/pam.d/i3lock "$said.i3lock"
    at_end="cp $said.i3lock /etc/pam.d/i3lock; ${at_end:-}"
    _file_of desktops.md /etc/pam.d/i3lock >"$said.lines"
    cp "$said.lines" /etc/pam.d/i3lock
    grep -q pam_otp /etc/pam.d/i3lock || fail "the page to have its lines"
    enroll
    _locked i3lock -n
    _types "$password$(wrong_code)"
    _judged 1 i3lock
    _types "wrong$(code)"
    _judged 2 i3lock
    sleep 3
    _is_locked || fail "locked still"
    _types "$password$(code 30)"
    _judged 3 i3lock
    _opens
    log_lines i3lock | tail -n 1 | grep -q '^accepted method=totp' || fail "the log to say so: $(log_lines i3lock)"
}

# Debian's asks by the service common-auth itself.
it_unlocks_xsecurelock_by_the_profile_on_the_right_code_alone() {
    _with_otpd
    _with_profile
    enroll
    _locked env XSECURELOCK_SAVER=saver_blank XSECURELOCK_NO_COMPOSITE=1 XSECURELOCK_DISCARD_FIRST_KEYPRESS=0 xsecurelock
    _types "$password" "$(wrong_code)"
    _judged 1 common-auth
    sleep 3
    _is_locked || fail "locked still"
    _types "$password" "$(code)"
    _judged 2 common-auth
    _opens
    log_lines common-auth | tail -n 1 | grep -q '^accepted method=totp' || fail "the log to say so: $(log_lines common-auth)"
}
