//! The modules, and how their users are enrolled. Each trial has users, files and services of its own, so that every code
//! in it is fresh. Reuse is refused in all of them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::store::{FileStore, NewEnrollment, Store};
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use otp::user::{Account, UserName};
use tests::pam::stack;
use zeroize::Zeroizing;

use crate::world::{UID, World, directory, other, user};

pub const MODULES: [&str; 6] = [
    "pam_otp",
    "pam_google_authenticator",
    "pam_oath",
    "floor in C",
    "floor with look-up and log",
    "pam_permit",
];

/// The service of a module in a trial; libpam has no capitals.
pub fn service(trial: &str, module: &str) -> String {
    let module = module.to_lowercase().replace(' ', "-");
    format!("{trial}-{module}")
}

/// Enrols `user(0)` to `user(users - 1)` with each of the modules.
pub fn enrol(world: &World, trial: &str, modules: &[&str], users: u32) {
    let kept = world.kept.join(trial);
    directory(&kept, 0o755);
    for module in modules {
        let line = match *module {
            "pam_otp" => with_us(&kept, &world.module, users),
            "pam_google_authenticator" => with_google(&kept, users),
            "pam_oath" => with_oath(&kept, users),
            "pam_permit" => "auth required pam_permit.so".to_owned(),
            "floor in C" => with_floor(&kept.join("floor"), &world.floor, users),
            _ => with_floor(&kept.join("floor2"), &world.floor, users) + " known",
        };
        stack(&service(trial, module), &[&line]);
    }
}

/// A secret for each user, the same for every module.
fn secret(index: u32) -> Secret {
    let bytes = index.to_be_bytes().repeat(5);
    Secret::from_bytes(Zeroizing::new(bytes)).unwrap()
}

/// What her app shows now.
pub fn code(index: u32) -> String {
    let step = TimeStep::at(now(), Period::THIRTY);
    let code = totp::code(&secret(index), Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

#[allow(clippy::disallowed_methods, reason = "a benchmark's edge")]
fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}

fn policy(kept: &Path) -> Policy {
    Policy {
        state_dir: kept.join("state"),
        spool_dir: kept.join("spool"),
        ..Policy::default()
    }
}

fn with_us(kept: &Path, module: &Path, users: u32) -> String {
    let policy = policy(kept);
    let store = FileStore::open_or_create(&policy).unwrap();
    for index in 0..users {
        let account = Account {
            name: UserName::parse(&user(index)).unwrap(),
            uid: Some(UID),
        };
        let new = NewEnrollment::of(authenticator(index));
        let _ = store.enroll(&account, new).unwrap();
    }
    let config = kept.join("otp.toml");
    let text = format!(
        "state_dir = {:?}\nspool_dir = {:?}\n",
        policy.state_dir, policy.spool_dir
    );
    fs::write(&config, text).unwrap();
    let module = module.display();
    format!("auth required {module} config={}", config.display())
}

fn authenticator(index: u32) -> Authenticator {
    Authenticator {
        name: "phone".to_owned(),
        generation: Generation::from_bits(index.into()),
        kind: Kind::Totp {
            period: Period::THIRTY,
        },
        secret: secret(index),
        algorithm: Algorithm::Sha1,
        length: CodeLength::SIX,
        issuer: "bench".to_owned(),
        label: user(index),
        enrolled_at: now(),
    }
}

/// Puts so many more records into a trial's store: whole ones, copied from the first user's.
pub fn crowd(world: &World, trial: &str, others: u32) {
    let store = policy(&world.kept.join(trial)).state_dir;
    for kind in ["secrets", "state"] {
        let content = fs::read(store.join(kind).join(user(0))).unwrap();
        for index in 0..others {
            place(&store.join(kind).join(other(index)), &content, 0o600);
        }
    }
}

fn with_google(kept: &Path, users: u32) -> String {
    let dir = kept.join("google");
    fs::create_dir(&dir).unwrap();
    for index in 0..users {
        let secret = secret(index).to_base32();
        let options = "\" TOTP_AUTH\n\" DISALLOW_REUSE\n\" WINDOW_SIZE 3\n";
        let text = format!("{}\n{options}", *secret);
        place(&dir.join(user(index)), text.as_bytes(), 0o400);
    }
    format!(
        "auth required pam_google_authenticator.so user=root secret={}/${{USER}}",
        dir.display()
    )
}

fn with_oath(kept: &Path, users: u32) -> String {
    let path = kept.join("users.oath");
    let line = |index| {
        let hex = |mut hex: String, byte: &u8| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        };
        let hex = secret(index).expose().iter().fold(String::new(), hex);
        format!("HOTP/T30/6 {} - {hex}\n", user(index))
    };
    let text: String = (0..users).map(line).collect();
    place(&path, text.as_bytes(), 0o600);
    format!(
        "auth required pam_oath.so usersfile={} window=1 digits=6",
        path.display()
    )
}

fn with_floor(dir: &Path, module: &Path, users: u32) -> String {
    fs::create_dir(dir).unwrap();
    for index in 0..users {
        place(&dir.join(user(index)), &[0; 12_288], 0o600);
    }
    format!("auth required {} {}", module.display(), dir.display())
}

fn place(path: &PathBuf, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
