//! `unlock`, `forget`, `disable`, `enable`: what an administrator switches in a user's state.

use otp::state::State;
use otp::store::Store;
use otp::verify::{Changes, Record};

use super::Context;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::shown::Done;
use crate::report::standing::Status;
use crate::report::words;
use crate::{account, clock};

/// What is switched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Unlock,
    Forget,
    Disable,
    Enable,
}

pub(super) fn run(context: Context<'_>, user: &str, switch: Switch) -> Result<Ending, Failure> {
    let account = account::present(user)?;
    let house = House::open(context.config)?;
    let name = account.name.as_str();
    let has_contacts = !house.store.contacts(&account)?.is_empty();
    let is_kept = house.store.update(&account, |record| {
        if !has_contacts && !is_somebody(record) {
            return (false, Changes::default());
        }
        let mut state = record.state.clone();
        switch.apply(&mut state);
        let state = (state != record.state).then_some(state);
        let changes = Changes {
            state,
            ..Changes::default()
        };
        (true, changes)
    })?;
    if !is_kept {
        return Err(Failure::nothing_kept(&account.name));
    }
    if switch == Switch::Disable {
        // A code that is refused is not sent either.
        if let Some(queue) = house.store.queue()? {
            queue.withdraw(&account.name, |_| true)?;
        }
    }
    context.log(switch.word(), "", name);
    let record = house.store.read(&account)?;
    let status = Status::of(&record, clock::now(), &house.policy);
    let said = switch.said(&words::printable(name));
    let status = &status;
    context.report.answer(&Done { said, status })?;
    Ok(Ending::Done)
}

/// Whether anything at all is kept of her.
fn is_somebody(record: &Record) -> bool {
    record.enrollment.is_some() || !record.issued.is_empty() || record.state != State::default()
}

impl Switch {
    fn apply(self, state: &mut State) {
        match self {
            Self::Unlock => state.unlock(),
            Self::Forget => state.remembered.clear(),
            Self::Disable => state.disabled = true,
            Self::Enable => state.disabled = false,
        }
    }

    /// For the log.
    const fn word(self) -> &'static str {
        match self {
            Self::Unlock => "unlocked",
            Self::Forget => "forgotten",
            Self::Disable => "disabled",
            Self::Enable => "enabled",
        }
    }

    fn said(self, user: &str) -> String {
        match self {
            Self::Unlock => format!("{user} is held no longer, and her failures are forgotten."),
            Self::Forget => format!("{user} is asked for a code again wherever she comes from."),
            Self::Disable => format!(
                "{user} is disabled: every code of hers is refused, and none is sent. It exempts her from nothing. Back: otpctl enable {user}"
            ),
            Self::Enable => format!("{user} is enabled: her codes are taken again."),
        }
    }
}
