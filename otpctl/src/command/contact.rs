//! `contact`: where codes can be sent to a user. Set by an administrator, confirmed by a code.

use std::path::Path;

use otp::delivery::{Address, Channel, Contacts};
use otp::passcode::{Digits, Passcode};
use otp::request::Why;
use otp::store::{Confirmation, Introduced, Sent, Whereabouts};
use otp::user::Account;

use super::Context;
use crate::cli;
use crate::failure::{Ending, Failure, Kind};
use crate::house::House;
use crate::report::contacts::{self, ContactsOf, Known};
use crate::report::words;
use crate::terminal::{self, Echo, Terminal};
use crate::{account, clock, entropy};

/// A user, and where what is kept of her is.
struct Desk<'a> {
    context: Context<'a>,
    house: House,
    account: Account,
}

pub(super) fn run(context: Context<'_>, args: &cli::Contact) -> Result<Ending, Failure> {
    let addresses = addresses(args)?;
    let is_new = !addresses.is_empty();
    if args.confirmed && !is_new {
        return Err(Failure::usage(
            "--confirmed goes with the contact that you vouch for: --sms NUMBER or --email ADDRESS",
        ));
    }
    let (house, account) = if is_new {
        let account = account::present(&args.user)?;
        (House::make(context.config)?, account)
    } else {
        let house = House::open(context.config)?;
        let account = account::present_or_kept(&args.user, &house.store)?;
        (house, account)
    };
    let desk = Desk {
        context,
        house,
        account,
    };
    let mut said = Vec::new();
    for address in addresses {
        said.push(desk.set(address, args)?);
    }
    if let Some(channel) = args.confirm {
        said.push(desk.confirm(channel.into())?);
    }
    if let Some(channel) = args.remove {
        said.push(desk.remove(channel.into(), args.yes)?);
    }
    let contacts = desk.house.store.contacts(&desk.account)?;
    context.report.answer(&ContactsOf {
        user: desk.account.name.to_string(),
        contacts: Known::whole(&contacts, clock::now()),
        said,
    })?;
    Ok(Ending::Done)
}

/// What is to be set, all of it understood before any of it is.
fn addresses(args: &cli::Contact) -> Result<Vec<Address>, Failure> {
    let told = [(Channel::Sms, &args.sms), (Channel::Email, &args.email)];
    let told = told
        .into_iter()
        .filter_map(|(channel, text)| Some((channel, text.as_deref()?)));
    told.map(|(channel, text)| {
        Address::parse(channel, text).map_err(|bad| {
            let shown = text.escape_debug();
            Failure::usage(format!("--{channel} {shown}: {bad}"))
        })
    })
    .collect()
}

impl From<cli::Channel> for Channel {
    fn from(channel: cli::Channel) -> Self {
        match channel {
            cli::Channel::Email => Self::Email,
            cli::Channel::Sms => Self::Sms,
        }
    }
}

