#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# prompt, echo, and password and code typed as one.

it_shows_another_prompt() {
    otp_line '[prompt=Code from the app: ]'
    enroll
    accepted "$(code)"
    grep -q 'Code from the app: ' "$said" || fail "that prompt: $(cat "$said")"
}

it_shows_what_is_typed_with_echo_and_hides_it_without() {
    otp_line
    enroll
    local this
    this=$(code)
    "$e2e/talk" 'code: ' "$this" -- pamtester "$service" "$user" authenticate >"$said" || fail "accepted"
    refuses grep -q "$this" "$said"
    otp_line echo
    this=$(code 30)
    "$e2e/talk" 'code: ' "$this" -- pamtester "$service" "$user" authenticate >"$said" || fail "accepted"
    grep -q "$this" "$said" || fail "the code on the terminal"
}

# pam_unix asks, keeps what was typed, and does not count.
_asked_before() {
    stack "auth [default=ignore] pam_unix.so nodelay" "auth requisite pam_otp.so nodelay $*" \
        "auth required pam_unix.so nodelay use_first_pass"
}

it_takes_the_code_from_the_end_of_the_password_with_use_first_pass() {
    _asked_before use_first_pass forward_pass
    enroll
    accepted "$password$(code)"
    refuses grep -q 'One-time code' "$said"
    refused "$password$(wrong_code)"
    refused "not the password$(code 30)"
}

it_does_not_prompt_with_use_first_pass_where_no_code_was_typed() {
    _asked_before use_first_pass forward_pass
    enroll
    refused "$password" "$(code)"
    refuses grep -q 'One-time code' "$said"
}

it_prompts_with_try_first_pass_where_no_code_was_typed() {
    _asked_before try_first_pass
    enroll
    accepted "$password" "$(code)"
    grep -q 'One-time code' "$said" || fail "a prompt"
}

it_cuts_the_tail_it_is_told() {
    _asked_before use_first_pass forward_pass tail=8
    accepted "$password$(issue)"
}

it_prompts_once_for_both_with_forward_pass_alone() {
    stack "auth required pam_otp.so nodelay forward_pass" "auth required pam_unix.so nodelay use_first_pass"
    enroll
    accepted "$password$(code)"
    refused "not the password$(code 30)"
}

it_hands_on_the_whole_for_an_unenrolled_user_under_nullok() {
    stack "auth required pam_otp.so nodelay nullok forward_pass" "auth required pam_unix.so nodelay try_first_pass"
    accepted "$password"
}
