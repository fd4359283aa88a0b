//! Commands that something happens to, and what must hold afterwards: the old state or the new one, whole, and the same command runs
//! again.

use otp::time::TimeStep;
use serde_json::Value;
use tests::meddler::{Call, Ended, Program};
use tests::sandbox::OTPCTL;
use tests::users::{Phone, issue, step, store, wipe};

use crate::logins::accepts;

const NEW_SECRET: &str = "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U";
/// The same, in a file of pam_oath, beside bob's.
const OATH_FILE: &str = "HOTP/T30 alice - 6162636465666768696a6b6c6d6e6f7071727374\nHOTP/T30 bob - 7162636465666768696a6b6c6d6e6f7071727374\n";
const STORED: &str = "48210937";
const UNUSED: &str = "7kq2-m4tx-9bnc-2xwd";
const USED: &str = "0123-4567-89ab-cdef";

/// A command, what there is before it, and what must hold after whatever has come of it.
pub struct Verb {
    pub name: &'static str,
    words: &'static [&'static str],
    input: &'static str,
    before: fn() -> Phone,
    /// With the step it was before: a code that was used then is of that step, however long the command took.
    after: fn(&Self, &Phone, TimeStep, bool),
}

pub const VERBS: [Verb; 9] = [
    Verb {
        name: "enroll",
        words: &["enroll", "alice", "--secret", "-", "--json"],
        input: NEW_SECRET,
        before: || {
            wipe();
            store();
            Phone::with_secret("alice", NEW_SECRET)
        },
        after: enrolled,
    },
    Verb {
        name: "enroll --replace",
        words: &["enroll", "alice", "--replace", "--secret", "-", "--json"],
        input: NEW_SECRET,
        before: || {
            wipe();
            let phone = Phone::enrolled("alice", &[]);
            assert!(accepts(&phone.code()));
            phone
        },
        after: replaced,
    },
    Verb {
        name: "enroll --add",
        words: &["enroll", "alice", "--add", "--secret", "-", "--json"],
        input: NEW_SECRET,
        before: || {
            wipe();
            let phone = Phone::enrolled("alice", &[]);
            assert!(accepts(&phone.code()));
            phone
        },
        after: added,
    },
    Verb {
        name: "remove --name",
        words: &["remove", "alice", "--name", "phone", "--yes", "--json"],
        input: "",
        before: || {
            wipe();
            let phone = Phone::enrolled("alice", &[]);
            let words = ["enroll", "alice", "--add", "--secret", "-", "--json"];
            let added = Program::new(&[&[OTPCTL], &words[..]].concat()).reading(NEW_SECRET);
            assert_eq!(added.run().code, Some(0));
            phone
        },
        after: taken_away,
    },
    Verb {
        name: "resync",
        words: &["resync", "alice", "--json"],
        // The first three codes of RFC 4226, appendix D.
        input: "755224\n287082\n359152\n",
        before: || {
            wipe();
            Phone::counting("alice", &[])
        },
        after: resynced,
    },
    Verb {
        name: "issue",
        words: &["issue", "alice", "--json"],
        input: "",
        before: || {
            wipe();
            store();
            Phone::with_secret("alice", NEW_SECRET)
        },
        after: issued,
    },
    Verb {
        name: "revoke",
        words: &["revoke", "alice", "--all", "--json"],
        input: "",
        before: || {
            wipe();
            issue("alice", STORED, 600);
            Phone::with_secret("alice", NEW_SECRET)
        },
        after: revoked,
    },
    Verb {
        name: "recovery",
        words: &["recovery", "alice", "--json"],
        input: "",
        before: || {
            wipe();
            let phone = Phone::enrolled("alice", &[UNUSED, USED]);
            assert!(accepts(USED));
            phone
        },
        after: recovered,
    },
    Verb {
        name: "import",
        words: &["import", "--format", "users.oath", "-", "--json"],
        input: OATH_FILE,
        before: || {
            wipe();
            store();
            Phone::with_secret("alice", NEW_SECRET)
        },
        after: imported,
    },
];

