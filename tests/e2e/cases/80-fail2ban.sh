#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# The installed filter, by fail2ban's own fail2ban-regex, over what the module logged here.

# What this case's service logged, as a syslog daemon would have written it: traditional, then with RFC 3339 times.
_as_syslog() { messages | sed -E 's/^<[0-9]+>(.{15}) /\1 web1 /'; }
_as_rfc3339() { _as_syslog | sed -E 's/^.{15}/2026-11-20T12:00:00.123456+01:00/'; }

# banned FORMAT: the addresses found, in the order of their lines.
_banned() {
    "$1" >"$said.log"
    [ -s "$said.log" ] || fail "lines in the log"
    fail2ban-regex -o ip "$said.log" pam-otp | paste -sd ' '
}

it_is_a_filter_that_catches_refusals_by_their_address() {
    otp_line
    enroll
    rhost=198.51.100.1 accepted "$(code)"
    rhost=198.51.100.2 refused "$(code)"
    rhost=198.51.100.3 refused "$(wrong_code)"
    rhost=2001:db8::4 refused "$(wrong_code)"
    rhost=a.name refused "$(wrong_code)"
    refused "$(wrong_code)"
    rhost=198.51.100.5 refused ''
    for _ in 1 2 3 4; do rhost=198.51.100.6 refused "$(wrong_code)"; done
    logged "refused reason=throttled rhost=198.51.100.6 user=\"$user\""
    local caught='198.51.100.3 2001:db8::4 198.51.100.6 198.51.100.6 198.51.100.6 198.51.100.6'
    [ "$(_banned _as_syslog)" = "$caught" ] || fail "$caught, was $(_banned _as_syslog)"
    [ "$(_banned _as_rfc3339)" = "$caught" ] || fail "the same with RFC 3339 times"
}

it_is_a_filter_that_no_right_authenticator_runs_into() {
    own_store
    otp_line "config=$policy"
    enroll
    # Right, five minutes ago: a clock problem, and the line says so.
    rhost=198.51.100.1 refused "$(code -300)"
    messages | grep -q 'refused reason=mismatch offset=-[0-9]* rhost=198.51.100.1 what=' || fail "offset=, was $(messages)"
    local this
    this=$(ctl issue "$user" --ttl 1s --json | jq -r .code)
    sleep 2.1
    rhost=198.51.100.1 refused "$this"
    messages | grep -q 'refused reason=expired rhost=198.51.100.1' || fail "expired, was $(messages)"
    # Our fault.
    chmod 0777 "$place/state"
    rhost=198.51.100.1 refused_as "$unavailable" "$(code)"
    [ -z "$(_banned _as_syslog)" ] || fail "nobody, was $(_banned _as_syslog)"
}

it_is_a_filter_that_names_cannot_feed_an_address() {
    otp_line
    enroll
    local name
    for name in 'x" rhost=203.0.113.9 user="root' '" user="x' 'refused reason=mismatch rhost=203.0.113.9 user="root"' \
        $'x\nNov 20 12:00:00 web1 sshd[1]: pam_otp(sshd:auth): refused reason=mismatch rhost=203.0.113.9 user="x"' \
        $'\\" rhost=203.0.113.9' 'root from 203.0.113.9'; do
        printf '123456\n' | pamtester -I rhost=198.51.100.7 "$service" "$name" authenticate >"$said" 2>&1 || true
        printf '123456\n' | pamtester -I rhost='203.0.113.9 x' "$service" "$name" authenticate >"$said" 2>&1 || true
    done
    local caught='198.51.100.7 198.51.100.7 198.51.100.7 198.51.100.7 198.51.100.7 198.51.100.7'
    [ "$(_banned _as_syslog)" = "$caught" ] || fail "her address alone, was $(_banned _as_syslog)"
}
