//! What a person or an administrator may rely on after what was done, told or not.

use serde_json::Value;

use crate::acts::{Act, said, texts};
use crate::record::Recording;

/// An enrolment as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enrolment {
    pub(crate) secret: String,
    pub(crate) recovery: Vec<String>,
}

/// Everything that is known from outside.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Claims {
    /// The store was there before, or was told to be there.
    pub(crate) made: bool,
    /// One of these is in force, whole. `None`: she is not enrolled.
    pub(crate) enrolments: Vec<Option<Enrolment>>,
    /// Codes that let somebody in: refused from now on.
    pub(crate) spent: Vec<String>,
    /// Codes that would have: good once at most.
    pub(crate) perhaps_spent: Vec<String>,
    /// Failures that were told since the last acceptance.
    pub(crate) failures: u32,
    /// Stored codes that were handed over.
    pub(crate) live: Vec<String>,
    /// Stored codes that may be there: good once at most.
    pub(crate) perhaps_live: Vec<String>,
    /// Stored codes that were told to be gone.
    pub(crate) gone: Vec<String>,
    /// Her enrolment was touched: what is spent may belong to one that is no more.
    pub(crate) renewed: bool,
    /// A removal may be half done: nobody is let in, and removing again ends it.
    pub(crate) half_removed: bool,
}

impl Claims {
    /// Of a machine without a store.
    pub(crate) const fn nothing() -> Self {
        Self {
            made: false,
            enrolments: Vec::new(),
            spent: Vec::new(),
            perhaps_spent: Vec::new(),
            failures: 0,
            live: Vec::new(),
            perhaps_live: Vec::new(),
            gone: Vec::new(),
            renewed: false,
            half_removed: false,
        }
    }

    /// After this was done, whether it was told or cut short.
    pub(crate) fn after(&self, act: &Act, recording: &Recording, told: bool) -> Self {
        let mut claims = self.clone();
        match act {
            Act::Login(code) if recording.code == Some(0) => claims.login(code, told),
            // Where nobody is enrolled nothing is counted.
            Act::Guess(_) if told && claims.is_enrolled() => claims.failures += 1,
            Act::Login(_) | Act::Guess(_) => {}
            // What it said no to has changed nothing.
            Act::Ctl(..) if recording.code != Some(0) => {}
            Act::Ctl(_, file) if act.verb() == "import" => {
                claims.made |= told;
                claims.imported(file, &said(recording), told);
            }
            Act::Ctl(..) => {
                claims.made |= told;
                claims.verb(act.verb(), &said(recording), told);
            }
        }
        claims
    }

    fn login(&mut self, code: &str, told: bool) {
        self.failures = 0;
        self.live.retain(|live| live != code);
        if !told {
            self.perhaps_spent.push(code.to_owned());
            return;
        }
        self.perhaps_live.retain(|live| live != code);
        self.perhaps_spent.retain(|perhaps| perhaps != code);
        self.spent.push(code.to_owned());
    }

    fn is_enrolled(&self) -> bool {
        !self.enrolments.is_empty() && self.enrolments.iter().all(Option::is_some)
    }

    fn verb(&mut self, verb: &str, said: &Value, told: bool) {
        // Nothing else is told where a removal is half done.
        self.half_removed &= !told;
        match verb {
            "enroll" => {
                let secret = said["secret"].as_str().unwrap().to_owned();
                let mut recovery = texts(said, "recovery_codes");
                if let (true, Some(Some(old))) = (recovery.is_empty(), self.enrolments.last()) {
                    recovery.clone_from(&old.recovery);
                }
                self.enrolment(told, Some(Enrolment { secret, recovery }));
                self.failures = 0;
            }
            "recovery" => self.recovery(told, &texts(said, "recovery_codes")),
            "issue" => {
                let code = said["code"].as_str().unwrap().to_owned();
                if told {
                    self.live.push(code);
                } else {
                    self.perhaps_live.push(code);
                }
            }
            "revoke" => self.revoke(told),
            "remove" => {
                self.enrolment(told, None);
                self.revoke(told);
                self.failures = 0;
                self.half_removed = !told;
            }
            other => panic!("nothing is known of {other}"),
        }
    }

    /// Her line is the first of a file of URIs. Where she was enrolled before she is as she was.
    fn imported(&mut self, file: &str, said: &Value, told: bool) {
        self.half_removed &= !told;
        if said["skipped"] == 1 {
            return;
        }
        let (_, secret) = file.split_once("secret=").unwrap();
        let secret = secret.split(['&', '\n']).next().unwrap().to_owned();
        let recovery = Vec::new();
        self.enrolment(told, Some(Enrolment { secret, recovery }));
        self.failures = 0;
    }

    fn enrolment(&mut self, told: bool, new: Option<Enrolment>) {
        self.renewed = true;
        if told {
            self.enrolments = vec![new];
        } else {
            if self.enrolments.is_empty() {
                self.enrolments.push(None);
            }
            self.enrolments.push(new);
        }
    }

    fn recovery(&mut self, told: bool, new: &[String]) {
        self.renewed = true;
        let renewed: Vec<_> = self
            .enrolments
            .iter()
            .flatten()
            .map(|old| {
                Some(Enrolment {
                    secret: old.secret.clone(),
                    recovery: new.to_vec(),
                })
            })
            .collect();
        if told {
            self.enrolments = renewed;
        } else {
            self.enrolments.extend(renewed);
        }
    }

    fn revoke(&mut self, told: bool) {
        let live = std::mem::take(&mut self.live);
        if told {
            self.gone.extend(live);
            self.gone.append(&mut self.perhaps_live);
        } else {
            self.perhaps_live.extend(live);
        }
    }
}
