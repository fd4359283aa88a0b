//! Codes that are sent: asked for, counted, kept, put into the queue, and withdrawn where nobody got them.
//!
//! What bounds sending lasts before the code does, and the code before its entry in the queue: killed anywhere, no more is sent
//! than was counted, and nothing that would not be accepted waits to be sent but for what a newer one is about to replace.

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::super::dir::Privacy;
use super::super::queue::{Delivery, Entry, Outcome, Purpose, Put, Queue};
use super::super::{Ask, Error, Order, Requested, Sent, Whereabouts};
use super::spool::{delete_spent, overwrite_stored, write_new_stored};
use super::{FileStore, Held};
use crate::issued::{Fate, StoredCode};
use crate::passcode::Digits;
use crate::policy::Policy;
use crate::request::{Decision, Known, Request, Sending, Why, request};
use crate::time::UnixTime;
use crate::user::Account;
use crate::verify::Changes;

/// What asking for a code flushes: two counts, the code and its name, the entry and its name.
const FLUSHES: usize = 6;
/// What is kept as the reason of a code that was asked for at a prompt.
const ASKED_FOR: &str = "asked for at the prompt";

/// What is asked of the store, by whomever.
struct Wish<'a> {
    request: Request<'a>,
    purpose: Purpose,
    host: &'a str,
}

