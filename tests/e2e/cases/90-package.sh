#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Upgrade, removal, purge. Last, because they take the module away for a while.

deb=/tmp/libpam-otp.deb
_install() { DEBIAN_FRONTEND=noninteractive apt-get install -yq --reinstall --allow-downgrades "${1:-$deb}" >"$said" 2>&1; }
_remove() { DEBIAN_FRONTEND=noninteractive apt-get "$@" -yq libpam-otp >"$said" 2>&1; }
_module() { ls /usr/lib/*/security/pam_otp.so >/dev/null 2>&1; }

# The same package under a higher version.
_newer() {
    local tree=$said.newer
    dpkg-deb -R "$deb" "$tree"
    sed -i 's/^Version: .*/&+1/' "$tree/DEBIAN/control"
    dpkg-deb -b "$tree" "$said.deb" >"$said"
    echo "$said.deb"
}

# Nobody else's line stands in the way of a removal here.
_no_lines() {
    rm -f /etc/pam.d/e2e-*
    cp /etc/pam.d/sshd.orig /etc/pam.d/sshd
    rm -f /etc/pam.d/sshd.orig
}
_no_lines

it_keeps_edits_and_enrolments_when_upgraded() {
    otp_line
    enroll
    echo 'window = 2' | cat - /etc/security/otp.toml >"$said.toml"
    cp "$said.toml" /etc/security/otp.toml
    _install "$(_newer)"
    dpkg-query -W -f '${Version}' libpam-otp | grep -q '+1$' || fail "the newer one"
    cmp "$said.toml" /etc/security/otp.toml || fail "the edit kept"
    accepted "$(code -60)"
    sed -i 1d /etc/security/otp.toml
    rm "/etc/pam.d/$service"
}

# From one package to another, with all that a person may have under way.
_upgrades_from() {
    local old=$1 new=$2 used issued spent
    _install "$old"
    otp_line
    enroll --recovery-codes 3
    token=$(ctl enroll "$user" --add --name token --type hotp --no-confirm --json --qr none | jq -r .secret)
    _counted() { oathtool --hotp --base32 --counter="$1" "$token"; }
    used=$(code)
    accepted "$used"
    accepted "$(_counted 0)"
    accepted "$(_counted 2)"
    accepted "${recovery[0]}"
    issued=$(issue --ttl 1h --reason 'under way') spent=$(issue --ttl 1h)
    accepted "$spent"
    refused "$(wrong_code)"
    ctl status "$user" --json >"$said.before"

    _install "$new"
    [ "$(dpkg-query -W -f '${Version}' libpam-otp)" = "$(dpkg-deb -f "$new" Version)" ] || fail "the newer one"
    ctl status "$user" --json >"$said.after"
    diff "$said.before" "$said.after" || fail "everything known of her to be as it was"
    refused "$used"
    accepted "$issued"
    refused "$issued"
    refused "$(_counted 2)"
    accepted "${recovery[1]}"
    refused "${recovery[0]}"
    accepted "$(_counted 3)"
    refused "$spent"
    accepted "$(code 30)"
    refused "$(code 30)"
    rm "/etc/pam.d/$service"
}

it_upgrades_with_enrolments_used_steps_and_pending_codes() {
    _upgrades_from "$deb" "$(_newer)"
}

# Packages that were released: docs/releasing.md says which are kept.
it_upgrades_from_every_release_that_is_kept() {
    local kept
    for kept in /e2e/kept/*_"$(dpkg --print-architecture)".deb; do
        [ -e "$kept" ] || continue
        rm -f /etc/pam.d/e2e-*
        _remove purge
        ! id "$user" >/dev/null 2>&1 || userdel -r "$user" >/dev/null 2>&1
        new_user "$user"
        _upgrades_from "$kept" "$deb"
    done
}

it_does_not_make_the_marker_anew_when_upgraded() {
    rm /var/lib/pam_otp/STORE
    _install
    refuses test -e /var/lib/pam_otp/STORE
    touch /var/lib/pam_otp/STORE
    chmod 0600 /var/lib/pam_otp/STORE
}

it_refuses_removal_while_a_service_names_the_module() {
    otp_line
    refuses _remove remove
    grep -q "/etc/pam.d/$service:1:auth required pam_otp.so" "$said" || fail "the line listed: $(cat "$said")"
    _module || fail "the module still there"
    dpkg-query -W -f '${db:Status-Status}' libpam-otp | grep -qx installed || fail "installed still"
    enroll
    accepted "$(code)"
    sed -i 's/^/#/' "/etc/pam.d/$service"
    _remove remove || fail "a comment to be no obstacle: $(cat "$said")"
    refuses _module
    rm "/etc/pam.d/$service"
    _install
}

it_removes_all_the_same_when_forced() {
    otp_line
    PAM_OTP_REMOVE=force _remove remove || fail "removed: $(cat "$said")"
    refuses _module
    rm "/etc/pam.d/$service"
    _install
}

it_keeps_enrolments_when_removed_and_deletes_them_when_purged() {
    otp_line
    enroll
    rm "/etc/pam.d/$service"
    _remove remove
    [ -e "/var/lib/pam_otp/secrets/$user" ] || fail "the secret kept"
    _install
    otp_line
    accepted "$(code)"
    rm "/etc/pam.d/$service"
    _remove purge
    refuses ls /var/lib/pam_otp /var/spool/pam_otp /run/pam_otp /etc/security/otp.toml /etc/fail2ban/filter.d/pam-otp.conf
    _install
    [ -e /var/lib/pam_otp/STORE ] || fail "a first installation again"
}

it_purges_what_was_removed_before() {
    enroll
    _remove remove
    _remove purge
    refuses ls /var/lib/pam_otp
    _install
}

it_makes_its_directories_where_there_is_no_systemd_tmpfiles() {
    _remove purge
    mv "$(command -v systemd-tmpfiles)" /tmp/put-away
    _install || true
    mv /tmp/put-away /usr/bin/systemd-tmpfiles
    [ "$(stat -c '%U %a' /var/lib/pam_otp)" = "root 700" ] || fail "/var/lib/pam_otp"
    [ "$(stat -c '%U %a' /var/spool/pam_otp)" = "root 700" ] || fail "/var/spool/pam_otp"
    [ "$(stat -c '%U %a' /run/pam_otp)" = "root 755" ] || fail "/run/pam_otp"
}
