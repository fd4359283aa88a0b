#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# The profile for pam-auth-update: off until it is chosen, and gone with the package. After 90-package.sh, whose functions it uses.

_common=/etc/pam.d/common-auth
_profile() { DEBIAN_FRONTEND=noninteractive pam-auth-update "$@" otp >"$said.profile" 2>&1 || fail "pam-auth-update $*: $(cat "$said.profile")"; }

# A service that does nothing but include what all do, and how common-auth is before.
_everybodys() {
    DEBIAN_FRONTEND=noninteractive pam-auth-update --disable otp 2>/dev/null
    refuses grep -q pam_otp "$_common"
    cp "$_common" "$said.before"
    stack '@include common-auth' 'account required pam_permit.so'
}

_is_as_before() { cmp "$said.before" "$_common" || fail "common-auth as before: $(cat "$_common")"; }

# What doctor says is wrong with the case's service: names.
_faults() {
    local health
    health=$(otpctl doctor "$service" --json || true)
    jq -r '.checks[] | select(.ok | not) | .name' <<<"$health" | paste -sd' '
}
# finds NAMES: among others.
_finds() { case " $(_faults) " in *" $1 "*) ;; *) fail "doctor to find $1, was: $(_faults)" ;; esac }
_does_not_find() { case " $(_faults) " in *" $1 "*) fail "doctor not to find $1, was: $(_faults)" ;; esac }

it_asks_everybody_who_is_enrolled_by_the_profile_until_it_is_disabled() {
    _everybodys
    accepted "$password"
    _profile --enable
    accepted "$password"
    refused wrong
    enroll
    refuses login "$password"
    refused "$password" "$(wrong_code)"
    refused wrong "$(code -30)"
    accepted "$password" "$(code)"
    # i3lock, which is installed, includes login and so common-auth, and has one field.
    _finds 'common one-field otpd'
    (
        _with_otpd
        _does_not_find common
        _does_not_find otpd
        _finds one-field
        cp /etc/pam.d/i3lock "$said.i3lock"
        _file_of desktops.md /etc/pam.d/i3lock >"$said.lines"
        cp "$said.lines" /etc/pam.d/i3lock
        _does_not_find one-field
        cp "$said.i3lock" /etc/pam.d/i3lock
    )
    _profile --disable
    _is_as_before
    accepted "$password"
    rm "/etc/pam.d/$service"
}

it_takes_the_line_of_the_profile_along_when_removed_and_locks_nobody_out() {
    _everybodys
    enroll
    _profile --enable
    refuses login "$password"
    _remove remove || fail "removed: $(cat "$said")"
    refuses _module
    _is_as_before
    accepted "$password"
    _install
    _is_as_before
    rm "/etc/pam.d/$service"
}

it_keeps_profile_and_package_while_another_line_names_the_module() {
    _everybodys
    _profile --enable
    echo 'auth required pam_otp.so' >>"/etc/pam.d/$service"
    refuses _remove remove
    grep -q "/etc/pam.d/$service:3:auth required pam_otp.so" "$said" || fail "the line listed: $(cat "$said")"
    grep -q pam_otp "$_common" || fail "the profile still there"
    sed -i 3d "/etc/pam.d/$service"
    # One by hand, in the same file.
    echo 'auth required pam_otp.so nodelay' >>"$_common"
    refuses _remove remove
    [ "$(grep -c pam_otp "$_common")" = 2 ] || fail "both lines still there: $(cat "$_common")"
    sed -i '$d' "$_common"
    _remove remove || fail "removed: $(cat "$said")"
    _is_as_before
    _install
    rm "/etc/pam.d/$service"
}

it_upgrades_with_the_profile_on() {
    _everybodys
    enroll
    _profile --enable
    _install "$(_newer)"
    refuses login "$password"
    accepted "$password" "$(code)"
    _profile --disable
    _is_as_before
    _install
    rm "/etc/pam.d/$service"
}
