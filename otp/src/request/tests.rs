use super::*;
use crate::delivery::Pending;
use crate::dice::{Seeded, seeded};
use crate::issued::{MAX_ATTEMPTS_PER_ORIGIN, MAX_SENT_ATTEMPTS};
use crate::keyed::Digest;
use crate::passcode::Passcode;
use crate::policy::Via;
use crate::user::UserName;
use crate::verify::{Attempt, Changes, Verdict, verify};
use proptest::prelude::*;
use zeroize::Zeroizing;

const NOW: u64 = 1_800_000_000;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(NOW + secs)
}

fn stranger(n: u8) -> Origin {
    Origin::of_address(std::net::Ipv4Addr::new(198, 51, 100, n).into())
}

/// Alice, whom both channels reach.
struct Scene {
    record: Record,
    contacts: Contacts,
    sends: SendLog,
    machine: MachineLog,
    key: DigestKey,
    policy: Policy,
    rng: Seeded,
}

impl Scene {
    fn new() -> Self {
        let mut contacts = Contacts::NONE;
        for (channel, address) in [
            (Channel::Sms, "+4917012344711"),
            (Channel::Email, "alice@example.org"),
        ] {
            contacts.put(Contact {
                address: Address::parse(channel, address).unwrap(),
                confirmed_at: Some(at(0)),
                pending: None,
            });
        }
        let mut policy = Policy::default();
        policy.email.via = Via::Smtp;
        policy.sms.command = vec!["/bin/true".to_owned()];
        let key = DigestKey::from_bytes(Zeroizing::new([7; 32]));
        let mut record = Record::none(UserName::parse("alice").unwrap());
        record.key = Some(key.clone());
        Self {
            record,
            contacts,
            sends: SendLog::default(),
            machine: MachineLog::default(),
            key,
            policy,
            rng: seeded(),
        }
    }

    /// Asks, and keeps what is to be kept: the digits, or why there are none.
    fn ask(&mut self, channel: Option<Channel>, origin: u8, secs: u64) -> Result<String, Why> {
        let mut known = Known {
            record: &self.record,
            contacts: &self.contacts,
            sends: self.sends.clone(),
            machine: self.machine.clone(),
            key: &self.key,
        };
        let asked = Request {
            channel,
            origin: Some(stranger(origin)),
            now: at(secs),
            length: 8,
            ttl: self.policy.delivery.ttl,
            reason: "asked for",
        };
        match request(&mut known, &asked, &self.policy, &mut self.rng) {
            Decision::Refused(why) => {
                (self.sends, self.machine) = (known.sends, known.machine);
                Err(why)
            }
            Decision::Send(sending) => {
                let Sending {
                    sends,
                    machine,
                    code,
                    is_new,
                    digits,
                    address,
                } = *sending;
                assert_eq!(Some(address.channel()), code.channel);
                (self.sends, self.machine) = (sends, machine);
                let codes = &mut self.record.issued;
                match codes.iter_mut().find(|known| known.id == code.id) {
                    Some(known) => {
                        assert!(!is_new);
                        *known = code;
                    }
                    None => {
                        assert!(is_new);
                        codes.push(code);
                    }
                }
                Ok(digits.expose().to_owned())
            }
        }
    }

    fn sms(&mut self, secs: u64) -> Result<String, Why> {
        self.ask(Some(Channel::Sms), 1, secs)
    }

    /// The code that was sent last by SMS.
    fn code(&mut self) -> &mut StoredCode {
        let mut codes = self.record.issued.iter_mut();
        codes
            .rfind(|code| code.channel == Some(Channel::Sms))
            .unwrap()
    }

    fn accepts(&mut self, typed: &str, origin: u8, secs: u64) -> bool {
        let passcode = Passcode::parse(typed.as_bytes()).unwrap();
        let attempt = Attempt {
            passcode: &passcode,
            origin: stranger(origin),
            now: at(secs),
        };
        let outcome = verify(&self.record, &attempt, &self.policy);
        let Changes { issued, state, .. } = outcome.changes;
        for code in issued {
            let mut codes = self.record.issued.iter();
            let index = codes.position(|known| known.id == code.id);
            self.record.issued[index.unwrap()] = code;
        }
        if let Some(state) = state {
            self.record.state = state;
        }
        matches!(outcome.verdict, Verdict::Accepted(_))
    }
}

