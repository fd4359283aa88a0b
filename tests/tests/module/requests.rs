//! Codes asked for at the prompt: who is sent one, who is not, and that nobody can tell from without.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use otp::delivery::Channel;
use otp::origin::Origin;
use otp::store::Store;
use otp::store::queue::{Delivery, Reason};
use otp::throttle::OriginRecord;
use otp::verify::{Changes, Record};
use tests::crowd::at_once;
use tests::elsewhen::accepts_all_at;
use tests::pam::{Asked, ECHO_OFF, Login, Reply, Report, TEXT_INFO, line, line_at, stack};
use tests::post::{self, AFTER_KEY, contact, hand_over, introduce, send, waiting};
use tests::processes::start;
use tests::sandbox::{MODULE, sandboxed};
use tests::syslog::Syslog;
use tests::users::{Phone, account, move_in, now, store};

const ADDRESS: &str = "198.51.100.7";
const AGAIN: &str = "Code (if one could be sent): ";
const NONE: &str = "No code could be sent. A code of an app, a recovery code, or one from the administrators of this machine will do as well.";

/// Alice after a key, who has a telephone.
fn alice() -> Login {
    Login::of("alice").from(ADDRESS).keeping(AFTER_KEY)
}

/// A house that sends codes, and a contact of alice's.
fn house(channel: Channel) {
    send("");
    store();
    contact("alice", channel);
}

/// The code that waits for alice.
fn sent() -> Reply {
    Reply::Worked(|_| post::code("alice", Channel::Sms).expect("it waits"))
}

fn texts(report: &Report) -> Vec<&str> {
    report
        .asked
        .iter()
        .map(|asked| asked.text.as_str())
        .collect()
}

/// What the log has, without the module's name.
fn lines(log: &Syslog) -> Vec<String> {
    let lines = log.take().into_iter();
    let bare = lines.map(|line| line.text.replace("pam_otp(sshd:auth): ", ""));
    bare.map(|line| line.replace(&format!(" rhost={ADDRESS} user=\"alice\""), ""))
        .collect()
}

#[test]
fn who_presses_enter_after_a_key_is_sent_a_code_which_is_good_once() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        let log = Syslog::bind();
        let begun = Instant::now();
        let report = alice().typing("").typing(sent()).authenticate();
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert!(begun.elapsed() >= Duration::from_millis(400));
        let [first, again, told] = report.asked.try_into().unwrap();
        let prompt = |text: &str| Asked {
            style: ECHO_OFF,
            text: text.to_owned(),
        };
        assert_eq!((first, again), (prompt("One-time code: "), prompt(AGAIN)));
        assert_eq!(told.style, TEXT_INFO);
        assert!(
            told.text
                .starts_with("A code is on its way to +49…4711. It is good until "),
            "{}",
            told.text
        );
        assert_eq!(
            lines(&log),
            ["requested channel=sms", "accepted method=issued"]
        );
        let entry = post::take("alice", Channel::Sms).unwrap();
        assert_eq!(
            (entry.address.as_str(), entry.code.len()),
            (post::address(Channel::Sms), 8)
        );
        let twice = alice().typing(&**entry.code).authenticate();
        assert_eq!(twice.answer, "PAM_AUTH_ERR");
        assert_eq!(lines(&log), ["refused reason=used"]);
    });
}

#[test]
fn a_code_that_was_asked_for_is_good_at_the_next_login_too() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Email);
        let report = alice().typing("EMAIL").authenticate();
        assert_eq!(report.answer, "PAM_CONV_ERR", "she hangs up");
        let code = post::code("alice", Channel::Email).unwrap();
        // Nothing is known of a first factor here, and nothing asked for.
        let login = |user| Login::of(user).typing(&*code).authenticate().answer;
        assert_eq!(login("bob"), "PAM_AUTH_ERR");
        assert_eq!(login("alice"), "PAM_SUCCESS");
        assert_eq!(login("alice"), "PAM_AUTH_ERR");
    });
}

/// What is counted of sends, whoever they went to.
fn counts() -> Vec<Vec<u8>> {
    let read = |name| fs::read(format!("/var/lib/pam_otp/sends/{name}")).unwrap();
    vec![read("alice"), read(".machine")]
}

