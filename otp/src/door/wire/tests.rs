use super::*;
use crate::delivery::Channel;
use crate::enrollment::{Kind, MAX_NAME};
use crate::hotp::{Algorithm, CodeLength};
use crate::issued::CodeId;
use crate::service::MAX_SERVICE;
use crate::standing::{Device, MAX_REACH, Pending, Reach, RecoveryLeft};
use crate::time::{Period, UnixTime};
use crate::verify::{Method, Reason};
use proptest::prelude::*;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn asker(user: &[u8]) -> Asker {
    Asker {
        user: user.to_vec(),
        service: Service::parse("i3lock"),
        remote: Some("2001:db8::7".parse().unwrap()),
        origin: Origin::Local(0x03e8),
    }
}

fn code(typed: &str) -> Question {
    Question::Judge(Passcode::parse(typed.as_bytes()).unwrap())
}

fn sent(question: &Question) -> Vec<u8> {
    question_bytes(&asker(b"alice"), question).to_vec()
}

/// A question as FILEFORMAT.md has it.
fn spelled(what: u8, code: &[u8]) -> Vec<u8> {
    let mut bytes = b"pamotpDQ\x01".to_vec();
    bytes.push(what);
    bytes.extend(b"\x05\x00alice\x06i3lock");
    bytes.extend(b"\x06\x07\0\0\0\0\0\0\0\0\0\0\0\xb8\x0d\x01\x20");
    bytes.extend(b"\x00\xe8\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.extend(code);
    bytes
}

#[test]
fn a_question_has_the_bytes_that_fileformat_md_tells() {
    assert_eq!(sent(&Question::Look), spelled(1, b""));
    assert_eq!(sent(&code("492 039")), spelled(2, b"\x06492039"));
    let recovery = code("7KQ2-m4tx-9bnc-2xwd");
    assert_eq!(sent(&recovery), spelled(2, b"\x107kq2m4tx9bnc2xwd"));
    assert_eq!(sent(&Question::Status), spelled(3, b""));
    let nowhere = Asker {
        service: None,
        remote: None,
        ..asker(b"")
    };
    let bytes = question_bytes(&nowhere, &Question::Look).to_vec();
    let mut spelled = b"pamotpDQ\x01\x01\x00\x00\x00".to_vec();
    spelled.extend([0; 17]);
    spelled.extend(b"\x00\xe8\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bytes, spelled);
}

#[test]
fn what_is_asked_is_what_is_understood() {
    for question in [
        Question::Look,
        code("492039"),
        code("7kq2m4tx9bnc2xwd"),
        Question::Status,
    ] {
        let (who, what) = question_from(&sent(&question)).unwrap();
        assert_eq!(who, asker(b"alice"));
        assert_eq!(sent(&what), sent(&question));
    }
}

#[test]
fn a_name_that_is_too_long_for_anybody_is_cut_and_still_nobodys() {
    let long = question_bytes(&asker(&[b'x'; 100_000]), &code("1234567890"));
    assert!(long.len() <= MAX_QUESTION);
    let (who, _) = question_from(&long).unwrap();
    assert_eq!(who.user, [b'x'; 257]);
    let (who, _) = question_from(&question_bytes(&asker(&[0xff; 257]), &Question::Look)).unwrap();
    assert_eq!(who.user, [0xff; 257]);
}

#[test]
fn what_is_spelled_otherwise_is_no_question() {
    let good = spelled(2, b"\x06492039");
    assert!(question_from(&good).is_ok());
    for (at, byte) in [
        (9, 0),     // no such question
        (9, 1),     // a look has no code
        (9, 4),     // no such question
        (10, 6),    // the name is longer than it is
        (11, 2),    // and longer than any
        (18, b'/'), // no service
        (24, 5),    // no kind of address
        (24, 0),    // an address that is not there, and is
        (41, 6),    // an origin that is not cut to its network
        (46, 1),    // a uid of more than 32 bits
        (58, 5),    // no code
        (58, 7),    // longer than it is
        (59, b' '), // in another spelling
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(question_from(&bytes).err(), Some(Unread::Nonsense), "{at}");
    }
    for length in 0..good.len() {
        assert!(question_from(&good[..length]).is_err(), "{length}");
    }
    let longer = [&good[..], b"\0"].concat();
    assert_eq!(question_from(&longer).err(), Some(Unread::Nonsense));
    let mut loopback = good.clone();
    loopback[41..46].copy_from_slice(&[4, 2, 0, 0, 0x7f]);
    assert_eq!(question_from(&loopback).err(), Some(Unread::Nonsense));
}

#[test]
fn another_version_is_named_whatever_stands_behind_it() {
    for version in [0, 2, 255] {
        let mut bytes = spelled(1, b"");
        bytes[8] = version;
        assert_eq!(question_from(&bytes).err(), Some(Unread::Version(version)));
        bytes.truncate(9);
        assert_eq!(question_from(&bytes).err(), Some(Unread::Version(version)));
        let mut bytes = answer_bytes(&Answer::Refused);
        bytes[8] = version;
        assert_eq!(answer_from(&bytes), Err(Unread::Version(version)));
    }
    assert_eq!(
        question_from(b"pamotpDA\x01\x03").err(),
        Some(Unread::Nonsense)
    );
    assert_eq!(answer_from(b"pamotpDQ\x02").err(), Some(Unread::Nonsense));
}

fn history() -> History {
    History {
        last: Some(LastLogin {
            at: at(0x0102),
            method: Method::Issued,
            origin: Origin::Local(7),
            service: Service::parse("su"),
        }),
        failures: 3,
        recovery_left: Some(9),
    }
}

#[test]
fn an_answer_has_the_bytes_that_fileformat_md_tells() {
    let head = b"pamotpDA\x01";
    let told = b"\x01\x02\x01\0\0\0\0\0\0\x03\
        \x00\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02su\x03\0\0\0\x01\x09";
    let spelled = |rest: &[&[u8]]| [&head[..], &rest.concat()].concat();
    let acceptance = Acceptance {
        method: Method::Totp,
        offset: Some(-1),
    };
    let accepted = Answer::of(Verdict::Accepted(acceptance), history());
    let bytes = spelled(&[b"\x02\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff", told]);
    assert_eq!(answer_bytes(&accepted), bytes);
    let seen = Answer::Seen(Sight {
        can_answer: true,
        is_remembered: false,
        history: History::default(),
    });
    assert_eq!(answer_bytes(&seen), spelled(&[b"\x01\x01\0\0\0\0\0\0\0"]));
    for (no, byte) in [
        (No::Unavailable, 1),
        (No::NotPermitted, 2),
        (No::NotUnderstood, 3),
        (No::Busy, 4),
    ] {
        assert_eq!(answer_bytes(&Answer::No(no)), spelled(&[&[5, byte]]));
        assert_eq!(answer_from(&spelled(&[&[5, byte]])), Ok(Answer::No(no)));
    }
    for byte in [0, 5, 255] {
        assert!(answer_from(&spelled(&[&[5, byte]])).is_err());
    }
    assert!(answer_from(&spelled(&[b"\x06"])).is_err());
}

/// Somebody who asks for another, or guesses, must not learn how near she came: a code that is right at another time would be.
#[test]
fn a_refusal_tells_no_reason() {
    let reasons = [
        Reason::Mismatch,
        Reason::OtherTime(40),
        Reason::Used,
        Reason::Throttled,
        Reason::NotEnrolled,
        Reason::Disabled,
    ];
    for reason in reasons {
        let answer = Answer::of(Verdict::Refused(reason), history());
        assert_eq!(answer_bytes(&answer), b"pamotpDA\x01\x03", "{reason:?}");
    }
}

fn fullest() -> Standing {
    let origin =
        |n: u32| Origin::of_address(std::net::Ipv6Addr::from_bits(u128::from(n) << 64).into());
    let device = |kind: Kind| Device {
        name: "x".repeat(MAX_NAME),
        kind,
        algorithm: Algorithm::Sha512,
        length: CodeLength::new(8).unwrap(),
        enrolled_at: at(u64::MAX),
        drift: Some(-3),
        learned: Some(-2),
        counter: Some(u64::MAX),
        last_used_at: Some(at(7)),
        last_origin: Some(origin(1)),
    };
    let period = Period::from_secs(300).unwrap();
    Standing {
        enrolled: true,
        disabled: true,
        locked: true,
        sent_locked: true,
        failures: u32::MAX,
        held_until: Some(at(9)),
        devices: vec![
            device(Kind::Totp { period }),
            device(Kind::Hotp),
            device(Kind::Hotp),
        ],
        issued: (0..20)
            .map(|n| Pending {
                id: CodeId::from_bytes([n; 4]),
                expires_at: at(n.into()),
                attempts: 50,
                sends: 4,
                channel: Some(Channel::Email),
                reason: None,
            })
            .collect(),
        recovery: Some(RecoveryLeft { left: 63, of: 64 }),
        contacts: Channel::ALL
            .map(|channel| Reach {
                channel,
                to: "x".repeat(MAX_REACH),
                confirmed_at: Some(at(9)),
            })
            .into(),
        remembered: (0..8).map(|n| (origin(n), at(n.into()))).collect(),
        last: Some(LastLogin {
            service: Service::parse(&"x".repeat(MAX_SERVICE)),
            ..history().last.unwrap()
        }),
    }
}

#[test]
fn the_fullest_standing_there_is_fits_and_reads_back() {
    let answer = Answer::Stands(Box::new(fullest()));
    let bytes = answer_bytes(&answer);
    assert!(bytes.len() <= MAX_ANSWER, "{}", bytes.len());
    assert_eq!(answer_from(&bytes), Ok(answer));
    for length in 0..bytes.len() {
        assert!(answer_from(&bytes[..length]).is_err(), "{length}");
    }
    assert!(answer_from(&[&bytes[..], b"\0"].concat()).is_err());
}

#[test]
fn the_note_among_administrators_stays_among_them() {
    let mut standing = fullest();
    standing.issued[0].reason = Some("she forgets her phone every day".to_owned());
    let bytes = answer_bytes(&Answer::Stands(Box::new(standing)));
    assert_eq!(answer_from(&bytes), Ok(Answer::Stands(Box::new(fullest()))));
}

#[test]
fn more_stored_codes_than_there_may_be_are_left_out_and_not_an_answer_that_nobody_reads() {
    let mut standing = fullest();
    standing.issued.extend(fullest().issued);
    let bytes = answer_bytes(&Answer::Stands(Box::new(standing)));
    assert_eq!(answer_from(&bytes), Ok(Answer::Stands(Box::new(fullest()))));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_understood_has_one_spelling(
        rest in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        for magic in [&b"pamotpDQ\x01"[..], b"pamotpDA\x01", b""] {
            let bytes = [magic, &rest].concat();
            if let Ok((asker, question)) = question_from(&bytes) {
                prop_assert_eq!(&*question_bytes(&asker, &question), &bytes);
            }
            if let Ok(answer) = answer_from(&bytes) {
                prop_assert_eq!(answer_bytes(&answer), bytes);
            }
        }
    }
}
