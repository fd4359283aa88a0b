//! Where codes can be sent to a user: set by an administrator, confirmed by a code, under her lock. A change withdraws the codes
//! that went where she was reached before.

use rand::CryptoRng;

use super::super::contacts::{MAX_CONTACTS, parse, text};
use super::super::dir::Privacy;
use super::super::queue::{Entry, Purpose, Put};
use super::super::{Confirmation, Error, Introduced, Sent, Store};
use super::counts::SENDS;
use super::requests::{one_line, plain};
use super::{FileStore, Held, same_uid};
use crate::delivery::{Address, Channel, Contact, Contacts, MAX_CONFIRM_ATTEMPTS, Pending};
use crate::issued::CodeId;
use crate::keyed::DigestKey;
use crate::passcode::Digits;
use crate::policy::Policy;
use crate::request::{Why, may_send};
use crate::time::UnixTime;
use crate::user::{Account, UserName};

pub(super) const CONTACTS: &str = "contacts";

impl FileStore {
    /// A user's contacts.
    pub fn contacts(&self, account: &Account) -> Result<Contacts, Error> {
        Ok(self.read(account)?.contacts)
    }

    /// Gives a user this contact, in the place of what she has on its channel, and sends a code there that confirms it. Until
    /// then codes for logins are sent to neither. The limits of sending hold.
    pub fn set_contact(
        &self,
        account: &Account,
        address: Address,
        host: &str,
        policy: &Policy,
        clock: impl FnOnce() -> UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Introduced, Error> {
        let channel = address.channel();
        if !policy.channel_is_on(channel) {
            return Ok(Introduced::Refused(Why::NoChannel));
        }
        let held = self.hold(account, self.lock_or_create(account)?)?;
        let mut contacts = self.contacts_of(account)?;
        let known = contacts.on(channel);
        if known.is_some_and(|known| known.address == address && known.confirmed_at.is_some()) {
            return Ok(Introduced::Already);
        }
        self.make_counts(account)?;
        let key = self.digest_key(|| DigestKey::draw(rng))?;
        let queue = self.queue_to_send()?;
        let mut counts = self.counts(account)?;
        let now = clock();
        let (mut sends, mut machine) = (counts.sends.clone(), counts.machine.clone());
        sends.settle(now);
        machine.settle(now);
        if let Err(why) = may_send((&sends, &machine), channel, now, policy) {
            if counts.is_ahead(now) {
                counts.keep(&sends, &machine)?;
            }
            return Ok(Introduced::Refused(why));
        }
        sends.note(channel, now);
        machine.note(now);
        counts.keep(&sends, &machine)?;
        self.call_off(&held, &contacts, channel)?;
        let before = contacts.clone();
        let (entry, pending) = confirmation(&held, &key, &address, host, (now, policy), rng);
        let sent = Sent {
            id: entry.id,
            channel,
            to: address.masked(),
            issued_at: entry.issued_at,
            expires_at: entry.expires_at,
        };
        contacts.put(Contact {
            address,
            confirmed_at: None,
            pending: Some(pending),
        });
        self.write_contacts(&account.name, held.uid, &contacts)?;
        let put = queue.put(&entry, policy.delivery.queue);
        if let Ok(Put::Queued) = put {
            return Ok(Introduced::Sent(sent));
        }
        let restored = self.write_contacts(&account.name, held.uid, &before);
        put.and(restored)
            .map(|()| Introduced::Refused(Why::QueueFull))
    }

    /// Gives a user this contact as a confirmed one, because somebody vouches for it; in the place of what she has on its
    /// channel. `false` if it was confirmed before, and nothing has changed. Nothing is sent.
    pub fn vouch_for_contact(
        &self,
        account: &Account,
        address: Address,
        now: UnixTime,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, Error> {
        let channel = address.channel();
        let held = self.hold(account, self.lock_or_create(account)?)?;
        let mut contacts = self.contacts_of(account)?;
        let known = contacts.on(channel);
        let is_same = known.is_some_and(|known| known.address == address);
        if is_same && known.is_some_and(|known| known.confirmed_at.is_some()) {
            return Ok(false);
        }
        // What sending to it takes, whoever asks first.
        self.make_counts(account)?;
        self.digest_key(|| DigestKey::draw(rng))?;
        self.call_off(&held, &contacts, channel)?;
        contacts.put(Contact {
            address,
            confirmed_at: Some(now),
            pending: None,
        });
        self.write_contacts(&account.name, held.uid, &contacts)?;
        Ok(true)
    }

    /// Takes the answer that is to confirm a contact. A wrong one is counted before this returns. `clock` is read once her
    /// lock is held.
    pub fn confirm_contact(
        &self,
        account: &Account,
        channel: Channel,
        typed: &Digits,
        clock: impl FnOnce() -> UnixTime,
    ) -> Result<Confirmation, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            return self.unheld(account).map(|_| Confirmation::Nothing);
        };
        let held = self.hold(account, locked)?;
        let mut contacts = self.contacts_of(account)?;
        let Some(contact) = contacts.on_mut(channel) else {
            return Ok(Confirmation::Nothing);
        };
        let Some(pending) = &mut contact.pending else {
            return Ok(Confirmation::Nothing);
        };
        let now = clock();
        if now < pending.issued_at || pending.expires_at <= now {
            return Ok(Confirmation::Expired);
        }
        let digest = self.key()?.contact(&account.name, &contact.address, typed);
        let came = if digest == pending.digest {
            contact.confirmed_at = Some(now);
            contact.pending = None;
            Confirmation::Confirmed
        } else {
            pending.attempts = pending.attempts.saturating_add(1);
            let left = MAX_CONFIRM_ATTEMPTS.saturating_sub(pending.attempts);
            if left == 0 {
                contact.pending = None;
            }
            Confirmation::Wrong { left }
        };
        self.write_contacts(&account.name, held.uid, &contacts)?;
        Ok(came)
    }

