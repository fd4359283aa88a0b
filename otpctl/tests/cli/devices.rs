//! Tokens that count, several authenticators of one user, resync, forget.

use std::fs;
use std::path::Path;

use otp::hotp::{self, Algorithm, CodeLength};
use otp::secret::Secret;
use otp::time::{Period, TimeStep, UnixTime};
use otp::totp;
use serde_json::Value;

use crate::world::{Machine, Said, logged, on_a_machine};

/// The secret of RFC 4226, appendix D, and its first codes.
const HEX: &str = "3132333435363738393031323334353637383930\n";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const CODES: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
    "520489",
];
/// Another, for time-based codes.
const PHONE: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

fn enrolls(machine: &Machine, args: &[&str], secret: &str) -> Said {
    let args = [&["enroll"], args, &["--secret", "-", "--json"]].concat();
    machine.otpctl_with(&args, secret)
}

fn verifies(machine: &Machine, user: &str, code: &str) -> Value {
    machine
        .otpctl_with(&["verify", user, "--json"], &format!("{code}\n"))
        .json()
}

fn result(machine: &Machine, user: &str, code: &str) -> String {
    let said = verifies(machine, user, code);
    let word = said["method"].as_str().or(said["reason"].as_str());
    word.unwrap().to_owned()
}

fn devices(machine: &Machine, user: &str) -> Vec<Value> {
    let status = machine.json(&["status", user]);
    status["authenticators"].as_array().unwrap().clone()
}

