//! Clocks that jump, stand still and run past the ends of 32 bits.

use tests::elsewhen::accepts_at;
use tests::pam::line;
use tests::sandbox::sandboxed;
use tests::syslog::Syslog;
use tests::users::{Phone, issue, now};

/// Steps in a day.
const DAY: i64 = 2_880;
const RECOVERY: &str = "0123456789abcdef";

/// What the module said last.
fn last(log: &Syslog) -> String {
    log.take().pop().map(|line| line.text).unwrap_or_default()
}

#[test]
fn a_clock_a_day_ahead_and_back_blocks_nobody_and_reopens_nothing() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let (today, tomorrow) = (phone.code(), phone.code_at(DAY));
        assert!(accepts_at("+1d", "alice", &tomorrow));
        assert!(
            accepts_at("+0", "alice", &today),
            "the present is not blocked"
        );
        assert!(!accepts_at("+0", "alice", &today));
        assert!(!accepts_at("+1d", "alice", &tomorrow), "its day has come");
        assert!(accepts_at("+1d", "alice", &phone.code_at(DAY + 1)));
    });
}

#[test]
fn typos_made_a_day_ahead_hold_nobody_longer_when_the_clock_is_back() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        for _ in 0..2 {
            assert!(!accepts_at("+1d", "alice", "000000"));
        }
        assert!(accepts_at("+0", "alice", &phone.code()));
        for _ in 0..3 {
            assert!(!accepts_at("+1d", "alice", "000000"));
        }
        assert!(!accepts_at("+5m", "alice", &phone.code_at(10)), "held");
        assert!(accepts_at("+331", "alice", &phone.code_at(11)), "for 30 s");
    });
}

#[test]
fn a_clock_a_year_back_is_named_in_the_log_and_recovery_codes_work() {
    sandboxed(|| {
        line("nodelay");
        let log = Syslog::bind();
        let phone = Phone::enrolled("alice", &[RECOVERY]);
        issue("alice", "48210937", 600);
        assert!(accepts_at("+0", "alice", &phone.code()));
        last(&log);
        assert!(!accepts_at("-365d", "alice", &phone.code_at(-365 * DAY)));
        let said = last(&log);
        assert!(said.contains("reason=too-early"), "{said}");
        assert!(said.contains("the clock went back"), "{said}");
        assert!(!accepts_at("-365d", "alice", "48210937"));
        assert!(last(&log).contains("the clock went back"));
        assert!(accepts_at("-365d", "alice", RECOVERY));
        assert!(accepts_at("+0", "alice", &phone.code_at(1)));
    });
}

#[test]
fn the_years_2038_and_2106_are_ordinary() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        // The last second of 32 bits with and without a sign, and the one after it.
        for end in [i64::from(i32::MAX), i64::from(u32::MAX)] {
            let now = i64::try_from(now().as_secs()).unwrap();
            for at in [end - 40, end + 1, end + 40] {
                let offset = at.div_euclid(30) - now.div_euclid(30);
                // In seconds from now, as libfaketime understands it; the login is made in the same step, or the next.
                let clock = format!("{:+}", at - now);
                assert!(accepts_at(&clock, "alice", &phone.code_at(offset)), "{at}");
                assert!(!accepts_at(&clock, "alice", &phone.code_at(offset)));
            }
        }
    });
}

#[test]
fn where_time_stands_still_a_code_is_good_once_and_there_is_one_for_each_step_of_the_window() {
    sandboxed(|| {
        line("nodelay");
        let phone = Phone::enrolled("alice", &[]);
        let stands = |secs: i64| format!("@{}", date(secs));
        let at = i64::try_from(now().as_secs()).unwrap().div_euclid(30) * 30;
        let (before, current, after) = (phone.code_at(-1), phone.code(), phone.code_at(1));
        // An absolute time without a step ahead: it runs on from there for the fraction of a second a login takes.
        for (code, accepted) in [
            (&before, true),
            (&before, false),
            (&current, true),
            (&current, false),
            (&after, true),
            (&after, false),
            (&current, false),
        ] {
            assert_eq!(accepts_at(&stands(at + 10), "alice", code), accepted);
        }
    });
}

#[test]
fn one_step_of_skew_is_accepted_at_both_edges_of_a_step_and_two_are_not() {
    sandboxed(|| {
        line("nodelay");
        for (into_step, offset, accepted) in [
            (0, -1, true),
            (0, 1, true),
            (0, -2, false),
            (0, 2, false),
            (28, -1, true),
            (28, 1, true),
            (28, -2, false),
            (28, 2, false),
        ] {
            let name = ["alice", "bob"][usize::from(offset > 0)];
            let phone = Phone::enrolled(name, &[]);
            let base = i64::try_from(now().as_secs()).unwrap().div_euclid(30);
            let clock = format!("@{}", date((base + 100) * 30 + into_step));
            let code = phone.code_at(100 + offset);
            let said = accepts_at(&clock, name, &code);
            assert_eq!(said, accepted, "{into_step} s into a step, {offset}");
            tests::users::remove(name);
        }
    });
}

/// Seconds since the epoch as libfaketime reads them, in UTC.
fn date(secs: i64) -> String {
    let done = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{secs}"), "+%Y-%m-%d %H:%M:%S"])
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}
