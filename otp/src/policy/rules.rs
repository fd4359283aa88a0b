//! Who needs a code: the tables `[[rule]]`, of which the first that matches decides.

mod read;

pub(super) use read::{KEY, read};

use std::net::IpAddr;

use super::{Fault, Network, Policy};

/// What a rule says of those it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// She is asked, and refused if nothing is kept of her, whatever the PAM line says.
    Required,
    /// She is asked if there is anything she could answer with, as under `nullok`.
    Optional,
    /// She is not asked.
    Exempt,
}

impl Demand {
    const ALL: [Self; 3] = [Self::Required, Self::Optional, Self::Exempt];

    /// The word for it in otp.toml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Exempt => "exempt",
        }
    }
}

/// One rule. All conditions it has must hold; an empty list is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its line in the file.
    pub line: usize,
    /// Names of groups: she is in one of them.
    pub groups: Vec<String>,
    /// She comes from an address in one of these.
    pub networks: Vec<Network>,
    /// PAM services: it is one of these.
    pub services: Vec<String>,
    /// Names as the passwd database spells them: it is one of these.
    pub users: Vec<String>,
    /// What holds for her.
    pub code: Demand,
}

/// A login, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The user as the passwd database spells her.
    pub user: &'a str,
    /// The PAM service.
    pub service: &'a str,
    /// PAM_RHOST, where it is an address, whatever the service.
    pub address: Option<IpAddr>,
}

impl Policy {
    /// The rule that decides about a login, and its number, counted from 1. Groups are asked for last and only where they
    /// matter; an error of `is_member` is one of the whole.
    pub fn rule_for<E>(
        &self,
        visit: &Visit<'_>,
        mut is_member: impl FnMut(&[String]) -> Result<bool, E>,
    ) -> Result<Option<(usize, &Rule)>, E> {
        let named = |service: &str| self.remote_services.iter().any(|known| known == service);
        let address = visit.address.filter(|_| named(visit.service));
        for (number, rule) in (1..).zip(&self.rules) {
            let holds = listed(&rule.users, visit.user)
                && listed(&rule.services, visit.service)
                && is_from(&rule.networks, address);
            if holds && (rule.groups.is_empty() || is_member(&rule.groups)?) {
                return Ok(Some((number, rule)));
            }
        }
        Ok(None)
    }
}

fn listed(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|known| known == word)
}

fn is_from(networks: &[Network], address: Option<IpAddr>) -> bool {
    let within = |address| networks.iter().any(|network| network.contains(address));
    networks.is_empty() || address.is_some_and(within)
}

impl Rule {
    fn is_for_everybody(&self) -> bool {
        self.groups.is_empty()
            && self.networks.is_empty()
            && self.services.is_empty()
            && self.users.is_empty()
    }

    /// Whether whatever `other` matches, this one does.
    fn covers(&self, other: &Self) -> bool {
        let within = |own: &[String], others: &[String]| {
            let is_own = |word: &String| own.contains(word);
            own.is_empty() || !others.is_empty() && others.iter().all(is_own)
        };
        let networks = self.networks.is_empty()
            || !other.networks.is_empty()
                && other
                    .networks
                    .iter()
                    .all(|network| network.is_within(&self.networks));
        networks
            && within(&self.groups, &other.groups)
            && within(&self.services, &other.services)
            && within(&self.users, &other.users)
    }
}

/// What is wrong with rules that are right one by one.
pub(super) fn check(policy: &Policy) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        let before = policy.rules.iter().take(index);
        let is_last = index.saturating_add(1) == policy.rules.len();
        if let Some(why) = wrong(policy, rule, before, is_last) {
            let line = rule.line;
            faults.push(Fault { line, why });
        }
    }
    faults
}

fn wrong<'a>(
    policy: &Policy,
    rule: &Rule,
    before: impl Iterator<Item = &'a Rule>,
    is_last: bool,
) -> Option<String> {
    if rule.is_for_everybody() && !is_last {
        return Some("a rule without a condition is for everybody: put it last".to_owned());
    }
    let is_remote = |service: &String| policy.remote_services.contains(service);
    let remote = match rule.services.as_slice() {
        [] => !policy.remote_services.is_empty(),
        services => services.iter().any(is_remote),
    };
    if !rule.networks.is_empty() && !remote {
        let why =
            "networks match only where the service is one of remote_services, and here none is";
        return Some(why.to_owned());
    }
    // One for everybody was told of already.
    let mut specific = before.filter(|earlier| !earlier.is_for_everybody());
    let first = specific.find(|earlier| earlier.covers(rule))?;
    let line = first.line;
    Some(if rule.covers(first) {
        format!("this rule has the conditions of the one in line {line}: keep one of them")
    } else {
        format!("this rule is never reached: the one in line {line} has all it matches")
    })
}

#[cfg(test)]
mod tests;
