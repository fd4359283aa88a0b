//! Codes that are sent, on a real file system: contacts, requests, what bounds them, what is in the queue, and what becomes of
//! a code that nobody got. Runs as root of a small world of its own (tests/as-root).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use otp::delivery::{Address, Channel};
use otp::issued::{Fate, StoredCode};
use otp::origin::Origin;
use otp::passcode::{Digits, Passcode};
use otp::policy::{Policy, Via};
use otp::request::Why;
use otp::store::queue::{Delivery, Outcome, Queue, Reason as Cause};
use otp::store::{
    Ask, Confirmation, Error, FileStore, Introduced, Order, Requested, Sent, Store, Whereabouts,
};
use otp::time::UnixTime;
use otp::user::{Account, UserName};
use otp::verify::{Attempt, Reason, Verdict, verify};
use rand::rngs::SmallRng;
use rand::{SeedableRng, TryRng};

const NOW: u64 = 1_800_000_015;
const NUMBER: &str = "+4917012344711";
const OTHER_NUMBER: &str = "+4917099999999";
const MAIL: &str = "alice@example.org";
/// Tells a child of a trial where its house is.
const HOUSE: &str = "OTP_TRIAL_HOUSE";
/// Tells it what to do.
const DEED: &str = "OTP_TRIAL_DEED";

/// A generator with a seed is no `CryptoRng`; tests want one that repeats.
struct Seeded(SmallRng);

impl TryRng for Seeded {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0.try_next_u64()
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        self.0.try_fill_bytes(to)
    }
}

impl rand::TryCryptoRng for Seeded {}

fn rng(seed: u64) -> Seeded {
    Seeded(SmallRng::seed_from_u64(seed))
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(NOW + secs)
}

fn account(name: &str) -> Account {
    Account {
        name: UserName::parse(name).unwrap(),
        uid: Some(1000),
    }
}

fn stranger(n: u8) -> Origin {
    Origin::of_address(std::net::Ipv4Addr::new(198, 51, 100, n).into())
}

/// A store in a directory of its own, and the policy of a machine that sends by both channels.
struct House {
    root: PathBuf,
    policy: Policy,
    _dir: Option<tempfile::TempDir>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::Builder::new().tempdir_in("/run").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let house = Self {
            _dir: None,
            ..Self::at(dir.path())
        };
        FileStore::open_or_create(&house.policy).unwrap();
        Self {
            _dir: Some(dir),
            ..house
        }
    }

    fn at(root: &Path) -> Self {
        let mut policy = Policy {
            state_dir: root.join("lib"),
            spool_dir: root.join("spool"),
            run_dir: root.join("run"),
            ..Policy::default()
        };
        policy.email.via = Via::Sendmail;
        policy.sms.command = vec!["/bin/true".to_owned()];
        Self {
            root: root.to_path_buf(),
            policy,
            _dir: None,
        }
    }

    fn store(&self) -> FileStore {
        FileStore::open(&self.policy).unwrap()
    }

    fn queue(&self) -> Queue {
        Queue::open(&self.policy).unwrap()
    }

    /// Gives a user a contact, two hours before anything else happens, whatever the machine has sent.
    fn introduce(&self, user: &str, channel: Channel, text: &str) -> Introduced {
        let address = Address::parse(channel, text).unwrap();
        let before = || UnixTime::from_secs(NOW - 7200);
        let mut policy = self.policy.clone();
        if policy.channel_is_on(channel) && policy.delivery.queue > 1 {
            policy.delivery.machine_per_hour = 60_000;
        }
        let store = self.store();
        let came = store.set_contact(
            &account(user),
            address,
            "host",
            &policy,
            before,
            &mut rng(1),
        );
        came.unwrap()
    }

    /// The same, and confirms it.
    fn reach(&self, user: &str, channel: Channel, text: &str) {
        assert!(matches!(
            self.introduce(user, channel, text),
            Introduced::Sent(_)
        ));
        let code = digits(&self.taken(user, channel).code);
        let now = UnixTime::from_secs(NOW - 7190);
        let store = self.store();
        let came = store.confirm_contact(&account(user), channel, &code, || now);
        assert_eq!(came.unwrap(), Confirmation::Confirmed);
    }

    fn ask(&self, user: &str, channel: Option<Channel>, secs: u64) -> Result<Requested, Error> {
        self.ask_from(user, channel, secs, stranger(1))
    }

    fn ask_from(
        &self,
        user: &str,
        channel: Option<Channel>,
        secs: u64,
        origin: Origin,
    ) -> Result<Requested, Error> {
        let ask = Ask {
            channel,
            origin,
            host: "host".to_owned(),
        };
        let store = self.store();
        store.request_code(
            &account(user),
            &ask,
            &self.policy,
            || at(secs),
            &mut rng(secs + 7),
        )
    }

    fn sent(&self, user: &str, secs: u64) -> Sent {
        match self.ask(user, None, secs).unwrap() {
            Requested::Sent(sent) => sent,
            Requested::Refused(why) => panic!("{why:?}"),
        }
    }

    fn refused(&self, user: &str, secs: u64) -> Why {
        match self.ask(user, None, secs).unwrap() {
            Requested::Refused(why) => why,
            Requested::Sent(_) => panic!("it was sent"),
        }
    }

    /// Gives a user another number.
    fn moves(&self, user: &str, secs: u64) -> Introduced {
        let store = self.store();
        let address = Address::parse(Channel::Sms, OTHER_NUMBER).unwrap();
        let (user, policy) = (account(user), &self.policy);
        let came = store.set_contact(&user, address, "host", policy, || at(secs), &mut rng(secs));
        came.unwrap()
    }

    fn waiting(&self, user: &str, channel: Channel) -> Option<PathBuf> {
        let path = self.root.join(format!("spool/.queue/new/{user}.{channel}"));
        path.exists().then_some(path)
    }

    /// Takes the entry of a user out of the queue, as delivery does.
    fn taken(&self, user: &str, channel: Channel) -> Plain {
        let path = self.waiting(user, channel).unwrap();
        let plain = Plain::read(&path);
        fs::remove_file(path).unwrap();
        plain
    }

    fn code_of(&self, user: &str) -> StoredCode {
        let record = self.store().read(&account(user)).unwrap();
        let mut codes = record.issued.into_iter();
        codes.rfind(|code| code.channel.is_some()).unwrap()
    }

    fn answer(&self, user: &str, typed: &str, secs: u64) -> Verdict {
        self.answer_from(user, typed, secs, stranger(1))
    }

    fn answer_from(&self, user: &str, typed: &str, secs: u64, origin: Origin) -> Verdict {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let verdict = self.store().update(&account(user), |record| {
            let attempt = Attempt {
                passcode: &passcode,
                origin,
                now: at(secs),
            };
            let outcome = verify(record, &attempt, &self.policy);
            (outcome.verdict, outcome.changes)
        });
        verdict.unwrap()
    }

    fn accepts(&self, user: &str, typed: &str, secs: u64) -> bool {
        matches!(self.answer(user, typed, secs), Verdict::Accepted(_))
    }

    /// How many codes were sent to a user in the hour before.
    fn counted(&self, user: &str, secs: u64) -> usize {
        let (mut sends, _) = self.store().counted(&account(user)).unwrap().unwrap();
        sends.settle(at(secs));
        sends.noted().len()
    }
}

