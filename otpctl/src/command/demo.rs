//! `demo`: the two kinds of codes at work, on a store that is gone when it is over. The clock is the real one.

mod sent;

use std::thread::sleep;
use std::time::Duration;

use otp::enrollment::{Authenticator, Generation, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::issued::{CodeId, MAX_ATTEMPTS, StoredCode};
use otp::keyed::DigestKey;
use otp::passcode::{Digits, Passcode};
use otp::policy::Policy;
use otp::secret::Secret;
use otp::store::{MemoryStore, NewEnrollment, Store};
use otp::time::{Period, TimeStep};
use otp::user::{Account, UserName};
use otp::verify::Verdict;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde_json::{Map, Value, json};

use super::{Context, explain, verify};
use crate::cli::Model;
use crate::failure::{Ending, Failure};
use crate::report::steps::{Between, Step, Steps};
use crate::report::words::{self, Stamp};
use crate::report::{Tint, codes};
use crate::{clock, entropy};

/// How long the second stored code lives: long enough to see it, short enough to wait.
const SHORT: Duration = Duration::from_secs(4);

/// A house of cards, and what has been told so far.
struct Stage<'a> {
    context: Context<'a>,
    store: MemoryStore,
    alice: Account,
    policy: Policy,
    sent: sent::Sent,
    rng: UnwrapErr<SysRng>,
    told: Vec<Step>,
}

pub(super) fn run(context: Context<'_>, model: Model) -> Result<Ending, Failure> {
    let name = UserName::parse("alice").map_err(|bad| Failure::usage(bad.to_string()))?;
    let mut stage = Stage {
        context,
        store: MemoryStore::default(),
        alice: Account {
            name,
            uid: Some(1000),
        },
        policy: Policy::default(),
        sent: sent::Sent::default(),
        rng: entropy::system()?,
        told: Vec::new(),
    };
    match model {
        Model::Totp => stage.totp()?,
        Model::Stored => stage.stored()?,
    }
    if context.report.is_json() {
        let steps = &stage.told;
        context.report.answer(&Steps { steps })?;
    }
    Ok(Ending::Done)
}

