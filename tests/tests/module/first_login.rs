//! Enrolment at the first login, and the notice: the account hook, after pam_unix has seen the password.

use std::fs;
use std::path::Path;

use otp::store::Store;
use tests::pam::{Asked, ECHO_ON, Login, Reply, Session, TEXT_INFO, line_of, stack};
use tests::processes;
use tests::sandbox::{MODULE, sandboxed};
use tests::syslog::Syslog;
use tests::users::{Phone, account, remove, store};

const PASSWORD: &str = "correct horse";
const DENIED: i32 = 6;

/// Password, then our lines; whoever our account line has nothing against gets in.
fn stacks(auth: &str, account: &str) {
    stack(
        "sshd",
        &[
            "auth required pam_unix.so nodelay",
            &format!("auth required {MODULE} nodelay {auth}"),
            &format!("account required {MODULE} {account}"),
            "account required pam_permit.so",
        ],
    );
    store();
}

/// What follows these words in something shown.
fn after(asked: &[Asked], words: &str) -> String {
    let mut lines = asked.iter().rev();
    let line = lines.find_map(|asked| asked.text.strip_prefix(words));
    line.unwrap_or_else(|| panic!("{words}: {asked:?}"))
        .to_owned()
}

/// The phone that has typed the key in.
fn phone(asked: &[Asked]) -> Phone {
    Phone::with_secret(
        "alice",
        &after(asked, "or type the key   ").replace(' ', ""),
    )
}

/// A code of the key that is shown.
fn right() -> Reply {
    Reply::Worked(|asked| phone(asked).code())
}

fn alice(replies: Vec<Reply>) -> Session {
    let mut login = Login::of("alice").typing(PASSWORD);
    for reply in replies {
        login = login.typing(reply);
    }
    Session::start(&login)
}

fn enrolled() -> bool {
    store()
        .read(&account("alice"))
        .unwrap()
        .enrollment
        .is_some()
}

/// Whether anything at all is kept of her.
fn is_anything_kept() -> bool {
    ["state", "secrets"].iter().any(|tree| {
        let path = Path::new("/var/lib/pam_otp").join(tree).join("alice");
        path.exists()
    })
}

fn answer(typed: &str) -> &'static str {
    let login = Login::of("alice").typing(PASSWORD).typing(typed);
    login.authenticate().answer
}

#[test]
fn at_her_first_login_she_enrols_and_at_the_next_she_is_asked() {
    sandboxed(|| {
        let log = Syslog::bind();
        stacks("nullok", "enroll");
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert!(!is_anything_kept());
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        let asked = session.end(0).asked;
        let line =
            "pam_otp(sshd:account): enrolled type=totp recovery-codes=10 rhost=- user=\"alice\"";
        assert!(log.take().iter().any(|told| told.text == line));

        let at = |words: &str| asked.iter().position(|asked| asked.text.starts_with(words));
        assert!(at("Code the app shows now: ") < at("You are enrolled. Recovery codes"));
        let last = asked.last().unwrap();
        assert_eq!(last.style, ECHO_ON);
        assert!(last.text.starts_with("Press Enter"));
        let picture = asked.iter().filter(|asked| asked.text.contains('█'));
        assert!(picture.clone().count() > 20);
        assert!(
            picture
                .clone()
                .all(|line| line.style == TEXT_INFO && line.text.len() <= 512)
        );
        assert!(after(&asked, "or open           ").starts_with("otpauth://totp/"));
        let words = asked.iter().flat_map(|asked| asked.text.split_whitespace());
        let codes: Vec<_> = words
            .filter(|word| word.matches('-').count() == 3)
            .collect();
        assert_eq!(codes.len(), 10);

        let phone = phone(&asked);
        for used in [phone.code_at(0), phone.code_at(-1)] {
            assert_eq!(
                answer(&used),
                "PAM_AUTH_ERR",
                "the code that proved it is used"
            );
        }
        assert_eq!(answer(&phone.code_at(1)), "PAM_SUCCESS");
        assert_eq!(answer(codes[9]), "PAM_SUCCESS");
        assert_eq!(answer(codes[9]), "PAM_AUTH_ERR");
    });
}

#[test]
fn a_wrong_password_enrols_nobody() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        let login = Login::of("alice").typing("wrong").typing(right());
        let report = login.typing("").authenticate();
        assert_eq!(report.answer, "PAM_AUTH_ERR");
        assert_eq!(report.asked.len(), 1, "the password, and nothing shown");
        assert!(!is_anything_kept());
    });
}