/// What stands in an entry of the queue.
struct Plain {
    code: String,
    text: String,
}

impl Plain {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().find_map(|line| line.strip_prefix("code = "));
        let code = code.unwrap().trim_matches('"').to_owned();
        Self { code, text }
    }
}

fn digits(code: &str) -> Digits {
    match Passcode::parse(code.as_bytes()) {
        Ok(Passcode::Digits(digits)) => digits,
        _ => panic!("codes that are sent are digits"),
    }
}

/// Other digits than these, as many.
fn wrong(code: &str) -> String {
    let other = |c: char| if c == '0' { '1' } else { '0' };
    code.chars().map(other).collect()
}

fn failed(sent: &Sent, user: &str) -> Outcome {
    Outcome {
        user: UserName::parse(user).unwrap(),
        id: sent.id,
        channel: sent.channel,
        to: sent.to.clone(),
        issued_at: sent.issued_at,
        expires_at: sent.expires_at,
        result: Delivery::Failed(Cause::Missing),
        at: sent.issued_at,
    }
}

#[test]
fn a_contact_is_used_once_it_is_confirmed_and_its_code_opens_one_login() {
    let house = House::new();
    assert!(matches!(
        house.introduce("alice", Channel::Sms, NUMBER),
        Introduced::Sent(Sent { ref to, .. }) if to == "+49…4711"
    ));
    let contact = house.root.join("lib/contacts/alice");
    let mode = fs::metadata(&contact).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(house.refused("alice", 0), Why::NoContact, "not confirmed");
    assert!(
        !house
            .store()
            .read(&account("alice"))
            .unwrap()
            .can_answer(at(0))
    );
    let plain = house.taken("alice", Channel::Sms);
    assert!(
        plain.text.contains("purpose = \"confirm\""),
        "{}",
        plain.text
    );
    let text = fs::read_to_string(&contact).unwrap();
    assert!(!text.contains(&plain.code), "only a digest is kept");
    let confirm = |code: &str, secs: u64| {
        let now = UnixTime::from_secs(NOW - 7200 + secs);
        let store = house.store();
        let came = store.confirm_contact(&account("alice"), Channel::Sms, &digits(code), || now);
        came.unwrap()
    };
    assert_eq!(
        confirm(&wrong(&plain.code), 5),
        Confirmation::Wrong { left: 4 }
    );
    assert_eq!(confirm(&plain.code, 600), Confirmation::Expired);
    assert_eq!(confirm(&plain.code, 599), Confirmation::Confirmed);
    assert_eq!(confirm(&plain.code, 599), Confirmation::Nothing);
    assert!(
        house
            .store()
            .read(&account("alice"))
            .unwrap()
            .can_answer(at(0))
    );
    assert!(!house.accepts("alice", &plain.code, 0), "it opens no login");

    let sent = house.sent("alice", 0);
    assert_eq!((sent.channel, sent.expires_at), (Channel::Sms, at(600)));
    let plain = house.taken("alice", Channel::Sms);
    assert!(plain.text.contains("purpose = \"login\""), "{}", plain.text);
    assert!(plain.text.contains(NUMBER), "{}", plain.text);
    assert_eq!(plain.code.len(), 8);
    assert_eq!(house.code_of("alice").sends, 1);
    assert!(house.accepts("alice", &plain.code, 599));
    assert!(!house.accepts("alice", &plain.code, 599));
}

#[test]
fn five_wrong_answers_end_a_confirmation() {
    let house = House::new();
    let _ = house.introduce("alice", Channel::Email, MAIL);
    let code = house.taken("alice", Channel::Email).code;
    let now = UnixTime::from_secs(NOW - 7190);
    let store = house.store();
    let confirm = |code: &str| {
        let came = store.confirm_contact(&account("alice"), Channel::Email, &digits(code), || now);
        came.unwrap()
    };
    for left in (0..5).rev() {
        assert_eq!(confirm(&wrong(&code)), Confirmation::Wrong { left });
    }
    assert_eq!(confirm(&code), Confirmation::Nothing);
    assert!(!store.contacts(&account("alice")).unwrap().any_confirmed());
}

#[test]
fn nothing_is_sent_to_whom_nothing_should_be() {
    let house = House::new();
    assert_eq!(house.refused("nobody", 0), Why::NoContact);
    house.store().request_nobody(b"\0 no name");
    house.reach("alice", Channel::Email, MAIL);
    let sms = house.ask("alice", Some(Channel::Sms), 0).unwrap();
    assert_eq!(sms, Requested::Refused(Why::NoContact));
    let disable = |disabled| {
        let done = house.store().update(&account("alice"), |record| {
            let mut state = record.state.clone();
            state.disabled = disabled;
            let changes = otp::verify::Changes {
                state: Some(state),
                ..Default::default()
            };
            ((), changes)
        });
        done.unwrap();
    };
    disable(true);
    assert_eq!(house.refused("alice", 0), Why::Disabled);
    disable(false);
    let mut off = House::at(&house.root);
    off.policy.email.via = Via::Off;
    assert_eq!(off.refused("alice", 0), Why::NoContact);
    off.policy.sms.command.clear();
    assert_eq!(off.refused("alice", 0), Why::NoChannel);
    let never = off.introduce("bob", Channel::Sms, NUMBER);
    assert_eq!(never, Introduced::Refused(Why::NoChannel));
    assert!(house.store().users().unwrap() == [account("alice").name]);
    assert!(house.waiting("alice", Channel::Email).is_none());
    assert_eq!(house.counted("alice", 0), 0);
}

