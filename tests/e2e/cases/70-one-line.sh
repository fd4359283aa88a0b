#!/usr/bin/env bash
# shellcheck shell=bash disable=SC2154  # variables come from lib.sh
# Password and code typed as one, where a protocol has room for one secret: a real vsftpd and a real dovecot, whose PAM
# services are Debian's with the edit of docs/guide/one-line.md.

for _daemon in vsftpd dovecot; do
    [ -e /etc/pam.d/$_daemon.orig ] || cp /etc/pam.d/$_daemon /etc/pam.d/$_daemon.orig
done

# one_line SERVICE [argument...]: the two lines of the guide in the place of common-auth.
_one_line() {
    local service=$1
    shift
    sed "s/^@include common-auth/auth required pam_otp.so forward_pass nodelay $*\nauth required pam_unix.so use_first_pass nodelay/" \
        "/etc/pam.d/$service.orig" >"/etc/pam.d/$service"
    grep -q 'pam_otp.so forward_pass' "/etc/pam.d/$service" || fail "common-auth to be replaced"
}

# vsftpd [argument...]: the server on the loopback address, with our line so.
_vsftpd() {
    _one_line vsftpd "$@"
    mkdir -p /var/run/vsftpd/empty
    printf '%s\n' listen=YES listen_address=127.0.0.1 listen_port=2121 local_enable=YES pam_service_name=vsftpd \
        seccomp_sandbox=NO delay_failed_login=0 secure_chroot_dir=/var/run/vsftpd/empty >"$said.conf"
    vsftpd "$said.conf" &
    # shellcheck disable=SC2064  # this one
    trap "kill $!; cp /etc/pam.d/vsftpd.orig /etc/pam.d/vsftpd" EXIT
    until (: <>/dev/tcp/127.0.0.1/2121) 2>/dev/null; do sleep 0.05; done
}

# ftp PASSWORD [USER]: vsftpd's answer to it.
_ftp() {
    local name=${2:-$user} answer line
    exec 7<>/dev/tcp/127.0.0.1/2121
    read -r line <&7
    for line in "USER $name" "PASS $1"; do
        printf '%s\r\n' "$line" >&7
        read -r -t 20 answer <&7 || answer='no answer'
    done
    printf 'QUIT\r\n' >&7
    exec 7<&- 7>&-
    echo "${answer%$'\r'}"
}
_ftp_accepted() { [ "$(_ftp "$@")" = '230 Login successful.' ] || fail "a login with $1"; }
_ftp_refused() { [ "$(_ftp "$@")" = '530 Login incorrect.' ] || fail "no login with $1"; }

# The rest of the case's logins are of vsftpd.
_logged() {
    log_lines vsftpd | tail -n 1 | grep -qxF "$1" || fail "$1, was $(log_lines vsftpd)"
}

# The user's password becomes this.
_password_is() {
    password=$1
    usermod -p "$(perl -e 'print crypt($ARGV[0], q($6$e2e$))' "$1")" "$user"
}

it_takes_password_and_code_in_one_line_of_ftp_and_each_code_once() {
    _vsftpd
    enroll
    local this
    this=$(code)
    _ftp_accepted "$password$this"
    log_lines vsftpd | grep -qE '^accepted method=totp offset=-?[01] rhost=127\.0\.0\.1 ' || fail "the log to say so"
    _ftp_refused "$password$this"
    _logged "refused reason=used rhost=127.0.0.1 user=\"$user\""
    _ftp_refused "$password"
    _ftp_accepted "$password$(code 30)"
}

it_refuses_ftp_with_one_half_right() {
    _vsftpd
    enroll
    _ftp_refused "not the password$(code)"
    log_lines vsftpd | tail -n 1 | grep -q '^accepted' || fail "the code was right"
    _ftp_refused "$password$(wrong_code)"
    _logged "refused reason=mismatch rhost=127.0.0.1 user=\"$user\""
    # The first code went with the wrong password: it is used up.
    _ftp_refused "$password$(code)"
    _ftp_accepted "$password$(code 30)"
}

it_cuts_a_password_that_ends_in_digits_where_the_code_begins() {
    _password_is hunter2123456
    _vsftpd
    enroll
    _ftp_refused hunter2123456
    _logged "refused reason=mismatch rhost=127.0.0.1 user=\"$user\""
    _ftp_refused "hunter2$(code -30)"
    _ftp_accepted "hunter2123456$(code)"
    _ftp_accepted "hunter2123456$(code 30)"
}

it_takes_an_issued_code_of_eight_digits_with_tail_8() {
    _password_is hunter2123456
    _vsftpd tail=8
    local eight
    eight=$(issue)
    _ftp_refused hunter2123456
    _ftp_accepted "hunter2123456$eight"
    _logged "accepted method=issued rhost=127.0.0.1 user=\"$user\""
    _ftp_refused "hunter2123456$eight"
}

it_takes_an_issued_code_of_six_digits_without_tail() {
    _vsftpd
    enroll
    _ftp_accepted "$password$(issue --digits 6)"
}

it_hands_an_unenrolled_users_whole_password_on_under_nullok() {
    _password_is hunter2123456
    _vsftpd nullok
    _ftp_accepted hunter2123456
    _ftp_refused hunter2
    enroll
    _ftp_refused hunter2123456
    _ftp_accepted "hunter2123456$(code)"
}

it_keeps_the_code_apart_where_pam_unix_stands_first() {
    _vsftpd
    # pam_unix keeps what was typed and does not count; ours cuts it; pam_unix judges the rest.
    sed -i 's/^auth required pam_otp.*/auth [default=ignore] pam_unix.so nodelay\nauth requisite pam_otp.so use_first_pass forward_pass nodelay/' \
        /etc/pam.d/vsftpd
    enroll
    _ftp_accepted "$password$(code)"
    _ftp_refused "$password"
    _ftp_refused "not the password$(code 30)"
}

# dovecot with Debian's configuration; it waits for logins on a socket.
_dovecot() {
    _one_line dovecot
    dovecot -F >"$said.dovecot" 2>&1 &
    # shellcheck disable=SC2064  # this one
    trap "kill $!; cp /etc/pam.d/dovecot.orig /etc/pam.d/dovecot" EXIT
    until [ -S /run/dovecot/auth-client ]; do sleep 0.05; done
}
_imap() { doveadm auth test -x service=imap -x rip=198.51.100.7 "$user" "$1" >"$said" 2>&1; }

it_takes_password_and_code_in_one_line_of_dovecot_and_each_code_once() {
    _password_is hunter2123456
    _dovecot
    enroll
    local this
    this=$(code)
    _imap "hunter2123456$this" || fail "a login: $(cat "$said" "$said.dovecot")"
    log_lines dovecot | grep -qE '^accepted method=totp offset=-?[01] rhost=198\.51\.100\.7 ' || fail "the log to say so"
    refuses _imap "hunter2123456$this"
    log_lines dovecot | tail -n 1 | grep -qxF "refused reason=used rhost=198.51.100.7 user=\"$user\"" ||
        fail "reason=used, was: $(log_lines dovecot)"
    refuses _imap hunter2123456
    refuses _imap "hunter2$(code 30)"
}
