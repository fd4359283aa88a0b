//! The bytes of records, there and back, at their fullest and damaged.

use super::*;
use crate::delivery::Channel;
use crate::origin::Origin;
use crate::service::MAX_SERVICE;
use crate::store::slots::CAPACITY;
use crate::time::{TimeStep, UnixTime};
use crate::verify::Method;
use proptest::prelude::*;

fn fullest_state() -> State {
    let origin =
        |n: u32| Origin::of_address(std::net::Ipv6Addr::from_bits(u128::from(n) << 64).into());
    let mut state = State {
        disabled: true,
        enrolled: true,
        last: Some(LastLogin {
            at: UnixTime::from_secs(1_800_000_000),
            method: Method::Recovery,
            origin: Origin::Local(1000),
            service: Service::parse(&"x".repeat(MAX_SERVICE)),
        }),
        ..State::default()
    };
    state.throttle.failures = 99;
    state.sent_failures = u32::MAX;
    state.throttle.dry_at = Some(UnixTime::from_secs(1_800_000_777));
    state.throttle.counted_at = Some(UnixTime::from_secs(1_800_000_555));
    for n in 0..16 {
        state.throttle.origins.push(OriginRecord {
            origin: origin(n),
            failures: n,
            held_until: Some(UnixTime::from_secs(u64::MAX)),
            trusted: n % 2 == 0,
        });
    }
    for generation in 0..4 {
        let mut entry = AuthenticatorState::fresh(Generation::from_bits(generation));
        entry.drift = Drift {
            last: -3,
            kept: -2,
            lean: -1,
        };
        for step in 0..100 {
            let step = TimeStep::new(60_000_000 + step * 2880);
            entry.used.mark(step, step);
        }
        assert_eq!(entry.used.runs().len(), MAX_INTERVALS);
        state.authenticators.push(entry);
    }
    for n in 0..8 {
        state.remember(origin(n), UnixTime::from_secs(u64::MAX));
    }
    for generation in 0..2 {
        state.recovery.push(RecoveryState {
            generation: Generation::from_bits(generation),
            used: u64::MAX,
        });
    }
    state
}

#[test]
fn the_fullest_state_there_is_fits_its_slot_and_reads_back() {
    let state = fullest_state();
    let bytes = state_bytes(1000, &state);
    assert!(bytes.len() <= CAPACITY, "{} bytes", bytes.len());
    assert_eq!(state_from(&bytes), Some((1000, state)));
}

/// The state with what this makes of it is damage.
fn assert_no_state(change: impl Fn(&mut State)) {
    let mut state = fullest_state();
    change(&mut state);
    assert!(state_from(&state_bytes(1000, &state)).is_none());
}

#[test]
fn of_two_entries_for_one_thing_neither_is_believed() {
    assert_no_state(|state| {
        state.authenticators[3] = AuthenticatorState::fresh(Generation::from_bits(0));
    });
    assert_no_state(|state| state.recovery[1].generation = state.recovery[0].generation);
    assert_no_state(|state| {
        state.throttle.origins[15].origin = state.throttle.origins[1].origin;
    });
    assert_no_state(|state| state.remembered[7].origin = state.remembered[0].origin);
}

#[test]
fn more_origins_of_one_kind_than_are_kept_are_damage() {
    assert_no_state(|state| state.throttle.origins[1].trusted = true);
    assert_no_state(|state| state.throttle.origins[0].trusted = false);
}

fn fullest_code() -> StoredCode {
    StoredCode {
        id: CodeId::from_bytes([1, 2, 3, 4]),
        length: 8,
        digest: Digest::from_bytes([9; 32]),
        issued_at: UnixTime::from_secs(1),
        expires_at: UnixTime::from_secs(601),
        fate: Fate::Used,
        sends: 3,
        channel: None,
        reason: "x".repeat(MAX_REASON),
        attempts: (0..MAX_ATTEMPTS)
            .map(|uid| (Origin::Local(uid), 1))
            .collect(),
    }
}

#[test]
fn the_fullest_stored_code_there_is_fits_its_slot_and_reads_back() {
    let code = fullest_code();
    let bytes = stored_bytes(7, &code);
    assert!(bytes.len() <= CAPACITY, "{} bytes", bytes.len());
    assert_eq!(stored_from(&bytes), Some((7, code)));
}

fn stored_code() -> StoredCode {
    StoredCode {
        id: CodeId::from_bytes([1, 2, 3, 4]),
        length: 8,
        digest: Digest::from_bytes([9; 32]),
        issued_at: UnixTime::from_secs(1),
        expires_at: UnixTime::from_secs(0x0201),
        fate: Fate::Expired,
        sends: 3,
        channel: Some(Channel::Email),
        reason: "ab".to_owned(),
        attempts: vec![(Origin::Local(5), 6)],
    }
}