#[test]
fn sms_comes_before_email_and_a_channel_that_is_named_before_both() {
    let house = House::new();
    house.reach("alice", Channel::Email, MAIL);
    house.reach("alice", Channel::Sms, NUMBER);
    assert_eq!(house.sent("alice", 0).channel, Channel::Sms);
    // The other channel has a limit of its own, and a code of its own.
    let Requested::Sent(mail) = house.ask("alice", Some(Channel::Email), 1).unwrap() else {
        panic!("it was refused");
    };
    assert_eq!(mail.to, "a…@example.org");
    let sms = house.taken("alice", Channel::Sms).code;
    let mail = house.taken("alice", Channel::Email).code;
    assert!(house.accepts("alice", &sms, 2));
    assert!(house.accepts("alice", &mail, 2));
}

#[test]
fn a_resend_takes_the_place_of_the_code_and_keeps_what_was_counted() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let first = house.sent("alice", 0);
    let old = house.taken("alice", Channel::Sms).code;
    assert_eq!(house.refused("alice", 59), Why::TooSoon { until: at(60) });
    for n in 0..4 {
        let _ = house.answer_from("alice", &wrong(&old), 60, stranger(1));
        assert_eq!(house.code_of("alice").attempts(), n + 1);
    }
    let second = house.sent("alice", 60);
    assert_eq!(second.id, first.id);
    assert_eq!(second.expires_at, at(660));
    let new = house.taken("alice", Channel::Sms).code;
    let code = house.code_of("alice");
    assert_eq!((code.sends, code.attempts()), (2, 4));
    let spooled = fs::read_dir(house.root.join("spool/alice")).unwrap();
    assert_eq!(spooled.count(), 1);
    assert!(!house.accepts("alice", &old, 61), "the old one is dead");
    assert_eq!(house.code_of("alice").attempts(), 5);
    let verdict = house.answer("alice", &new, 62);
    assert_eq!(
        verdict,
        Verdict::Refused(Reason::Throttled),
        "five from there"
    );
    let why = Why::SendsSpent { until: at(660) };
    assert_eq!(house.refused("alice", 120), why, "nobody hears her there");
    let elsewhere = house.ask_from("alice", None, 120, stranger(2)).unwrap();
    assert!(matches!(elsewhere, Requested::Sent(_)));
    let newest = house.taken("alice", Channel::Sms).code;
    let again = house.ask_from("alice", None, 200, stranger(2)).unwrap();
    let why = Why::SendsSpent { until: at(720) };
    assert_eq!(again, Requested::Refused(why), "three sends");
    let right = house.answer_from("alice", &newest, 719, stranger(2));
    assert!(matches!(right, Verdict::Accepted(_)));
    // That one is used, so the next begins anew.
    let fresh = house.sent("alice", 720);
    let code = house.code_of("alice");
    assert_eq!((code.sends, code.attempts()), (1, 0));
    assert_ne!(fresh.id, first.id);
}

#[test]
fn a_code_whose_sends_are_spent_is_drawn_anew_when_its_time_is_over() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let first = house.sent("alice", 0);
    for secs in [60, 120] {
        assert_eq!(house.sent("alice", secs).id, first.id);
    }
    let why = Why::SendsSpent { until: at(720) };
    assert_eq!(house.refused("alice", 719), why);
    let fresh = house.sent("alice", 720);
    assert_ne!(fresh.id, first.id);
    assert_eq!(house.code_of("alice").sends, 1);
}

#[test]
fn the_hour_of_a_user_and_that_of_the_machine_are_limits() {
    let mut house = House::new();
    house.policy.delivery.sends_per_code = 5;
    house.policy.delivery.per_hour = 4;
    house.policy.delivery.machine_per_hour = 9;
    house.reach("alice", Channel::Sms, NUMBER);
    house.reach("bob", Channel::Sms, NUMBER);
    house.reach("carol", Channel::Sms, NUMBER);
    for n in 0..4 {
        house.sent("alice", n * 60);
    }
    assert_eq!(
        house.refused("alice", 240),
        Why::HourSpent { until: at(3600) }
    );
    // Those that confirmed the contacts are an hour past.
    for n in 0..4 {
        house.sent("bob", 300 + n * 60);
    }
    house.sent("carol", 500);
    let until = UnixTime::from_secs(at(0).as_secs() / 60 * 60 + 61 * 60);
    assert_eq!(house.refused("carol", 560), Why::MachineSpent { until });
    let later = until.as_secs() - NOW;
    assert!(matches!(
        house.refused("carol", later - 1),
        Why::MachineSpent { .. }
    ));
    house.sent("carol", later);
}

#[test]
fn a_full_queue_withdraws_the_code_and_counts_it() {
    let mut house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.reach("bob", Channel::Sms, NUMBER);
    house.policy.delivery.queue = 1;
    house.sent("bob", 0);
    assert_eq!(house.refused("alice", 1), Why::QueueFull);
    let code = house.code_of("alice");
    assert_eq!((code.fate, code.sends), (Fate::Withdrawn, 1));
    assert_eq!(house.counted("alice", 1), 1);
    assert_eq!(house.refused("alice", 2), Why::TooSoon { until: at(61) });
    let carol = house.introduce("carol", Channel::Sms, NUMBER);
    assert_eq!(carol, Introduced::Refused(Why::QueueFull));
    assert!(
        house
            .store()
            .contacts(&account("carol"))
            .unwrap()
            .is_empty()
    );
    house.sent("bob", 60);
    house.taken("bob", Channel::Sms);
    house.sent("alice", 61);
    let code = house.code_of("alice");
    assert_eq!((code.fate, code.sends), (Fate::Live, 2));
    assert!(house.accepts("alice", &house.taken("alice", Channel::Sms).code, 62));
}

