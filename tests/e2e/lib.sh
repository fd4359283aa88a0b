#!/usr/bin/env bash
# What the cases share. Sourced by run, inside the container.
# Each case gets a user of its own in $user, whose password is $password, and a PAM service $service.
# shellcheck disable=SC2034,SC2154  # the cases use these names, and run sets user, service and said

e2e=/e2e
log=/var/log/e2e.log
password='correct horse'
# Of "correct horse"; made once, because hashing takes long.
password_hash=$(perl -e 'print crypt($ARGV[0], q($6$e2e$))' "$password")

fail() {
    echo "expected: $*" >&9
    exit 1
}

# --- who logs in

new_user() { useradd -m -s /bin/bash -p "$password_hash" "$1"; }

# The lines become the service's PAM stack.
stack() { printf '%s\n' "$@" >"/etc/pam.d/$service"; }

# The line most cases are about.
otp_line() { stack "auth required pam_otp.so nodelay $*"; }

# ctl: otpctl with the case's own policy, where it has one.
ctl() { otpctl ${policy:+--config "$policy"} "$@"; }

# enroll [option...]: $secret and $recovery.
enroll() {
    local answer
    answer=$(ctl enroll "$user" --no-confirm --json --qr none "$@") || fail "to enrol: $answer"
    secret=$(jq -r .secret <<<"$answer")
    mapfile -t recovery < <(jq -r '.recovery_codes[]?' <<<"$answer")
}

# code [seconds from now]: what the user's app shows.
code() { oathtool --totp --base32 --now "@$(($(date +%s) + ${1:-0}))" "$secret"; }

# A code that the app shows in none of the steps the server looks at.
wrong_code() {
    local candidate
    for candidate in 000000 111111 222222 333333 444444; do
        case " $(code -60) $(code -30) $(code) $(code 30) $(code 60) " in *" $candidate "*) ;; *)
            echo "$candidate"
            return
            ;;
        esac
    done
}

# issue [option...]: prints the code.
issue() { otpctl issue "$user" --json "$@" | jq -r .code; }

# --- logging in

# login [answer...]: pamtester types these. $at is another time ("+30s"), $rhost a remote address.
login() {
    local shift=() from=()
    [ -z "${at:-}" ] || shift=(faketime -f "$at")
    [ -z "${rhost:-}" ] || from=(-I "rhost=$rhost")
    printf '%s\n' "$@" | "${shift[@]}" pamtester "${from[@]}" "$service" "$user" authenticate >"$said" 2>&1
}

accepted() {
    login "$@" || fail "accepted; it said: $(cat "$said")"
    grep -q 'successfully authenticated' "$said" || fail "pamtester to say so: $(cat "$said")"
}

# refused ANSWER...: as PAM_AUTH_ERR. refused_as TEXT ANSWER...: with libpam's text for another code.
refused() { refused_as 'Authentication failure' "$@"; }
refused_as() {
    local text=$1
    shift
    ! login "$@" || fail "refused, was accepted: $(cat "$said")"
    grep -qF -- "$text" "$said" || fail "'$text', was: $(cat "$said")"
}
# guess N: that many wrong codes.
guess() { for _ in $(seq "$1"); do refused "$(wrong_code)"; done; }
denied='Permission denied'
unavailable='Authentication service cannot retrieve authentication info'

# refuses COMMAND...: it must fail.
refuses() { ! "$@" || fail "to fail: $*"; }

# --- what the log says

# Waits until everything said so far is in the log: a mark of our own comes after it.
settle() {
    local mark=$BASHPID-$RANDOM-$RANDOM
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => "/dev/log")->send($ARGV[0])' "<87>mark $mark"
    until grep -aq -- "$mark" "$log"; do sleep 0.02; done
}

# What the module said through this case's service.
messages() {
    settle
    grep -aF "pam_otp($service:auth)" "$log" || true
}

# The one line of this user's login through this service, after "pam_otp(SERVICE:auth): ".
# shellcheck disable=SC2120  # a service other than the case's own
log_lines() {
    settle
    grep -aoP "pam_otp\\(${1:-$service}:auth\\): \\K.*user=\"$user\".*" "$log" || true
}

# logged TEXT: the last such line is exactly this.
logged() {
    local line
    # shellcheck disable=SC2119
    line=$(log_lines | tail -n 1)
    [ "$line" = "$1" ] || fail "log line: $1"$'\n'"was: $line"
}

# --- the house

# Takes users away whose records an earlier case spoilt: what is about everybody needs a sound store.
only_sound_users() {
    local file name
    for file in /var/lib/pam_otp/state/* /var/lib/pam_otp/secrets/*; do
        name=${file##*/}
        otpctl status "$name" >/dev/null 2>&1 || otpctl remove "$name" --yes >/dev/null 2>&1 || true
    done
}

# --- exit codes

# exits CODE COMMAND...
exits() {
    local want=$1 got=0
    shift
    "$@" >"$said" 2>&1 || got=$?
    [ "$got" = "$want" ] || fail "exit $want, was $got of $*: $(cat "$said")"
}

# own_store [line...]: a policy with trees of its own in $policy, for cases that harm the store.
own_store() {
    place=$(mktemp -d /var/lib/e2e.XXXXXX)
    policy=$place/otp.toml
    printf '%s\n' "state_dir = \"$place/state\"" "spool_dir = \"$place/spool\"" "$@" >"$policy"
}
