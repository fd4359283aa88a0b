#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Issued and recovery codes, other times, the throttle, and the verbs that steer them.

it_accepts_the_neighbouring_steps_and_no_further() {
    otp_line
    enroll
    refused "$(code -90)"
    accepted "$(code -30)"
    accepted "$(code 30)"
    at=+5m refused "$(code 600)"
    at=+5m accepted "$(code 300)"
}

it_logs_the_offset_and_the_address() {
    otp_line
    enroll
    # In the middle of a step, so that the offset is certain.
    while [ $(($(date +%s) % 30)) -gt 24 ]; do sleep 1; done
    rhost=198.51.100.7 accepted "$(code -30)"
    logged "accepted method=totp offset=-1 rhost=198.51.100.7 user=\"$user\""
    rhost=198.51.100.7 accepted "$(code)"
    logged "accepted method=totp offset=0 rhost=198.51.100.7 user=\"$user\""
    rhost=not-an-address refused "$(code)"
    logged "refused reason=used rhost=- user=\"$user\""
}

it_logs_to_authpriv_and_never_a_code() {
    otp_line
    enroll
    local this that
    this=$(code) that=$(issue)
    accepted "$this"
    accepted "$that"
    accepted "${recovery[0]}"
    refused "$(wrong_code)"
    messages >"$said"
    [ -s "$said" ] || fail "messages"
    # facility 10 in the priority: 80 to 87
    [ "$(grep -vc '^<8[0-7]>' "$said")" = 0 ] || fail "facility authpriv"
    [ "$(log_lines | wc -l)" = 4 ] || fail "one line a login: $(log_lines)"
    refuses grep -aqE "$this|$that|${recovery[0]}|${recovery[0]//-/}|$(wrong_code)" <(grep -a "$user" "$log")
}

