#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# otpctl try with a real sshd on the loopback address. Its own files are the ones that are tried.

pending=/var/lib/pam_otp/try/pending.json
drop_in=/etc/ssh/sshd_config.d/otp.conf

# sshd as Debian ships it: no code is asked for. It writes its process where otpctl looks.
_plain_sshd() {
    cp /etc/pam.d/sshd.orig /etc/pam.d/sshd
    rm -f "$drop_in"
    mkdir -p /run/sshd
    /usr/sbin/sshd -D -o UseDNS=no -o ListenAddress=127.0.0.1 &
    # shellcheck disable=SC2064  # this sshd
    trap "kill $!; otpctl try --roll-back >/dev/null 2>&1 || true; cp /etc/pam.d/sshd.orig /etc/pam.d/sshd; rm -f $drop_in /run/sshd.pid" EXIT
    until [ -s /run/sshd.pid ]; do sleep 0.05; done
    enroll
}

_as_before() {
    cmp /etc/pam.d/sshd.orig /etc/pam.d/sshd || fail "/etc/pam.d/sshd as before"
    refuses test -e "$drop_in"
}

_until_over() {
    for _ in $(seq 400); do
        [ -e "$pending" ] || return 0
        sleep 0.1
    done
    fail "the trial to end: $(otpctl try)"
}

# sshd reads its files again in its own time.
_until_it_asks() {
    for _ in $(seq 50); do
        _ssh_in 'Password: ' wrong && fail "a wrong password refused"
        ! grep -q 'assword:' "$said" || return 0
        sleep 0.1
    done
    fail "sshd to ask by itself: $(cat "$said")"
}

it_tries_sshd_and_keeps_it_after_a_real_login_with_a_code() {
    _plain_sshd
    _ssh_accepted 'password: ' "$password"
    exits 0 otpctl try sshd --yes --minutes 5
    grep -q '^+auth required pam_otp.so$' "$said" || fail "the line in the difference: $(cat "$said")"
    grep -q '^+AuthenticationMethods keyboard-interactive$' "$said" || fail "the drop-in in it: $(cat "$said")"
    exits 1 otpctl try --keep
    sleep 1
    _ssh_accepted 'Password: ' "$password" 'One-time code: ' "$(code)"
    exits 0 otpctl try --json
    [ "$(jq -r '.confirmed_by.user + " " + .confirmed_by.origin' "$said")" = "$user 127.0.0.1" ] || fail "who: $(cat "$said")"
    exits 0 otpctl try --keep
    refuses test -e "$pending"
    sleep 1
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$(wrong_code)"
    grep -q pam_otp.so /etc/pam.d/sshd || fail "kept"
}

it_takes_no_session_of_an_open_connection_for_a_login() {
    _plain_sshd
    local options=(-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o "ControlPath=$said.mux")
    printf '#!/bin/sh\necho "%s"\n' "$password" >"$said.ask"
    chmod 0755 "$said.ask"
    SSH_ASKPASS=$said.ask SSH_ASKPASS_REQUIRE=force ssh "${options[@]}" -fN -o ControlMaster=yes "$user@127.0.0.1"
    exits 0 ssh "${options[@]}" -O check "$user@127.0.0.1"
    exits 0 otpctl try sshd --yes --minutes 5
    sleep 1
    exits 0 ssh "${options[@]}" "$user@127.0.0.1" echo the shell is here
    grep -q 'the shell is here' "$said" || fail "a session: $(cat "$said")"
    exits 1 otpctl try --keep
    ssh "${options[@]}" -O exit "$user@127.0.0.1" 2>/dev/null
}

it_takes_sshd_back_after_the_time_without_a_login() {
    _plain_sshd
    exits 0 otpctl try sshd --yes --timeout 8s
    sleep 1
    _ssh_refused 'Password: ' "$password" 'One-time code: ' "$(wrong_code)"
    exits 1 otpctl try --keep
    _until_over
    _as_before
    sleep 1
    _ssh_accepted 'password: ' "$password"
    exits 0 otpctl try
    grep -q 'Taken back: sshd is as it was' "$said" || fail "it said: $(cat "$said")"
}

it_takes_sshd_back_where_otpctl_was_killed() {
    _plain_sshd
    "$e2e/talk" '[y/N]' y -- otpctl try sshd --timeout 12s >"$said" 2>&1 &
    local talk=$!
    until [ -e "$pending" ] && grep -q pam_otp.so /etc/pam.d/sshd; do sleep 0.1; done
    sleep 1
    local waiting
    waiting=$(pgrep -P "$talk" -f 'otpctl try sshd') || fail "otpctl to wait"
    kill -KILL "$waiting"
    wait "$talk" || true
    grep -q pam_otp.so /etc/pam.d/sshd || fail "the change still there"
    _until_over
    _as_before
}

