//! What the door costs: logins by it and without it, in turns, by one process and one user after the other, as they ship and
//! on a real disk.

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use tests::door::Otpd;
use tests::pam::{Login, line};
use tests::sandbox::{self, DISK, Extras, TOLD, is_real_root, sandboxed_with};
use tests::users::{self, Phone};

const LOGINS: u32 = 100;
/// More than a login without the door may take; issue 7 has it.
const AT_MOST: Duration = Duration::from_millis(5);

/// Under the uid of somebody who runs su the door is gone by, under root's it is not.
fn run_by(uid: u32) {
    // SAFETY: takes numbers. The effective uid stays root's.
    assert_eq!(unsafe { libc::setresuid(uid, 0, 0) }, 0);
}

fn login(uid: u32, index: u32, code: &str) -> Duration {
    run_by(uid);
    let begun = Instant::now();
    let login = Login::of(format!("user{index}")).typing(code);
    assert_eq!(login.authenticate().answer, "PAM_SUCCESS");
    let took = begun.elapsed();
    run_by(0);
    took
}

#[test]
fn a_login_by_the_door_takes_a_few_milliseconds_more() {
    if !is_real_root() {
        return;
    }
    let extras = Extras {
        programs: Some(|| vec![sandbox::release_otpd()]),
        disk: true,
        ..Extras::default()
    };
    sandboxed_with(extras, || {
        line("nodelay");
        let policy = format!("state_dir = \"{DISK}/state\"\nspool_dir = \"{DISK}/spool\"\n");
        fs::write("/etc/security/otp.toml", policy).unwrap();
        users::move_in(2 * LOGINS);
        let phone = Phone::with_secret("user0", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for index in 0..2 * LOGINS {
            Phone::enrolled(&format!("user{index}"), &[]);
        }
        let _otpd = Otpd::listening();
        let mut took = [Vec::new(), Vec::new()];
        for index in 0..LOGINS {
            let code = phone.code_at(0);
            took[0].push(login(0, 2 * index, &code));
            took[1].push(login(1000, 2 * index + 1, &code));
        }
        let [direct, by_door] = took.map(|mut all| {
            all.sort_unstable();
            (all[all.len() / 2], all[all.len() * 95 / 100])
        });
        println!(
            "{TOLD}door: of {LOGINS} logins each, half took {:.2?} without it and {:.2?} by it, 95 of a hundred {:.2?} and {:.2?}",
            direct.0, by_door.0, direct.1, by_door.1
        );
        if env::var_os("PAM_OTP_TRIALS").is_some_and(|how| how == "full") {
            assert!(by_door.0 < direct.0 + AT_MOST);
        }
    });
}
