//! What a user is told of her account when she has logged in.

use crate::calendar;
use crate::state::LastLogin;
use crate::verify::{Changes, Record};

/// What came before a login, and what is left after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last code that was accepted before.
    pub last: Option<LastLogin>,
    /// Wrong codes since then.
    pub failures: u32,
    /// Recovery codes that are not used yet, where she has a list of them.
    pub recovery_left: Option<usize>,
}

impl History {
    /// Of a record as it was read, and what a login makes of it.
    #[must_use]
    pub fn of(record: &Record, changes: &Changes) -> Self {
        let after = changes.state.as_ref().unwrap_or(&record.state);
        let enrollment = record.enrollment.as_ref();
        let list = enrollment.and_then(|enrollment| enrollment.recovery.as_ref());
        let recovery_left = list.map(|list| {
            let used = after.recovery(list.generation);
            let is_left = |index: &usize| used.is_none_or(|used| !used.is_used(*index));
            (0..list.digests.len()).filter(is_left).count()
        });
        Self {
            last: record.state.last,
            failures: record.state.throttle.failures,
            recovery_left,
        }
    }

    /// The one line of it. Nothing in it was chosen by a stranger.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = match self.last {
            Some(last) => format!(
                "Last code: {} from {}.",
                calendar::minute(last.at),
                last.origin
            ),
            None => "No code was used before.".to_owned(),
        };
        line.push_str(&match self.failures {
            0 => " No wrong code since.".to_owned(),
            1 => " 1 wrong code since.".to_owned(),
            n => format!(" {n} wrong codes since."),
        });
        line.push_str(&match self.recovery_left {
            None => String::new(),
            Some(1) => " 1 recovery code left.".to_owned(),
            Some(n) => format!(" {n} recovery codes left."),
        });
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::{Enrollment, Generation, RecoveryList};
    use crate::keyed::DigestKey;
    use crate::origin::Origin;
    use crate::passcode::{Passcode, RecoveryCode};
    use crate::state::{RecoveryState, State};
    use crate::time::UnixTime;
    use crate::user::UserName;
    use crate::verify::Method;
    use zeroize::Zeroizing;

    fn recovery(code: &str) -> RecoveryCode {
        match Passcode::parse(code.as_bytes()) {
            Ok(Passcode::Recovery(code)) => code,
            _ => panic!("{code}"),
        }
    }

    #[test]
    fn it_tells_what_was_before_and_what_is_left_after() {
        let alice = UserName::parse("alice").unwrap();
        let mut record = Record::none(alice.clone());
        let line = |record: &Record| History::of(record, &Changes::default()).line();
        assert_eq!(
            line(&record),
            "No code was used before. No wrong code since."
        );

        let (key, list) = (
            DigestKey::from_bytes(Zeroizing::new([1; 32])),
            Generation::from_bits(3),
        );
        let codes = ["7kq2-m4tx-9bnc-2xwd", "7kq2-m4tx-9bnc-2xwe"];
        record.enrollment = Some(Enrollment {
            authenticators: Vec::new(),
            recovery: Some(RecoveryList {
                generation: list,
                digests: codes
                    .map(|code| key.recovery(&alice, list, &recovery(code)))
                    .into(),
                digits: None,
            }),
        });
        record.state.throttle.failures = 3;
        record.state.last = Some(LastLogin {
            at: UnixTime::from_secs(1_700_000_000),
            method: Method::Totp,
            service: None,
            origin: Origin::of_address("2001:db8::7".parse().unwrap()),
        });
        let before = "Last code: 2023-11-14 22:13 UTC from 2001:db8::/64. 3 wrong codes since.";
        assert_eq!(line(&record), format!("{before} 2 recovery codes left."));

        let after = State {
            recovery: vec![RecoveryState {
                generation: list,
                used: 0b10,
            }],
            ..State::default()
        };
        let changes = Changes {
            state: Some(after),
            ..Changes::default()
        };
        let told = History::of(&record, &changes).line();
        assert_eq!(told, format!("{before} 1 recovery code left."));
    }
}
