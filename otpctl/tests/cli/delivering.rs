//! Codes on their way: real programs that take them, a real mail server, and everything that can be wrong with either.

mod command;
mod gateways;
mod mail;
mod queue;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use otp::delivery::{Address, Channel};
use otp::passcode::Passcode;
use otp::store::{Confirmation, FileStore, Introduced, Order, Requested, Sent, load_policy};
use otp::time::UnixTime;
use otp::user::{Account, UserName};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use super::world::{Machine, Said, logged, on_a_machine};

const QUEUE: &str = "/var/spool/pam_otp/.queue";
const CODE: &str = "48210937";
const NUMBER: &str = "+4917012344711";

/// A machine whose gateways run as daemon, which takes root outside: a user namespace of one user has nobody else.
fn on_a_machine_of_two(test: impl FnOnce(&Machine)) {
    if nix::unistd::geteuid().is_root() {
        on_a_machine(|machine| {
            machine.otpctl(&["issue", "alice"]).exits(0);
            test(machine);
        });
    }
}

/// Has the real store send bob a code, whose address is confirmed first; what it says of it, and the code. It waits.
fn ask_for_bob(machine: &Machine) -> (Sent, String) {
    machine.otpctl(&["issue", "bob"]).exits(0);
    let policy = load_policy(None).unwrap().policy;
    let store = FileStore::open_or_create(&policy).unwrap();
    let bob = Account {
        name: UserName::parse("bob").unwrap(),
        uid: Some(1001),
    };
    let mut rng = UnwrapErr(SysRng);
    let address = Address::parse(Channel::Sms, NUMBER).unwrap();
    let earlier = || UnixTime::from_secs(now() - 120);
    let introduced = store.set_contact(&bob, address, "bastion", &policy, earlier, &mut rng);
    assert!(matches!(introduced, Ok(Introduced::Sent(_))));
    let Ok(Passcode::Digits(typed)) = Passcode::parse(waiting_code("bob").as_bytes()) else {
        panic!("no digits")
    };
    let confirmed = store.confirm_contact(&bob, Channel::Sms, &typed, earlier);
    assert_eq!(confirmed.unwrap(), Confirmation::Confirmed);
    let order = Order {
        channel: Channel::Sms,
        length: 8,
        ttl: Duration::from_secs(600),
        reason: String::new(),
        host: "bastion".to_owned(),
    };
    let at = UnixTime::from_secs(now());
    match store.send_code(&bob, &order, &policy, || at, &mut rng) {
        Ok(Requested::Sent(sent)) => (sent, waiting_code("bob")),
        other => panic!("{other:?}"),
    }
}

/// The code that waits for this user's telephone.
fn waiting_code(user: &str) -> String {
    let entry = fs::read_to_string(format!("{QUEUE}/new/{user}.sms")).unwrap();
    let line = entry.lines().find_map(|line| line.strip_prefix("code = "));
    line.unwrap().trim_matches('"').to_owned()
}

/// The policy with these lines, and a time limit of two seconds.
fn policy(lines: &str) {
    let delivery = "[delivery]\nuser = \"daemon\"\ntimeout = \"2s\"\n";
    write(
        "/etc/security/otp.toml",
        &format!("{delivery}{lines}"),
        0o644,
    );
}

fn write(path: &str, content: &str, mode: u32) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The gateway for SMS: a script.
fn gateway(script: &str) {
    write("/usr-local/sms", &format!("#!/bin/sh\n{script}\n"), 0o755);
    policy("[sms]\ncommand = [\"/usr-local/sms\", \"an argument\"]\n");
}

/// A code for this user is put into the queue, as the store does.
fn put(user: &str, channel: &str) {
    put_with(user, channel, "01020304", now(), now() + 600);
}

fn put_with(user: &str, channel: &str, id: &str, issued_at: u64, expires_at: u64) {
    let address = match channel {
        "sms" => NUMBER,
        _ => "alice@example.org",
    };
    let text = format!(
        "format = 1\nissued_at = {issued_at}\nexpires_at = {expires_at}\nuser = \"{user}\"\nid = \"{id}\"\nchannel = \"{channel}\"\naddress = \"{address}\"\npurpose = \"login\"\nhost = \"bastion\"\ncode = \"{CODE}\"\n"
    );
    let half_made = format!("{QUEUE}/new/.new-{user}.{channel}.1.1");
    write(&half_made, &text, 0o600);
    fs::rename(half_made, format!("{QUEUE}/new/{user}.{channel}")).unwrap();
}

fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.unwrap().as_secs()
}

/// Everything in the queue.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for dir in ["new", "work", "done", "settle"] {
        for entry in fs::read_dir(format!("{QUEUE}/{dir}")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            names.push(format!("{dir}/{name}"));
        }
    }
    names.sort_unstable();
    names
}

/// The same, where no file of it holds the code any more, or where it went.
#[track_caller]
fn left() -> Vec<String> {
    let names = names();
    for name in &names {
        let content = fs::read_to_string(format!("{QUEUE}/{name}")).unwrap();
        assert!(
            !content.contains(CODE) && !content.contains(NUMBER),
            "{name}"
        );
    }
    names
}

/// Delivers what waits, of which `sent` should be taken and `failed` not; what was logged. Nothing of the code is said or
/// logged.
#[track_caller]
fn delivers(machine: &Machine, sent: u64, failed: u64) -> String {
    let _ = fs::remove_file("/dev/log");
    let log = machine.log();
    let said = machine.otpctl(&["deliver", "--once", "--json"]).exits(0);
    let json = said.json();
    let counts = (json["sent"].as_u64(), json["failed"].as_u64());
    let lines = logged(&log).join("\n");
    assert_eq!(counts, (Some(sent), Some(failed)), "{lines} {said:?}");
    for secret in [CODE, NUMBER, "alice@"] {
        assert!(!lines.contains(secret), "{lines}");
        assert!(!format!("{said:?}").contains(secret), "{said:?}");
    }
    fs::remove_file("/dev/log").unwrap();
    lines
}

/// Whether this comes true within ten seconds.
fn soon(what: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