#[test]
fn a_stored_code_has_the_bytes_that_fileformat_md_tells() {
    let local = [&[0, 5][..], &[0; 15]].concat();
    let bytes = [
        &[7, 0, 0, 0][..],
        &[1, 2, 3, 4],
        &[8],
        &[9; 32],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[1, 2, 0, 0, 0, 0, 0, 0],
        &[2],
        &[3, 0, 0, 0],
        &[2],
        &[1],
        &local,
        &[6, 0, 0, 0],
        b"\x02ab",
    ]
    .concat();
    assert_eq!(stored_bytes(7, &stored_code()), bytes);
    assert_eq!(stored_from(&bytes), Some((7, stored_code())));
}

#[test]
fn every_fate_has_its_byte_and_no_other_is_one() {
    for (byte, fate) in (0..).zip([Fate::Live, Fate::Used, Fate::Expired, Fate::Withdrawn]) {
        let code = StoredCode {
            fate,
            ..stored_code()
        };
        let bytes = stored_bytes(7, &code);
        assert_eq!(bytes[57], byte);
        assert_eq!(stored_from(&bytes), Some((7, code)));
    }
    let mut bytes = stored_bytes(7, &stored_code());
    bytes[57] = 4;
    assert_eq!(stored_from(&bytes), None);
}

#[test]
fn every_channel_has_its_byte_and_no_other_is_one() {
    let channels = [None, Some(Channel::Sms), Some(Channel::Email)];
    for (byte, channel) in (0..).zip(channels) {
        let code = StoredCode {
            channel,
            ..stored_code()
        };
        let bytes = stored_bytes(7, &code);
        assert_eq!(bytes[62], byte);
        assert_eq!(stored_from(&bytes), Some((7, code)));
    }
    let mut bytes = stored_bytes(7, &stored_code());
    bytes[62] = 3;
    assert_eq!(stored_from(&bytes), None);
}