#[test]
fn who_knows_a_name_and_nothing_else_makes_it_send_nothing() {
    sandboxed(|| {
        house(Channel::Sms);
        let before = counts();
        let quiet = |what: &str, login: Login| {
            let report = login
                .typing("")
                .typing("sms")
                .typing("email")
                .authenticate();
            assert_eq!(report.answer, "PAM_AUTH_ERR", "{what}");
            let asked = report.asked.iter().filter(|asked| asked.style == ECHO_OFF);
            assert!(asked.count() <= 1, "{what}: {:?}", report.asked);
            assert_eq!((waiting(), counts()), (0, before.clone()), "{what}");
        };
        let plain = || Login::of("alice").from(ADDRESS);
        for line_of in [
            "nodelay",
            "nodelay prompt=Code: echo",
            "nodelay nullok",
            "nodelay try_first_pass",
        ] {
            line(line_of);
            quiet("nothing has passed", plain());
            quiet(
                "nothing has passed, as sshd says it",
                plain().keeping("SSH_AUTH_INFO_0="),
            );
            let by_pam = "SSH_AUTH_INFO_0=keyboard-interactive/pam\n";
            quiet("what PAM asked itself", plain().keeping(by_pam));
            quiet(
                "another variable",
                plain().keeping("SSH_AUTH_INFO_1=publickey x\n"),
            );
            line_at("login", line_of);
            quiet("not sshd", alice().at("login"));
        }
        for line_of in ["nodelay use_first_pass", "nodelay forward_pass"] {
            line(line_of);
            quiet("no prompt for a code alone", alice());
        }
        line("nodelay");
        fs::write("/etc/security/otp.toml", "").unwrap();
        quiet("both channels are off", alice());
        fs::write("/etc/security/otp.toml", "sms = 1\n").unwrap();
        let report = alice().typing("").authenticate();
        assert_eq!(report.answer, "PAM_AUTH_ERR", "a policy at fault");
        send("");
        assert_eq!((waiting(), counts()), (0, before.clone()));
        // And this is what does.
        alice().typing("").authenticate();
        assert_eq!(waiting(), 1);
        assert_ne!(counts(), before);
    });
}

/// Password and code by PAM, where the line vouches that it comes after the password.
fn password_first() {
    stack(
        "sshd",
        &[
            "auth [success=1 default=ignore] pam_unix.so nodelay",
            "auth requisite pam_deny.so",
            "auth required pam_permit.so",
            &format!("auth required {MODULE} nodelay after_first_factor"),
        ],
    );
}

#[test]
fn a_line_after_the_password_sends_to_whoever_has_that() {
    sandboxed(|| {
        password_first();
        house(Channel::Sms);
        let login = |user: &str, password: &str| {
            let login = Login::of(user).from(ADDRESS).typing(password);
            login.typing("").typing(sent()).authenticate()
        };
        for password in ["", "sms", "wrong", "\u{8}\n\r\u{7f}INCORRECT"] {
            let report = login("alice", password);
            assert_ne!(report.answer, "PAM_SUCCESS");
            assert_eq!((report.asked.len(), waiting()), (1, 0), "{password:?}");
        }
        let report = login("alice", "correct horse");
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert_eq!(texts(&report)[1..3], ["One-time code: ", AGAIN]);
    });
}

/// Nothing is sent to these after a key: what the log says, and what they are told.
fn nothing_is_sent(user: &str, why: &str, told: &str) {
    let log = Syslog::bind();
    let login = Login::of(user).from(ADDRESS).keeping(AFTER_KEY);
    let report = login.typing("sms").typing("12345").authenticate();
    assert_eq!(report.answer, "PAM_AUTH_ERR");
    let texts = texts(&report);
    assert_eq!(texts[..2], ["One-time code: ", AGAIN], "{why}");
    assert!(texts[2].starts_with(told), "{why}: {texts:?}");
    assert_eq!(waiting(), 0, "{why}");
    let lines = log.take();
    let expected =
        format!("pam_otp(sshd:auth): not requested reason={why} rhost={ADDRESS} user=\"{user}\"");
    assert_eq!(lines[0].text, expected);
    drop(log);
    fs::remove_file("/dev/log").unwrap();
}

fn change(user: &str, how: impl Fn(&mut otp::state::State)) {
    let transition = |record: &Record| {
        let mut state = record.state.clone();
        how(&mut state);
        let state = Some(state);
        let changes = Changes {
            state,
            ..Changes::default()
        };
        ((), changes)
    };
    store().update(&account(user), transition).unwrap();
}