#[test]
fn a_code_that_nobody_got_is_withdrawn_unless_it_was_drawn_anew() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let first = house.sent("alice", 0);
    let store = house.store();
    let alice = account("alice");
    let whereabouts = |sent: &Sent| store.whereabouts(&alice, sent).unwrap();
    assert_eq!(whereabouts(&first), Whereabouts::Waiting);
    let old = house.taken("alice", Channel::Sms).code;
    let second = house.sent("alice", 60);
    let new = house.taken("alice", Channel::Sms).code;
    assert!(
        !store.settle(&failed(&first, "alice")).unwrap(),
        "an older one"
    );
    let handed_over = Outcome {
        result: Delivery::Sent,
        ..failed(&second, "alice")
    };
    assert!(!store.settle(&handed_over).unwrap());
    let other = Outcome {
        channel: Channel::Email,
        ..failed(&second, "alice")
    };
    assert!(!store.settle(&other).unwrap());
    assert_eq!(house.code_of("alice").fate, Fate::Live);
    assert!(store.settle(&failed(&second, "alice")).unwrap());
    assert!(!store.settle(&failed(&second, "alice")).unwrap(), "once");
    assert!(!store.settle(&failed(&second, "nobody")).unwrap());
    let verdict = house.answer("alice", &new, 61);
    assert_eq!(verdict, Verdict::Refused(Reason::Withdrawn));
    assert!(!house.accepts("alice", &old, 61));
    // It is not swept while its time lasts, so nobody starts counting anew.
    assert_eq!(store.sweep(&alice.name, at(61)).unwrap(), 0);
    let third = house.sent("alice", 120);
    assert_eq!((third.id, house.code_of("alice").sends), (first.id, 3));
    assert_eq!(store.sweep(&alice.name, at(720)).unwrap(), 1);
}

#[test]
fn what_comes_while_the_queue_is_swept_does_not_go_with_what_was_late() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.sent("alice", 0);
    // Somebody who is about to put a newer one in its place.
    let lock = fs::File::open(house.root.join("lib/sends/.machine")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let store = house.store();
    let entry = house.root.join("spool/.queue/new/alice.sms");
    let old = fs::read_to_string(&entry).unwrap();
    let swept = std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| store.sweep_queue(|| at(700)));
        std::thread::sleep(Duration::from_millis(300));
        let newer = old.replace(&(NOW + 600).to_string(), &(NOW + 1200).to_string());
        assert_ne!(newer, old);
        let half = entry.with_file_name(".new-alice.sms.1.1");
        fs::write(&half, newer).unwrap();
        fs::set_permissions(&half, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&half, &entry).unwrap();
        drop(lock);
        sweeping.join().unwrap()
    });
    assert_eq!(swept.unwrap(), 0);
    assert!(entry.exists());
    assert_eq!(store.sweep_queue(|| at(1300)).unwrap(), 1);
    assert!(!entry.exists());
}

#[test]
fn what_delivery_told_is_known_of_the_code_it_is_about_alone() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let queue = house.queue();
    let alice = account("alice");
    let told = |sent: &Sent| house.store().whereabouts(&alice, sent).unwrap();
    let first = house.sent("alice", 0);
    let deliver = |result, secs| {
        let turn = queue.turn().unwrap().unwrap();
        for name in queue.untaken(&turn, Channel::Sms).unwrap() {
            assert!(queue.take(&turn, &name).unwrap());
            let claimed = queue.claim(&name).unwrap().unwrap();
            queue.finish(claimed, result, at(secs)).unwrap();
        }
    };
    deliver(Delivery::Failed(Cause::Status), 1);
    assert_eq!(told(&first), Whereabouts::Failed);
    let second = house.sent("alice", 60);
    assert_eq!(second.id, first.id);
    assert_eq!(
        told(&second),
        Whereabouts::Waiting,
        "that was the one before"
    );
    deliver(Delivery::Sent, 61);
    assert_eq!(told(&second), Whereabouts::HandedOver);
    assert_eq!(told(&first), Whereabouts::Waiting);
    // As `otpctl deliver --settle` does.
    let third = house.sent("alice", 120);
    deliver(Delivery::Failed(Cause::Timeout), 121);
    for outcome in queue.unsettled().unwrap() {
        assert!(house.store().settle(&outcome).unwrap());
        queue.settled(&outcome).unwrap();
    }
    assert_eq!(queue.unsettled().unwrap(), []);
    assert_eq!(house.code_of("alice").fate, Fate::Withdrawn);
    assert_eq!(told(&third), Whereabouts::Failed);
}

#[test]
fn a_confirmation_that_nobody_got_is_forgotten_and_the_contact_stays() {
    let house = House::new();
    let Introduced::Sent(sent) = house.introduce("alice", Channel::Sms, NUMBER) else {
        panic!("it was refused");
    };
    let code = house.taken("alice", Channel::Sms).code;
    assert!(house.store().settle(&failed(&sent, "alice")).unwrap());
    assert!(!house.store().settle(&failed(&sent, "alice")).unwrap());
    let now = UnixTime::from_secs(NOW - 7199);
    let store = house.store();
    let came = store.confirm_contact(&account("alice"), Channel::Sms, &digits(&code), || now);
    assert_eq!(came.unwrap(), Confirmation::Nothing);
    let contacts = store.contacts(&account("alice")).unwrap();
    assert_eq!(contacts.on(Channel::Sms).unwrap().address.as_str(), NUMBER);
}

#[test]
fn another_address_takes_back_what_went_to_the_one_before() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let again = house.introduce("alice", Channel::Sms, NUMBER);
    assert_eq!(again, Introduced::Already);
    house.sent("alice", 0);
    let stolen = Plain::read(&house.waiting("alice", Channel::Sms).unwrap()).code;
    let set = |secs| house.moves("alice", secs);
    let why = Why::TooSoon { until: at(60) };
    assert_eq!(set(30), Introduced::Refused(why));
    let Introduced::Sent(sent) = set(60) else {
        panic!("it was refused");
    };
    assert_eq!(sent.to, "+49…9999");
    assert!(!house.accepts("alice", &stolen, 61));
    let entry = house.taken("alice", Channel::Sms);
    assert!(entry.text.contains(OTHER_NUMBER));
    assert_eq!(
        house.refused("alice", 120),
        Why::NoContact,
        "not confirmed yet"
    );
}