#[test]
fn sends_have_the_bytes_that_fileformat_md_tells() {
    let noted = |channel, secs| Noted {
        channel,
        at: UnixTime::from_secs(secs),
    };
    let sends = vec![noted(Channel::Sms, 1), noted(Channel::Email, 0x0201)];
    let sends = SendLog::from_parts(sends).unwrap();
    let bytes = [
        &[7, 0, 0, 0, 2][..],
        &[1, 1, 0, 0, 0, 0, 0, 0, 0],
        &[2, 1, 2, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(sends_bytes(7, &sends), bytes);
    assert_eq!(sends_from(&bytes), Some((7, sends)));
    let mut backwards = bytes.clone();
    (backwards[15], backwards[16]) = (0, 0);
    assert_eq!(sends_from(&backwards), None, "out of order");
    let mut fax = bytes.clone();
    fax[5] = 3;
    assert_eq!(sends_from(&fax), None);
    assert_eq!(sends_from(&[&bytes[..], &[0]].concat()), None);
    let many = |count: u8| {
        let one = &bytes[5..14];
        let items = one.repeat(count.into());
        [&[7, 0, 0, 0, count][..], &items].concat()
    };
    assert!(sends_from(&many(32)).is_some());
    assert!(sends_from(&many(33)).is_none());
}

#[test]
fn the_machines_sends_have_the_bytes_that_fileformat_md_tells() {
    let mut counts = [0; MINUTES];
    counts[0] = 0x0302;
    counts[60] = 5;
    let machine = MachineLog::from_parts(9, counts);
    let bytes = [&[9, 0, 0, 0, 0, 0, 0, 0][..], &[2, 3], &[0; 118], &[5, 0]].concat();
    assert_eq!(bytes.len(), 8 + 122);
    assert_eq!(machine_bytes(&machine), bytes);
    assert_eq!(machine_from(&bytes), Some(machine));
    assert_eq!(machine_from(&bytes[1..]), None);
    assert_eq!(machine_from(&[&bytes[..], &[0]].concat()), None);
}

#[test]
fn a_state_has_the_bytes_that_fileformat_md_tells() {
    let time = |secs: u8| [secs, 0, 0, 0, 0, 0, 0, 0];
    let v4 = [&[4, 7, 100, 51, 198][..], &[0; 12]].concat();
    let v6 = [&[6][..], &[0; 8], &[2, 0, 1, 0, 0xb8, 0x0d, 1, 0x20]].concat();
    let bytes = [
        &[232, 3, 0, 0][..],
        &[0, 1],
        &[5, 0, 0, 0],
        &time(0),
        &time(9),
        &[2],
        &v4,
        &[2, 0, 0, 0],
        &time(0),
        &[1],
        &v6,
        &[3, 0, 0, 0],
        &time(8),
        &[0],
        &[1],
        &time(7),
        &[1],
        &v4,
        b"\x04sshd",
        &[1],
        &[11, 0, 0, 0, 0, 0, 0, 0x80],
        &time(7),
        &[0xfe, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[2],
        &[1],
        &[50, 0, 0, 0, 0, 0, 0, 0],
        &[1],
        &[60, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0],
        &[1],
        &[12, 0, 0, 0, 0, 0, 0, 0],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        &[1],
        &v4,
        &time(6),
        &[4, 0, 0, 0],
    ]
    .concat();
    let (uid, state) = state_from(&bytes).unwrap();
    assert_eq!(uid, 1000);
    assert!(!state.disabled && state.enrolled);
    assert_eq!(state.throttle.failures, 5);
    assert_eq!(state.throttle.dry_at, None);
    assert_eq!(state.throttle.counted_at, Some(UnixTime::from_secs(9)));
    let origin = |text: &str| Origin::of_address(text.parse().unwrap());
    let [near, far] = ["198.51.100.7", "2001:db8:1:2::9"].map(origin);
    assert_eq!(state.throttle.origins.len(), 2);
    assert_eq!(state.throttle.origins[0].origin, near);
    assert_eq!(state.throttle.origins[0].held_until, None);
    assert!(state.throttle.origins[0].trusted);
    assert_eq!(state.throttle.origins[1].origin, far);
    assert_eq!(state.throttle.origins[1].failures, 3);
    assert!(!state.throttle.origins[1].trusted);
    let last = LastLogin {
        at: UnixTime::from_secs(7),
        method: Method::Totp,
        origin: near,
        service: Service::parse("sshd"),
    };
    assert_eq!(state.last, Some(last));
    let entry = &state.authenticators[0];
    assert_eq!(entry.generation.bits(), 0x8000_0000_0000_000b);
    let drift = Drift {
        last: -2,
        kept: -1,
        lean: 2,
    };
    assert_eq!(entry.drift, drift);
    assert_eq!(entry.used.floor(), Some(50));
    assert_eq!(entry.used.runs(), [(56, 60)]);
    assert_eq!(state.recovery[0].used, 5);
    assert_eq!(state.remembered[0].origin, near);
    assert_eq!(state.remembered[0].at, UnixTime::from_secs(6));
    assert_eq!(state.sent_failures, 4);
    assert_eq!(state_bytes(uid, &state), bytes);
}

#[test]
fn methods_and_origins_have_their_numbers_and_no_others_are_any() {
    let methods = [Method::Totp, Method::Hotp, Method::Issued, Method::Recovery];
    assert_eq!(methods.map(method_code), [1, 2, 3, 4]);
    for method in methods {
        assert_eq!(method_from(method_code(method)), Some(method));
    }
    assert_eq!((method_from(0), method_from(5)), (None, None));
    for tag in 0..=7 {
        let bytes = [&[tag, 5][..], &[0; 15]].concat();
        let known = origin_from(&mut Reader(&bytes)).is_some();
        assert_eq!(known, [0, 4, 6].contains(&tag), "{tag}");
    }
    for tag in [0, 4] {
        let bytes = [&[tag][..], &[0xff; 16]].concat();
        assert_eq!(origin_from(&mut Reader(&bytes)), None, "more than 32 bits");
    }
}

#[test]
fn a_list_that_is_too_long_is_damage_before_it_is_read() {
    let read = |most| Reader(&[3, 7, 8, 9, 10]).list(most, Reader::u8);
    assert_eq!(read(2), None);
    assert_eq!(read(3), Some(vec![7, 8, 9]));
    assert_eq!(read(4), Some(vec![7, 8, 9]));
    assert_eq!(Reader(&[3, 7, 8]).list(4, Reader::u8), None);
    assert_eq!(Reader(&[2]).bool(), None);
}

#[test]
fn more_origins_or_authenticators_or_lists_than_there_can_be_are_damage() {
    let whole = |change: fn(&mut State)| {
        let mut state = fullest_state();
        change(&mut state);
        state_from(&state_bytes(1000, &state)).is_some()
    };
    assert!(whole(|_| ()));
    assert!(!whole(|state| state
        .throttle
        .origins
        .push(state.throttle.origins[0])));
    assert!(!whole(|state| state.recovery.push(state.recovery[0])));
    assert!(!whole(|state| {
        let one = state.authenticators[0].clone();
        state.authenticators.push(one);
    }));
}

#[test]
fn a_stored_code_that_none_issues_is_damage() {
    let changes: [fn(&mut StoredCode); 5] = [
        |code| code.length = 5,
        |code| code.length = 11,
        |code| code.attempts[1].0 = code.attempts[0].0,
        // One more wrong answer, and nobody could read it.
        |code| code.attempts[49].1 = 0,
        |code| code.reason = "\u{1b}[2J".to_owned(),
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut code = fullest_code();
        change(&mut code);
        assert!(stored_from(&stored_bytes(7, &code)).is_none(), "{n}");
    }
}

#[test]
fn bytes_left_over_or_missing_are_damage() {
    let bytes = state_bytes(1000, &fullest_state());
    for length in 0..bytes.len() {
        assert_eq!(state_from(&bytes[..length]), None, "{length}");
    }
    assert_eq!(state_from(&[&bytes[..], &[0]].concat()), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = state_from(&bytes);
        let _ = stored_from(&bytes);
    }
}