fn names(machine: &Machine, user: &str) -> Vec<String> {
    let devices = devices(machine, user);
    let names = devices.iter().map(|one| one["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

fn now() -> UnixTime {
    std::time::SystemTime::now().into()
}

/// The code of the phone so many steps from now.
fn phone_code(secret: &str, ahead: i64) -> String {
    let step = TimeStep::at(now(), Period::THIRTY).offset(ahead).unwrap();
    let secret = Secret::from_base32(secret).unwrap();
    let code = totp::code(&secret, Algorithm::Sha1, CodeLength::SIX, step);
    code.expose().to_owned()
}

/// Three codes of the phone, the last so many steps from now.
fn three(ahead: i64) -> String {
    let codes = [-2, -1, 0].map(|back| phone_code(PHONE, ahead + back));
    format!("{}\n", codes.join("\n"))
}

/// Time enough left in this step that it is the same for what follows.
fn early_in_a_step() {
    while now().as_secs() % 30 > 24 {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[test]
fn a_token_is_enrolled_by_the_seed_that_its_vendor_prints() {
    on_a_machine(|machine| {
        let made = enrolls(machine, &["alice", "--type", "hotp"], HEX).exits(0);
        let made = made.json();
        let uri = made["uri"].as_str().unwrap();
        assert!(
            uri.starts_with("otpauth://hotp/") && uri.ends_with("&counter=0"),
            "{uri}"
        );
        assert_eq!(
            (
                &made["name"],
                &made["type"],
                &made["counter"],
                &made["secret"]
            ),
            (&"token".into(), &"hotp".into(), &0.into(), &BASE32.into())
        );
        assert!(made["period"].is_null());

        let accepted = verifies(machine, "alice", CODES[0]);
        assert_eq!(
            (&accepted["method"], &accepted["offset"]),
            (&"hotp".into(), &0.into())
        );
        assert_eq!(result(machine, "alice", CODES[0]), "used");
        let skipped = verifies(machine, "alice", CODES[6]);
        assert_eq!(
            (&skipped["result"], &skipped["offset"]),
            (&"accepted".into(), &5.into())
        );
        assert_eq!(
            result(machine, "alice", CODES[5]),
            "mismatch",
            "passed over, so dead"
        );
        let token = &devices(machine, "alice")[0];
        assert_eq!(
            (&token["counter"], &token["type"]),
            (&7.into(), &"hotp".into())
        );
        assert!(
            token["drift"].is_null() && token["learned_drift"].is_null(),
            "{token}"
        );
        let page = machine.otpctl(&["status", "alice"]).exits(0).out;
        assert!(
            page.contains("counter-based") && page.contains("next counter 7"),
            "{page}"
        );
    });
}

#[test]
fn a_token_that_was_used_elsewhere_starts_where_it_stands() {
    on_a_machine(|machine| {
        let args = ["alice", "--type", "hotp", "--counter", "4"];
        let made = enrolls(machine, &args, BASE32).exits(0).json();
        assert!(made["uri"].as_str().unwrap().ends_with("&counter=4"));
        assert_eq!(made["counter"], 4);
        assert_eq!(result(machine, "alice", CODES[2]), "mismatch");
        assert_eq!(result(machine, "alice", CODES[3]), "used");
        assert_eq!(result(machine, "alice", CODES[4]), "hotp");
    });
}

#[test]
fn a_seed_that_is_taken_for_the_wrong_one_is_not_taken_at_all() {
    on_a_machine(|machine| {
        // Letters A to F and digits 2 to 7 alone.
        let both = "23456723abcdef23456723abcdef2345\n";
        let said = enrolls(machine, &["alice"], both).exits(2);
        let message = said.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("--secret-format hex"), "{message}");
        assert!(!message.contains("abcdef"), "{message}");
        for (args, secret) in [
            (&["--secret-format", "hex"][..], both.to_owned()),
            (&[], format!("hex:{both}")),
            (&[], format!("0x{both}")),
        ] {
            let args = [&["alice", "--replace"], args].concat();
            let made = enrolls(machine, &args, &secret).exits(0).json();
            assert_eq!(made["secret"], "ENCWOI5LZXXSGRLHEOV433ZDIU", "{args:?}");
        }
        let args = ["alice", "--replace", "--secret-format", "base32"];
        let made = enrolls(machine, &args, both).exits(0).json();
        assert_eq!(made["secret"], both.trim().to_uppercase());
        let said = enrolls(machine, &["bob", "--secret-format", "hex"], PHONE).exits(2);
        assert!(
            said.json()["message"]
                .as_str()
                .unwrap()
                .contains("not hexadecimal")
        );
        let alone = machine.otpctl(&["enroll", "bob", "--secret-format", "hex"]);
        assert!(alone.exits(2).err.contains("--secret"));
    });
}

#[test]
fn what_does_not_go_together_is_said() {
    on_a_machine(|machine| {
        let long = "x".repeat(33);
        for (args, word) in [
            (&["--counter", "3"][..], "--type hotp"),
            (&["--type", "hotp", "--period", "30"], "--period"),
            (&["--add", "--replace"], "--replace"),
            (&["--name", ""], "1 to 32 bytes"),
            (&["--name", "a\nb"], "1 to 32 bytes"),
            (&["--name", &long], "1 to 32 bytes"),
            (&["--type", "hotp", "--counter=-1"], "--counter"),
        ] {
            let args = [&["enroll", "alice"], args].concat();
            let said = machine.otpctl(&args).exits(2);
            assert!(said.err.contains(word), "{args:?} {said:?}");
        }
        assert!(!Path::new("/var/lib/pam_otp").exists(), "nothing was made");
    });
}

#[test]
fn a_second_device_leaves_the_first_and_the_recovery_codes_as_they_are() {
    on_a_machine(|machine| {
        let log = machine.log();
        let first = machine.json(&["enroll", "alice"]);
        let refused = machine.otpctl(&["enroll", "alice"]).exits(1);
        assert!(refused.err.contains("--add --name"), "{refused:?}");
        let taken = machine.otpctl(&["enroll", "alice", "--add"]).exits(1);
        assert!(
            taken.err.contains("\"app\"") && taken.err.contains("--name"),
            "{taken:?}"
        );
        assert_eq!(names(machine, "alice"), ["app"]);

        let args = ["alice", "--add", "--type", "hotp", "--name", "YubiKey 5"];
        let token = enrolls(machine, &args, HEX).exits(0).json();
        assert_eq!(token["recovery_codes"].as_array().unwrap().len(), 0);
        assert_eq!(names(machine, "alice"), ["app", "YubiKey 5"]);
        let code = phone_code(first["secret"].as_str().unwrap(), 0);
        assert_eq!(result(machine, "alice", &code), "totp");
        assert_eq!(result(machine, "alice", CODES[0]), "hotp");
        assert_eq!(
            result(
                machine,
                "alice",
                first["recovery_codes"][0].as_str().unwrap()
            ),
            "recovery"
        );

        let args = ["alice", "--add", "--name", "again"];
        let twice = enrolls(machine, &args, HEX).exits(1).json();
        assert!(
            twice["message"]
                .as_str()
                .unwrap()
                .contains("this very secret"),
            "{twice}"
        );
        machine
            .otpctl(&["enroll", "alice", "--add", "--name", "tablet"])
            .exits(0);
        let fourth = ["enroll", "alice", "--add", "--name", "watch"];
        assert_eq!(machine.json(&fourth)["error"], "too-many");
        machine.otpctl(&fourth).exits(1);
        let page = machine.otpctl(&["status", "alice"]).exits(0).out;
        assert!(page.contains("enrolled with 3 authenticators"), "{page}");
        assert!(page.contains("codes from  app: time-based"), "{page}");
        assert!(
            page.contains("YubiKey 5: counter-based") && page.contains("next counter 1"),
            "{page}"
        );
        let list = machine.otpctl(&["list"]).exits(0).out;
        assert!(list.contains("3 authenticators"), "{list}");
        let lines = logged(&log).concat();
        assert!(
            lines.contains("authenticator-added type=hotp recovery-codes=0 name=\"YubiKey 5\" by="),
            "{lines}"
        );
        // Nobody who has none yet is refused an addition.
        machine.otpctl(&["enroll", "bob", "--add"]).exits(0);
    });
}

#[test]
fn one_of_several_is_replaced_by_its_name() {
    on_a_machine(|machine| {
        let first = machine.json(&["enroll", "alice", "--name", "phone"]);
        let only = machine.json(&["enroll", "alice", "--replace"]);
        assert_eq!(only["name"], "phone", "it is still the phone");
        assert_ne!(only["secret"], first["secret"]);
        let args = ["alice", "--add", "--type", "hotp", "--recovery-codes", "3"];
        let token = enrolls(machine, &args, HEX).exits(0).json();
        assert_eq!(token["recovery_codes"].as_array().unwrap().len(), 3);

        let which = machine.otpctl(&["enroll", "alice", "--replace"]).exits(2);
        assert!(which.err.contains("\"phone\" and \"token\""), "{which:?}");
        assert!(
            which
                .err
                .contains("otpctl enroll --replace alice --name \"phone\""),
            "{which:?}"
        );
        let none = ["enroll", "alice", "--replace", "--name", "watch"];
        assert_eq!(machine.json(&none)["error"], "unknown-authenticator");
        machine.otpctl(&none).exits(3);
        assert_eq!(
            machine.json(&["show", "alice", "--name", "phone"])["secret"],
            only["secret"]
        );

        let args = ["enroll", "alice", "--replace", "--name", "phone"];
        let other = machine.json(&args);
        assert_eq!(names(machine, "alice"), ["token", "phone"]);
        let old = phone_code(only["secret"].as_str().unwrap(), 0);
        assert_eq!(result(machine, "alice", &old), "mismatch");
        let new = phone_code(other["secret"].as_str().unwrap(), 0);
        assert_eq!(result(machine, "alice", &new), "totp");
        assert_eq!(
            result(machine, "alice", CODES[0]),
            "hotp",
            "and the token is as it was"
        );
    });
}

#[test]
fn one_device_is_taken_away_and_never_the_last() {
    on_a_machine(|machine| {
        let log = machine.log();
        machine
            .otpctl(&["remove", "alice", "--name", "app", "--yes"])
            .exits(5);
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let last = machine
            .otpctl(&["remove", "alice", "--name", "app", "--yes"])
            .exits(1);
        assert!(last.err.contains("'otpctl remove alice'"), "{last:?}");
        enrolls(machine, &["alice", "--add", "--type", "hotp"], HEX).exits(0);
        let unasked = machine
            .otpctl(&["remove", "alice", "--name", "token"])
            .exits(2);
        assert!(unasked.err.contains("--yes"), "{unasked:?}");
        let unknown = ["remove", "alice", "--name", "watch", "--yes"];
        assert_eq!(machine.json(&unknown)["error"], "unknown-authenticator");
        machine.otpctl(&unknown).exits(3);
        machine
            .otpctl(&["remove", "bob", "--name", "app", "--yes"])
            .exits(3);
        assert_eq!(names(machine, "alice"), ["app", "token"]);

        let gone = machine.otpctl(&["remove", "alice", "--name", "token", "--yes", "--json"]);
        let gone = gone.exits(0).json();
        assert_eq!(gone["enrolled"], true);
        assert_eq!(names(machine, "alice"), ["app"]);
        assert_eq!(result(machine, "alice", CODES[0]), "mismatch");
        assert_eq!(
            machine.json(&["status", "alice"])["recovery_codes_left"],
            10
        );
        let last = machine.otpctl(&["remove", "alice", "--name", "app", "--yes", "--json"]);
        assert_eq!(last.exits(1).json()["error"], "last-authenticator");
        let lines = logged(&log).concat();
        assert!(
            lines.contains(": authenticator-removed name=\"token\" by="),
            "{lines}"
        );
    });
}

#[test]
fn of_several_the_one_that_is_meant_is_named() {
    on_a_machine(|machine| {
        enrolls(machine, &["alice"], PHONE).exits(0);
        machine.otpctl(&["explain", "alice"]).exits(0);
        enrolls(machine, &["alice", "--add", "--type", "hotp"], HEX).exits(0);
        for verb in ["show", "explain", "resync"] {
            let said = machine.otpctl(&[verb, "alice"]).exits(2);
            let typed = format!("otpctl {verb} alice --name \"app\"");
            assert!(
                said.err.contains(&typed) && said.err.contains("\"token\""),
                "{said:?}"
            );
            let unknown = [verb, "alice", "--name", "watch"];
            assert_eq!(machine.json(&unknown)["error"], "unknown-authenticator");
            machine.otpctl(&unknown).exits(3);
            machine.otpctl(&[verb, "bob"]).exits(3);
        }
        let shown = machine.json(&["show", "alice", "--name", "token"]);
        assert_eq!(
            (&shown["secret"], &shown["counter"]),
            (&BASE32.into(), &0.into())
        );
        let said = machine
            .otpctl(&["show", "alice", "--name", "token"])
            .exits(0);
        assert!(said.err.contains("on two devices"), "{said:?}");
    });
}

#[test]
fn explaining_a_token_tells_its_counters() {
    on_a_machine(|machine| {
        enrolls(machine, &["alice", "--type", "hotp", "--counter", "2"], HEX).exits(0);
        let told = machine.json(&["explain", "alice"]);
        for key in ["unix_time", "step", "seconds_left", "secret"] {
            assert!(
                told[key].is_null() && told.as_object().unwrap().contains_key(key),
                "{told}"
            );
        }
        assert_eq!(
            (&told["counter"], &told["code"]),
            (&2.into(), &CODES[2].into())
        );
        let checked = told["checked"].as_array().unwrap();
        let codes: Vec<&str> = checked
            .iter()
            .map(|one| one["code"].as_str().unwrap())
            .collect();
        assert_eq!(codes, &CODES[2..8], "the next and look_ahead beyond");
        for (ahead, one) in (0..).zip(checked) {
            assert_eq!(
                (&one["offset"], &one["counter"]),
                (&ahead.into(), &(2 + ahead).into())
            );
            assert_eq!(
                (&one["verdict"], &one["step"]),
                (&"accepted".into(), &Value::Null)
            );
        }
        let page = machine.otpctl(&["explain", "alice"]).exits(0).out;
        assert!(
            page.contains("counter     2,") && page.contains("+5   counter 7   162 583   accepted"),
            "{page}"
        );
        assert_eq!(
            machine.json(&["explain", "alice"])["counter"],
            2,
            "nothing is used up"
        );
        let timed = enrolls(machine, &["bob"], PHONE).exits(0);
        assert!(timed.json()["counter"].is_null());
        let told = machine.json(&["explain", "bob"]);
        assert!(told["counter"].is_null() && told["checked"][0]["counter"].is_null());
        assert!(told["step"].is_u64() && told["checked"][0]["step"].is_u64());
    });
}

#[test]
fn a_token_that_was_pressed_idly_is_brought_back() {
    on_a_machine(|machine| {
        let log = machine.log();
        enrolls(machine, &["alice", "--type", "hotp"], HEX).exits(0);
        let far = |counter| {
            let secret = Secret::from_base32(BASE32).unwrap();
            let code = hotp::code(&secret, Algorithm::Sha1, CodeLength::SIX, counter);
            code.expose().to_owned()
        };
        assert_eq!(result(machine, "alice", &far(800)), "mismatch");
        let typed = [800, 801, 802].map(far).join("\n");
        let said = machine
            .otpctl_with(&["resync", "alice", "--json"], &typed)
            .exits(0)
            .json();
        assert_eq!(
            (
                &said["result"],
                &said["type"],
                &said["offset"],
                &said["counter"]
            ),
            (
                &"resynchronised".into(),
                &"hotp".into(),
                &800.into(),
                &803.into()
            )
        );
        assert!(said["reason"].is_null() && said["name"] == "token");
        assert_eq!(result(machine, "alice", &far(802)), "used");
        let again = machine
            .otpctl_with(&["resync", "alice", "--json"], &typed)
            .exits(1)
            .json();
        assert_eq!(
            (&again["result"], &again["reason"]),
            (&"refused".into(), &"used".into())
        );
        assert_eq!(result(machine, "alice", &far(803)), "hotp");
        let lines = logged(&log);
        let found = |what: &str| lines.iter().any(|line| line.contains(what));
        assert!(
            found(": resynced type=hotp offset=800 name=\"token\" by="),
            "{lines:?}"
        );
        assert!(
            found(": resync-refused reason=used name=\"token\" by="),
            "{lines:?}"
        );
        assert!(!found(&far(800)) && !found(&far(801)));
    });
}

#[test]
fn a_clock_that_runs_ahead_is_known_from_then_on() {
    on_a_machine(|machine| {
        let log = machine.log();
        enrolls(machine, &["alice"], PHONE).exits(0);
        early_in_a_step();
        let ahead = verifies(machine, "alice", &phone_code(PHONE, 3));
        assert_eq!(
            (&ahead["reason"], &ahead["offset"]),
            (&"mismatch".into(), &3.into())
        );
        let said = machine
            .otpctl_with(&["resync", "alice"], &three(3))
            .exits(0);
        assert!(
            said.out
                .contains("about 90 seconds ahead, which is known now"),
            "{said:?}"
        );
        let app = &devices(machine, "alice")[0];
        assert_eq!(app["learned_drift"], 3);
        assert!(app["last_used_at"].is_null(), "that was no login");
        let page = machine.otpctl(&["status", "alice"]).exits(0).out;
        assert!(
            page.contains("clock       about 90 seconds ahead, which is learned"),
            "{page}"
        );
        assert_eq!(result(machine, "alice", &phone_code(PHONE, 3)), "used");
        assert_eq!(result(machine, "alice", &phone_code(PHONE, 4)), "totp");

        enrolls(machine, &["bob"], PHONE).exits(0);
        let far = machine
            .otpctl_with(&["resync", "bob", "--json"], &three(-20))
            .exits(1)
            .json();
        assert_eq!(
            (&far["reason"], &far["offset"]),
            (&"mismatch".into(), &(-20).into())
        );
        let far = machine
            .otpctl_with(&["resync", "bob"], &three(-20))
            .exits(1);
        assert!(
            far.out.contains("about 10 minutes behind") && far.out.contains("set the clock"),
            "{far:?}"
        );
        let status = machine.json(&["status", "bob"]);
        assert_eq!(
            (
                &status["authenticators"][0]["learned_drift"],
                &status["failures"]
            ),
            (&0.into(), &0.into())
        );
        assert_eq!(result(machine, "bob", &phone_code(PHONE, 0)), "totp");
        let lines = logged(&log).concat();
        assert!(
            lines.contains("resync-refused reason=mismatch offset=-20 name=\"app\" by="),
            "{lines}"
        );
    });
}

#[test]
fn wrong_answers_to_resync_are_failures_and_are_held() {
    on_a_machine(|machine| {
        enrolls(machine, &["alice", "--type", "hotp"], HEX).exits(0);
        let resync = |typed: &str| machine.otpctl_with(&["resync", "alice", "--json"], typed);
        for typed in [
            "",
            "755224\n287082\n",
            "1\n2\n3\n",
            "12345678\n12345678\n12345678\n",
        ] {
            assert_eq!(
                resync(typed).exits(1).json()["reason"],
                "malformed",
                "{typed:?}"
            );
        }
        assert_eq!(machine.json(&["status", "alice"])["failures"], 0);
        for failures in 1..=3 {
            let typed = format!("{}\n{}\n{}\n", CODES[0], CODES[2], CODES[1]);
            assert_eq!(resync(&typed).exits(1).json()["reason"], "mismatch");
            assert_eq!(machine.json(&["status", "alice"])["failures"], failures);
        }
        let right = format!("{}\n", CODES[..3].join("\n"));
        assert_eq!(resync(&right).exits(1).json()["reason"], "throttled");
        machine.otpctl(&["unlock", "alice"]).exits(0);
        machine.otpctl(&["disable", "alice"]).exits(0);
        assert_eq!(resync(&right).exits(1).json()["reason"], "disabled");
        machine.otpctl(&["enable", "alice"]).exits(0);
        let other = machine.otpctl_with(&["resync", "alice"], "111111\n111111\n111111\n");
        let hint = "otpctl explain alice --name \"token\"";
        assert!(
            other.exits(1).out.contains(hint),
            "it is one that can be typed"
        );
        machine
            .otpctl(&["explain", "alice", "--name", "token"])
            .exits(0);
        let spaced = "755 224\r\n287-082\r\n359152";
        resync(spaced).exits(0);
    });
}

#[test]
fn forgetting_asks_again_and_changes_nothing_else() {
    on_a_machine(|machine| {
        let log = machine.log();
        machine.otpctl(&["forget", "nobody-here"]).exits(3);
        fs::write("/etc/security/otp.toml", "remember = \"12h\"\n").unwrap();
        machine.otpctl(&["enroll", "alice"]).exits(0);
        machine.otpctl(&["forget", "bob"]).exits(3);
        remember(machine, "198.51.100.7");
        let status = machine.json(&["status", "alice"]);
        assert_eq!(
            status["remembered"][0]["origin"], "198.51.100.7",
            "{status}"
        );
        let page = machine.otpctl(&["status", "alice"]).exits(0).out;
        assert!(page.contains("remembered  198.51.100.7 until "), "{page}");
        let forgotten = machine.json(&["forget", "alice"]);
        assert_eq!(forgotten["remembered"].as_array().map(Vec::len), Some(0));
        assert_eq!(
            (&forgotten["user"], &forgotten["enrolled"]),
            (&"alice".into(), &true.into())
        );
        assert_eq!(machine.json(&["status", "alice"]), forgotten);
        let said = machine.otpctl(&["forget", "alice"]).exits(0);
        assert!(said.out.contains("asked for a code again"), "{said:?}");
        let lines = logged(&log).concat();
        assert!(lines.contains(": forgotten by="), "{lines}");
    });
}

/// What a login from there leaves behind.
fn remember(_: &Machine, address: &str) {
    use otp::origin::Origin;
    use otp::store::{FileStore, Store, load_policy};
    use otp::user::{Account, UserName};
    use otp::verify::Changes;
    let store = FileStore::open(&load_policy(None).unwrap().policy).unwrap();
    let account = Account {
        name: UserName::parse("alice").unwrap(),
        uid: Some(1000),
    };
    let origin = Origin::of_address(address.parse().unwrap());
    let kept = store.update(&account, |record| {
        let mut state = record.state.clone();
        state.remember(origin, now());
        let state = Some(state);
        let changes = Changes {
            state,
            ..Changes::default()
        };
        ((), changes)
    });
    kept.unwrap();
}
