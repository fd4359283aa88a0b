//! Codes that are sent: contacts of those who live in the sandbox, what waits in the queue, and whoever takes it from there.

use std::fs;
use std::time::Duration;

use otp::delivery::{Address, Channel};
use otp::passcode::{Digits, Passcode};
use otp::store::queue::{Delivery, Entry, Queue};
use otp::store::{Confirmation, Introduced};
use otp::time::UnixTime;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

use crate::users::{account, now, policy, store};

/// Both channels, by programs that nobody runs.
pub const BOTH: &str = "[sms]\ncommand = [\"/bin/true\"]\n[email]\nvia = \"sendmail\"\n";
/// What sshd keeps in the environment of PAM once a key has passed.
pub const AFTER_KEY: &str = "SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKAn\n";

/// Makes this the policy, with both channels on.
pub fn send(policy: &str) {
    fs::write("/etc/security/otp.toml", format!("{policy}{BOTH}")).unwrap();
}

/// Gives a user a confirmed contact, two hours ago as far as the limits of sending know.
pub fn contact(name: &str, channel: Channel) {
    introduce(name, channel);
    let code = take(name, channel).expect("it waits").code;
    let before = two_hours_ago();
    let confirmed = store().confirm_contact(&account(name), channel, &digits(&code), || before);
    assert_eq!(confirmed.unwrap(), Confirmation::Confirmed);
    assert_eq!(waiting(), 0);
}

/// The same, but that it is not confirmed.
pub fn introduce(name: &str, channel: Channel) {
    let address = Address::parse(channel, address(channel)).unwrap();
    let (store, mut rng) = (store(), UnwrapErr(SysRng));
    let set = store.set_contact(
        &account(name),
        address,
        "sandbox",
        &policy(),
        two_hours_ago,
        &mut rng,
    );
    assert!(matches!(set.unwrap(), Introduced::Sent(_)));
}

/// Everybody has the same.
pub const fn address(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "+4917012344711",
        Channel::Email => "somebody@example.org",
    }
}

fn two_hours_ago() -> UnixTime {
    now().minus(Duration::from_secs(2 * 60 * 60))
}

fn digits(code: &str) -> Digits {
    match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Digits(digits)) => digits,
        _ => panic!("{code} is not digits"),
    }
}

/// How many entries wait.
pub fn waiting() -> usize {
    queue().waiting().unwrap().0
}

/// The code that waits for a user on a channel, and goes on waiting.
pub fn code(name: &str, channel: Channel) -> Option<String> {
    let file = format!("{}.{channel}", account(name).name.file_name());
    let path = policy().spool_dir.join(".queue/new").join(file);
    let entry = fs::read_to_string(path).ok()?;
    let code = entry
        .lines()
        .find_map(|line| line.strip_prefix("code = \""));
    Some(code.expect("it has one").trim_end_matches('"').to_owned())
}

/// Hands an entry over; nothing comes of it that is told.
pub fn take(name: &str, channel: Channel) -> Option<Entry> {
    hand_over(name, channel, Delivery::Sent)
}

/// Takes an entry, and tells what came of it.
pub fn hand_over(name: &str, channel: Channel, result: Delivery) -> Option<Entry> {
    let queue = queue();
    let turn = queue.turn().unwrap().expect("nobody else delivers");
    let name = format!("{}.{channel}", account(name).name.file_name());
    if !queue.take(&turn, &name).unwrap() {
        return None;
    }
    let claimed = queue.claim(&name).unwrap().expect("it was taken");
    let entry = claimed.entry.clone();
    queue.finish(claimed, result, now()).unwrap();
    Some(entry)
}

/// Applies what is known of failures; whether a code was withdrawn for one.
pub fn settle() -> bool {
    let queue = queue();
    let mut withdrawn = false;
    for outcome in queue.unsettled().unwrap() {
        withdrawn |= store().settle(&outcome).unwrap();
        queue.settled(&outcome).unwrap();
    }
    withdrawn
}

fn queue() -> Queue {
    Queue::open(&policy()).expect("there is a queue")
}