impl Stage<'_> {
    /// A code is math: secret and clock give it on both sides.
    fn totp(&mut self) -> Result<(), Failure> {
        self.say(
            "A TOTP is math: phone and server share a secret and a clock, and nothing is sent.\n",
        )?;
        let authenticator = self.enrolled()?;
        let secret = authenticator.secret.to_base32();
        self.tell(
            "secret",
            Tint::Plain,
            &words::key(&secret),
            json!({"secret": secret.as_str()}),
        )?;

        let period = Period::THIRTY;
        let now = clock::now();
        let step = TimeStep::at(now, period);
        let (secs, number) = (now.as_secs(), step.number());
        self.tell(
            "unix time",
            Tint::Plain,
            &format!("{secs} s since 1970"),
            json!({"unix_time": secs}),
        )?;
        let text = format!("{secs} / {} = {number}", period.as_secs());
        self.tell("step", Tint::Plain, &text, json!({"number": number}))?;
        let code = explain::code(&authenticator, step);
        let text = format!(
            "{}   HMAC-SHA1 of the step under the secret, cut to 6 digits",
            words::grouped(&code).as_str()
        );
        self.tell("code", Tint::Strong, &text, json!({"code": code}))?;

        let record = self.store.read(&self.alice)?;
        for checked in explain::checked(&record, &authenticator, now, &self.policy) {
            let code = words::grouped(&checked.code);
            let text = format!(
                "{:+}   step {}   {}",
                checked.offset,
                checked.step.unwrap_or_default(),
                code.as_str()
            );
            let figures =
                json!({"number": checked.step, "offset": checked.offset, "code": checked.code});
            self.tell("checks", Tint::Plain, &text, figures)?;
        }
        self.say("\nThe server checks a step to each side, for clocks that are off. Alice types the code, twice.\n")?;
        self.answer(&code)?;
        self.answer(&code)?;
        self.say("\nAn accepted step is dead, and so is every step before it.")?;
        Ok(())
    }

    /// A code is memory: drawn, kept as a keyed hash, compared, gone.
    fn stored(&mut self) -> Result<(), Failure> {
        self.say("A stored code is memory: the server draws it, keeps a keyed hash, and a person hands it over.\n")?;
        let (code, _) = self.issued(Duration::from_secs(600))?;
        self.answer(&code)?;
        self.answer(&code)?;
        self.say(&format!(
            "\nOnce is once. Another, good for {}, and somebody guesses.\n",
            words::span(SHORT)
        ))?;
        let (code, id) = self.issued(SHORT)?;
        self.answer(&not(&code))?;
        self.attempts(id)?;
        self.tell(
            "waits",
            Tint::Plain,
            &words::span(SHORT),
            json!({"seconds": SHORT.as_secs()}),
        )?;
        sleep(SHORT);
        self.answer(&code)?;
        self.sent()?;
        self.say("\nThe same six digits on the screen, another system behind them: expiry instead of clock skew, a count of attempts instead of time steps.")?;
        Ok(())
    }

    fn enrolled(&mut self) -> Result<Authenticator, Failure> {
        let authenticator = Authenticator {
            name: "app".to_owned(),
            generation: Generation::draw(&mut self.rng),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::draw(&mut self.rng),
            algorithm: Algorithm::Sha1,
            length: CodeLength::SIX,
            issuer: "demo".to_owned(),
            label: "alice".to_owned(),
            enrolled_at: clock::now(),
        };
        let new = NewEnrollment::of(authenticator.clone());
        let _ = self.store.enroll(&self.alice, new)?;
        Ok(authenticator)
    }

    fn issued(&mut self, ttl: Duration) -> Result<(String, CodeId), Failure> {
        let rng = &mut self.rng;
        let key = self.store.digest_key(|| DigestKey::draw(rng))?;
        let id = CodeId::draw(&mut self.rng);
        let code = Digits::draw(&mut self.rng, 6);
        let now = clock::now();
        let stored = StoredCode {
            reason: "demo".to_owned(),
            ..StoredCode::fresh(id, 6, key.stored(&self.alice.name, id, &code), now, ttl)
        };
        let ends = stored.expires_at;
        let _ = self.store.issue(&self.alice, vec![stored], now)?;
        let text = format!(
            "{}   good once, until {} ({})",
            words::grouped(code.expose()).as_str(),
            words::end(ends, now),
            words::span(ttl)
        );
        let figures =
            json!({"id": id.to_string(), "code": code.expose(), "expires_at": Stamp(ends)});
        self.tell("issues", Tint::Strong, &text, figures)?;
        Ok((code.expose().to_owned(), id))
    }

    fn attempts(&mut self, id: CodeId) -> Result<(), Failure> {
        let record = self.store.read(&self.alice)?;
        let code = record.issued.iter().find(|code| code.id == id);
        let attempts = code.map_or(0, StoredCode::attempts);
        let most = code.map_or(MAX_ATTEMPTS, StoredCode::most_attempts);
        let text = format!("{attempts} of {most}, and the code is still good");
        self.tell(
            "attempts",
            Tint::Plain,
            &text,
            json!({"attempts": attempts, "of": most}),
        )
    }

    /// Alice types a code.
    fn answer(&mut self, code: &str) -> Result<(), Failure> {
        let passcode = Passcode::parse(code.as_bytes()).map_err(|_| Failure::usage("no code"))?;
        let verdict = verify::judged(&self.store, &self.alice, &passcode, &self.policy)?;
        let typed = words::grouped(code);
        match verdict {
            Verdict::Accepted(accepted) => {
                let method = accepted.method.name();
                let figures = json!({"code": code, "result": "accepted", "method": method, "offset": accepted.offset});
                self.tell(
                    "accepted",
                    Tint::Good,
                    &format!("{}   {method}", typed.as_str()),
                    figures,
                )
            }
            Verdict::Refused(reason) => {
                let figures = json!({"code": code, "result": "refused", "reason": reason.name()});
                let why = codes::in_short(reason);
                let text = format!("{}   {}: {why}", typed.as_str(), reason.name());
                self.tell("refused", Tint::Bad, &text, figures)
            }
        }
    }

    /// Says something to people. To scripts the steps are enough.
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.context.report.is_json() {
            return Ok(());
        }
        self.context.report.answer(&Between(text))
    }

    fn tell(
        &mut self,
        label: &'static str,
        tint: Tint,
        text: &str,
        figures: Value,
    ) -> Result<(), Failure> {
        let figures = match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        };
        let step = Step {
            step: label,
            figures,
            label,
            tint,
            text: text.to_owned(),
        };
        if !self.context.report.is_json() {
            self.context.report.answer(&step)?;
        }
        self.told.push(step);
        Ok(())
    }
}

/// A code that this one is not: its last digit is another.
fn not(code: &str) -> String {
    let (start, last) = code.split_at(code.len().saturating_sub(1));
    let other = if last == "0" { "1" } else { "0" };
    format!("{start}{other}")
}
