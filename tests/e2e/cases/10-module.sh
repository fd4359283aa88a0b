#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# The module through pamtester: what is accepted, what is refused, with which answer.

it_accepts_a_code_once_and_refuses_it_used() {
    otp_line
    enroll
    local this
    this=$(code)
    accepted "$this"
    grep -q 'One-time code: ' "$said" || fail "the prompt 'One-time code: '"
    refused "$this"
    logged "refused reason=used rhost=- user=\"$user\""
}

it_lets_one_of_32_logins_with_the_same_code_in() {
    otp_line
    enroll
    local this n in=0
    this=$(code)
    for n in $(seq 32); do
        (echo "$this" | pamtester "$service" "$user" authenticate >"$said.$n" 2>&1) &
    done
    wait
    for n in $(seq 32); do
        ! grep -q 'successfully authenticated' "$said.$n" || in=$((in + 1))
    done
    [ "$in" = 1 ] || fail "one accepted, were $in"
}

it_refuses_a_wrong_code() {
    otp_line
    enroll
    refused "$(wrong_code)"
    logged "refused reason=mismatch rhost=- user=\"$user\""
}

it_accepts_a_code_typed_with_spaces_or_hyphens() {
    otp_line
    enroll
    local this
    this=$(code)
    accepted " ${this:0:3} ${this:3} "
    this=$(code 30)
    accepted "${this:0:3}-${this:3}"
}

it_refuses_empty_malformed_and_huge_answers() {
    otp_line
    enroll
    refused ""
    logged "refused reason=malformed rhost=- user=\"$user\""
    refused "12345é"
    refused $'\b\r\177INCORRECT'
    refused "$(head -c 400 /dev/zero | tr '\0' 1)"
    accepted "$(code)"
}

it_prompts_an_unenrolled_user_and_refuses() {
    otp_line
    refused 123456
    grep -q 'One-time code: ' "$said" || fail "a prompt all the same"
    logged "refused reason=not-enrolled rhost=- user=\"$user\""
}

it_denies_an_unenrolled_user_under_nullok_where_no_other_module_accepts() {
    otp_line nullok
    refused_as "$denied"
    refuses grep -q 'One-time code' "$said"
}

it_passes_an_unenrolled_user_under_nullok_to_the_next_module() {
    stack "auth required pam_otp.so nodelay nullok" "auth required pam_permit.so"
    accepted
    refuses grep -q 'One-time code' "$said"
}

it_asks_an_enrolled_user_under_nullok() {
    stack "auth required pam_otp.so nodelay nullok" "auth required pam_permit.so"
    enroll
    refused "$(wrong_code)"
    accepted "$(code)"
}

it_asks_a_user_with_an_issued_code_under_nullok() {
    stack "auth required pam_otp.so nodelay nullok" "auth required pam_permit.so"
    local this
    this=$(issue)
    refused 00000000
    accepted "$this"
    accepted
}

it_denies_under_nullok_where_the_store_has_lost_its_marker() {
    own_store
    enroll
    ctl remove "$user" --yes >"$said"
    stack "auth required pam_otp.so nodelay nullok config=$policy" "auth required pam_permit.so"
    accepted
    rm "$place/state/STORE"
    refused_as "$unavailable" 123456
}

it_denies_under_nullok_where_the_store_is_not_there() {
    own_store
    stack "auth required pam_otp.so nodelay nullok config=$policy" "auth required pam_permit.so"
    refused_as "$unavailable" 123456
}

it_denies_under_nullok_where_the_record_is_damaged() {
    stack "auth required pam_otp.so nodelay nullok" "auth required pam_permit.so"
    enroll
    accepted "$(code)"
    echo damaged >"/var/lib/pam_otp/secrets/$user"
    refused_as "$unavailable" "$(code 30)"
    log_lines | tail -n 1 | grep -q '^refused reason=unavailable' || fail "reason=unavailable in the log"
}

it_denies_where_anybody_may_write_the_record() {
    own_store
    otp_line "config=$policy"
    enroll
    chmod 0666 "$place/state/secrets/$user"
    refused_as "$unavailable" "$(code)"
}

it_grants_nothing_from_a_misplaced_line() {
    enroll
    local kind verb
    for kind in account:acct_mgmt session:open_session session:close_session password:chauthtok; do
        verb=${kind#*:}
        stack "${kind%:*} required pam_otp.so"
        exits 1 pamtester "$service" "$user" "$verb"
    done
}

it_sets_credentials_after_a_code() {
    otp_line
    enroll
    code | pamtester "$service" "$user" authenticate setcred >"$said" 2>&1 || fail "success: $(cat "$said")"
}

it_denies_an_unknown_argument_and_names_it_in_the_log() {
    otp_line nulok
    enroll
    refuses login "$(code)"
    messages | grep nulok >"$said" || fail "the argument's name in the log"
}

it_delays_a_refusal_unless_nodelay() {
    enroll
    stack "auth required pam_otp.so"
    local start
    start=$(date +%s%N)
    refused "$(wrong_code)"
    [ $((($(date +%s%N) - start) / 1000000)) -ge 1000 ] || fail "a delay of some 2 s"
    otp_line
    start=$(date +%s%N)
    refused "$(wrong_code)"
    [ $((($(date +%s%N) - start) / 1000000)) -lt 1000 ] || fail "no delay with nodelay"
}

it_reports_a_conversation_that_fails() {
    otp_line
    enroll
    refuses pamtester "$service" "$user" authenticate </dev/null >"$said" 2>&1
    grep -qE 'Conversation error|Authentication failure' "$said" || fail "a clean denial: $(cat "$said")"
}