#[test]
fn who_is_vouched_for_is_sent_codes_and_what_went_elsewhere_is_withdrawn() {
    let house = House::new();
    let store = house.store();
    let _ = house.introduce("bob", Channel::Sms, NUMBER);
    assert_eq!(store.sent_lately(at(0)).unwrap(), 0, "two hours ago");
    let vouch = |text, secs| {
        let address = Address::parse(Channel::Sms, text).unwrap();
        let alice = account("alice");
        store.vouch_for_contact(&alice, address, at(secs), &mut rng(5))
    };
    assert!(vouch(NUMBER, 0).unwrap());
    assert!(!vouch(NUMBER, 1).unwrap(), "it was before");
    assert!(house.waiting("alice", Channel::Sms).is_none());
    let known = store.contacts(&account("alice")).unwrap();
    let confirmed = known.on(Channel::Sms).unwrap().confirmed_at;
    assert_eq!(confirmed, Some(at(0)));

    house.sent("alice", 2);
    let elsewhere = Plain::read(&house.waiting("alice", Channel::Sms).unwrap()).code;
    assert!(vouch("+4917099999999", 3).unwrap());
    assert!(house.waiting("alice", Channel::Sms).is_none());
    let verdict = house.answer("alice", &elsewhere, 4);
    assert_eq!(verdict, Verdict::Refused(Reason::Withdrawn));

    // One that waits for its confirmation is confirmed by it, and the code for that is called off.
    let bob = account("bob");
    let address = Address::parse(Channel::Sms, NUMBER).unwrap();
    let plain = Plain::read(&house.waiting("bob", Channel::Sms).unwrap()).code;
    let came = store.vouch_for_contact(&bob, address, at(5), &mut rng(6));
    assert!(came.unwrap() && house.waiting("bob", Channel::Sms).is_none());
    let late = store.confirm_contact(&bob, Channel::Sms, &digits(&plain), || at(6));
    assert_eq!(late.unwrap(), Confirmation::Nothing);
    house.sent("bob", 7);
    // Hers and bob's.
    assert_eq!(store.sent_lately(at(8)).unwrap(), 2);
    assert_eq!(store.sent_lately(at(8 + 3660)).unwrap(), 0);
}

#[test]
fn a_contact_that_is_taken_away_takes_its_codes_along_and_nothing_of_what_was_counted() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.sent("alice", 0);
    let code = Plain::read(&house.waiting("alice", Channel::Sms).unwrap()).code;
    let store = house.store();
    let remove = |channel| store.remove_contact(&account("alice"), channel).unwrap();
    assert!(!remove(Channel::Email));
    assert!(remove(Channel::Sms));
    assert!(!remove(Channel::Sms));
    assert!(!store.remove_contact(&account("bob"), Channel::Sms).unwrap());
    assert!(house.waiting("alice", Channel::Sms).is_none());
    assert!(!house.accepts("alice", &code, 1));
    assert!(!house.root.join("lib/contacts/alice").exists());
    assert!(!store.read(&account("alice")).unwrap().can_answer(at(1)));
    assert_eq!(house.counted("alice", 1), 1);
    let address = Address::parse(Channel::Sms, NUMBER).unwrap();
    let alice = account("alice");
    let set = |secs| {
        let address = address.clone();
        let came = store.set_contact(
            &alice,
            address,
            "host",
            &house.policy,
            || at(secs),
            &mut rng(3),
        );
        came.unwrap()
    };
    let why = Why::TooSoon { until: at(60) };
    assert_eq!(set(59), Introduced::Refused(why));
    assert!(matches!(set(60), Introduced::Sent(_)));
    assert_eq!(house.counted("alice", 60), 2);
}

#[test]
fn an_administrator_sends_within_the_same_limits() {
    let house = House::new();
    house.reach("alice", Channel::Email, MAIL);
    let order = |secs| {
        let order = Order {
            channel: Channel::Email,
            length: 10,
            ttl: Duration::from_secs(3600),
            reason: "lost phone".to_owned(),
            host: "host".to_owned(),
        };
        let store = house.store();
        let alice = account("alice");
        let came = store.send_code(&alice, &order, &house.policy, || at(secs), &mut rng(secs));
        came.unwrap()
    };
    let Requested::Sent(sent) = order(0) else {
        panic!("it was refused");
    };
    assert_eq!(sent.expires_at, at(3600));
    let entry = house.taken("alice", Channel::Email);
    assert!(
        entry.text.contains("purpose = \"issued\""),
        "{}",
        entry.text
    );
    assert_eq!(house.code_of("alice").reason, "lost phone");
    let why = Why::TooSoon { until: at(60) };
    assert_eq!(order(30), Requested::Refused(why));
    // A prompt takes the place of it, as of any code of its channel.
    assert_eq!(house.sent("alice", 60).id, sent.id);
    assert!(!house.accepts("alice", &entry.code, 61));
    let code = house.taken("alice", Channel::Email).code;
    assert!(house.accepts("alice", &code, 61));
}

#[test]
fn a_held_origin_asks_in_vain_and_a_locked_account_does_not() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let hold = |failures: u32, from: Origin| {
        let done = house.store().update(&account("alice"), |record| {
            let mut state = record.state.clone();
            for _ in 0..failures {
                state.throttle.fail(from, at(0), &house.policy.throttle);
            }
            let changes = otp::verify::Changes {
                state: Some(state),
                ..Default::default()
            };
            ((), changes)
        });
        done.unwrap();
    };
    hold(3, stranger(9));
    let held = house.ask_from("alice", None, 1, stranger(9)).unwrap();
    let why = Why::Held { until: at(30) };
    assert_eq!(held, Requested::Refused(why));
    assert!(matches!(
        house.ask("alice", None, 1).unwrap(),
        Requested::Sent(_)
    ));
    // What fills the account's bucket, or locks it, is no reason: that is what a stored code is for.
    for n in 10..60 {
        hold(2, stranger(n));
    }
    let state = house.store().read(&account("alice")).unwrap().state;
    assert!(state.throttle.failures >= 100);
    house.sent("alice", 61);
    let code = house.taken("alice", Channel::Sms).code;
    assert!(house.accepts("alice", &code, 62));
}

