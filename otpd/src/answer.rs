//! One asker answered, by a process of her own whose standard input is the connection. Who may ask what is decided here;
//! whether a code is right, by the core.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::alarm;
use otp::door::MAX_QUESTION;
use otp::door::wire::{Answer, Asker, No, Question, Unread, answer_bytes, question_from};
use otp::journal::{Entry, Severity};
use otp::judging::{self, Way};
use otp::origin::Origin;
use otp::passwd;
use otp::policy::Policy;
use otp::standing::Standing;
use otp::store::{FileStore, Store, load_policy};
use otp::time::UnixTime;
use otp::user::Account;
use zeroize::Zeroizing;

use crate::askers::{TO_ANSWER, TO_ASK};
use crate::line::Line;
use crate::peer::Peer;

const FAULT: &str = "an internal fault of otpd: please report it, with what it said beside this";

/// Answers whoever is at the other end of standard input.
pub(crate) fn answer(config: Option<&Path>) -> Result<(), String> {
    // The keeper's mask is ours: it listens for signals, and we end by them.
    SigSet::all().thread_unblock().map_err(failed)?;
    alarm::set(u32::try_from(TO_ANSWER.as_secs()).unwrap_or(15));
    let stdin = std::io::stdin();
    let peer = Peer::of(&stdin).map_err(failed)?;
    let Some(question) = heard(&stdin)? else {
        return Ok(());
    };
    let (answer, line) = respond(peer, &question, config);
    drop(question);
    // The log comes first: who is let in stands there.
    if let Some(line) = line {
        line.write();
    }
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    match send(stdin.as_raw_fd(), &answer_bytes(&answer), flags) {
        // She has not waited.
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

fn failed(errno: Errno) -> String {
    format!("cannot answer: {errno}")
}

/// The one packet that is asked; `None` where there is none, or not in time.
fn heard(socket: &(impl AsFd + AsRawFd)) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(TO_ASK).unwrap_or(PollTimeout::ZERO);
    if poll(&mut sockets, limit).map_err(failed)? == 0 {
        return Ok(None);
    }
    // The byte more tells whether there was more than there may be.
    let mut bytes = Zeroizing::new(vec![0; MAX_QUESTION.saturating_add(1)]);
    match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(0) | Err(Errno::ECONNRESET | Errno::EAGAIN) => Ok(None),
        Ok(length) => {
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// What is answered, and what is written of it.
fn respond(peer: Peer, question: &[u8], config: Option<&Path>) -> (Answer, Option<Line>) {
    let (asker, question) = match question_from(question) {
        Ok((asker, question)) => (as_seen_from_here(peer, asker), question),
        Err(unread) => {
            let uid = peer.uid;
            let text = match unread {
                Unread::Version(version) => format!(
                    "uid {uid} asks in version {version} of the protocol: is a program running that was started before the last upgrade?"
                ),
                Unread::Nonsense => format!("uid {uid} asks what cannot be understood"),
            };
            let entry = Entry::unavailable(Severity::Error, &text);
            let line = Line::of_nobody(entry);
            return (Answer::No(No::NotUnderstood), Some(line));
        }
    };
    // A panic is a denial like any: she is answered, and it is told.
    let considering = || considered(peer, &asker, &question, config);
    let considered = panic::catch_unwind(AssertUnwindSafe(considering));
    let fault = |_| Err(Denied::Unavailable(FAULT.to_owned()));
    let (answer, entry) = match considered.unwrap_or_else(fault) {
        Ok(done) => done,
        Err(Denied::Unavailable(why)) => {
            let entry = Entry::unavailable(Severity::Error, &why);
            (Answer::No(No::Unavailable), Some(entry))
        }
        Err(Denied::NotPermitted) => {
            let text = format!("uid {} asks about somebody else than herself", peer.uid);
            let entry = Entry::unavailable(Severity::Notice, &text);
            (Answer::No(No::NotPermitted), Some(entry))
        }
    };
    (answer, entry.map(|entry| Line::of(entry, asker)))
}

/// Root tells from where somebody comes. Anybody else is where she is, whatever she says.
fn as_seen_from_here(peer: Peer, asker: Asker) -> Asker {
    if peer.is_root() {
        return asker;
    }
    Asker {
        remote: None,
        origin: Origin::Local(peer.uid),
        ..asker
    }
}

/// Why a question has no answer.
enum Denied {
    Unavailable(String),
    NotPermitted,
}

impl<E: Display> From<E> for Denied {
    fn from(error: E) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn considered(
    peer: Peer,
    asker: &Asker,
    question: &Question,
    config: Option<&Path>,
) -> Result<(Answer, Option<Entry>), Denied> {
    let account = passwd::account(&asker.user)?;
    if !may_ask(peer, account.as_ref()) {
        return Err(Denied::NotPermitted);
    }
    let policy = load_policy(config)?.policy;
    match (question, account) {
        (Question::Judge(passcode), account) => {
            let way = Way {
                origin: asker.origin,
                service: asker.service,
            };
            let user = &asker.user;
            let (verdict, history) =
                judging::judge(user, account.as_ref(), passcode, way, &policy, now)?;
            Ok((Answer::of(verdict, history), Some(Entry::of(verdict))))
        }
        (Question::Look, Some(account)) => {
            let sight = judging::look(&account, asker.origin, &policy, now)?;
            Ok((Answer::Seen(sight), None))
        }
        (Question::Status, Some(account)) => {
            let standing = stands(&account, &policy)?;
            Ok((Answer::Stands(Box::new(standing)), None))
        }
        (Question::Look | Question::Status, None) => Err(Denied::Unavailable(
            "the passwd database does not know the user".to_owned(),
        )),
    }
}

/// Root asks for anybody, others for themselves.
fn may_ask(peer: Peer, account: Option<&Account>) -> bool {
    peer.is_root() || account.is_some_and(|account| account.uid == Some(peer.uid))
}

fn stands(account: &Account, policy: &Policy) -> Result<Standing, otp::store::Error> {
    let record = FileStore::open(policy)?.read(account)?;
    Ok(Standing::of(&record, now(), policy))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the edge: the one look at the clock, taken once the record is locked"
)]
fn now() -> UnixTime {
    SystemTime::now().into()
}
