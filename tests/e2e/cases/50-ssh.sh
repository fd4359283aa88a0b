#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# A real sshd on the loopback address, its PAM service and its drop-in as README.Debian has them.

# sshd_with CONFIG... : the lines are its drop-in. The service's name is sshd, whatever the case's.
_sshd_with() {
    printf '%s\n' "$@" >/etc/ssh/sshd_config.d/otp.conf
    mkdir -p /run/sshd
    /usr/sbin/sshd -D -o UseDNS=no -o ListenAddress=127.0.0.1 -o "PidFile=$said.pid" &
    # shellcheck disable=SC2064  # this sshd
    trap "kill $!; rm -f /etc/ssh/sshd_config.d/otp.conf" EXIT
    until [ -s "$said.pid" ]; do sleep 0.05; done
}

_password_and_code() { { grep -v pam_otp /etc/pam.d/sshd.orig | sed '/@include common-auth/a auth required pam_otp.so'; } >/etc/pam.d/sshd; }
_key_and_code() { sed 's/^@include common-auth/auth required pam_otp.so/' /etc/pam.d/sshd.orig >/etc/pam.d/sshd; }
[ -e /etc/pam.d/sshd.orig ] || cp /etc/pam.d/sshd /etc/pam.d/sshd.orig

_two_prompts=('KbdInteractiveAuthentication yes' 'AuthenticationMethods keyboard-interactive')

# ssh_in PROMPT ANSWER ...: logs in and says so. $level: INFO, ssh's own, for what is told with the last answer.
_ssh_in() {
    "$e2e/talk" "$@" -- ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "LogLevel=${level:-ERROR}" \
        -o NumberOfPasswordPrompts=1 -i "$said.key" "$user@127.0.0.1" echo the shell is here >"$said" 2>&1
}
_ssh_accepted() {
    _ssh_in "$@" || fail "a login: $(cat "$said")"
    grep -q 'the shell is here' "$said" || fail "a shell: $(cat "$said")"
}
_ssh_refused() {
    refuses _ssh_in "$@"
    refuses grep -q 'the shell is here' "$said"
}

# A key that sshd takes for the user.
_with_key() {
    local home=/home/$user
    ssh-keygen -q -t ed25519 -N '' -f "$said.key"
    install -d -m 0700 -o "$user" "$home/.ssh"
    install -m 0600 -o "$user" "$said.key.pub" "$home/.ssh/authorized_keys"
}

it_lets_ssh_in_with_password_and_code_and_not_twice() {
    _password_and_code
    _sshd_with "${_two_prompts[@]}"
    enroll
    local this
    this=$(code)
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$this"
    log_lines sshd | tail -n 1 | grep -qE "^accepted method=totp offset=-?[01] rhost=127\.0\.0\.1 user=\"$user\"$" ||
        fail "the log to say so: $(log_lines sshd)"
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$this"
    log_lines sshd | tail -n 1 | grep -qxF "refused reason=used rhost=127.0.0.1 user=\"$user\"" ||
        fail "reason=used: $(log_lines sshd)"
}

it_refuses_ssh_with_a_wrong_password_and_a_good_code() {
    _password_and_code
    _sshd_with "${_two_prompts[@]}"
    enroll
    _ssh_refused 'Password: ' wrong 'One-time code: ' "$(code)"
}

it_lets_ssh_in_with_password_and_an_issued_code() {
    _password_and_code
    _sshd_with "${_two_prompts[@]}"
    local this
    this=$(issue)
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$this"
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$this"
}

it_lets_ssh_in_with_public_key_and_code_and_with_neither_alone() {
    _key_and_code
    _sshd_with 'KbdInteractiveAuthentication yes' 'AuthenticationMethods publickey,keyboard-interactive'
    _with_key
    enroll
    local this
    this=$(code)
    _ssh_accepted 'One-time code: ' "$this"
    _ssh_refused 'One-time code: ' "$this"
    rm "$said.key" "$said.key.pub"
    _ssh_refused
}

it_locks_ssh_where_keyboard_interactive_is_off_as_documented() {
    _password_and_code
    _sshd_with 'KbdInteractiveAuthentication no'
    enroll
    _ssh_refused "password: " "$password"
    log_lines sshd | tail -n 1 | grep -q '^refused reason=malformed' || fail "a denial in the log: $(log_lines sshd)"
    exits 1 otpctl doctor sshd --json
}

it_refuses_an_ssh_user_who_does_not_exist_after_the_same_prompts() {
    _password_and_code
    _sshd_with "${_two_prompts[@]}"
    userdel -r "$user" 2>/dev/null
    _ssh_refused 'Password: ' "$password" 'One-time code: ' 123456
}