#[test]
fn after_a_hundred_wrong_answers_at_sent_codes_none_is_sent_until_another_code_opens_them() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let (mut secs, mut guesses) = (0, 0);
    // As fast as codes can be had: ten guesses at each, then its time has to be over.
    while guesses < 100 {
        let asked = house.ask_from("alice", None, secs, stranger(200)).unwrap();
        assert!(matches!(asked, Requested::Sent(_)), "{guesses} guesses");
        let guess = wrong(&house.taken("alice", Channel::Sms).code);
        for n in 0..20 {
            let _ = house.answer_from("alice", &guess, secs + 1, stranger(n));
        }
        assert_eq!(house.code_of("alice").attempts(), 10);
        guesses += 10;
        let state = house.store().read(&account("alice")).unwrap().state;
        assert_eq!(state.sent_failures, guesses);
        if guesses < 100 {
            let again = house.ask_from("alice", None, secs + 61, stranger(200));
            let until = at(secs + 600);
            let spent = Requested::Refused(Why::SendsSpent { until });
            assert_eq!(again.unwrap(), spent, "it is guessed out");
        }
        secs += 600;
    }
    assert_eq!(house.refused("alice", secs), Why::Locked);
    let order = Order {
        channel: Channel::Sms,
        length: 8,
        ttl: Duration::from_secs(600),
        reason: String::new(),
        host: "host".to_owned(),
    };
    let (store, alice) = (house.store(), account("alice"));
    let clock = || at(secs);
    let ordered = store.send_code(&alice, &order, &house.policy, clock, &mut rng(1));
    assert_eq!(ordered.unwrap(), Requested::Refused(Why::Locked));
    assert!(house.waiting("alice", Channel::Sms).is_none());
    // An administrator reads her one.
    let code = digits("33334444");
    let key = store.read(&alice).unwrap().key.unwrap();
    let id = otp::issued::CodeId::from_bytes([3; 4]);
    let told = StoredCode {
        id,
        length: 8,
        digest: key.stored(&alice.name, id, &code),
        issued_at: at(secs),
        expires_at: at(secs + 600),
        fate: Fate::Live,
        sends: 0,
        channel: None,
        reason: String::new(),
        attempts: Vec::new(),
    };
    let _ = store.issue(&alice, vec![told], at(secs)).unwrap();
    assert!(house.accepts("alice", "33334444", secs));
    house.sent("alice", secs + 1);
    let code = house.taken("alice", Channel::Sms).code;
    assert!(house.accepts("alice", &code, secs + 2));
}

#[test]
fn twenty_live_codes_leave_no_room_for_one_that_is_sent() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let codes = |from: u8, count: u8| {
        let code = |n| StoredCode {
            id: otp::issued::CodeId::from_bytes([n, 0, 0, 9]),
            length: 8,
            digest: otp::keyed::Digest::from_bytes([n; 32]),
            issued_at: at(0),
            expires_at: at(3600),
            fate: Fate::Live,
            sends: 0,
            channel: None,
            reason: String::new(),
            attempts: Vec::new(),
        };
        let codes = (from..from + count).map(code).collect();
        let _ = house
            .store()
            .issue(&account("alice"), codes, at(0))
            .unwrap();
    };
    codes(0, 19);
    house.sent("alice", 0);
    house.sent("alice", 60);
    let own = house.code_of("alice").id;
    let store = house.store();
    let gone = store.revoke(&account("alice"), at(61), |id| id == own);
    assert_eq!(gone.unwrap().len(), 1);
    assert!(house.waiting("alice", Channel::Sms).is_none());
    codes(19, 1);
    assert_eq!(house.refused("alice", 120), Why::TooManyCodes);
}

#[test]
fn a_clock_that_goes_back_holds_up_nobody_for_longer_and_lets_nobody_have_more() {
    let mut house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.policy.delivery.per_hour = 3;
    let day = 24 * 3600;
    house.sent("alice", day);
    house.sent("alice", day + 60);
    // The clock is a day back: what was sent counts as sent just now.
    assert_eq!(house.refused("alice", 0), Why::TooSoon { until: at(60) });
    assert_eq!(house.refused("alice", 59), Why::TooSoon { until: at(60) });
    let third = house.sent("alice", 60);
    let code = house.taken("alice", Channel::Sms).code;
    assert_eq!(house.code_of("alice").sends, 1, "it begins anew");
    // Minus the minute between the first two.
    assert_eq!(
        house.refused("alice", 120),
        Why::HourSpent {
            until: at(3600 - 60)
        }
    );
    assert!(house.accepts("alice", &code, 121));
    // And forth again: nothing of what waited there is good.
    assert!(third.expires_at < at(day));
    house.sent("alice", day + 61);
}

#[test]
fn what_is_removed_leaves_nothing_behind() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.sent("alice", 0);
    assert!(house.store().remove(&account("alice")).unwrap());
    for place in [
        "lib/contacts",
        "lib/sends",
        "lib/state",
        "spool",
        "spool/.queue/new",
    ] {
        let left = house.root.join(place).join("alice");
        assert!(!left.exists(), "{place}");
    }
    assert!(house.waiting("alice", Channel::Sms).is_none());
    assert_eq!(house.store().users().unwrap(), []);
    assert!(!house.store().remove(&account("alice")).unwrap());
    assert_eq!(house.refused("alice", 60), Why::NoContact);
}