it_leaves_a_file_alone_that_was_edited_while_it_was_tried() {
    _plain_sshd
    exits 0 otpctl try sshd --yes --timeout 8s
    echo '# mine' >>/etc/pam.d/sshd
    _until_over
    grep -q '^# mine$' /etc/pam.d/sshd || fail "the edit kept"
    grep -q pam_otp.so /etc/pam.d/sshd || fail "the line kept"
    [ -e "$drop_in" ] || fail "the drop-in kept beside the line: without it ssh is locked"
    exits 0 otpctl try
    grep -q '/etc/pam.d/sshd was edited meanwhile' "$said" || fail "it said: $(cat "$said")"
}

it_does_not_try_what_sshd_would_not_go_by() {
    _plain_sshd
    echo 'KbdInteractiveAuthentication no' >/etc/ssh/sshd_config.d/00-first.conf
    exits 1 otpctl try sshd --yes
    rm /etc/ssh/sshd_config.d/00-first.conf
    grep -q 'Disabled method.* Nothing has changed' "$said" || fail "it said: $(cat "$said")"
    _as_before
    refuses test -e "$pending"
    _ssh_accepted 'password: ' "$password"
}

it_tries_a_key_and_a_code_for_ssh() {
    _plain_sshd
    _with_key
    exits 0 otpctl try sshd --key --yes --minutes 5
    sleep 1
    _ssh_accepted 'One-time code: ' "$(code)"
    exits 0 otpctl try --keep
    rm "$said.key" "$said.key.pub"
    _ssh_refused
}

it_tries_su_and_a_login_by_su_keeps_it() {
    cp /etc/pam.d/su "$said.su"
    # shellcheck disable=SC2064  # this copy
    trap "otpctl try --roll-back >/dev/null 2>&1 || true; cp $said.su /etc/pam.d/su" EXIT
    enroll
    exits 0 otpctl try su --yes --minutes 5
    otpctl verify "$user" <<<"$(code -30)" >/dev/null
    exits 1 otpctl try --keep
    # Whoever may write to the log says that it worked.
    logger -t su 'pam_otp(su:auth): accepted method=totp offset=0 rhost=- user="root"' || true
    exits 1 otpctl try --keep
    sleep 1
    runuser -u nobody -- "$e2e/talk" 'Password: ' "$password" 'One-time code: ' "$(code 30)" -- su -c 'echo the shell is here' "$user" >"$said" 2>&1 ||
        fail "su: $(cat "$said")"
    exits 0 otpctl try --keep
}

# What doctor says of a check that is a fault.
_doctor_finds() {
    exits 1 otpctl doctor sshd --json
    jq -e --arg name "$1" --arg text "$2" \
        '.checks | any(.name == $name and (.ok | not) and (.detail | contains($text)))' "$said" >/dev/null ||
        fail "$1: $2 in $(cat "$said")"
}

it_sees_whom_a_match_block_locks_out() {
    _plain_sshd
    sed -i '/@include common-auth/a auth required pam_otp.so' /etc/pam.d/sshd
    printf '%s\n' "${_two_prompts[@]}" >"$drop_in"
    cp /etc/ssh/sshd_config "$said.config"
    # shellcheck disable=SC2064  # this copy
    trap "$(trap -p EXIT | sed "s/^trap -- '//; s/' EXIT$//"); cp $said.config /etc/ssh/sshd_config" EXIT
    printf '%s\n' "Match User $user" '    AuthenticationMethods publickey' '    KbdInteractiveAuthentication no' \
        'Match Address 192.0.2.0/24' '    AuthenticationMethods publickey' >>/etc/ssh/sshd_config
    _doctor_finds Match "for $user from 203.0.113.1, by a Match block: KbdInteractiveAuthentication"
    _doctor_finds Match "from 192.0.2.0, by a Match block: AuthenticationMethods publickey"
    cp "$said.config" /etc/ssh/sshd_config
    otpctl doctor sshd --json >"$said" || true
    jq -e '.checks | all(.name != "Match")' "$said" >/dev/null || fail "nothing of Match: $(cat "$said")"
    jq -e '.checks | all(.name != "sshd-config")' "$said" >/dev/null || fail "sshd's own word: $(cat "$said")"
}

it_sees_that_sshd_would_not_start_again() {
    _plain_sshd
    echo 'AuthenticationMethods publickey, keyboard-interactive' >"$drop_in"
    _doctor_finds sshd-config 'sshd does not take its files'
    _doctor_finds sshd-config '/etc/ssh/sshd_config.d/otp.conf line 1'
}