    /// Takes a user's contact away; `false` if she has none on this channel. What was sent to her is counted on.
    pub fn remove_contact(&self, account: &Account, channel: Channel) -> Result<bool, Error> {
        let Some(locked) = self.lock(&account.name)? else {
            return self.unheld(account).map(|_| false);
        };
        let held = self.hold(account, locked)?;
        let mut contacts = self.contacts_of(account)?;
        if contacts.on(channel).is_none() {
            return Ok(false);
        }
        self.call_off(&held, &contacts, channel)?;
        contacts.take(channel);
        self.write_contacts(&account.name, held.uid, &contacts)?;
        Ok(true)
    }

    /// Withdraws what was sent to a contact, and what waits to be.
    fn call_off(&self, held: &Held, contacts: &Contacts, channel: Channel) -> Result<(), Error> {
        self.withdraw_codes(held, |code| code.channel == Some(channel))?;
        let codes = held.record.issued.iter();
        let codes = codes.filter(|code| code.channel == Some(channel));
        let pending = contacts.on(channel).and_then(|one| one.pending.as_ref());
        let ids: Vec<CodeId> = codes
            .map(|code| code.id)
            .chain(pending.map(|pending| pending.id))
            .collect();
        if let Some(queue) = self.queue()? {
            queue.withdraw(&held.record.user, |id| ids.contains(&id))?;
        }
        Ok(())
    }

    /// Reads the file of a user's contacts.
    pub(super) fn contacts_of(&self, account: &Account) -> Result<Contacts, Error> {
        let Some(dir) = self.root.sub(CONTACTS, Privacy::RootOnly)? else {
            return Ok(Contacts::NONE);
        };
        let name = account.name.file_name();
        let Some(content) = dir.read(&name, MAX_CONTACTS, Privacy::RootOnly)? else {
            return Ok(Contacts::NONE);
        };
        let path = dir.path_of(&name);
        let (uid, contacts) = parse(&content, &path)?;
        same_uid(account, uid, &path)?;
        Ok(contacts)
    }

    pub(super) fn has_contacts(&self, account: &Account) -> Result<bool, Error> {
        let dir = self.root.sub(CONTACTS, Privacy::RootOnly)?;
        dir.map_or(Ok(false), |dir| dir.has(&account.name.file_name()))
    }

    /// Replaces the file of a user's contacts; it lasts once this returns.
    pub(super) fn write_contacts(
        &self,
        user: &UserName,
        uid: u32,
        contacts: &Contacts,
    ) -> Result<(), Error> {
        let dir = self.root.make_sub(CONTACTS, Privacy::RootOnly)?;
        let name = user.file_name();
        if contacts.is_empty() {
            dir.unlink(&name)?;
            return dir.sync();
        }
        let text = text(uid, contacts);
        dir.write(&name, text.as_bytes(), true).map(|_| ())
    }

    /// Deletes a user's contacts and what is known of her sends, whatever is wrong with them.
    pub(super) fn forget_contacts(&self, name: &str) -> Result<(), Error> {
        for dir in [CONTACTS, SENDS] {
            if let Some(dir) = self.root.sub(dir, Privacy::RootOnly)? {
                dir.unlink(name)?;
                dir.sync()?;
            }
        }
        Ok(())
    }
}

/// A code that confirms an address: what is put into the queue, and what is kept.
fn confirmation(
    held: &Held,
    key: &DigestKey,
    address: &Address,
    host: &str,
    (now, policy): (UnixTime, &Policy),
    rng: &mut impl CryptoRng,
) -> (Entry, Pending) {
    let user = held.record.user.clone();
    let digits = Digits::draw(rng, policy.issued.digits.into());
    let id = CodeId::draw(rng);
    let pending = Pending {
        id,
        digest: key.contact(&user, address, &digits),
        issued_at: now,
        expires_at: now.plus(policy.delivery.ttl),
        attempts: 0,
    };
    let entry = Entry {
        user,
        id,
        address: address.clone(),
        code: plain(&digits),
        purpose: Purpose::Confirm,
        issued_at: now,
        expires_at: pending.expires_at,
        host: one_line(host),
    };
    (entry, pending)
}
