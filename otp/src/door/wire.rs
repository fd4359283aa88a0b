//! The bytes of a question and of an answer; FILEFORMAT.md has them ("The door"). Each is one packet. There is one
//! spelling of everything, bytes left over are an error, and nothing that can be received panics.

mod standing;

use std::net::IpAddr;

use zeroize::Zeroizing;

use self::standing::{standing_from, standing_to};
use super::{MAX_ANSWER, MAX_QUESTION};
use crate::bytes::{
    Reader, list_to, method_code, method_from, origin_from, origin_to, service_from, time_to,
    u32_to,
};
use crate::enrollment::MAX_RECOVERY_CODES;
use crate::history::History;
use crate::judging::Sight;
use crate::origin::Origin;
use crate::passcode::{Passcode, RECOVERY_LENGTH};
use crate::service::Service;
use crate::standing::Standing;
use crate::state::LastLogin;
use crate::user::MAX_NAME as LONGEST_USER;
use crate::verify::{Acceptance, Verdict};

/// The version of both, and the only one there is.
pub const VERSION: u8 = 1;
const QUESTION: &[u8; 8] = b"pamotpDQ";
const ANSWER: &[u8; 8] = b"pamotpDA";
/// Bytes of a user name as somebody typed it. What is longer is nobody's name, and is cut here to be nobody's still.
const MAX_TYPED: usize = LONGEST_USER + 1;

/// Why some bytes are no question, or no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// They are of another version of this protocol: this one.
    Version(u8),
    /// They are nothing that is sent here.
    Nonsense,
}

/// Who asks, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The user as typed: any bytes, and of them no more than could be a name.
    pub user: Vec<u8>,
    /// The service that asks her.
    pub service: Option<Service>,
    /// The address she comes from, for the log.
    pub remote: Option<IpAddr>,
    /// Where her answer comes from. That of somebody who is not root is her own uid, whatever stands here.
    pub origin: Origin,
}

/// What is asked.
#[derive(Clone)]
pub enum Question {
    /// Whether there is anything she could answer with, and whether she need be asked.
    Look,
    /// Whether this is a code of hers. It is used up.
    Judge(Passcode),
    /// How she stands.
    Status,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a look.
    Seen(Sight),
    /// The code is right, and used: what forbids its reuse is durable. With what she may be told.
    Accepted(Acceptance, History),
    /// It is not. Why is in the log: somebody who guesses on behalf of a user is not told how close she came.
    Refused,
    /// How she stands.
    Stands(Box<Standing>),
    /// There is no answer.
    No(No),
}

/// Why there is no answer. A denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// Policy or store cannot be read, or are at fault: the log has what and where.
    Unavailable,
    /// Whoever is not root asks for herself alone.
    NotPermitted,
    /// The question cannot be understood.
    NotUnderstood,
    /// Too many ask at once.
    Busy,
}

impl No {
    const ALL: [(Self, u8); 4] = [
        (Self::Unavailable, 1),
        (Self::NotPermitted, 2),
        (Self::NotUnderstood, 3),
        (Self::Busy, 4),
    ];
}

impl Answer {
    /// The answer to a code that was judged.
    #[must_use]
    pub fn of(verdict: Verdict, history: History) -> Self {
        match verdict {
            Verdict::Accepted(acceptance) => Self::Accepted(acceptance, history),
            Verdict::Refused(_) => Self::Refused,
        }
    }
}

/// The bytes of a question. They may hold a code, so they are wiped.
#[must_use]
pub fn question_bytes(asker: &Asker, question: &Question) -> Zeroizing<Vec<u8>> {
    // Room for all of it, so that no copy is left behind.
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_QUESTION));
    out.extend(QUESTION);
    out.push(VERSION);
    out.push(match question {
        Question::Look => 1,
        Question::Judge(_) => 2,
        Question::Status => 3,
    });
    let user = asker.user.get(..MAX_TYPED).unwrap_or(&asker.user);
    out.extend(u16::try_from(user.len()).unwrap_or(0).to_le_bytes());
    out.extend(user);
    service_to(&mut out, asker.service);
    match asker.remote {
        Some(remote) => origin_to(&mut out, Origin::Address(remote)),
        None => origin_to(&mut out, NOWHERE),
    }
    origin_to(&mut out, asker.origin);
    if let Question::Judge(passcode) = question {
        let code = match passcode {
            Passcode::Digits(digits) => digits.as_bytes(),
            Passcode::Recovery(code) => code.as_bytes(),
        };
        list_to(&mut out, code, |out, byte| out.push(*byte));
    }
    out
}

/// How an address that is not there is spelled.
const NOWHERE: Origin = Origin::Local(0);

/// Reads what [`question_bytes`] wrote.
pub fn question_from(bytes: &[u8]) -> Result<(Asker, Question), Unread> {
    let mut from = opened(bytes, MAX_QUESTION, QUESTION)?;
    let question = asked(&mut from).filter(|_| from.0.is_empty());
    question.ok_or(Unread::Nonsense)
}

fn asked(from: &mut Reader<'_>) -> Option<(Asker, Question)> {
    let what = from.u8()?;
    let length = usize::from(u16::from_le_bytes(from.array()?));
    let user = from.bytes(length).filter(|user| user.len() <= MAX_TYPED)?;
    let asker = Asker {
        user: user.to_vec(),
        service: service_from(from)?,
        remote: match origin_from(from)? {
            Origin::Address(remote) => Some(remote),
            NOWHERE => None,
            Origin::Local(_) => return None,
        },
        origin: origin_from(from).filter(is_one)?,
    };
    let question = match what {
        1 => Question::Look,
        2 => Question::Judge(passcode_from(from)?),
        3 => Question::Status,
        _ => return None,
    };
    Some((asker, question))
}