#[test]
fn contacts_that_are_wrong_are_an_error_and_never_nobodys() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let contacts = house.root.join("lib/contacts/alice");
    let good = fs::read_to_string(&contacts).unwrap();
    let why = || {
        let asked = house.ask("alice", None, 0);
        let read = house.store().read(&account("alice"));
        let (asked, read) = (asked.err().unwrap(), read.err().unwrap());
        assert_eq!(asked.to_string(), read.to_string());
        asked.to_string()
    };
    for (from, to, told) in [
        ("uid = 1000", "uid = 1001", "was made for uid 1001"),
        ("format = 1", "format = 2", "has format 2"),
        ("[sms]", "[fax]", "line 5: there is an unknown key"),
    ] {
        fs::write(&contacts, good.replace(from, to)).unwrap();
        let why = why();
        assert!(why.contains(told), "{why}");
        // Whoever asks for no code is not in the way of it.
        assert!(!house.accepts("alice", "00000000", 0));
    }
    fs::write(&contacts, &good).unwrap();
    fs::set_permissions(&contacts, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(why().contains("is not safe"), "{}", why());
    fs::set_permissions(&contacts, fs::Permissions::from_mode(0o600)).unwrap();
    for (file, told) in [
        ("lib/sends/alice", "nobody knows how much was sent"),
        ("lib/sends/.machine", "nobody knows how much was sent"),
        ("lib/state/alice", "a secret, a stored code or a contact"),
    ] {
        let path = house.root.join(file);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let found = match file {
            "lib/state/alice" => house.store().read(&account("alice")).err(),
            _ => house.ask("alice", None, 0).err(),
        };
        let found = found.unwrap().to_string();
        assert!(found.contains(told), "{file}: {found}");
        fs::write(&path, kept).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    house.sent("alice", 0);
}

/// What a child of a trial does: this program, run again. Not a test.
#[test]
#[ignore = "it is the child of other tests"]
fn child() {
    let (Some(root), Ok(deed)) = (std::env::var_os(HOUSE), std::env::var(DEED)) else {
        return;
    };
    let house = House::at(Path::new(&root));
    let words: Vec<&str> = deed.split(' ').collect();
    let [what, user, secs] = words[..] else {
        panic!("{deed}");
    };
    let secs = secs.parse().unwrap();
    // All of them begin at the instant this file is there.
    while house.root.join("wait").exists() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let word = match what {
        "ask" => match house.ask(user, None, secs) {
            Ok(Requested::Sent(_)) => "sent".to_owned(),
            Ok(Requested::Refused(why)) => why.name().to_owned(),
            Err(error) => format!("error: {error}"),
        },
        "move" => match house.moves(user, secs) {
            Introduced::Sent(_) => "sent".to_owned(),
            other => panic!("{other:?}"),
        },
        "nobody" => {
            house.store().request_nobody(user.as_bytes());
            String::new()
        }
        other => panic!("{other}"),
    };
    let name = format!("told.{}", std::process::id());
    fs::write(house.root.join(name), word).unwrap();
}

/// The program that does this, and what it runs under.
fn doing(house: &House, deed: &str, under: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words = under.iter().map(AsRef::<std::ffi::OsStr>::as_ref);
    let mut command = match words.next() {
        Some(first) => Command::new(first),
        None => Command::new(&program),
    };
    if !under.is_empty() {
        command.args(words).arg(&program);
    }
    command
        .args(["--exact", "child", "--ignored", "--test-threads=1"])
        .env(HOUSE, &house.root)
        .env(DEED, deed)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// What the children that came to an end were told, and forgets it.
fn told(house: &House) -> Vec<String> {
    let mut words = Vec::new();
    for entry in fs::read_dir(&house.root).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("told.")
        {
            words.push(fs::read_to_string(&path).unwrap());
            fs::remove_file(path).unwrap();
        }
    }
    words.sort();
    words
}

/// Has all of these ask at one instant.
fn at_one_instant(house: &House, users: &[&str], secs: u64) -> Vec<String> {
    let wait = house.root.join("wait");
    fs::write(&wait, "").unwrap();
    let child = |user| doing(house, &format!("ask {user} {secs}"), &[]).spawn();
    let children = users.iter().map(child);
    let children: Vec<Child> = children.map(Result::unwrap).collect();
    std::thread::sleep(Duration::from_millis(500));
    fs::remove_file(wait).unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    told(house)
}

#[test]
fn of_fifty_processes_that_ask_for_one_user_at_one_instant_one_is_served() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    for round in 0..3 {
        let words = at_one_instant(&house, &["alice"; 50], round * 60);
        let sent = words.iter().filter(|word| *word == "sent").count();
        assert_eq!((words.len(), sent), (50, 1), "{words:?}");
        let why = ["too-soon", "too-soon", "sends-spent"];
        let why = why[usize::try_from(round).unwrap()];
        assert!(words.iter().all(|word| word == "sent" || word == why));
        let counted = house.counted("alice", round * 60);
        assert_eq!(counted, usize::try_from(round).unwrap() + 1);
    }
    let code = house.taken("alice", Channel::Sms).code;
    assert_eq!(house.code_of("alice").sends, 3);
    assert!(house.accepts("alice", &code, 121));
}