#[test]
fn whoever_gets_none_is_answered_alike_and_told_afterwards() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Email);
        nothing_is_sent("alice", "no-contact", NONE);
        nothing_is_sent("bob", "no-contact", NONE);
        nothing_is_sent("mallory", "no-contact", NONE);
        let _phone = Phone::enrolled("bob", &[]);
        nothing_is_sent("bob", "no-contact", NONE);
        send("");
        introduce("bob", Channel::Sms);
        post::take("bob", Channel::Sms).unwrap();
        nothing_is_sent("bob", "no-contact", NONE);
        fs::write("/etc/security/otp.toml", "email.via = \"sendmail\"\n").unwrap();
        nothing_is_sent("alice", "no-channel", NONE);
        send("");
        contact("alice", Channel::Sms);
        let origin = Origin::of_address(ADDRESS.parse().unwrap());
        let until = now().plus(Duration::from_secs(3600));
        change("alice", |state| {
            state.throttle.origins.push(OriginRecord {
                origin,
                failures: 9,
                held_until: Some(until),
                trusted: false,
            });
        });
        let told = "No code could be sent. One can be asked for from ";
        nothing_is_sent("alice", "held", told);
        change("alice", |state| state.disabled = true);
        nothing_is_sent("alice", "disabled", NONE);
        change("alice", |state| {
            state.disabled = false;
            state.throttle.origins.clear();
        });
        send("delivery.queue = 1\n");
        contact("bob", Channel::Email);
        let other = Login::of("bob").keeping(AFTER_KEY).typing("");
        assert_eq!(other.authenticate().answer, "PAM_CONV_ERR");
        assert_eq!(waiting(), 1);
        let login = alice().typing("sms").typing("12345").authenticate();
        assert_eq!(texts(&login)[2], NONE);
        assert_eq!(waiting(), 1, "the queue is full");
    });
}

#[test]
fn a_locked_user_is_sent_a_code_which_opens_her_again() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        let phone = Phone::enrolled("alice", &[]);
        change("alice", |state| state.throttle.failures = 100);
        let by_phone = || alice().typing(&*phone.code()).authenticate().answer;
        assert_eq!(by_phone(), "PAM_AUTH_ERR");
        let report = alice().typing("").typing(sent()).authenticate();
        assert_eq!(report.answer, "PAM_SUCCESS");
        assert_eq!(by_phone(), "PAM_SUCCESS");
    });
}

#[test]
fn a_disabled_user_gets_nowhere_with_a_code_that_was_sent_before() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        alice().typing("").authenticate();
        let code = post::code("alice", Channel::Sms).unwrap();
        change("alice", |state| state.disabled = true);
        assert_eq!(alice().typing(&*code).authenticate().answer, "PAM_AUTH_ERR");
    });
}