#[test]
fn where_our_auth_line_did_not_run_or_did_not_let_her_by_nothing_is_done() {
    sandboxed(|| {
        stacks("nullok", "enroll notice");
        let mut by_key = Session::start(&Login::of("alice"));
        assert_eq!(by_key.hook("account"), "PAM_SUCCESS");
        assert_eq!(by_key.end(0).asked, []);
        // A rule says she is exempt: she need not enrol.
        fs::write("/etc/security/otp.toml", "[[rule]]\ncode = \"exempt\"\n").unwrap();
        let mut session = alice(vec![]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        assert_eq!(session.end(0).asked.len(), 1);
        fs::remove_file("/etc/security/otp.toml").unwrap();
        // A refused login on the same handle takes back what was found before.
        let mut session = alice(vec![Reply::from(PASSWORD), Reply::from("123456")]);
        assert_eq!(session.authenticate(), 0);
        Phone::enrolled("alice", &[]);
        assert_eq!(session.authenticate(), 7);
        remove("alice");
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        assert_eq!(session.end(0).asked.len(), 3);
        assert!(!is_anything_kept());
    });
}

#[test]
fn where_a_rule_makes_codes_optional_she_enrols_too() {
    sandboxed(|| {
        stacks("", "enroll");
        fs::write("/etc/security/otp.toml", "[[rule]]\ncode = \"optional\"\n").unwrap();
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        assert!(enrolled());
    });
}

#[test]
fn who_gives_up_does_not_get_in_and_leaves_nothing_behind() {
    sandboxed(|| {
        let log = Syslog::bind();
        stacks("nullok", "enroll");
        let wrong = || Reply::Worked(|asked| phone(asked).wrong_code());
        let mut session = alice(vec![wrong(), Reply::from(""), wrong()]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook_code("account"), DENIED);
        let asked = session.end(DENIED).asked;
        assert!(
            asked
                .last()
                .unwrap()
                .text
                .contains("not enrolled and not logged in")
        );
        let told = log.take().pop().unwrap().text;
        assert!(told.ends_with("refused reason=not-enrolled rhost=- what=\"she did not prove that her app has the key\" user=\"alice\""), "{told}");
        assert!(!is_anything_kept());
        // Nor who closes the window.
        let mut session = alice(vec![]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_CONV_ERR");
        session.end(19);
        assert!(!is_anything_kept());
        // The next time is the first.
        let mut session = alice(vec![wrong(), right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        assert!(enrolled());
    });
}

#[test]
fn after_the_last_day_she_is_refused_and_told_whom_to_ask() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        let until = |day| {
            let policy = format!("[enroll]\nuntil = \"{day}\"\nissuer = \"Example Corp\"\n");
            fs::write("/etc/security/otp.toml", policy).unwrap();
        };
        until("2020-02-29");
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook_code("account"), DENIED);
        let asked = session.end(DENIED).asked;
        assert_eq!(asked.len(), 2);
        assert!(
            asked[1]
                .text
                .contains("ended on 2020-02-29. Ask the administrators")
        );
        assert!(!is_anything_kept());
        until("2999-12-31");
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
        let asked = session.end(0).asked;
        assert!(after(&asked, "or open           ").contains("issuer=Example%20Corp&"));
    });
}

#[test]
fn of_two_first_logins_at_once_one_enrols_and_the_other_is_sent_back() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        let mut first = alice(vec![right(), Reply::from("")]);
        let mut second = alice(vec![right(), Reply::from("")]);
        assert_eq!((first.authenticate(), second.authenticate()), (0, 0));
        assert_eq!(first.hook("account"), "PAM_SUCCESS");
        assert_eq!(second.hook_code("account"), DENIED);
        let (first, second) = (first.end(0).asked, second.end(DENIED).asked);
        assert!(
            second
                .last()
                .unwrap()
                .text
                .contains("log in again with a code")
        );
        assert!(
            !second
                .iter()
                .any(|asked| asked.text.starts_with("You are enrolled"))
        );
        assert_eq!(answer(&phone(&second).code_at(1)), "PAM_AUTH_ERR");
        assert_eq!(answer(&phone(&first).code_at(1)), "PAM_SUCCESS");
    });
}

#[test]
fn another_user_than_the_one_who_was_let_by_is_not_enrolled() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        session.rename("bob");
        assert_eq!(session.hook("account"), "PAM_AUTHINFO_UNAVAIL");
        assert_eq!(session.end(9).asked.len(), 1);
        assert!(!is_anything_kept());
    });
}

/// A first login in a process that does not live to answer its last prompt.
fn killed_at(replies: Vec<Reply>) {
    let child = processes::start(|| {
        let mut session = alice(replies);
        assert_eq!(session.authenticate(), 0);
        session.hook("account");
    });
    assert!(child.was_killed());
}

