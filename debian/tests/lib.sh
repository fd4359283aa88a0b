# shellcheck shell=bash
# What the tests share. Sourced. Each makes a user, and takes away what it made: a testbed may be somebody's tree.
# shellcheck disable=SC2034  # the names are for whoever sources this

set -euo pipefail
user=otp-test-$$
service=otp-autopkgtest
password='correct horse'
said=$(mktemp)

fail() {
    echo "not ok - $*" >&2
    cat "$said" >&2
    exit 1
}
ok() { echo "ok - $*"; }

new_user() { useradd -m -s /bin/sh -p "$(perl -e 'print crypt($ARGV[0], q($6$autopkgtest$))' "$password")" "$user"; }

leave() {
    rm -f "/etc/pam.d/$service" "$said"
    otpctl remove "$user" --yes >/dev/null 2>&1 || true
    userdel -r "$user" >/dev/null 2>&1 || true
}
trap leave EXIT

# The lines become the service's stack.
stack() { printf '%s\n' "$@" >"/etc/pam.d/$service"; }

# $secret, and $recovery: the first of her recovery codes.
enroll() {
    local answer
    answer=$(otpctl enroll "$user" --json --no-confirm --qr none)
    secret=$(jq -r .secret <<<"$answer")
    recovery=$(jq -r '.recovery_codes[0]' <<<"$answer")
}

# code [seconds from now]: what her app shows.
code() { oathtool --totp --base32 --now "@$(($(date +%s) + ${1:-0}))" "$secret"; }

# answers TEXT...: pamtester types these.
answers() { printf '%s\n' "$@" | pamtester "$service" "$user" authenticate >"$said" 2>&1; }
