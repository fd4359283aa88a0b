#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Codes asked for at the prompt, over a real ssh, handed over by otpctl deliver to a gateway that writes down what it got.

gateway=/usr/local/sbin/e2e-gateway
# What it got, a message a line; it runs as nobody.
_got() { cat "/var/tmp/e2e-gateway/$user" 2>/dev/null || true; }

# A policy of the case's own, a gateway, and $telephone. $status: how the gateway ends.
_with_a_telephone() {
    install -d -o nobody -m 0755 /var/tmp/e2e-gateway
    gateway=$gateway-$user
    printf '%s\n' '#!/bin/sh' 'read -r number' 'read -r code' \
        "[ ${status:-0} = 0 ] && echo \"\$number \$code\" >>/var/tmp/e2e-gateway/$user" "exit ${status:-0}" >"$gateway"
    chmod 755 "$gateway"
    own_store '[sms]' "command = [\"$gateway\"]"
    telephone=+49170555$(printf '%04d' "${user#t}")
    ctl contact "$user" --sms "$telephone" --confirmed
    # Hands over, and prints the last code.
    printf '%s\n' '#!/bin/sh' "otpctl --config $policy deliver --once >/dev/null 2>&1" \
        "otpctl --config $policy deliver --settle >/dev/null 2>&1" "tail -n 1 /var/tmp/e2e-gateway/$user | cut -d' ' -f2" >"$said.arrives"
    chmod 755 "$said.arrives"
}

_ask_at_a_password() {
    sed "/@include common-auth/a auth required pam_otp.so config=$policy $*" /etc/pam.d/sshd.orig >/etc/pam.d/sshd
}
_ask_at_a_key() {
    sed "s|^@include common-auth|auth required pam_otp.so config=$policy $*|" /etc/pam.d/sshd.orig >/etc/pam.d/sshd
}
_key_and_prompt=('KbdInteractiveAuthentication yes' 'AuthenticationMethods publickey,keyboard-interactive')
again='Code (if one could be sent): '

# What the last request for a code came to, and every other line of hers.
_logged() {
    local line="$1 rhost=127.0.0.1 user=\"$user\""
    log_lines sshd | grep -qxF "$line" || fail "log line: $line"$'\n'"were: $(log_lines sshd)"
}

it_sends_a_code_after_a_key_which_lets_in_once() {
    _with_a_telephone
    _ask_at_a_key
    _sshd_with "${_key_and_prompt[@]}"
    _with_key
    _ssh_accepted 'One-time code: ' '' "$again" "!$said.arrives"
    grep -q 'A code went to +49' "$said" || fail "to be told where it went: $(cat "$said")"
    [ "$(_got | cut -d' ' -f1)" = "$telephone" ] || fail "one message to $telephone: $(_got)"
    _logged 'requested channel=sms'
    _logged 'accepted method=issued'
    local this
    this=$(_got | cut -d' ' -f2)
    _ssh_refused 'One-time code: ' "$this"
    _logged 'refused reason=used'
    # The next one not before a minute is over.
    _ssh_refused 'One-time code: ' sms "$again" 12345
    grep -q 'No other code was sent, because one was only just' "$said" || fail "to be told when: $(cat "$said")"
    _logged 'not requested reason=too-soon'
    "$said.arrives" >/dev/null
    [ "$(_got | wc -l)" = 1 ] || fail "one message: $(_got)"
    refuses grep -aqF -e "$this" -e "$telephone" "$log"
}

# What doctor says of a first factor.
_first_factor() { ctl doctor sshd --json | jq -r '.checks[] | select(.name == "first-factor") | .ok'; }

it_sends_a_code_after_the_password_where_the_line_vouches_for_it() {
    _with_a_telephone
    _ask_at_a_password after_first_factor
    _sshd_with "${_two_prompts[@]}"
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' '' "$again" "!$said.arrives"
    [ "$(_got | wc -l)" = 1 ] || fail "one message: $(_got)"
    [ "$(_first_factor)" = true ] || fail "doctor to find the stack in order"
    # Where a wrong password goes on to the next line, doctor says so.
    sed "s|^@include common-auth|auth required pam_unix.so\nauth required pam_otp.so config=$policy after_first_factor|" /etc/pam.d/sshd.orig >/etc/pam.d/sshd
    [ "$(_first_factor)" = false ] || fail "doctor to find the fault"
}

it_tells_at_the_next_prompt_that_sending_failed_and_withdraws_the_code() {
    status=75 _with_a_telephone
    _ask_at_a_key
    _sshd_with "${_key_and_prompt[@]}"
    _with_key
    printf '%s\n' '#!/bin/sh' "$said.arrives" 'echo' >"$said.fails"
    chmod 755 "$said.fails"
    _ssh_refused 'One-time code: ' '' "$again" "!$said.fails" "$again" 12345
    grep -q 'No code could be sent to +49' "$said" || fail "to be told that it failed: $(cat "$said")"
    grep -q 'Another one can be asked for from ' "$said" || fail "to be told what next: $(cat "$said")"
    ctl status "$user" | tee "$said.status"
    grep -q 'could not be sent' "$said.status" || fail "status to say so: $(cat "$said.status")"
}

# Nothing was sent to her, and nothing waits.
_nothing_sent() {
    "$said.arrives" >/dev/null
    [ -z "$(_got)" ] || fail "$1: nothing to be sent: $(_got)"
    [ -z "$(find "$place/spool/.queue" -name "$user.*")" ] || fail "$1: nothing in the queue"
    refuses grep -q '^requested' <(log_lines sshd)
}

# stranger PROMPT ANSWER...: who has neither key nor password, by one method.
_stranger() {
    local method=$1
    shift
    "$e2e/talk" "$@" -- ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o NumberOfPasswordPrompts=1 -o IdentitiesOnly=yes -o "PreferredAuthentications=$method" "$user@127.0.0.1" true >"$said" 2>&1
}

# strangers PROMPT CONFIG...: whatever they type, by whatever method, at the first prompt and at a second.
_strangers() {
    local answer first=$1
    shift
    (
        _sshd_with "$@"
        for answer in '' sms; do
            refuses _stranger keyboard-interactive "$first" "$answer" 'ode: ' "$answer"
            refuses _stranger password 'assword: ' "$answer"
        done
    )
    while [ -e "$said.pid" ]; do sleep 0.05; done
}

# She has a contact, and her name is known. The stacks are those of the guides.
it_lets_nobody_who_knows_only_a_name_make_it_send_on_any_stack_of_the_guides() {
    _with_a_telephone
    local arguments
    for arguments in '' nullok after_first_factor; do
        _ask_at_a_password "$arguments"
        _strangers 'Password: ' "${_two_prompts[@]}"
        _strangers 'Password: ' 'KbdInteractiveAuthentication yes'
        _nothing_sent "password and code, $arguments"
    done
    for arguments in '' nullok; do
        _ask_at_a_key "$arguments"
        _strangers 'One-time code: ' "${_key_and_prompt[@]}"
        # Where sshd asks for no key, as it should not be.
        _strangers 'One-time code: ' 'KbdInteractiveAuthentication yes'
        _nothing_sent "key and code, $arguments"
    done
    # Password and code in one line, and sudo's.
    stack "auth required pam_otp.so config=$policy nodelay forward_pass" 'auth required pam_unix.so use_first_pass'
    refused ''
    refused sms
    stack '@include common-auth' "auth required pam_otp.so config=$policy nodelay"
    refused "$password" ''
    _nothing_sent 'one line, and sudo'
}