#[test]
fn nullok_asks_whoever_has_a_confirmed_contact() {
    sandboxed(|| {
        line("nodelay nullok");
        send("");
        store();
        let login = |answers: &[&str]| {
            let login = Login::of("alice").keeping(AFTER_KEY);
            let login = answers
                .iter()
                .fold(login, |login, typed| login.typing(*typed));
            let report = login.authenticate();
            (report.answer, report.asked.len())
        };
        assert_eq!(login(&[]), ("PAM_IGNORE", 0));
        introduce("alice", Channel::Sms);
        post::take("alice", Channel::Sms).unwrap();
        assert_eq!(login(&[]), ("PAM_IGNORE", 0), "nobody has confirmed it");
        send("");
        contact("alice", Channel::Email);
        assert_eq!(login(&["123456"]), ("PAM_AUTH_ERR", 1));
        // Also where nothing is sent: a typing error in the policy lets nobody by.
        fs::write("/etc/security/otp.toml", "").unwrap();
        assert_eq!(login(&["123456"]), ("PAM_AUTH_ERR", 1));
        send("");
        let report = alice().typing("").typing(Reply::Worked(|_| {
            post::code("alice", Channel::Email).unwrap()
        }));
        assert_eq!(report.authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn she_is_told_what_became_of_it_at_her_next_answer() {
    sandboxed(|| {
        line("nodelay");
        send("delivery.resend_after = \"30s\"\n");
        store();
        for user in ["alice", "bob"] {
            contact(user, Channel::Sms);
        }
        let failed = Reply::Worked(|_| {
            let code = hand_over("alice", Channel::Sms, Delivery::Failed(Reason::Missing));
            let _ = code.unwrap();
            String::new()
        });
        let report = alice()
            .typing("")
            .typing(failed)
            .typing("12345")
            .authenticate();
        let texts = texts(&report);
        let failed = "No code could be sent to +49…4711. Another one can be asked for from ";
        assert!(texts[2].starts_with(failed), "{texts:?}");
        assert!(texts[2].ends_with("will do as well."));
        assert_eq!(texts[3], AGAIN);
        let too_soon = "No other code was sent, because one was only just.";
        assert!(texts[4].starts_with(too_soon), "{texts:?}");
        let handed_over = Reply::Worked(|_| {
            let entry = hand_over("bob", Channel::Sms, Delivery::Sent);
            entry.unwrap().code.to_string()
        });
        let login = Login::of("bob").keeping(AFTER_KEY).typing("SMS");
        let report = login.typing(handed_over).authenticate();
        assert_eq!(report.answer, "PAM_SUCCESS");
        let texts: Vec<_> = report.asked.iter().map(|asked| &*asked.text).collect();
        assert!(
            texts[2].starts_with("A code went to +49…4711. It is good until "),
            "{texts:?}"
        );
    });
}

#[test]
fn a_code_whose_delivery_failed_is_withdrawn_and_says_so_in_the_log() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        alice().typing("").authenticate();
        let code = post::code("alice", Channel::Sms).unwrap();
        let missing = Delivery::Failed(Reason::Missing);
        hand_over("alice", Channel::Sms, missing).unwrap();
        assert!(post::settle());
        let log = Syslog::bind();
        assert_eq!(alice().typing(&*code).authenticate().answer, "PAM_AUTH_ERR");
        assert_eq!(lines(&log), ["refused reason=withdrawn"]);
    });
}

#[test]
fn resends_take_the_place_of_what_was_sent_before_until_there_were_three() {
    sandboxed(|| {
        line("nodelay after_first_factor");
        house(Channel::Sms);
        let waits = || post::code("alice", Channel::Sms).unwrap();
        let asks_at = |clock: &str| assert!(!accepts_all_at(clock, "alice", &["", "12345678"]));
        asks_at("+0");
        let first = waits();
        asks_at("+50");
        assert_eq!(waits(), first, "not before a minute is over");
        asks_at("+61");
        let second = waits();
        assert_ne!(second, first);
        asks_at("+122");
        let third = waits();
        let tries = || store().read(&account("alice")).unwrap().issued[0].clone();
        assert_eq!(
            (tries().sends, tries().attempts()),
            (3, 4),
            "resending forgives none"
        );
        asks_at("+183");
        assert_eq!(waits(), third, "three sends a code");
        for old in [&first, &second] {
            assert!(!accepts_all_at("+184", "alice", &[old]));
        }
        // Five tries from one origin were made of it by now.
        assert!(!accepts_all_at("+184", "alice", &[&third]));
        asks_at("+723");
        let anew = waits();
        assert!(accepts_all_at("+724", "alice", &[&anew]));
        assert!(!accepts_all_at("+724", "alice", &[&anew]));
    });
}

#[test]
fn of_fifty_sessions_at_once_one_has_a_code_sent() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        contact("alice", Channel::Email);
        for (wish, expected) in [("", 1), ("email", 2)] {
            let told = at_once(50, |_| {
                let report = alice().typing(wish).typing("12345").authenticate();
                texts(&report)[2].starts_with("A code is on its way")
            });
            assert_eq!((told, waiting()), (1, expected));
        }
    });
}

#[test]
fn fifty_sessions_at_once_of_fifty_users_have_as_many_codes_sent_as_the_machine_may() {
    sandboxed(|| {
        line("nodelay");
        fifty_users();
        send("delivery.machine_per_hour = 20\n");
        assert_eq!(fifty_ask(), (20, 20));
    });
}

#[test]
fn fifty_sessions_at_once_fill_the_queue_and_no_more() {
    sandboxed(|| {
        line("nodelay");
        fifty_users();
        send("delivery.queue = 5\n");
        assert_eq!(fifty_ask(), (5, 5));
    });
}

fn fifty_users() {
    send("");
    store();
    move_in(50);
    for n in 0..50 {
        contact(&format!("user{n}"), Channel::Sms);
    }
}

/// Each of them asks for a code at one instant; to how many one is sent, and how many wait.
fn fifty_ask() -> (usize, usize) {
    let told = at_once(50, |n| {
        let login = Login::of(format!("user{n}")).keeping(AFTER_KEY);
        let report = login.typing("").typing("12345").authenticate();
        texts(&report)[2].starts_with("A code is on its way")
    });
    (told, waiting())
}

