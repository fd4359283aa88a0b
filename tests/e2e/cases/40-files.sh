#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# What is on disk, the policy, and otpctl's exit codes.

it_keeps_secrets_state_and_codes_to_root_alone() {
    otp_line
    enroll
    issue >"$said"
    accepted "$(code)"
    local odd
    odd=$(find /var/lib/pam_otp /var/spool/pam_otp \( ! -user root -o ! -group root -o -perm /077 -o -type l \) -print)
    [ -z "$odd" ] || fail "root's, 0700 and 0600: $odd"
    [ "$(stat -c '%U:%G %a' /run/pam_otp)" = "root:root 755" ] || fail "/run/pam_otp root 0755"
}

it_installs_module_command_and_policy_with_their_modes() {
    local module
    module=$(echo /usr/lib/*/security/pam_otp.so)
    [ "$(stat -c '%U %a' "$module")" = "root 644" ] || fail "the module root 0644"
    [ "$(stat -c '%U %a' /usr/bin/otpctl)" = "root 755" ] || fail "otpctl root 0755"
    [ "$(stat -c '%U %a' /etc/security/otp.toml)" = "root 644" ] || fail "otp.toml root 0644"
    [ "$(stat -c '%U %a %s' /var/lib/pam_otp/STORE)" = "root 600 0" ] || fail "the marker root 0600, empty"
    [ "$(stat -c '%U %a %s' /var/spool/pam_otp/.store)" = "root 600 0" ] || fail "the spool's marker root 0600, empty"
}

it_writes_nothing_secret_into_the_open() {
    enroll
    refuses grep -raqF -e "$secret" -e "${recovery[0]}" /etc /run /tmp /var/log /var/spool --exclude='said.*' --exclude='case.out'
}

it_finds_no_fault_in_the_policy_shipped() {
    exits 0 otpctl policy --check /etc/security/otp.toml
}

it_takes_every_default_of_the_policy_shipped_as_it_stands() {
    own_store
    sed 's/^#\([a-z_]* = \)/\1/' /etc/security/otp.toml >"$policy"
    exits 0 otpctl policy --check "$policy"
    otpctl policy --json | jq -S '.values | map_values(.value)' >"$said.commented"
    otpctl --config "$policy" policy --json | jq -S '.values | map_values(.value)' >"$said.plain"
    [ "$(jq length "$said.plain")" -ge 12 ] || fail "all keys"
    diff "$said.commented" "$said.plain" || fail "the defaults"
}

it_denies_under_a_policy_with_a_typo_and_names_it() {
    own_store 'windw = 2'
    otp_line "config=$policy"
    refuses login 123456
    messages | grep windw >"$said" || fail "the key in the log"
    exits 1 otpctl policy --check "$policy" --json
    jq -e '.errors[0] | .line == 3 and (.why | test("windw"))' "$said" >"$said.jq" || fail "line 3: $(cat "$said")"
    exits 5 otpctl --config "$policy" list --json
}

it_refuses_a_policy_that_others_may_write() {
    own_store
    chmod 0666 "$policy"
    otp_line "config=$policy"
    refuses login 123456
    exits 5 otpctl --config "$policy" list --json
}

it_moves_both_trees_with_the_policy() {
    own_store
    enroll
    otp_line "config=$policy"
    accepted "$(code)"
    [ "$(stat -c %F%a "$place/state")" = directory700 ] || fail "its own tree, 0700"
    refuses ls "/var/lib/pam_otp/secrets/$user"
}

it_exits_as_the_contract_says() {
    exits 4 runuser -u "$user" -- otpctl list --json
    exits 2 otpctl no-such-verb
    exits 3 otpctl enroll nobody-of-that-name --no-confirm --json --qr none
    exits 3 otpctl status nobody-of-that-name --json
    exits 1 otpctl verify "$user" --json <<<123456
    exits 2 otpctl enroll "$user" --digits 9
    refuses otpctl issue "$user" --ttl 0 --json
    enroll
    exits 1 otpctl enroll "$user" --no-confirm --json --qr none
}

it_tells_errors_as_one_json_object() {
    exits 3 otpctl status nobody-of-that-name --json
    otpctl status nobody-of-that-name --json 2>/dev/null >"$said" || true
    [ "$(jq -s 'length == 1 and (.[0] | has("error") and has("message"))' "$said")" = true ] || fail "an object: $(cat "$said")"
}

it_sweeps_expired_codes() {
    issue --ttl 1m >"$said"
    [ "$(faketime -f +2m otpctl sweep --json | jq .deleted)" -ge 1 ] || fail "one deleted"
    [ "$(otpctl status "$user" --json | jq '.issued | length')" = 0 ] || fail "none left"
}

it_needs_no_root_for_the_two_demonstrations() {
    exits 0 runuser -u "$user" -- otpctl demo totp
    exits 0 runuser -u "$user" -- otpctl demo stored --json
}

# The pictures and texts are decoded outside, where there is a reader of QR codes.
it_draws_the_uri_as_a_picture_and_on_the_terminal() {
    [ -d /out ] || return 0
    otpctl enroll "$user" --no-confirm --json --qr /out/enroll.png | jq -r .uri >/out/enroll.uri
    [ "$(stat -c %a /out/enroll.png)" = 600 ] || fail "a picture 0600"
    refuses otpctl show "$user" --json --qr /out/enroll.png
    otpctl show "$user" --json --qr none | jq -r .uri | cmp - /out/enroll.uri || fail "the same again"
    TERM=xterm-256color "$e2e/talk" -- otpctl show "$user" --qr utf8 >/out/utf8.txt
    TERM=xterm-256color "$e2e/talk" -- otpctl show "$user" --qr ascii >/out/ascii.txt
    otpctl show "$user" --qr utf8 >/out/without-colour.txt
}