impl Verb {
    pub fn program(&self) -> Program {
        let mut words = vec![OTPCTL];
        words.extend(self.words);
        Program::new(&words).reading(self.input)
    }

    /// The calls it makes: in the short form those alone that change something, or are the lock.
    pub fn calls(&self, all: bool) -> Vec<Call> {
        (self.before)();
        let mut calls = self.program().calls();
        calls.retain(|call| call.name != "execve" && (all || changes(call)));
        calls
    }

    /// Runs it as `run` does, and looks at what has come of it. The panics of what does not hold are its own.
    pub fn tried(&self, run: impl FnOnce(&Program) -> Ended) -> Ended {
        let phone = (self.before)();
        let before = step();
        let ended = run(&self.program());
        assert!(!ended.hung, "{} hangs", self.name);
        status();
        (self.after)(self, &phone, before, ended.code == Some(0));
        ended
    }

    fn again(&self) -> Ended {
        self.program().run()
    }

    fn works_again(&self) -> Value {
        let ended = self.again();
        assert_eq!(
            ended.code,
            Some(0),
            "{} again: {}{}",
            self.name,
            ended.out,
            ended.err
        );
        serde_json::from_str(&ended.out).unwrap()
    }
}

pub fn changes(call: &Call) -> bool {
    match call.name.as_str() {
        "openat" => call.line.contains("O_CREAT"),
        "write" | "pwrite64" | "fsync" | "fdatasync" | "syncfs" | "renameat2" | "unlinkat"
        | "mkdirat" | "flock" => true,
        _ => false,
    }
}

/// The installation is in order whatever has happened.
fn status() {
    let ended = Program::new(&[OTPCTL, "status", "--json"]).run();
    assert_eq!(ended.code, Some(0), "status: {}{}", ended.out, ended.err);
}

/// How alice stands; null if nothing is kept of her.
fn standing() -> Value {
    let ended = Program::new(&[OTPCTL, "status", "alice", "--json"]).run();
    match ended.code {
        Some(0) => serde_json::from_str(&ended.out).unwrap(),
        code => panic!("status alice: {code:?} {}{}", ended.out, ended.err),
    }
}

fn codes_kept() -> usize {
    standing()["issued"].as_array().map_or(0, Vec::len)
}

/// The code of now, and the one after it, which are good for half a minute and more.
fn two_codes(phone: &Phone) -> (String, String) {
    let now = step();
    (phone.code_of(now), phone.code_of(now.offset(1).unwrap()))
}

fn enrolled(verb: &Verb, phone: &Phone, _: TimeStep, done: bool) {
    let (first, second) = two_codes(phone);
    let is_enrolled = standing()["enrolled"] == true;
    assert!(is_enrolled || !done, "it said so");
    assert_eq!(
        accepts(&first),
        is_enrolled,
        "the new secret is whole or not there"
    );
    let code = verb.again().code;
    assert_eq!(code, Some(i32::from(is_enrolled)), "again");
    assert!(accepts(&second));
}

fn imported(verb: &Verb, phone: &Phone, _: TimeStep, done: bool) {
    let (first, second) = two_codes(phone);
    let is_enrolled = standing()["enrolled"] == true;
    assert!(is_enrolled || !done, "it said so");
    assert_eq!(accepts(&first), is_enrolled, "she is whole or not there");
    let json = verb.works_again();
    let (imported, skipped) = (json["imported"].as_u64(), json["skipped"].as_u64());
    let all = imported.and_then(|imported| Some(imported + skipped?));
    assert_eq!(all, Some(2), "again: {json}");
    assert!(accepts(&second));
    let bob = Program::new(&[OTPCTL, "status", "bob", "--json"]).run();
    assert!(bob.out.contains("\"enrolled\":true"), "{}", bob.out);
}