#[test]
fn of_32_sessions_with_the_code_that_was_sent_one_is_let_in() {
    sandboxed(|| {
        line("nodelay");
        send("");
        store();
        move_in(10);
        for round in 0..10 {
            let user = format!("user{round}");
            contact(&user, Channel::Sms);
            Login::of(&*user)
                .keeping(AFTER_KEY)
                .typing("")
                .authenticate();
            let code = post::take(&user, Channel::Sms).unwrap().code;
            let let_in = at_once(32, |_| {
                Login::of(&*user).typing(&**code).authenticate().answer == "PAM_SUCCESS"
            });
            assert_eq!(let_in, 1, "round {round}");
        }
    });
}

static ANSWERED: Mutex<Option<Instant>> = Mutex::new(None);
static TOOK: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// How long a request takes to be answered: from when it is typed to the next prompt.
fn time(user: &str) -> Duration {
    let request = Reply::Worked(|_| {
        *ANSWERED.lock().unwrap() = Some(Instant::now());
        String::new()
    });
    let next = Reply::Worked(|_| {
        *TOOK.lock().unwrap() = ANSWERED.lock().unwrap().unwrap().elapsed();
        "12345".to_owned()
    });
    let login = Login::of(user).from(ADDRESS).keeping(AFTER_KEY);
    let report = login.typing(request).typing(next).authenticate();
    assert_eq!(report.answer, "PAM_AUTH_ERR");
    *TOOK.lock().unwrap()
}

#[test]
fn every_request_is_answered_after_the_same_time() {
    sandboxed(|| {
        line("nodelay");
        send("");
        store();
        move_in(7);
        for user in [
            "alice", "user0", "user1", "user2", "user3", "user4", "user5",
        ] {
            contact(user, Channel::Sms);
        }
        let _phone = Phone::enrolled("bob", &[]);
        change("user5", |state| state.disabled = true);
        let mut all = Vec::new();
        for n in 0..5 {
            // Sent; only just sent; disabled; without a contact, enrolled and not; unknown.
            for user in [
                &format!("user{n}"),
                "user0",
                "user5",
                "bob",
                "user6",
                "mallory",
            ] {
                all.push((time(user), user.to_owned()));
            }
        }
        assert_eq!(waiting(), 5);
        all.sort();
        println!("{:?} to {:?}", all[0], all[all.len() - 1]);
        let late: Vec<_> = all
            .iter()
            .filter(|(took, _)| {
                let beyond = took.as_millis() % 400;
                took.as_millis() < 400 || beyond > 40
            })
            .collect();
        // The machine does other things, too.
        assert!(late.len() <= 3, "{all:?}");
    });
}

#[test]
fn who_is_killed_while_he_asks_holds_nobody_up() {
    sandboxed(|| {
        line("nodelay");
        house(Channel::Sms);
        let killed = start(|| {
            alice().typing("").typing(Reply::Killed).authenticate();
        });
        assert!(killed.was_killed());
        assert_eq!(waiting(), 1);
        let code = post::code("alice", Channel::Sms).unwrap();
        assert_eq!(alice().typing(&*code).authenticate().answer, "PAM_SUCCESS");
    });
}

#[test]
fn whatever_is_at_fault_with_the_post_refuses_no_code_and_is_told() {
    let faults: [(&str, fn()); 5] = [
        ("the queue is gone", || {
            fs::remove_dir_all("/var/spool/pam_otp/.queue").unwrap();
        }),
        ("her contacts are damaged", || {
            fs::write("/var/lib/pam_otp/contacts/alice", "nonsense").unwrap();
        }),
        ("what was sent to her is not known", || {
            fs::remove_file("/var/lib/pam_otp/sends/alice").unwrap();
        }),
        ("what was sent is not known", || {
            fs::remove_file("/var/lib/pam_otp/sends/.machine").unwrap();
        }),
        ("the queue is everybody's", || {
            use std::os::unix::fs::PermissionsExt;
            let open = fs::Permissions::from_mode(0o777);
            fs::set_permissions("/var/spool/pam_otp/.queue/new", open).unwrap();
        }),
    ];
    sandboxed(|| {
        line("nodelay");
        let log = Syslog::bind();
        for (fault, arises) in faults {
            tests::users::wipe();
            house(Channel::Sms);
            let phone = Phone::enrolled("alice", &[]);
            arises();
            let report = alice().typing("").typing(&*phone.code()).authenticate();
            assert_eq!(report.answer, "PAM_SUCCESS", "{fault}");
            assert_eq!(texts(&report)[1..], [AGAIN, NONE], "{fault}");
            let lines = lines(&log);
            let failed = "not requested reason=unavailable";
            assert!(lines[0].starts_with(failed), "{fault}: {lines:?}");
            assert!(lines[0].contains("what=\"/var/"), "{fault}: {lines:?}");
        }
    });
}
