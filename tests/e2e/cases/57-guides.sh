#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# The guides, followed word by word: the files are the blocks of the pages. And the package's own tests.

# file_of PAGE PATH: what the page tells to put into that file.
_file_of() {
    awk -v path="\`$2\`" 'index($0, path) { said = 1 }
        said && /^ *```$/ { if (inside) exit; inside = 1; next }
        inside { sub(/^ +/, ""); print }' "/source/docs/guide/$1"
}

# sshd_at ADDRESS:PORT [FILE]: by this drop-in alone.
_sshd_at() {
    mkdir -p /run/sshd
    /usr/sbin/sshd -D -f "$2" -o UsePAM=yes -o UseDNS=no -o "ListenAddress=$1" -o "PidFile=$said.$1.pid" &
    sshds+=($!)
    until [ -s "$said.$1.pid" ]; do sleep 0.05; done
}

# The jump host at 127.0.0.1, a machine behind it at 127.0.0.2, and her key and configuration.
_behind_a_jump_host() {
    local drop_in=/etc/ssh/sshd_config.d/otp.conf
    _key_and_code
    _with_key
    sshds=()
    # A key and a code, as otpctl try writes it there.
    sed -n '/^## A key and a code/,/^@@.*pam/ s/^+\([A-Z]\)/\1/p' /source/docs/guide/ssh.md >"$said.jump"
    grep -qx 'AuthenticationMethods publickey,keyboard-interactive' "$said.jump" || fail "the page's drop-in: $(cat "$said.jump")"
    _file_of jump-hosts.md "$drop_in" | sed 's/192\.0\.2\.10/127.0.0.1/' >"$said.web"
    _sshd_at 127.0.0.1:2201 "$said.jump"
    _sshd_at 127.0.0.2:2202 "$said.web"
    # shellcheck disable=SC2064  # these two
    trap "kill ${sshds[*]}" EXIT
    grep -q jump.example.org /etc/hosts || printf '127.0.0.1 jump.example.org\n127.0.0.2 web1\n' >>/etc/hosts
    enroll
}

# her_config FILE [LINE...]: what the page has for it, and what this test needs besides.
_her_config() {
    {
        printf '%s\n' "User $user" "IdentityFile $said.key" 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' \
            "ControlPath $said.mux" 'Host jump' 'Port 2201' 'Host web1' 'Port 2202' 'Host *'
        _file_of jump-hosts.md "$1"
    } >"$said.config"
}

it_asks_at_the_jump_host_of_the_guide_and_not_behind_it() {
    _behind_a_jump_host
    # shellcheck disable=SC2088  # as the page names it
    _her_config '~/.ssh/config'
    "$e2e/talk" 'One-time code: ' "$(code)" -- ssh -F "$said.config" web1 echo the shell is here >"$said" || fail "a login: $(cat "$said")"
    grep -q 'the shell is here' "$said" || fail "a shell: $(cat "$said")"
    [ "$(log_lines sshd | wc -l)" = 1 ] || fail "one code in all: $(log_lines sshd)"
    # Past the jump host a key is not enough, and with a code it is.
    refuses ssh -F "$said.config" -o ProxyJump=none -o BatchMode=yes -b 127.0.0.5 web1 true
    "$e2e/talk" 'One-time code: ' "$(code 30)" -- ssh -F "$said.config" -o ProxyJump=none -b 127.0.0.5 web1 echo here as well >"$said" ||
        fail "a login: $(cat "$said")"
    grep -q 'here as well' "$said" || fail "a shell: $(cat "$said")"
}

it_asks_once_for_many_connections_as_the_guide_has_it() {
    _behind_a_jump_host
    _her_config 'Host jump'
    printf '%s\n' 'Host web1' 'ProxyJump jump' >>"$said.config"
    grep -q ControlPersist "$said.config" || fail "the lines of the page"
    "$e2e/talk" 'One-time code: ' "$(code)" -- ssh -F "$said.config" jump true || fail "a login"
    ssh -F "$said.config" -O check jump || fail "an open connection"
    ssh -F "$said.config" -o BatchMode=yes web1 echo no code >"$said" || fail "no question: $(cat "$said")"
    ssh -F "$said.config" -O exit jump
    refuses ssh -F "$said.config" -o BatchMode=yes web1 true
}

# package_test NAME: as autopkgtest runs it, from the top of the source.
_package_test() {
    cp /etc/pam.d/sshd.orig /etc/pam.d/sshd
    only_sound_users
    cd /source || return
    "debian/tests/$1" >"$said" 2>&1 || fail "$1: $(cat "$said")"
    grep -q '^ok - ' "$said" || fail "$1 to try something: $(cat "$said")"
}
it_passes_the_package_test_of_a_login() { _package_test login; }
it_passes_the_package_test_of_its_removal() { _package_test removal; }
it_passes_the_package_test_of_ssh() { _package_test ssh; }
it_passes_the_package_test_of_the_playbook() { _package_test roll-out; }
