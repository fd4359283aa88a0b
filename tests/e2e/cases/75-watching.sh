#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# status --watch and metrics, beside real logins.

it_watches_a_user_while_she_tries() {
    own_store
    otp_line "config=$policy"
    enroll
    otpctl --config "$policy" status "$user" --watch 1 >"$said.lines" &
    local watcher=$! this
    until [ -s "$said.lines" ]; do sleep 0.05; done
    refused "$(wrong_code)"
    until tail -n 1 "$said.lines" | jq -e '.failures == 1' >"$said"; do sleep 0.2; done
    this=$(code)
    # Nothing is locked between two looks, and nothing during one for long.
    accepted "$this"
    until tail -n 1 "$said.lines" | jq -e '.failures == 0 and .authenticators[0].last_used_at != null' >"$said"; do sleep 0.2; done
    kill -INT "$watcher"
    wait "$watcher" || fail "exit 0"
}

it_is_drawn_on_a_terminal_until_q() {
    own_store
    ctl enroll "$user" --json >"$said"
    "$e2e/talk" 'ends it' 'q' -- env TERM=xterm otpctl --config "$policy" status "$user" --watch 60 >"$said" || fail "exit 0: $(cat "$said")"
    grep -q 'recovery *10 of 10 left' "$said" || fail "her status: $(cat "$said")"
}

it_writes_figures_that_name_nobody() {
    own_store
    otp_line "config=$policy"
    enroll
    rhost=198.51.100.3 refused "$(wrong_code)"
    ctl metrics --output "$place/pam_otp.prom"
    [ "$(stat -c '%U %a' "$place/pam_otp.prom")" = 'root 644' ] || fail "root, 0644"
    for line in 'pam_otp_users_enrolled 1' 'pam_otp_failures 1' 'pam_otp_records_damaged 0' 'pam_otp_policy_fault 0'; do
        grep -qx "$line" "$place/pam_otp.prom" || fail "$line: $(cat "$place/pam_otp.prom")"
    done
    refuses grep "$user" "$place/pam_otp.prom"
    ctl metrics --per-user | grep -qx "pam_otp_user_failures{user=\"$user\"} 1" || fail "her by name"
    echo damaged >"$place/state/secrets/$user"
    exits 5 ctl metrics --output "$place/pam_otp.prom"
    grep -qx 'pam_otp_records_damaged 1' "$place/pam_otp.prom" || fail "damage in the file"
}
