//! Hosts and people that answer what nobody should.

use tests::pam::{Login, PAM_CONV_AGAIN, PAM_CONV_ERR, Reply, line};
use tests::sandbox::sandboxed;
use tests::users::{Phone, state};

#[test]
fn whatever_the_host_answers_is_a_clean_denial() {
    sandboxed(|| {
        let phone = Phone::enrolled("alice", &[]);
        let megabytes = |byte: u8| Reply::Text(vec![byte; 10_000_000]);
        for arguments in ["", "forward_pass", "try_first_pass", "nullok", "debug"] {
            line(arguments);
            for (reply, expected) in [
                (Reply::NullText, "PAM_AUTH_ERR"),
                (Reply::from(""), "PAM_AUTH_ERR"),
                (megabytes(b'1'), "PAM_AUTH_ERR"),
                (megabytes(b' '), "PAM_AUTH_ERR"),
                (megabytes(0xff), "PAM_AUTH_ERR"),
                (Reply::Text(vec![0xff, 0xfe]), "PAM_AUTH_ERR"),
                (Reply::from("%s%n%s%n"), "PAM_AUTH_ERR"),
                (Reply::from("\u{8}\n\r\u{7f}INCORRECT"), "PAM_AUTH_ERR"),
                (Reply::NullArray, "PAM_CONV_ERR"),
                (Reply::Error(PAM_CONV_ERR), "PAM_CONV_ERR"),
                (Reply::Error(PAM_CONV_AGAIN), "PAM_CONV_ERR"),
                (Reply::Error(6), "PAM_CONV_ERR"),
                (Reply::Error(-1), "PAM_CONV_ERR"),
                (Reply::Error(4711), "PAM_CONV_ERR"),
            ] {
                let shown = format!("{reply:.40?}");
                let report = Login::of("alice").typing(reply).authenticate();
                let shown = shown.get(..60).unwrap_or(&shown);
                assert_eq!(report.answer, expected, "{arguments}: {shown}");
                assert!(report.delay.unwrap() > 0);
            }
        }
        assert_eq!(state("alice").throttle.failures, 0, "none was an attempt");
        line("");
        let login = Login::of("alice").typing(&*phone.code());
        assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn a_host_that_breaks_off_while_asking_for_the_name_is_denied() {
    sandboxed(|| {
        line("");
        let report = Login::of_nobody_yet().authenticate();
        assert_eq!(report.answer, "PAM_CONV_ERR");
    });
}
