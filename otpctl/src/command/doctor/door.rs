//! The door by which programs that do not run as root check codes: whether otpd answers there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use otp::door::client;
use otp::door::wire::{Asker, Question};
use otp::origin::Origin;
use otp::store::load_policy;

use crate::report::health::Check;

/// By its path: root's own program, whatever the caller's PATH says.
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const UNIT: &str = "pam-otp-otpd.socket";
/// There where systemd is the machine's first process.
const SYSTEMD: &str = "/run/systemd/system";
/// What everybody needs to connect.
const OPEN: u32 = 0o666;

/// What is to be found there.
pub(super) enum Door {
    /// otpd answers.
    Answers(PathBuf),
    /// Nobody is to answer.
    Missing,
    /// Something is there and does not do; in words.
    Faulty(String),
}

/// Asks, by the policy that programs of users go by: the default one.
pub(super) fn look() -> Door {
    let Ok(parsed) = load_policy(None) else {
        return Door::Missing;
    };
    let door = match client::Door::find(&parsed.policy.run_dir) {
        Ok(Some(door)) => door,
        Ok(None) => return Door::Missing,
        Err(error) => return Door::Faulty(error.to_string()),
    };
    let path = client::Door::path(&parsed.policy.run_dir);
    let mode = fs::metadata(&path).map_or(0, |it| it.permissions().mode());
    if mode & OPEN != OPEN {
        let shown = path.display();
        let mode = mode & 0o7777;
        return Door::Faulty(format!(
            "{shown} has mode {mode:04o}, so users' programs cannot ask there"
        ));
    }
    let asker = Asker {
        user: b"root".to_vec(),
        service: None,
        remote: None,
        origin: Origin::Local(0),
    };
    // Whether the store is in order is told elsewhere: any answer will do.
    match door.ask(&asker, &Question::Status) {
        Ok(_) => Door::Answers(path),
        Err(error) => Door::Faulty(error.to_string()),
    }
}

impl Door {
    /// What is there, if there is anything.
    pub(super) fn check(&self) -> Option<Check> {
        Some(match self {
            Self::Missing => return None,
            Self::Answers(path) => match is_enabled() {
                Some(false) => Check::known(
                    "otpd",
                    format!("otpd answers at {} until the next boot", path.display()),
                    format!("systemctl enable {UNIT}"),
                ),
                _ => Check::good("otpd", format!("otpd answers at {}", path.display())),
            },
            Self::Faulty(why) => Check::fault(
                "otpd",
                format!(
                    "programs that do not run as root, and su and sudo, are refused every code: {why}"
                ),
                Self::remedy(),
            ),
        })
    }

    pub(super) const fn answers(&self) -> bool {
        matches!(self, Self::Answers(_))
    }

    /// How to have it answer.
    pub(super) fn remedy() -> String {
        if Path::new(SYSTEMD).exists() {
            format!("systemctl enable {UNIT}, then systemctl restart {UNIT}")
        } else {
            "run '/usr/lib/pam_otp/otpd --listen' at boot; see otpd(8)".to_owned()
        }
    }
}

/// Whether the next boot brings the socket; `None` where that is not systemd's to say.
fn is_enabled() -> Option<bool> {
    if !Path::new(SYSTEMD).exists() {
        return None;
    }
    let asked = Command::new(SYSTEMCTL)
        .args(["is-enabled", "--quiet", UNIT])
        .status();
    asked.ok().map(|status| status.success())
}