#[test]
fn the_first_channel_that_is_on_and_confirmed_is_taken_where_none_is_named() {
    let mut scene = Scene::new();
    let taken = |scene: &mut Scene, secs| {
        scene.ask(None, 1, secs)?;
        Ok(scene.record.issued.last().unwrap().channel.unwrap())
    };
    assert_eq!(taken(&mut scene, 0), Ok(Channel::Sms));
    scene.contacts.on_mut(Channel::Sms).unwrap().confirmed_at = None;
    scene.contacts.on_mut(Channel::Sms).unwrap().pending = Some(Pending {
        id: CodeId::from_bytes([0; 4]),
        digest: Digest::from_bytes([0; 32]),
        issued_at: at(0),
        expires_at: at(600),
        attempts: 0,
    });
    assert_eq!(taken(&mut scene, 60), Ok(Channel::Email));
    assert_eq!(scene.sms(60), Err(Why::NoContact));
    scene.policy.email.via = Via::Off;
    assert_eq!(taken(&mut scene, 120), Err(Why::NoContact));
    assert_eq!(scene.ask(Some(Channel::Email), 1, 120), Err(Why::NoChannel));
    scene.policy.sms.command.clear();
    assert_eq!(taken(&mut scene, 120), Err(Why::NoChannel));
}

#[test]
fn a_code_goes_on_until_its_sends_or_its_attempts_are_spent() {
    let why = Err(Why::SendsSpent { until: at(600) });
    for (sends, attempts, goes_on) in [
        (2, 9, true),
        (3, 0, false),
        (2, 10, false),
        (u32::MAX, 0, false),
    ] {
        let mut scene = Scene::new();
        scene.sms(0).unwrap();
        scene.code().sends = sends;
        scene.code().attempts = (0..attempts).map(|n| (Origin::Local(n), 1)).collect();
        let came = scene.sms(60);
        assert_eq!(came.is_ok(), goes_on, "{sends} {attempts}");
        if goes_on {
            assert_eq!((scene.code().sends, scene.code().attempts()), (3, 9));
        } else {
            assert_eq!(came, why);
        }
    }
}

#[test]
fn an_origin_that_is_not_heard_any_more_about_a_code_does_not_have_it_sent_again() {
    let mut scene = Scene::new();
    scene.sms(0).unwrap();
    scene.code().attempts = vec![(stranger(1), MAX_ATTEMPTS_PER_ORIGIN)];
    let why = Why::SendsSpent { until: at(600) };
    assert_eq!(scene.ask(Some(Channel::Sms), 1, 60), Err(why));
    assert!(scene.ask(Some(Channel::Sms), 2, 60).is_ok());
    assert_eq!(scene.code().attempts(), MAX_ATTEMPTS_PER_ORIGIN);
}

#[test]
fn none_is_sent_while_sent_codes_are_off() {
    let mut scene = Scene::new();
    scene.record.state.sent_failures = 99;
    let typed = scene.sms(0).unwrap();
    assert!(!scene.accepts("00000000", 2, 1));
    assert!(!scene.accepts(&typed, 1, 1), "a hundred");
    assert_eq!(scene.sms(60), Err(Why::Locked));
    assert_eq!(scene.ask(Some(Channel::Email), 1, 60), Err(Why::Locked));
    scene.policy.throttle.lock_after = 3;
    scene.record.state.sent_failures = 3;
    assert_eq!(scene.sms(60), Err(Why::Locked));
    scene.record.state.sent_failures = 2;
    assert!(scene.sms(60).is_ok());
    // However full the other count is.
    scene.record.state.throttle.failures = 100;
    assert!(scene.sms(120).is_ok());
}

#[test]
fn what_is_used_or_over_is_followed_by_another_and_what_was_withdrawn_goes_on() {
    for (fate, secs, goes_on) in [
        (Fate::Live, 599, true),
        (Fate::Withdrawn, 599, true),
        (Fate::Used, 60, false),
        (Fate::Expired, 60, false),
        (Fate::Live, 600, false),
        (Fate::Withdrawn, 600, false),
    ] {
        let mut scene = Scene::new();
        scene.sms(0).unwrap();
        let before = scene.code().id;
        scene.code().fate = fate;
        scene.code().attempts = vec![(Origin::Local(1), 4)];
        let typed = scene.sms(secs).unwrap();
        let code = scene.code();
        assert_eq!(code.id == before, goes_on, "{fate:?} {secs}");
        assert_eq!(code.fate, Fate::Live);
        let counted = if goes_on { (2, 4) } else { (1, 0) };
        assert_eq!((code.sends, code.attempts()), counted, "{fate:?} {secs}");
        assert_eq!(
            (code.issued_at, code.expires_at),
            (at(secs), at(secs + 600))
        );
        assert!(scene.accepts(&typed, 1, secs));
    }
}

