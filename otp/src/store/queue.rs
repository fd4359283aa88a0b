//! What waits to be handed over, and what came of it. FILEFORMAT.md draws the tree.
//!
//! The queue is the one place where a code stands in plain text: from when it was asked for until it is handed over or
//! withdrawn. Whoever delivers needs nothing else of the store, so it opens without it. An entry is taken by renaming it,
//! and whoever works on it holds its lock, so that none is handed over by two at once, and what a crash left is known.

mod deliver;
mod text;

pub use deliver::{Claimed, Turn};

use std::path::Path;

use zeroize::Zeroizing;

use super::Error;
use super::dir::{Access, Dir, Privacy};
use crate::delivery::{Address, Channel};
use crate::issued::CodeId;
use crate::policy::Policy;
use crate::time::UnixTime;
use crate::user::UserName;

/// In the spool, where a name with a dot in front is no user's.
const QUEUE: &str = ".queue";
/// An entry or an outcome is never longer, in bytes.
const MAX_ENTRY: usize = 2048;
/// In front of an entry's name in `work`: it was begun once before. No user's file begins with a dot.
const AGAIN: char = '+';

/// The queue of codes to be handed over.
pub struct Queue {
    root: Dir,
    /// What nobody has taken yet.
    new: Dir,
    /// What is being handed over.
    work: Dir,
    /// What came of it, until the code's time is over.
    done: Dir,
    /// The names of outcomes that the store has not heard of and should.
    settle: Dir,
}

/// A code to be handed over. Wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub user: UserName,
    /// The name of the code, or of the confirmation.
    pub id: CodeId,
    /// Where it goes, and by which channel.
    pub address: Address,
    /// The code itself: digits.
    pub code: Zeroizing<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was drawn.
    pub issued_at: UnixTime,
    /// The first second at which it is no longer good; it is not handed over from then on.
    pub expires_at: UnixTime,
    /// The machine it is for, as its owner knows it.
    pub host: String,
}

/// What a code is for that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// She asked for it at a prompt.
    Login,
    /// An administrator issued it for her.
    Issued,
    /// It shows that the address is hers.
    Confirm,
}

/// What came of putting an entry into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// It waits, and lasts.
    Queued,
    /// There are too many. Nothing has changed.
    Full,
}

/// What delivery says of an entry, without code and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whose it was.
    pub user: UserName,
    /// The name of the code.
    pub id: CodeId,
    /// By which channel.
    pub channel: Channel,
    /// Where it went, masked.
    pub to: String,
    /// When the code was drawn: a resend has the same id and another time.
    pub issued_at: UnixTime,
    /// The first second at which the code is no longer good, and nobody asks any more.
    pub expires_at: UnixTime,
    /// What came of it.
    pub result: Delivery,
    /// When that was known.
    pub at: UnixTime,
}

/// What came of handing a code over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The gateway took it. Whether it arrives, the gateway does not say.
    Sent,
    /// It did not.
    Failed(Reason),
}