it_accepts_an_issued_code_once() {
    otp_line
    enroll
    local this
    this=$(issue)
    [ ${#this} = 8 ] || fail "8 digits: $this"
    accepted "$this"
    logged "accepted method=issued rhost=- user=\"$user\""
    refused "$this"
}

it_accepts_an_issued_code_of_a_user_who_is_not_enrolled() {
    otp_line
    accepted "$(issue)"
}

it_refuses_an_issued_code_after_its_expiry() {
    otp_line
    local this
    this=$(issue --ttl 1m)
    at=+61s refused "$this"
    logged "refused reason=expired rhost=- user=\"$user\""
    # Once seen expired it is spent, whatever the clock says next.
    refused "$this"
}

it_refuses_a_revoked_code() {
    otp_line
    local this
    this=$(issue)
    otpctl revoke "$user" --all --json >"$said"
    [ "$(jq '.revoked | length' "$said")" = 1 ] || fail "one revoked: $(cat "$said")"
    refused "$this"
}

it_issues_to_several_users_or_to_none() {
    exits 3 otpctl issue "$user" nobody-of-that-name --json
    [ "$(otpctl status "$user" --json | jq '.issued | length')" = 0 ] || fail "no code"
}

it_accepts_a_recovery_code_once() {
    otp_line
    enroll
    accepted "${recovery[0]}"
    logged "accepted method=recovery rhost=- user=\"$user\""
    refused "${recovery[0]}"
    accepted "${recovery[1]^^}"
    [ "$(otpctl status "$user" --json | jq .recovery_codes_left)" = 8 ] || fail "8 left"
}

it_holds_an_origin_after_three_wrong_codes_and_lets_another_in() {
    otp_line
    enroll
    guess 3
    refused "$(code)"
    logged "refused reason=throttled rhost=- user=\"$user\""
    [ "$(otpctl status "$user" --json | jq -r .throttled_until)" != null ] || fail "status to tell the hold"
    at=+31s accepted "$(code 30)"
}

it_accepts_issued_codes_while_app_codes_are_held() {
    otp_line
    enroll
    guess 3
    refused "$(code)"
    accepted "$(issue)"
}

it_ends_a_hold_with_unlock() {
    otp_line
    enroll
    guess 3
    refused "$(code)"
    otpctl unlock "$user" >"$said"
    accepted "$(code)"
}

it_locks_app_codes_after_many_failures_until_unlock() {
    own_store '[throttle]' 'free = 10' 'per_day = 50' 'burst = 50' 'lock_after = 4'
    enroll
    otp_line "config=$policy"
    guess 4
    refused "$(code)"
    logged "refused reason=locked rhost=- user=\"$user\""
    ctl unlock "$user" >"$said"
    accepted "$(code)"
}

it_refuses_every_code_of_a_disabled_user() {
    otp_line nullok
    enroll
    local this
    this=$(issue)
    otpctl disable "$user" >"$said"
    refused "$(code)"
    logged "refused reason=disabled rhost=- user=\"$user\""
    refused "$this"
    refused "${recovery[0]}"
    otpctl enable "$user" >"$said"
    accepted "$(code)"
}

it_verifies_as_the_module_does_and_uses_the_code() {
    otp_line
    enroll
    local this
    this=$(code)
    [ "$(otpctl verify "$user" --json <<<"$this" | jq -r .result)" = accepted ] || fail "accepted"
    exits 1 otpctl verify "$user" --json <<<"$this"
    refused "$this"
}

it_forgets_a_removed_user() {
    otp_line
    enroll
    otpctl remove "$user" --yes >"$said"
    refused "$(code)"
    logged "refused reason=not-enrolled rhost=- user=\"$user\""
}

it_replaces_a_secret_and_the_old_one_is_dead() {
    otp_line
    enroll
    exits 1 otpctl enroll "$user" --no-confirm --json --qr none
    local old
    old=$(code)
    enroll --replace
    refused "$old"
    accepted "$(code)"
}

# --- tokens that count, several devices

# counted COUNTER: what a token with this secret shows.
counted() { oathtool --hotp --base32 --counter="$1" "$secret"; }

it_accepts_codes_of_a_token_that_counts_each_once_and_in_its_order() {
    otp_line
    enroll --type hotp
    accepted "$(counted 0)"
    logged "accepted method=hotp offset=0 rhost=- user=\"$user\""
    refused "$(counted 0)"
    logged "refused reason=used rhost=- user=\"$user\""
    accepted "$(counted 4)"
    logged "accepted method=hotp offset=3 rhost=- user=\"$user\""
    refused "$(counted 2)"
    [ "$(otpctl status "$user" --json | jq '.authenticators[0].counter')" = 5 ] || fail "counter 5"
}

it_takes_the_seed_of_a_token_in_hexadecimal() {
    otp_line
    local seed=3132333435363738393031323334353637383930
    otpctl enroll "$user" --type hotp --counter 3 --secret - --json >"$said" <<<"$seed"
    secret=$(jq -r .secret "$said")
    refused "$(oathtool --hotp --counter=2 "$seed")"
    accepted "$(oathtool --hotp --counter=3 "$seed")"
}

it_brings_a_token_back_that_was_pressed_idly() {
    otp_line
    enroll --type hotp
    refused "$(counted 300)"
    otpctl resync "$user" --json >"$said" <<<"$(counted 301)"$'\n'"$(counted 302)"$'\n'"$(counted 303)"
    [ "$(jq -r .result "$said")" = resynchronised ] || fail "resynchronised: $(cat "$said")"
    refused "$(counted 303)"
    logged "refused reason=used rhost=- user=\"$user\""
    accepted "$(counted 304)"
}

it_learns_a_clock_by_three_codes_and_lets_none_of_them_in() {
    otp_line
    enroll
    while [ $(($(date +%s) % 30)) -gt 20 ]; do sleep 1; done
    refused "$(code 90)"
    logged "refused reason=mismatch offset=3 rhost=- what=\"it is right for another time: a clock is off, or a token was pressed idly\" user=\"$user\""
    otpctl resync "$user" --json >"$said" <<<"$(code 30)"$'\n'"$(code 60)"$'\n'"$(code 90)"
    [ "$(jq .offset "$said")" = 3 ] || fail "offset 3: $(cat "$said")"
    refused "$(code 90)"
    accepted "$(code 120)"
    # Used codes, told again later, move nothing.
    exits 1 otpctl resync "$user" --json <<<"$(code 30)"$'\n'"$(code 60)"$'\n'"$(code 90)"
    [ "$(jq -r .reason "$said")" = used ] || fail "used: $(cat "$said")"
}

it_keeps_two_devices_of_one_user_apart() {
    otp_line
    enroll --name phone
    local phone=$secret token
    exits 1 otpctl enroll "$user" --no-confirm --json --qr none
    enroll --add --type hotp
    token=$secret
    [ ${#recovery[@]} = 0 ] || fail "no new recovery codes"
    accepted "$(oathtool --hotp --base32 --counter=0 "$token")"
    accepted "$(oathtool --totp --base32 "$phone")"
    refused "$(oathtool --hotp --base32 --counter=0 "$token")"
    exits 2 otpctl enroll "$user" --replace --no-confirm --json --qr none
    otpctl remove "$user" --name phone --yes >"$said"
    at=+30s refused "$(oathtool --totp --base32 --now "@$(($(date +%s) + 30))" "$phone")"
    accepted "$(oathtool --hotp --base32 --counter=1 "$token")"
    exits 1 otpctl remove "$user" --name token --yes
}