impl FileStore {
    /// Sends a code to a user who asks for one at a prompt. When this returns it is on its way, or none is. `clock` is read
    /// once the locks are held.
    ///
    /// Whoever asks must have shown that she is the user by something else. It takes about as long for somebody to whom
    /// nothing is sent; the caller answers all of them after the same time.
    pub fn request_code(
        &self,
        account: &Account,
        ask: &Ask,
        policy: &Policy,
        clock: impl FnOnce() -> UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Requested, Error> {
        let wish = Wish {
            request: Request {
                channel: ask.channel,
                origin: Some(ask.origin),
                now: UnixTime::EPOCH,
                length: policy.issued.digits,
                ttl: policy.delivery.ttl,
                reason: ASKED_FOR,
            },
            purpose: Purpose::Login,
            host: &ask.host,
        };
        let came = self.send(account, wish, policy, clock, rng)?;
        if let Requested::Refused(_) = came {
            // Her lock is free again, as after a refused answer.
            self.be_busy();
        }
        Ok(came)
    }

    /// Does for a name of which nothing is kept what sending a code takes. Nothing comes of it.
    pub fn request_nobody(&self, name: &[u8]) {
        self.update_nobody(name, |_| ((), Changes::default()));
        self.be_busy();
    }

    /// Sends a code to a user because an administrator says so, within the same limits.
    pub fn send_code(
        &self,
        account: &Account,
        order: &Order,
        policy: &Policy,
        clock: impl FnOnce() -> UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Requested, Error> {
        let wish = Wish {
            request: Request {
                channel: Some(order.channel),
                origin: None,
                now: UnixTime::EPOCH,
                length: order.length,
                ttl: order.ttl,
                reason: &order.reason,
            },
            purpose: Purpose::Issued,
            host: &order.host,
        };
        self.send(account, wish, policy, clock, rng)
    }

    /// What became of a code that was sent, as far as delivery has told.
    pub fn whereabouts(&self, account: &Account, sent: &Sent) -> Result<Whereabouts, Error> {
        let Some(queue) = self.queue()? else {
            return Ok(Whereabouts::Waiting);
        };
        let outcome = queue.outcome_of(&account.name, sent.channel)?;
        let is_its = |told: &Outcome| told.id == sent.id && told.issued_at == sent.issued_at;
        Ok(match outcome.filter(is_its).map(|told| told.result) {
            None => Whereabouts::Waiting,
            Some(Delivery::Sent) => Whereabouts::HandedOver,
            Some(Delivery::Failed(_)) => Whereabouts::Failed,
        })
    }

    /// Takes note of what delivery says. A code that reached nobody is withdrawn, and so is one that confirms a contact; `true`
    /// if there was one. One that was drawn anew since is not.
    pub fn settle(&self, outcome: &Outcome) -> Result<bool, Error> {
        if outcome.result == Delivery::Sent {
            return Ok(false);
        }
        let account = Account {
            name: outcome.user.clone(),
            uid: None,
        };
        let Some(locked) = self.lock(&account.name)? else {
            return Ok(false);
        };
        let held = self.hold(&account, locked)?;
        let is_its = |code: &StoredCode| {
            code.id == outcome.id
                && code.issued_at == outcome.issued_at
                && code.channel == Some(outcome.channel)
        };
        let withdrawn = self.withdraw_codes(&held, is_its)?;
        let mut contacts = self.contacts_of(&account)?;
        let pending = contacts.on_mut(outcome.channel).filter(|contact| {
            let pending = contact.pending.as_ref();
            pending.is_some_and(|one| one.id == outcome.id && one.issued_at == outcome.issued_at)
        });
        let Some(contact) = pending else {
            return Ok(withdrawn > 0);
        };
        contact.pending = None;
        self.write_contacts(&account.name, held.uid, &contacts)?;
        Ok(true)
    }

    /// Takes back what nobody delivered in time, and drops what nobody asks for any more; how many codes it took back.
    /// `clock` is read once nobody can put another in their place.
    pub fn sweep_queue(&self, clock: impl FnOnce() -> UnixTime) -> Result<u64, Error> {
        let Some(queue) = self.queue()? else {
            return Ok(0);
        };
        let _sending = self.lock_sending()?;
        queue.sweep(clock())
    }

    /// As [`request_code`](Self::request_code), for anybody.
    fn send(
        &self,
        account: &Account,
        mut wish: Wish<'_>,
        policy: &Policy,
        clock: impl FnOnce() -> UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Requested, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            self.unheld(account)?;
            // What is left to do for nobody is the reading and the writing, as for an answer.
            self.update_nobody(account.name.as_str().as_bytes(), |_| {
                ((), Changes::default())
            });
            return Ok(Requested::Refused(Why::NoContact));
        };
        let held = self.hold(account, locked)?;
        let contacts = self.contacts_of(account)?;
        if contacts.is_empty() {
            return Ok(Requested::Refused(Why::NoContact));
        }
        let queue = self.queue_to_send()?;
        let key = self.key()?;
        let mut counts = self.counts(account)?;
        let now = clock();
        let mut known = Known {
            record: &held.record,
            contacts: &contacts,
            sends: counts.sends.clone(),
            machine: counts.machine.clone(),
            key: &key,
        };
        wish.request.now = now;
        match request(&mut known, &wish.request, policy, rng) {
            Decision::Refused(why) => {
                if counts.is_ahead(now) {
                    counts.keep(&known.sends, &known.machine)?;
                }
                Ok(Requested::Refused(why))
            }
            Decision::Send(sending) => {
                counts.keep(&sending.sends, &sending.machine)?;
                self.keep_code(&held, &sending, now)?;
                let entry = entry(&held, &wish, &sending);
                let put = queue.put(&entry, policy.delivery.queue);
                self.on_its_way(&held, put, sending)
            }
        }
    }

    /// Makes the code last, in the place of the one with its id.
    fn keep_code(&self, held: &Held, sending: &Sending, now: UnixTime) -> Result<(), Error> {
        let name = held.record.user.file_name();
        let dir = self.spool.make_sub(name, Privacy::RootOnly)?;
        delete_spent(&dir, &held.record.issued, now)?;
        if sending.is_new {
            write_new_stored(&dir, held.uid, &sending.code)
        } else {
            overwrite_stored(&dir, held.uid, &sending.code)
        }
    }

    /// What came of it, once the entry was put into the queue or was not. A code that nobody will get is withdrawn.
    fn on_its_way(
        &self,
        held: &Held,
        put: Result<Put, Error>,
        sending: Box<Sending>,
    ) -> Result<Requested, Error> {
        let Sending { code, address, .. } = *sending;
        if let Ok(Put::Queued) = put {
            return Ok(Requested::Sent(Sent {
                id: code.id,
                channel: address.channel(),
                to: address.masked(),
                issued_at: code.issued_at,
                expires_at: code.expires_at,
            }));
        }
        let withdrawn = StoredCode {
            fate: Fate::Withdrawn,
            ..code
        };
        let dir = self.spooled(&held.record.user)?;
        let kept = dir.map_or(Ok(()), |dir| overwrite_stored(&dir, held.uid, &withdrawn));
        put.and(kept).map(|()| Requested::Refused(Why::QueueFull))
    }

    /// Withdraws the live codes that `which` picks; how many. They last as withdrawn once this returns.
    pub(super) fn withdraw_codes(
        &self,
        held: &Held,
        which: impl Fn(&StoredCode) -> bool,
    ) -> Result<usize, Error> {
        let Some(dir) = self.spooled(&held.record.user)? else {
            return Ok(0);
        };
        let mut withdrawn = 0_usize;
        let codes = held.record.issued.iter();
        for code in codes.filter(|code| code.fate == Fate::Live && which(code)) {
            let code = StoredCode {
                fate: Fate::Withdrawn,
                ..code.clone()
            };
            overwrite_stored(&dir, held.uid, &code)?;
            withdrawn = withdrawn.saturating_add(1);
        }
        Ok(withdrawn)
    }

    /// The queue, where something is to be put into it.
    pub(super) fn queue_to_send(&self) -> Result<Queue, Error> {
        let path = self.spool.path_of(".queue");
        self.queue()?.ok_or(Error::Missing { path })
    }

    /// As much work as sending a code.
    fn be_busy(&self) {
        for _ in 0..FLUSHES {
            self.decoy().overwrite();
        }
    }
}

/// What is put into the queue.
fn entry(held: &Held, wish: &Wish<'_>, sending: &Sending) -> Entry {
    let Sending {
        code,
        digits,
        address,
        ..
    } = sending;
    Entry {
        user: held.record.user.clone(),
        id: code.id,
        address: address.clone(),
        code: plain(digits),
        purpose: wish.purpose,
        issued_at: code.issued_at,
        expires_at: code.expires_at,
        host: one_line(wish.host),
    }
}

/// The name of this machine, in one line whatever it is.
pub(super) fn one_line(host: &str) -> String {
    host.replace(char::is_control, "")
}

/// The digits, for the queue. Wiped on drop.
pub(super) fn plain(digits: &Digits) -> Zeroizing<String> {
    Zeroizing::new(digits.expose().to_owned())
}