#[test]
fn of_fifty_users_who_ask_at_one_instant_as_many_are_served_as_the_machine_may_and_the_queue_holds()
{
    let users: Vec<String> = (0..50).map(|n| format!("user{n}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let introduced = |others: usize| {
        let mut house = House::new();
        house.policy.delivery.queue = 10_000;
        let others = (0..others).map(|n| format!("other{n}"));
        let others: Vec<String> = others.collect();
        for user in users
            .iter()
            .copied()
            .chain(others.iter().map(String::as_str))
        {
            house.reach(user, Channel::Sms, NUMBER);
        }
        for user in &others {
            house.sent(user, 0);
        }
        house
    };
    // The children have the default policy, so what they have left of it is what others took.
    let house = introduced(290);
    let new = house.root.join("spool/.queue/new");
    for entry in fs::read_dir(&new).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let words = at_one_instant(&house, &users, 1);
    let sent = words.iter().filter(|word| *word == "sent").count();
    assert_eq!((words.len(), sent), (50, 10), "{words:?}");
    assert!(
        words
            .iter()
            .all(|word| word == "sent" || word == "machine-spent")
    );

    let house = introduced(193);
    let words = at_one_instant(&house, &users, 1);
    let sent = words.iter().filter(|word| *word == "sent").count();
    assert_eq!((words.len(), sent), (50, 7), "{words:?}");
    assert!(
        words
            .iter()
            .all(|word| word == "sent" || word == "queue-full")
    );
    let new = house.root.join("spool/.queue/new");
    assert_eq!(fs::read_dir(new).unwrap().count(), 200);
}

/// Calls that change something, or keep others from it, and how often a request and a resend make each at least.
const CALLS: &[(&str, usize, usize)] = &[
    ("openat", 20, 20),
    ("flock", 2, 2),
    ("mkdirat", 1, 1),
    ("write", 2, 1),
    ("pwrite64", 4, 6),
    ("fsync", 4, 2),
    ("fdatasync", 2, 3),
    ("renameat", 1, 1),
    ("renameat2", 1, 0),
];

/// Whatever was cut short: nothing waits that was not counted, what waits is good or about to be replaced, and the next one
/// who asks is served.
fn assert_whole(house: &House, secs: u64, before: usize, what: &str) {
    let counted = house.counted("alice", secs);
    let waiting = house.waiting("alice", Channel::Sms);
    assert!(
        counted == before || counted == before + 1,
        "{what}: {counted}"
    );
    if let Some(path) = waiting {
        assert_eq!(counted, before + 1, "{what}: it waits, and is not counted");
        let code = Plain::read(&path).code;
        assert!(house.accepts("alice", &code, secs + 1), "{what}: {code}");
        fs::remove_file(path).unwrap();
    }
    house.sent("alice", secs + 60);
    let code = house.taken("alice", Channel::Sms).code;
    assert_eq!(house.counted("alice", secs + 60), counted + 1, "{what}");
    assert!(
        house.accepts("alice", &code, secs + 61),
        "{what}: the next one"
    );
}

/// Kills whoever asks at every such call; how often that was before it was through. A resend writes over what is there.
fn killed_at_every(call: &str, is_resend: bool) -> usize {
    for nth in 1..1000 {
        let house = House::new();
        house.reach("alice", Channel::Sms, NUMBER);
        let secs = if is_resend { 60 } else { 0 };
        if is_resend {
            house.sent("alice", 0);
            house.taken("alice", Channel::Sms);
        }
        let before = house.counted("alice", secs);
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=KILL:when={nth}");
        let under = [
            "strace",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let deed = format!("ask alice {secs}");
        let status = doing(&house, &deed, &under).status().unwrap();
        let what = format!("{call} {nth}, resend: {is_resend}");
        let through = status.success();
        if through {
            assert_eq!(told(&house), ["sent"], "{what}");
        } else {
            assert_eq!(status.signal(), Some(9), "{what}: {status:?}");
        }
        assert_whole(&house, secs, before, &what);
        if through {
            return nth - 1;
        }
    }
    panic!("there is no end to {call}");
}

#[test]
fn whoever_is_killed_while_asking_leaves_what_is_counted_and_what_is_good() {
    for (call, fresh, again) in CALLS {
        // So often at least, or they are not the calls of asking.
        let killed = [false, true].map(|is_resend| killed_at_every(call, is_resend));
        let met = killed[0] >= *fresh && killed[1] >= *again;
        assert!(met, "{call}: {killed:?}");
    }
}

#[test]
fn whoever_is_killed_while_moving_to_another_number_is_reached_at_one_of_them() {
    for call in ["pwrite64", "fsync", "fdatasync", "renameat", "unlinkat"] {
        let mut killed = 0;
        loop {
            let house = House::new();
            house.reach("alice", Channel::Sms, NUMBER);
            house.sent("alice", 0);
            let old = Plain::read(&house.waiting("alice", Channel::Sms).unwrap()).code;
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:signal=KILL:when={}", killed + 1);
            let under = [
                "strace",
                "-f",
                "-o",
                "/dev/null",
                "-e",
                &trace,
                "-e",
                &inject,
            ];
            let through = doing(&house, "move alice 60", &under)
                .status()
                .unwrap()
                .success();
            let what = format!("{call} {}", killed + 1);
            let contacts = house.store().contacts(&account("alice")).unwrap();
            let contact = contacts.on(Channel::Sms).unwrap();
            let has_moved = contact.address.as_str() == OTHER_NUMBER;
            assert!(has_moved || !through, "{what}");
            assert_eq!(contact.confirmed_at.is_none(), has_moved, "{what}");
            let entry = house.waiting("alice", Channel::Sms);
            let text = entry
                .map(|path| Plain::read(&path).text)
                .unwrap_or_default();
            assert!(!text.contains(OTHER_NUMBER) || has_moved, "{what}");
            if has_moved {
                assert!(!house.accepts("alice", &old, 61), "{what}: where she was");
                assert!(!text.contains(&format!("\"{NUMBER}\"")), "{what}");
            }
            // Whatever was cut short can be done again.
            assert!(
                matches!(house.moves("alice", 120), Introduced::Sent(_)),
                "{what}"
            );
            let code = digits(&house.taken("alice", Channel::Sms).code);
            let store = house.store();
            let came = store.confirm_contact(&account("alice"), Channel::Sms, &code, || at(121));
            assert_eq!(came.unwrap(), Confirmation::Confirmed, "{what}");
            if through {
                break;
            }
            killed += 1;
        }
        assert!(killed > 0, "{call}");
    }
}

#[test]
fn a_code_that_cannot_be_queued_is_withdrawn_and_counted() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    house.sent("alice", 0);
    house.taken("alice", Channel::Sms);
    let inject = "inject=renameat:error=EIO:when=1";
    let under = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=renameat",
        "-e",
        inject,
    ];
    assert!(
        doing(&house, "ask alice 60", &under)
            .status()
            .unwrap()
            .success()
    );
    let told = told(&house).concat();
    assert!(told.starts_with("error: cannot write"), "{told}");
    let code = house.code_of("alice");
    assert_eq!((code.fate, code.sends), (Fate::Withdrawn, 2));
    assert_eq!(house.counted("alice", 60), 2);
    assert!(house.waiting("alice", Channel::Sms).is_none());
    house.sent("alice", 120);
    assert!(house.accepts("alice", &house.taken("alice", Channel::Sms).code, 121));
}

/// How often a deed waits for the disk, which is what it takes long for.
fn flushes(house: &House, deed: &str) -> usize {
    let trace = house.root.join("trace");
    let path = trace.to_str().unwrap();
    let under = ["strace", "-f", "-o", path, "-e", "trace=fsync,fdatasync"];
    assert!(doing(house, deed, &under).status().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    trace.lines().filter(|line| line.contains("sync(")).count()
}

#[test]
fn it_takes_as_much_to_send_nothing_as_to_send_a_code() {
    let house = House::new();
    house.reach("alice", Channel::Sms, NUMBER);
    let _ = house.introduce("carol", Channel::Sms, NUMBER);
    let sent = flushes(&house, "ask alice 0");
    for deed in [
        "ask alice 60", // a resend
        "ask alice 61", // too soon
        "ask carol 0",  // not confirmed
        "ask bob 0",    // nothing is kept of him
        "nobody x 0",   // nobody
    ] {
        let flushes = flushes(&house, deed);
        assert!(flushes.abs_diff(sent) <= 1, "{deed}: {flushes}, not {sent}");
    }
    let told = told(&house);
    assert_eq!(
        told,
        ["", "no-contact", "no-contact", "sent", "sent", "too-soon"]
    );
}
