#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Enrolment at the first login and the notice, over real ssh. The sshd is that of 50-ssh.sh.

_enrolling() {
    _password_and_code
    sed -i -e 's/^auth required pam_otp.so.*/& nullok/' \
        -e '/@include common-account/a account required pam_otp.so enroll notice' /etc/pam.d/sshd
    _sshd_with "${_two_prompts[@]}"
}

# _first_login PASSWORD right|CODE
_first_login() {
    LC_ALL=C.UTF-8 "$e2e/first-login" "$@" -- ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o NumberOfPasswordPrompts=1 "$user@127.0.0.1" echo the shell is here >"$said" 2>&1
}
_account_lines() {
    settle
    grep -aoP "pam_otp\\(sshd:account\\): \\K.*user=\"$user\".*" "$log" || true
}
# _shell_after PROMPT ANSWER...: an interactive login, which alone is told what the account lines say.
_shell_after() {
    "$e2e/talk" "$@" '$ ' exit -- ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o NumberOfPasswordPrompts=1 "$user@127.0.0.1" >"$said" 2>&1 || fail "a login: $(cat "$said")"
}
_is_enrolled() { [ "$(otpctl status "$user" --json | jq .enrolled)" = true ]; }
_has_shell() { grep -q 'the shell is here' "$said"; }

it_enrols_at_the_first_ssh_login_and_asks_at_the_next() {
    _enrolling
    _first_login "$password" right || fail "a first login: $(cat "$said")"
    _has_shell || fail "a shell: $(cat "$said")"
    [ "$(_account_lines)" = "enrolled type=totp recovery-codes=10 rhost=127.0.0.1 user=\"$user\"" ] ||
        fail "the log to say so: $(_account_lines)"
    # shellcheck disable=SC2034  # code() reads it
    secret=$(grep -aoP 'or type the key +\K[A-Z2-7 ]+' "$said" | tr -d ' ')
    local codes
    codes=$(grep -aoE '([a-z0-9]{4}-){3}[a-z0-9]{4}' "$said")
    [ "$(wc -l <<<"$codes")" = 10 ] || fail "ten recovery codes: $codes"
    if [ -d /out ]; then
        grep -a '[█▀▄]' "$said" | sed 's/^.*) //' >/out/first-login.txt
        grep -aoP 'or open +\Kotpauth://\S+' "$said" >/out/first-login.uri
    fi
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$(code)"
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$(head -n 1 <<<"$codes")"
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$(code 30)"
}

it_enrols_nobody_who_has_a_wrong_password() {
    _enrolling
    refuses _first_login wrong right
    refuses _has_shell
    refuses grep -qa 'otpauth' "$said"
    refuses _is_enrolled
}

it_lets_nobody_in_who_does_not_prove_the_key() {
    _enrolling
    refuses _first_login "$password" 000000
    refuses _has_shell
    refuses _is_enrolled
}

it_lets_a_key_alone_pass_the_account_line() {
    _enrolling
    _with_key
    printf '%s\n' 'AuthenticationMethods publickey' >/etc/ssh/sshd_config.d/00-key.conf
    kill -HUP "$(cat "$said.pid")"
    sleep 0.5
    LC_ALL=C.UTF-8 _ssh_in || fail "a login: $(cat "$said")"
    rm /etc/ssh/sshd_config.d/00-key.conf
    _has_shell || fail "a shell: $(cat "$said")"
    [ -z "$(_account_lines)" ] || fail "no word of it: $(_account_lines)"
    refuses _is_enrolled
}

it_tells_over_ssh_what_came_before() {
    _enrolling
    enroll --recovery-codes 4
    _shell_after 'Password: ' "$password" 'One-time code: ' "$(code)"
    grep -qa 'No code was used before. No wrong code since. 4 recovery codes left.' "$said" || fail "the notice: $(cat "$said")"
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$(wrong_code)"
    _shell_after 'Password: ' "$password" 'One-time code: ' "${recovery[0]}"
    grep -qaE 'Last code: 20[0-9: -]+ UTC from 127\.0\.0\.1\. 1 wrong code since\. 3 recovery codes left\.' "$said" ||
        fail "the notice: $(cat "$said")"
}

it_exempts_by_rule_and_remembers_by_address_over_ssh() {
    _password_and_code
    _sshd_with "${_two_prompts[@]}"
    enroll
    cp /etc/security/otp.toml "$said.toml"
    # shellcheck disable=SC2064
    trap "$(trap -p EXIT | sed "s/^trap -- '//; s/' EXIT$//"); cp '$said.toml' /etc/security/otp.toml" EXIT
    printf '%s\n' 'remember = "1h"' >/etc/security/otp.toml
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$(code)"
    _ssh_accepted 'Password: ' "$password"
    log_lines sshd | tail -n 1 | grep -qxF "remembered rhost=127.0.0.1 user=\"$user\"" || fail "$(log_lines sshd)"
    _ssh_refused 'Password: ' wrong
    printf '%s\n' '[[rule]]' 'networks = ["127.0.0.0/8"]' 'code = "exempt"' >/etc/security/otp.toml
    _ssh_accepted 'Password: ' "$password"
    log_lines sshd | tail -n 1 | grep -qxF "exempted rule=1 rhost=127.0.0.1 user=\"$user\"" || fail "$(log_lines sshd)"
    printf '%s\n' '[[rule]]' 'networks = ["127.0.0.1/8"]' 'code = "exempt"' >/etc/security/otp.toml
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$(code 30)"
}