/// Whether an origin is spelled as it is kept: an address stands for its network.
fn is_one(origin: &Origin) -> bool {
    match origin {
        Origin::Local(_) => true,
        Origin::Address(address) => Origin::of_address(*address) == *origin,
    }
}

/// A code in its one spelling.
fn passcode_from(from: &mut Reader<'_>) -> Option<Passcode> {
    let length = usize::from(from.u8()?);
    let typed = from
        .bytes(length)
        .filter(|typed| typed.len() <= RECOVERY_LENGTH)?;
    let passcode = Passcode::parse(typed).ok()?;
    let is_one = match &passcode {
        Passcode::Digits(digits) => digits.as_bytes() == typed,
        Passcode::Recovery(code) => code.as_bytes() == typed,
    };
    is_one.then_some(passcode)
}

/// The bytes of an answer.
#[must_use]
pub fn answer_bytes(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_ANSWER);
    out.extend(ANSWER);
    out.push(VERSION);
    match answer {
        Answer::Seen(sight) => {
            out.push(1);
            out.push(sight.can_answer.into());
            out.push(sight.is_remembered.into());
            history_to(&mut out, &sight.history);
        }
        Answer::Accepted(acceptance, history) => {
            out.push(2);
            out.push(method_code(acceptance.method));
            list_to(&mut out, acceptance.offset.as_slice(), |out, offset| {
                out.extend(offset.to_le_bytes());
            });
            history_to(&mut out, history);
        }
        Answer::Refused => out.push(3),
        Answer::Stands(standing) => {
            out.push(4);
            standing_to(&mut out, standing);
        }
        Answer::No(no) => {
            let why = No::ALL.into_iter().find(|(known, _)| known == no);
            out.extend([5, why.map_or(0, |(_, code)| code)]);
        }
    }
    out
}

/// Reads what [`answer_bytes`] wrote.
pub fn answer_from(bytes: &[u8]) -> Result<Answer, Unread> {
    let mut from = opened(bytes, MAX_ANSWER, ANSWER)?;
    let answer = answered(&mut from).filter(|_| from.0.is_empty());
    answer.ok_or(Unread::Nonsense)
}

fn answered(from: &mut Reader<'_>) -> Option<Answer> {
    Some(match from.u8()? {
        1 => Answer::Seen(Sight {
            can_answer: from.bool()?,
            is_remembered: from.bool()?,
            history: history_from(from)?,
        }),
        2 => {
            let acceptance = Acceptance {
                method: method_from(from.u8()?)?,
                offset: from.list(1, Reader::i64)?.pop(),
            };
            Answer::Accepted(acceptance, history_from(from)?)
        }
        3 => Answer::Refused,
        4 => Answer::Stands(Box::new(standing_from(from)?)),
        5 => {
            let why = from.u8()?;
            let no = No::ALL.into_iter().find(|(_, code)| *code == why);
            Answer::No(no?.0)
        }
        _ => return None,
    })
}

/// What stands behind magic and version, where they are right.
fn opened<'a>(bytes: &'a [u8], most: usize, magic: &[u8; 8]) -> Result<Reader<'a>, Unread> {
    let rest = bytes.strip_prefix(magic).filter(|_| bytes.len() <= most);
    match rest.and_then(<[u8]>::split_first) {
        Some((&VERSION, rest)) => Ok(Reader(rest)),
        Some((&version, _)) => Err(Unread::Version(version)),
        None => Err(Unread::Nonsense),
    }
}

fn history_to(out: &mut Vec<u8>, history: &History) {
    last_to(out, history.last);
    u32_to(out, history.failures);
    list_to(out, history.recovery_left.as_slice(), |out, left| {
        out.push(small(*left));
    });
}

fn history_from(from: &mut Reader<'_>) -> Option<History> {
    Some(History {
        last: last_from(from)?,
        failures: from.u32()?,
        recovery_left: from.list(1, count_from)?.pop(),
    })
}

fn last_to(out: &mut Vec<u8>, last: Option<LastLogin>) {
    list_to(out, last.as_slice(), |out, last| {
        time_to(out, last.at);
        out.push(method_code(last.method));
        origin_to(out, last.origin);
        service_to(out, last.service);
    });
}

fn last_from(from: &mut Reader<'_>) -> Option<Option<LastLogin>> {
    let last = |from: &mut Reader<'_>| {
        Some(LastLogin {
            at: from.time()?,
            method: method_from(from.u8()?)?,
            origin: origin_from(from)?,
            service: service_from(from)?,
        })
    };
    Some(from.list(1, last)?.pop())
}

fn service_to(out: &mut Vec<u8>, service: Option<Service>) {
    let name = service.as_ref().map_or("", Service::as_str);
    list_to(out, name.as_bytes(), |out, byte| out.push(*byte));
}

/// A number of recovery codes.
fn count_from(from: &mut Reader<'_>) -> Option<usize> {
    let count = usize::from(from.u8()?);
    (count <= MAX_RECOVERY_CODES).then_some(count)
}

/// No list of which this counts the items is longer.
fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