/// Why a code was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody delivered it before its time was over.
    Expired,
    /// The policy has the channel off.
    Off,
    /// Something the policy names cannot be used: a file, an account, a sender.
    Setup,
    /// The program is not there, or cannot be run.
    Missing,
    /// The program said no.
    Status,
    /// It took too long.
    Timeout,
    /// The server cannot be reached.
    Unreachable,
    /// The server did not prove that it is the one, or cannot keep secrets.
    Tls,
    /// The server does not take our password.
    Login,
    /// The server said no.
    Refused,
    /// Whoever delivered it was killed, twice.
    Interrupted,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Login, Self::Issued, Self::Confirm];

    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Issued => "issued",
            Self::Confirm => "confirm",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Reason {
    const ALL: [Self; 11] = [
        Self::Expired,
        Self::Off,
        Self::Setup,
        Self::Missing,
        Self::Status,
        Self::Timeout,
        Self::Unreachable,
        Self::Tls,
        Self::Login,
        Self::Refused,
        Self::Interrupted,
    ];

    /// The word for it in logs and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Off => "off",
            Self::Setup => "setup",
            Self::Missing => "missing",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Entry {
    /// By which channel.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.address.channel()
    }

    /// What delivery says of it.
    #[must_use]
    pub fn outcome(&self, result: Delivery, at: UnixTime) -> Outcome {
        Outcome {
            user: self.user.clone(),
            id: self.id,
            channel: self.channel(),
            to: self.address.masked(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            result,
            at,
        }
    }
}

impl Queue {
    /// Opens the queue that is there.
    pub fn open(policy: &Policy) -> Result<Self, Error> {
        let path = policy.spool_dir.join(QUEUE);
        let root = Dir::open(&path, Privacy::RootOnly)?;
        Self::of(root)
    }

    /// The queue in an open spool, if there is one.
    pub(super) fn within(spool: &Dir) -> Result<Option<Self>, Error> {
        let root = spool.sub(QUEUE, Privacy::RootOnly)?;
        root.map(Self::of).transpose()
    }

    /// Makes what is missing of the queue in an open spool.
    pub(super) fn make(spool: &Dir) -> Result<Self, Error> {
        let root = spool.make_sub(QUEUE, Privacy::RootOnly)?;
        Self::with(root, |root, name| root.make_sub(name, Privacy::RootOnly))
    }

    fn of(root: Dir) -> Result<Self, Error> {
        Self::with(root, |root, name| {
            let path = root.path_of(name);
            let sub = root.sub(name, Privacy::RootOnly)?;
            sub.ok_or(Error::Missing { path })
        })
    }

    fn with(root: Dir, sub: impl Fn(&Dir, &str) -> Result<Dir, Error>) -> Result<Self, Error> {
        Ok(Self {
            new: sub(&root, "new")?,
            work: sub(&root, "work")?,
            done: sub(&root, "done")?,
            settle: sub(&root, "settle")?,
            root,
        })
    }

    /// Puts an entry into the queue, in the place of an older one of the same user and channel that nobody has taken.
    /// When this returns it lasts. `most` is how many may wait; whoever calls this holds a lock that others who do hold,
    /// too, or a few more may.
    pub fn put(&self, entry: &Entry, most: usize) -> Result<Put, Error> {
        let name = name(&entry.user, entry.channel());
        if !self.new.has(&name)? && self.new.names()?.len() >= most {
            return Ok(Put::Full);
        }
        let older = self.new.file(&name, Access::Write, Privacy::RootOnly)?;
        self.new.write(&name, text::entry(entry).as_bytes(), true)?;
        if let Some(older) = older {
            // Not where it was taken meanwhile: then it still has a name, and somebody reads it.
            self.new.wipe_nameless(&older, &name)?;
        }
        Ok(Put::Queued)
    }

    /// Takes entries of a user back whose code `which` picks, damaged ones too; how many. One that is being handed over
    /// may arrive all the same.
    pub fn withdraw(&self, user: &UserName, which: impl Fn(CodeId) -> bool) -> Result<u64, Error> {
        let mut withdrawn = 0_u64;
        for channel in Channel::ALL {
            let name = name(user, channel);
            for (dir, name) in [
                (&self.new, name.clone()),
                (&self.work, name.clone()),
                (&self.work, again(&name)),
            ] {
                let meant = match read(dir, &name) {
                    Ok(Some(entry)) => which(entry.id),
                    Ok(None) => false,
                    Err(_) => true,
                };
                if meant {
                    dir.wipe(&name)?;
                    withdrawn = withdrawn.saturating_add(1);
                }
            }
        }
        Ok(withdrawn)
    }

    /// Deletes everything of a user: what waits, and what came of it.
    pub fn forget(&self, user: &UserName) -> Result<(), Error> {
        self.withdraw(user, |_| true)?;
        for channel in Channel::ALL {
            let name = name(user, channel);
            self.settle.unlink(&name)?;
            self.done.unlink(&name)?;
        }
        self.done.sync()
    }

    /// Every outcome that is still kept, in no order. One that cannot be read is left out: it says nothing.
    pub fn outcomes(&self) -> Result<Vec<Outcome>, Error> {
        self.outcomes_named(&self.done.names()?)
    }

    /// What came last of this user's codes on a channel, if that is known and kept.
    pub fn outcome_of(&self, user: &UserName, channel: Channel) -> Result<Option<Outcome>, Error> {
        self.outcome(&name(user, channel))
    }

    /// The outcomes that the store has not heard of and should: of codes that reached nobody.
    pub fn unsettled(&self) -> Result<Vec<Outcome>, Error> {
        let names = self.settle.names()?;
        for name in &names {
            // Of what cannot be read there is nothing to be told; the code ends when its time is over.
            if !matches!(self.outcome(name), Ok(Some(_))) {
                self.settle.unlink(name)?;
            }
        }
        self.outcomes_named(&names)
    }

    /// The store has heard of this one.
    pub fn settled(&self, outcome: &Outcome) -> Result<(), Error> {
        self.settle.unlink(&name(&outcome.user, outcome.channel))
    }

    /// Takes back what nobody delivered in time, and drops what nobody asks for any more; how many codes it took back.
    /// Whoever calls this holds the lock that whoever [puts](Self::put) does, or an entry that has just come would go with
    /// the one whose place it took.
    pub(super) fn sweep(&self, now: UnixTime) -> Result<u64, Error> {
        let mut late = 0_u64;
        for name in self.new.names()? {
            let is_late = match read(&self.new, &name) {
                Ok(entry) => entry.is_some_and(|entry| entry.expires_at <= now),
                Err(_) => true,
            };
            if is_late {
                self.new.wipe(&name)?;
                late = late.saturating_add(1);
            }
        }
        for name in self.work.names()? {
            // Locked, so that it is this one that goes; whoever has it locked puts it down himself.
            let claimed = self.claim(&name);
            let is_late = match &claimed {
                Ok(claimed) => claimed
                    .as_ref()
                    .is_some_and(|claimed| claimed.entry.expires_at <= now),
                Err(_) => true,
            };
            if is_late {
                self.work.wipe(&name)?;
                late = late.saturating_add(1);
            }
        }
        for name in self.done.names()? {
            let kept = self.outcome(&name).ok().flatten();
            if kept.is_none_or(|outcome| outcome.expires_at <= now) {
                self.settle.unlink(&name)?;
                self.done.unlink(&name)?;
            }
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        for dir in [&self.root, &self.new, &self.work, &self.done, &self.settle] {
            dir.clear_half_made(now)?;
        }
        Ok(late)
    }

    /// When the oldest entry was drawn that nobody has taken, and how many there are.
    pub fn waiting(&self) -> Result<(usize, Option<UnixTime>), Error> {
        let names = self.new.names()?;
        let entries = names.iter().filter_map(|name| read(&self.new, name).ok()?);
        let oldest = entries.map(|entry| entry.issued_at).min();
        Ok((names.len(), oldest))
    }

    fn outcomes_named(&self, names: &[String]) -> Result<Vec<Outcome>, Error> {
        let outcomes = names.iter().filter_map(|name| self.outcome(name).ok()?);
        Ok(outcomes.collect())
    }

    fn outcome(&self, name: &str) -> Result<Option<Outcome>, Error> {
        let content = self.done.read(name, MAX_ENTRY, Privacy::RootOnly)?;
        let path = self.done.path_of(name);
        content
            .map(|content| text::parse_outcome(&content, &path))
            .transpose()
    }
}

/// The file of a user's entry on a channel.
fn name(user: &UserName, channel: Channel) -> String {
    format!("{}.{channel}", user.file_name())
}

fn again(name: &str) -> String {
    format!("{AGAIN}{name}")
}

fn read(dir: &Dir, name: &str) -> Result<Option<Entry>, Error> {
    let content = dir.read(name, MAX_ENTRY, Privacy::RootOnly)?;
    let parse = |content: Zeroizing<Vec<u8>>| entry(&content, name, &dir.path_of(name));
    content.map(parse).transpose()
}

/// An entry, which must be the one that its file is named for.
fn entry(content: &[u8], called: &str, path: &Path) -> Result<Entry, Error> {
    let entry = text::parse_entry(content, path)?;
    if name(&entry.user, entry.channel()) == called.trim_start_matches(AGAIN) {
        return Ok(entry);
    }
    Err(super::dir::damaged(
        path,
        "it is of another user or channel",
    ))
}

#[cfg(test)]
mod tests;