impl Desk<'_> {
    fn user(&self) -> String {
        words::printable(self.account.name.as_str())
    }

    fn log(&self, what: &str, channel: Channel, to: &str, more: &str) {
        let rest = format!("channel={channel} to={to}{more}");
        self.context.log(what, &rest, self.account.name.as_str());
    }

    /// Gives her a contact; what is to be said of it.
    fn set(&self, address: Address, args: &cli::Contact) -> Result<String, Failure> {
        let (channel, to) = (address.channel(), address.masked());
        let before = self.house.store.contacts(&self.account)?;
        self.may_replace(&before, &address, args.yes)?;
        if args.confirmed {
            return self.vouch(address);
        }
        let mut rng = entropy::system()?;
        let House { policy, store } = &self.house;
        let host = super::host_name();
        let came =
            store.set_contact(&self.account, address, &host, policy, clock::now, &mut rng)?;
        match came {
            Introduced::Already => Ok(self.already(&to)),
            Introduced::Refused(why) => Err(self.refused(why, channel)),
            Introduced::Sent(sent) => {
                self.log("contact-set", channel, &to, " confirmed=no");
                if args.no_confirm || !self.context.report.asks() {
                    let name = self.account.name.as_str();
                    return Ok(contacts::on_its_way(name, &sent, clock::now()));
                }
                self.ask(&sent)
            }
        }
    }

    /// Asks before a confirmed contact makes room for another.
    fn may_replace(&self, before: &Contacts, new: &Address, yes: bool) -> Result<(), Failure> {
        let known = before.on(new.channel());
        let goes = known.filter(|known| known.confirmed_at.is_some() && known.address != *new);
        let Some(goes) = goes else {
            return Ok(());
        };
        let (user, old, new) = (self.user(), goes.address.masked(), new.masked());
        self.context.agrees(
            yes,
            &format!("{new} takes the place of {old}, where {user} gets codes now; none goes there any more."),
        )
    }

    fn vouch(&self, address: Address) -> Result<String, Failure> {
        let (channel, to) = (address.channel(), address.masked());
        let mut rng = entropy::system()?;
        let now = clock::now();
        let store = &self.house.store;
        if !store.vouch_for_contact(&self.account, address, now, &mut rng)? {
            return Ok(self.already(&to));
        }
        self.log("contact-set", channel, &to, " confirmed=vouched");
        if !self.house.policy.channel_is_on(channel) {
            self.context.report.warning(&contacts::why(
                Why::NoChannel,
                &self.account.name,
                channel,
                now,
                &self.house.policy,
            ));
        }
        let user = self.user();
        Ok(format!("Codes for {user} can be sent to {to} from now on."))
    }

    fn already(&self, to: &str) -> String {
        format!(
            "{to} is a confirmed contact of {} already; nothing has changed.",
            self.user()
        )
    }

    fn refused(&self, why: Why, channel: Channel) -> Failure {
        let (name, policy) = (&self.account.name, &self.house.policy);
        let why_not = contacts::why(why, name, channel, clock::now(), policy);
        Failure::new(Kind::NotSent(why), why_not)
    }

    /// Asks for the code that was sent, until it is right, or its tries or her patience are over.
    fn ask(&self, sent: &Sent) -> Result<String, Failure> {
        let terminal = Terminal::take().map_err(|error| unreadable(&error))?;
        let prompt = format!(
            "Code that was sent to {} (Enter: what became of it): ",
            sent.to
        );
        loop {
            let typed = terminal.ask(&prompt, Echo::Shown);
            let Some(typed) = typed.map_err(|error| unreadable(&error))? else {
                let name = self.account.name.as_str();
                return Ok(contacts::on_its_way(name, sent, clock::now()));
            };
            match Passcode::parse(&typed) {
                Ok(Passcode::Digits(digits)) => match self.judged(sent.channel, &digits) {
                    Err(failure) if failure.kind == Kind::Mismatch && self.is_heard(sent)? => {
                        self.context.report.hint(&failure.message);
                    }
                    other => return other,
                },
                _ => self.context.report.hint(&self.whereabouts(sent)?),
            }
        }
    }

    /// Whether another answer would be heard.
    fn is_heard(&self, sent: &Sent) -> Result<bool, Failure> {
        let contacts = self.house.store.contacts(&self.account)?;
        let pending = contacts
            .on(sent.channel)
            .and_then(|one| one.pending.as_ref());
        Ok(pending.is_some_and(|pending| pending.id == sent.id))
    }

    /// What became of a code that was sent.
    fn whereabouts(&self, sent: &Sent) -> Result<String, Failure> {
        let digits = self.house.policy.issued.digits;
        Ok(match self.house.store.whereabouts(&self.account, sent)? {
            Whereabouts::HandedOver => format!(
                "It was handed over; the message has a code of {digits} digits. Ctrl-C leaves the contact unconfirmed."
            ),
            Whereabouts::Failed => {
                "It could not be sent: the log says why (journalctl -t otpctl). Ctrl-C leaves the contact unconfirmed.".to_owned()
            }
            Whereabouts::Waiting => {
                "It waits to be handed over; 'otpctl deliver --once' does that where no unit does. Ctrl-C leaves the contact unconfirmed.".to_owned()
            }
        })
    }

    /// Takes the code that confirms a contact from whoever is at standard input.
    fn confirm(&self, channel: Channel) -> Result<String, Failure> {
        // Told before anybody types; it is looked for again under the lock.
        if self
            .house
            .store
            .contacts(&self.account)?
            .on(channel)
            .is_none()
        {
            return Err(self.no_contact(channel));
        }
        let prompt = "Code that was sent: ";
        let typed = terminal::ask_or_read(self.context.report.asks(), prompt, Echo::Shown)
            .map_err(|error| unreadable(&error))?
            .ok_or_else(Failure::given_up)?;
        match Passcode::parse(&typed) {
            Ok(Passcode::Digits(digits)) => self.judged(channel, &digits),
            _ => Err(Failure::new(
                Kind::Mismatch,
                "that is no code at all, and does not count: type the digits of the message",
            )),
        }
    }

    /// What comes of an answer, logged.
    fn judged(&self, channel: Channel, digits: &Digits) -> Result<String, Failure> {
        let (store, name) = (&self.house.store, &self.account.name);
        let contacts = store.contacts(&self.account)?;
        let Some(contact) = contacts.on(channel) else {
            return Err(self.no_contact(channel));
        };
        let (to, address) = (contact.address.masked(), contact.address.as_str());
        let came = store.confirm_contact(&self.account, channel, digits, clock::now)?;
        let again = format!("another one: otpctl contact {name} --{channel} {address}");
        let (kind, why) = match came {
            Confirmation::Confirmed => {
                self.log("contact-confirmed", channel, &to, "");
                let user = self.user();
                return Ok(format!(
                    "{to} is confirmed: codes for {user} can be sent there."
                ));
            }
            Confirmation::Wrong { left: 0 } => (
                Kind::Mismatch,
                format!("that is not the code, and it is good no longer; {again}"),
            ),
            Confirmation::Wrong { left } => {
                let tries = if left == 1 { "try" } else { "tries" };
                (
                    Kind::Mismatch,
                    format!("that is not the code that was sent; {left} more {tries}"),
                )
            }
            Confirmation::Expired => (
                Kind::Expired,
                format!("the time of that code is over; {again}"),
            ),
            Confirmation::Nothing if contact.confirmed_at.is_some() => return Ok(self.already(&to)),
            Confirmation::Nothing => (
                Kind::NothingSent,
                format!("no code is on its way to {to}; {again}"),
            ),
        };
        let reason = format!(" reason={}", kind.word());
        self.log("contact-refused", channel, &to, &reason);
        Err(Failure::new(kind, why))
    }

    fn remove(&self, channel: Channel, yes: bool) -> Result<String, Failure> {
        let store = &self.house.store;
        let contacts = account::whoever_it_was(&self.account, |account| store.contacts(account))?;
        let Some(contact) = contacts.on(channel) else {
            return Err(self.no_contact(channel));
        };
        let (to, user) = (contact.address.masked(), self.user());
        if contact.confirmed_at.is_some() {
            self.context
                .agrees(yes, &format!("This ends codes for {user} at {to}."))?;
        }
        let gone = |account: &Account| store.remove_contact(account, channel);
        if !account::whoever_it_was(&self.account, gone)? {
            return Err(self.no_contact(channel));
        }
        self.log("contact-removed", channel, &to, "");
        Ok(format!(
            "{to} is no contact of {user} any more; codes that went there are withdrawn."
        ))
    }

    fn no_contact(&self, channel: Channel) -> Failure {
        let user = &self.account.name;
        Failure::new(
            Kind::NoContact,
            format!("{user} has no {channel} contact: 'otpctl contact {user}' shows what there is"),
        )
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::io("read from", Path::new("standard input"), error)
}