#[test]
fn a_code_from_after_now_begins_anew_in_its_place() {
    let mut scene = Scene::new();
    let early = scene.sms(86_400).unwrap();
    scene.code().sends = 3;
    scene.code().attempts = vec![(stranger(1), 50)];
    let before = scene.code().id;
    let typed = scene.sms(0);
    assert_eq!(typed, Err(Why::TooSoon { until: at(60) }));
    let typed = scene.sms(60).unwrap();
    let code = scene.code();
    assert_eq!((code.id, code.sends, code.attempts()), (before, 1, 0));
    assert!(!scene.accepts(&early, 1, 61), "its place is taken");
    assert!(scene.accepts(&typed, 1, 61));
}

#[test]
fn neither_codes_of_another_channel_nor_those_that_were_not_sent_go_on() {
    let mut scene = Scene::new();
    scene.ask(Some(Channel::Email), 1, 0).unwrap();
    let mail = scene.record.issued[0].clone();
    scene.record.issued.push(StoredCode {
        id: CodeId::from_bytes([1; 4]),
        channel: None,
        ..mail.clone()
    });
    scene.sms(0).unwrap();
    assert_eq!(scene.record.issued.len(), 3);
    assert_eq!(scene.record.issued[0], mail);
}

#[test]
fn every_why_has_a_word_and_those_that_end_say_when() {
    let until = at(1);
    let whys = [
        (Why::NoChannel, "no-channel", None),
        (Why::NoContact, "no-contact", None),
        (Why::Disabled, "disabled", None),
        (Why::Locked, "locked", None),
        (Why::Held { until }, "held", Some(until)),
        (Why::TooSoon { until }, "too-soon", Some(until)),
        (Why::SendsSpent { until }, "sends-spent", Some(until)),
        (Why::HourSpent { until }, "hour-spent", Some(until)),
        (Why::MachineSpent { until }, "machine-spent", Some(until)),
        (Why::TooManyCodes, "too-many-codes", None),
        (Why::QueueFull, "queue-full", None),
    ];
    for (why, name, until) in whys {
        assert_eq!((why.name(), why.until()), (name, until));
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Ask(bool, u8),
    /// Types the code of this many sends ago.
    Type(usize, u8),
    Guess(u8),
    Withdraw,
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let event = prop_oneof![
        3 => (any::<bool>(), 0_u8..4).prop_map(|(sms, origin)| Event::Ask(sms, origin)),
        1 => (0_usize..4, 0_u8..4).prop_map(|(ago, origin)| Event::Type(ago, origin)),
        2 => (0_u8..4).prop_map(Event::Guess),
        1 => Just(Event::Withdraw),
    ];
    (prop_oneof![0_u64..5, 20_u64..90, 100_u64..1000], event)
}

proptest! {
    #[test]
    fn in_every_story_the_newest_code_alone_is_good_and_no_count_is_lost(
        events in proptest::collection::vec(event(), 1..120)
    ) {
        let mut scene = Scene::new();
        let mut secs = 0;
        let mut sent: Vec<(Channel, String)> = Vec::new();
        for (passes, event) in events {
            secs += passes;
            let before = scene.record.issued.clone();
            match event {
                Event::Ask(is_sms, origin) => {
                    let channel = if is_sms { Channel::Sms } else { Channel::Email };
                    if let Ok(digits) = scene.ask(Some(channel), origin, secs) {
                        sent.push((channel, digits));
                    }
                }
                Event::Type(ago, origin) => {
                    let index = sent.len().checked_sub(ago + 1);
                    if let Some((channel, typed)) = index.and_then(|index| sent.get(index)).cloned() {
                        let newest = sent.iter().rfind(|(other, _)| *other == channel);
                        let is_newest = newest.is_some_and(|(_, newest)| *newest == typed);
                        let accepted = scene.accepts(&typed, origin, secs);
                        prop_assert!(!accepted || is_newest);
                        prop_assert!(!(accepted && scene.accepts(&typed, origin, secs)));
                    }
                }
                Event::Guess(origin) => {
                    let guess = format!("{:08}", secs % 1000);
                    prop_assume!(!sent.iter().any(|(_, digits)| *digits == guess));
                    prop_assert!(!scene.accepts(&guess, origin, secs));
                }
                Event::Withdraw => scene.record.issued.iter_mut().for_each(|code| {
                    if code.fate == Fate::Live {
                        code.fate = Fate::Withdrawn;
                    }
                }),
            }
            for code in &scene.record.issued {
                prop_assert!(code.sends <= 3 && code.attempts() <= MAX_SENT_ATTEMPTS);
                let known = before.iter().find(|known| known.id == code.id);
                let known = known.map_or((0, 0), |known| (known.sends, known.attempts()));
                prop_assert!(code.sends >= known.0 && code.attempts() >= known.1);
            }
            for channel in Channel::ALL {
                let good = scene.record.issued.iter().filter(|code| {
                    code.channel == Some(channel) && code.is_live(at(secs))
                });
                prop_assert!(good.count() <= 1);
            }
        }
    }
}
