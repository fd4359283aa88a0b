//! The account hook. It is called only where the whole of `auth` has passed, the first factor with it, so what trusts that
//! is done here: enrolment at the first login, and telling people about their account. It grants nothing: what is no
//! refusal is PAM_IGNORE.

use otp::calendar::Day;

use crate::first_login::{self, Registry};
use crate::login::{Failure, Host};
use crate::mark::{Found, Mark};
use crate::options::AccountOptions;

/// What an account line comes to.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Nothing is to be refused, and nothing was changed.
    NoConcern,
    /// She has an authenticator now.
    Enrolled {
        /// And so many recovery codes.
        recovery_codes: usize,
    },
    /// She had to enrol, and did not.
    Refused(Why),
    /// We do not know. A denial.
    Failed(Failure),
}

/// Why somebody who is not enrolled does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// No code was right, or nobody answered.
    GaveUp,
    /// The last day of enrolling is over.
    Over(Day),
    /// Another login of hers has enrolled her meanwhile.
    Overtaken,
}

/// One account line. `silent`: the host wants nothing said.
pub(crate) fn settle(
    options: &AccountOptions,
    silent: bool,
    host: &mut impl Host,
    machine: &impl Registry,
) -> Settled {
    attempt(options, silent, host, machine).unwrap_or_else(Settled::Failed)
}

fn attempt(
    options: &AccountOptions,
    silent: bool,
    host: &mut impl Host,
    machine: &impl Registry,
) -> Result<Settled, Failure> {
    // Where our auth hook did not run, as at an ssh login by key alone, nothing is known and nothing done.
    let Some(Mark { account, found }) = host.left() else {
        return Ok(Settled::NoConcern);
    };
    match found {
        Found::NotEnrolled if options.enroll => {
            let user = host.user()?;
            if machine.account(&user)? != Some(account.clone()) {
                let why = "the user is another one than the auth line saw";
                return Err(Failure::Unavailable(why.to_owned()));
            }
            if silent {
                return Err(Failure::NoConversation);
            }
            first_login::enroll(options, &account, host, machine)
        }
        Found::Known(notice) if options.notice && !silent => {
            // Nobody is kept out for want of a notice.
            let now = host.user().and_then(|user| machine.account(&user));
            if now.is_ok_and(|now| now == Some(account)) {
                host.say(&notice);
            }
            Ok(Settled::NoConcern)
        }
        _ => Ok(Settled::NoConcern),
    }
}

#[cfg(test)]
mod tests;