#[test]
fn killed_half_way_she_is_enrolled_or_not_at_all() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        killed_at(vec![Reply::Killed]);
        assert!(!is_anything_kept());
        killed_at(vec![right(), Reply::Killed]);
        assert!(enrolled(), "the recovery codes are shown once it lasts");
        assert_eq!(answer("000000"), "PAM_AUTH_ERR");
        remove("alice");
        let mut session = alice(vec![right(), Reply::from("")]);
        assert_eq!(session.authenticate(), 0);
        assert_eq!(session.hook("account"), "PAM_SUCCESS");
    });
}

#[test]
fn it_leaves_no_descriptor_and_the_module_is_unmapped() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let first_login = || {
            let mut session = alice(vec![right(), Reply::from("")]);
            assert_eq!(session.authenticate(), 0);
            let before = descriptors();
            assert_eq!(session.hook("account"), "PAM_SUCCESS");
            assert_eq!(descriptors(), before);
            session.end(0);
        };
        first_login();
        remove("alice");
        first_login();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains("pam_otp"));
    });
}

#[test]
fn a_store_that_is_not_there_or_a_policy_at_fault_is_a_denial() {
    sandboxed(|| {
        stacks("nullok", "enroll");
        for breaks in [
            (|| fs::rename("/var/lib/pam_otp", "/var/lib/gone").unwrap()) as fn(),
            || fs::write("/etc/security/otp.toml", "enrol = 1\n").unwrap(),
        ] {
            let mut session = alice(vec![right(), Reply::from("")]);
            assert_eq!(session.authenticate(), 0);
            breaks();
            assert_eq!(session.hook("account"), "PAM_AUTHINFO_UNAVAIL");
            session.end(9);
            let _ = fs::rename("/var/lib/gone", "/var/lib/pam_otp");
            let _ = fs::remove_file("/etc/security/otp.toml");
            assert!(!is_anything_kept());
        }
    });
}

#[test]
fn the_notice_says_what_came_before_and_nothing_secret() {
    sandboxed(|| {
        stacks("", "notice");
        let phone = Phone::enrolled("alice", &["7kq2-m4tx-9bnc-2xwd", "7kq2-m4tx-9bnc-2xwe"]);
        let login = |from: &str, typed: String| {
            let login = Login::of("alice").from(from).typing(PASSWORD);
            let mut session = Session::start(&login.typing(&*typed));
            let answer = session.authenticate();
            if answer == 0 {
                assert_eq!(session.hook("account"), "PAM_SUCCESS");
            }
            let asked = session.end(answer).asked;
            let told = asked.iter().filter(|asked| asked.style == TEXT_INFO);
            told.map(|told| told.text.clone()).collect::<Vec<_>>()
        };
        let first = login("198.51.100.7", phone.code());
        assert_eq!(
            first,
            ["No code was used before. No wrong code since. 2 recovery codes left."]
        );
        for _ in 0..2 {
            assert_eq!(login("203.0.113.5", phone.wrong_code()), [""; 0]);
        }
        let told = login("198.51.100.8", "7kq2-m4tx-9bnc-2xwe".to_owned());
        let (before, after) = told[0].split_once(" UTC ").unwrap();
        assert!(
            before.starts_with("Last code: 20") && told.len() == 1,
            "{told:?}"
        );
        assert_eq!(
            after,
            "from 198.51.100.7. 2 wrong codes since. 1 recovery code left."
        );
        // Where auth did not run nothing is told, nor where the host wants silence.
        let mut by_key = Session::start(&Login::of("alice"));
        assert_eq!(by_key.hook("account"), "PAM_SUCCESS");
        assert_eq!(by_key.end(0).asked, []);
        let quiet = Login::of("alice").with_flags(tests::pam::SILENT);
        let quiet = quiet.typing(PASSWORD).typing(&*phone.code_at(1));
        let mut quiet = Session::start(&quiet);
        assert_eq!(quiet.authenticate(), 0);
        assert_eq!(quiet.hook("account"), "PAM_SUCCESS");
        assert_eq!(quiet.end(0).asked.len(), 2);
    });
}

#[test]
fn an_account_line_alone_grants_nothing() {
    sandboxed(|| {
        store();
        for arguments in [
            "",
            "enroll",
            "notice",
            "enroll notice config=/etc/security/otp.toml",
        ] {
            fs::write("/etc/security/otp.toml", "").unwrap();
            line_of("account", "sshd", arguments);
            let mut session = Session::start(&Login::of("alice"));
            assert_eq!(session.hook("account"), "PAM_IGNORE", "{arguments}");
        }
    });
}
