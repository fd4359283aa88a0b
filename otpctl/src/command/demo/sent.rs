//! A code that is asked for and sent: what sending again changes, and what it leaves. What decides is what decides at a
//! login; what would go to her telephone is shown instead.

use std::thread::sleep;
use std::time::Duration;

use nix::unistd::getuid;
use otp::delivery::{Address, Channel, Contact, Contacts};
use otp::issued::CodeId;
use otp::keyed::DigestKey;
use otp::origin::Origin;
use otp::request::{Decision, Known, Request, Sending, Why, request};
use otp::sends::{MachineLog, SendLog};
use otp::store::Store;
use otp::verify::Changes;
use serde_json::json;

use super::Stage;
use crate::clock;
use crate::failure::Failure;
use crate::report::Tint;
use crate::report::words::{self, Stamp};

/// Instead of a minute, which nobody watches.
const RESEND_AFTER: Duration = Duration::from_secs(3);

/// What is counted of the codes that were sent, and where they go.
#[derive(Default)]
pub(super) struct Sent {
    contacts: Contacts,
    own: SendLog,
    machine: MachineLog,
}

impl Stage<'_> {
    /// A code that is asked for twice.
    pub(super) fn sent(&mut self) -> Result<(), Failure> {
        self.has_a_telephone()?;
        self.say(&format!(
            "\nThe same kind of code, asked for at the prompt and sent to her telephone. Another may go after {} here, else after {}.\n",
            words::span(RESEND_AFTER),
            words::span(otp::policy::Policy::default().delivery.resend_after)
        ))?;
        let Some((first, id)) = self.asks()? else {
            return Ok(());
        };
        self.asks()?;
        self.answer(&super::not(&first))?;
        self.attempts(id)?;
        self.tell(
            "waits",
            Tint::Plain,
            &words::span(RESEND_AFTER),
            json!({"seconds": RESEND_AFTER.as_secs()}),
        )?;
        sleep(RESEND_AFTER);
        let Some((second, _)) = self.asks()? else {
            return Ok(());
        };
        self.answer(&first)?;
        self.attempts(id)?;
        self.answer(&second)?;
        self.say("\nThe newer code took the place of the older. What was guessed and how often it was sent counted on.")
    }

    /// Her number, as if she had confirmed it.
    fn has_a_telephone(&mut self) -> Result<(), Failure> {
        let address = Address::parse(Channel::Sms, "+4917012344711");
        let address = address.map_err(|bad| Failure::usage(bad.to_string()))?;
        self.sent.contacts.put(Contact {
            address,
            confirmed_at: Some(clock::now()),
            pending: None,
        });
        // Some command, so that the channel is on. Nobody runs it.
        self.policy.sms.command = vec!["/this/screen".to_owned()];
        self.policy.delivery.resend_after = RESEND_AFTER;
        Ok(())
    }

    /// Alice asks for a code; the code, where one is sent.
    fn asks(&mut self) -> Result<Option<(String, CodeId)>, Failure> {
        let record = self.store.read(&self.alice)?;
        let rng = &mut self.rng;
        let key = self.store.digest_key(|| DigestKey::draw(rng))?;
        let mut known = Known {
            record: &record,
            contacts: &self.sent.contacts,
            sends: self.sent.own.clone(),
            machine: self.sent.machine.clone(),
            key: &key,
        };
        let asked = Request {
            channel: None,
            origin: Some(Origin::Local(getuid().as_raw())),
            now: clock::now(),
            length: 6,
            ttl: self.policy.delivery.ttl,
            reason: "demo",
        };
        match request(&mut known, &asked, &self.policy, &mut self.rng) {
            Decision::Send(sending) => self.sends(*sending).map(Some),
            Decision::Refused(why) => self.sends_none(why).map(|()| None),
        }
    }

    fn sends(&mut self, sending: Sending) -> Result<(String, CodeId), Failure> {
        self.sent.own = sending.sends;
        self.sent.machine = sending.machine;
        let stored = sending.code;
        let (id, ends, sends) = (stored.id, stored.expires_at, stored.sends);
        if sending.is_new {
            let _ = self.store.issue(&self.alice, vec![stored], clock::now())?;
        } else {
            let mut changed = vec![stored];
            self.store.update(&self.alice, |_| {
                let issued = std::mem::take(&mut changed);
                let changes = Changes {
                    issued,
                    ..Changes::default()
                };
                ((), changes)
            })?;
        }
        let code = sending.digits.expose().to_owned();
        let (to, most) = (
            sending.address.masked(),
            self.policy.delivery.sends_per_code,
        );
        let channel = sending.address.channel().name();
        let text = format!(
            "{}   to {to}, {sends} of {most} times, good until {}",
            words::grouped(&code).as_str(),
            words::end(ends, clock::now())
        );
        let figures = json!({
            "id": id.to_string(), "code": code, "channel": channel, "sent_to": to,
            "sends": sends, "of": most, "expires_at": Stamp(ends),
        });
        self.tell("sends", Tint::Strong, &text, figures)?;
        Ok((code, id))
    }

    fn sends_none(&mut self, why: Why) -> Result<(), Failure> {
        let until = why.until();
        let when = until.map_or_else(String::new, |until| {
            format!(
                ": another can go from {} on",
                words::end(until, clock::now())
            )
        });
        let text = format!("{}{when}", why.name());
        let figures = json!({"reason": why.name(), "until": until.map(Stamp)});
        self.tell("not sent", Tint::Bad, &text, figures)
    }
}