fn replaced(verb: &Verb, old: &Phone, before: TimeStep, done: bool) {
    let new = Phone::with_secret("alice", NEW_SECRET);
    let (_, by_old) = two_codes(old);
    let (first, second) = two_codes(&new);
    assert_eq!(standing()["enrolled"], true);
    assert!(!accepts(&old.code_of(before)), "what was used stays used");
    let (by_old, by_new) = (accepts(&by_old), accepts(&first));
    assert!(
        by_old != by_new,
        "one of the two: old {by_old}, new {by_new}"
    );
    assert!(by_new || !done, "it said so");
    verb.works_again();
    assert!(accepts(&second));
}

fn added(verb: &Verb, old: &Phone, before: TimeStep, done: bool) {
    let new = Phone::with_secret("alice", NEW_SECRET);
    let (first, second) = two_codes(&new);
    assert!(!accepts(&old.code_of(before)), "what was used stays used");
    let devices = standing()["authenticators"].as_array().map_or(0, Vec::len);
    let is_added = accepts(&first);
    assert_eq!(
        devices,
        1 + usize::from(is_added),
        "it is whole or not there"
    );
    assert!(is_added || !done, "it said so");
    assert_eq!(verb.again().code, Some(i32::from(is_added)), "again");
    assert!(accepts(&second));
    let (_, next) = two_codes(old);
    assert!(accepts(&next), "the first is as it was");
}

fn taken_away(verb: &Verb, phone: &Phone, _: TimeStep, done: bool) {
    let other = Phone::with_secret("alice", NEW_SECRET);
    let devices = standing()["authenticators"].as_array().map_or(0, Vec::len);
    let is_gone = devices == 1;
    assert!(is_gone || devices == 2, "{devices}");
    assert!(is_gone || !done, "it said so");
    let (first, second) = two_codes(phone);
    assert_eq!(accepts(&first), !is_gone);
    assert_eq!(
        verb.again().code,
        Some(if is_gone { 3 } else { 0 }),
        "again"
    );
    assert!(!accepts(&second));
    assert!(accepts(&other.code()), "the other is as it was");
}

fn resynced(verb: &Verb, token: &Phone, _: TimeStep, done: bool) {
    let next = standing()["authenticators"][0]["counter"].as_u64().unwrap();
    assert!(next == 3 || next == 0, "{next}");
    assert!(next == 3 || !done, "it said so");
    assert_eq!(verb.again().code, Some(i32::from(next == 3)), "again");
    for counter in 0..3 {
        assert!(!accepts(&token.code_counted(counter)), "{counter}");
    }
    assert!(accepts(&token.code_counted(3)));
}

fn issued(verb: &Verb, _: &Phone, _: TimeStep, done: bool) {
    let kept = codes_kept();
    assert!(kept == 1 || !done, "it said so");
    assert!(kept <= 1);
    let json = verb.works_again();
    let code = json["code"].as_str().unwrap();
    assert!(accepts(code));
    assert!(!accepts(code));
    assert_eq!(codes_kept(), kept);
}

fn revoked(verb: &Verb, _: &Phone, _: TimeStep, done: bool) {
    let kept = codes_kept();
    assert!(kept == 0 || !done, "it said so");
    assert_eq!(accepts(STORED), kept == 1);
    issue("alice", "48210938", 600);
    verb.works_again();
    assert!(!accepts("48210938"));
}

fn recovered(verb: &Verb, phone: &Phone, _: TimeStep, done: bool) {
    let left = standing()["recovery_codes_left"].as_u64().unwrap();
    assert!(left == 10 || left == 1, "{left}");
    assert!(left == 10 || !done, "it said so");
    assert!(!accepts(USED), "what was used stays used");
    assert_eq!(accepts(UNUSED), left == 1);
    let json = verb.works_again();
    let code = json["recovery_codes"][0].as_str().unwrap();
    assert!(accepts(code));
    assert!(!accepts(UNUSED));
    assert!(accepts(&phone.code_of(step())));
}
