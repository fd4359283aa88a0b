//! otpd, which answers programs that do not run as root: its file, its units, its socket, and whether it answers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;
use otp::door::client::{Door, NoAnswer};
use otp::door::wire::{Answer, Asker, Question};
use otp::origin::Origin;
use otp::policy::Policy;

use crate::command::r#try::host;
use crate::report::health::Check;

const PROGRAM: &str = "/usr/lib/pam_otp/otpd";
const SOCKET: &str = "pam-otp-otpd.socket";
/// What everybody needs who asks: to write to the socket, to look into its directory, and to pass those on the way.
const MAY_WRITE: u32 = 0o002;
const MAY_LOOK: u32 = 0o005;
const MAY_PASS: u32 = 0o001;

/// What became of asking.
pub(super) enum Otpd {
    Answers,
    /// Nobody has set it up.
    NotThere(String),
    /// It is there, and of no use.
    Fails {
        why: String,
        fix: String,
    },
}

impl Otpd {
    /// Asks about root, who is everywhere, and so learns whether there is an answer.
    pub(super) fn asked(policy: &Policy) -> Self {
        let door = match Door::find(&policy.run_dir) {
            Ok(Some(door)) => door,
            Ok(None) => {
                let missing = NoAnswer::NotThere(Door::path(&policy.run_dir));
                return Self::NotThere(missing.to_string());
            }
            Err(error) => return Self::fails(error.to_string()),
        };
        if let Some(closed) = closed_to_others(&Door::path(&policy.run_dir)) {
            return closed;
        }
        let asker = Asker {
            user: b"root".to_vec(),
            service: None,
            remote: None,
            origin: Origin::Local(geteuid().as_raw()),
        };
        match door.ask(&asker, &Question::Status) {
            Ok(Answer::Stands(_)) => Self::Answers,
            Ok(_) => Self::Fails {
                why: "otpd answers that it cannot tell how root stands".to_owned(),
                fix: "journalctl -t otpd -u pam-otp-otpd says why; see otpd(8) for a store that is elsewhere".to_owned(),
            },
            Err(error) => Self::fails(error.to_string()),
        }
    }

    fn fails(why: String) -> Self {
        let fix = start().to_owned();
        Self::Fails { why, fix }
    }

    pub(super) fn answers(&self) -> bool {
        matches!(self, Self::Answers)
    }

    /// What makes it answer.
    pub(super) fn fix(&self) -> String {
        match self {
            Self::Fails { fix, .. } => fix.clone(),
            Self::Answers | Self::NotThere(_) => start().to_owned(),
        }
    }

    /// What there is to say of it. `is_needed`: somebody asks who is not root.
    pub(super) fn checks(&self, is_needed: bool) -> Vec<Check> {
        let answer = match self {
            Self::Answers => at_the_next_boot(),
            // With a socket that is dead, su and sudo are refused.
            Self::Fails { why, fix } => Check::fault("otpd", why, fix),
            Self::NotThere(why) if is_needed => Check::fault("otpd", why, start()),
            Self::NotThere(why) => Check::known("otpd", why, start()),
        };
        program(self.answers())
            .into_iter()
            .chain([answer])
            .collect()
    }
}

/// What starts it here.
fn start() -> &'static str {
    if host::has_systemd() {
        "systemctl enable --now pam-otp-otpd.socket; systemctl restart pam-otp-otpd.socket"
    } else {
        "have what runs at boot start '/usr/lib/pam_otp/otpd --listen' as root"
    }
}

/// It answers now; whether it will.
fn at_the_next_boot() -> Check {
    let is = |what| host::systemctl(&[what, "--quiet", SOCKET]);
    if !host::has_systemd() {
        return Check::good("otpd", "answers");
    }
    if is("is-active") && is("is-enabled") {
        return Check::good("otpd", format!("answers at {SOCKET}"));
    }
    Check::known(
        "otpd",
        format!("answers, but {SOCKET} is off, so nobody may do so after the next boot"),
        format!("systemctl enable --now {SOCKET}"),
    )
}

/// What keeps those out who are not root.
fn closed_to_others(socket: &Path) -> Option<Otpd> {
    let needs = [MAY_WRITE, MAY_LOOK];
    let needs = needs.into_iter().chain(std::iter::repeat(MAY_PASS));
    let lacks = |path: &Path, bits: u32| {
        let may = fs::metadata(path).is_ok_and(|file| file.mode() & bits == bits);
        !may
    };
    let mut all = socket.ancestors().zip(needs);
    let (path, bits) = all.find(|(path, bits)| lacks(path, *bits))?;
    let shown = path.display();
    let mode = match bits {
        MAY_WRITE => "a+rw",
        MAY_LOOK => "go+rx",
        _ => "go+x",
    };
    Some(Otpd::Fails {
        why: format!("{shown} is closed to others than root, so nobody else can ask otpd"),
        fix: format!("chmod {mode} {shown}"),
    })
}

/// The program: root's, changed by nobody else, and with no rights but those of who starts it.
fn program(answers: bool) -> Option<Check> {
    let name = "otpd-program";
    let again = "apt install --reinstall libpam-otp";
    let Ok(file) = fs::symlink_metadata(PROGRAM) else {
        // What answers may be another's build.
        return (!answers).then(|| Check::fault(name, format!("{PROGRAM} is not there"), again));
    };
    let is_roots = file.uid() == 0 && file.mode() & 0o022 == 0 && file.is_file();
    let why = if !is_roots {
        "does not belong to root alone"
    } else if file.mode() & 0o6000 != 0 {
        "is set-user-ID or set-group-ID, which it never needs"
    } else if file.mode() & 0o100 == 0 {
        "cannot be run"
    } else {
        return None;
    };
    let fix = format!("chown root:root {PROGRAM}; chmod 0755 {PROGRAM}; or {again}");
    Some(Check::fault(name, format!("{PROGRAM} {why}"), fix))
}
