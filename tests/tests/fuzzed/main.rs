//! The fuzz targets without a fuzzer: what each does with the kept corpus, and with some thousand mutations of it that are the
//! same in every run. `scripts/fuzz.sh` goes on from there with libFuzzer.

#[path = "../../../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "../../../fuzz/imports.rs"]
mod imports;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use toml::de::DeTable;

/// Runs a target over its corpus and so many mutations of each of its files, ten times as many in the long form.
fn replay(target: &str, body: fn(&[u8]), mutations: u64) {
    let full = env::var_os("PAM_OTP_TRIALS").is_some_and(|how| how == "full");
    let mutations = if full { mutations * 10 } else { mutations };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = fs::read_dir(dir.join(target)).expect("a corpus").flatten();
    let mut corpus: Vec<Vec<u8>> = entries
        .map(|entry| fs::read(entry.path()).unwrap())
        .collect();
    corpus.sort();
    assert!(!corpus.is_empty());
    let each = mutations / corpus.len() as u64 + 1;
    for (index, seed) in corpus.iter().enumerate() {
        check(body, seed);
        let other = &corpus[(index + 1) % corpus.len()];
        for n in 0..each {
            let mut dice = Dice(n * 1_000_003 + index as u64 + 1);
            check(body, &mutated(seed, other, &mut dice));
        }
    }
}

fn check(body: fn(&[u8]), data: &[u8]) {
    let done = catch_unwind(AssertUnwindSafe(|| body(data)));
    assert!(done.is_ok(), "on {data:02x?}");
}

/// A few changes of the kinds that fuzzers make.
fn mutated(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len() + 1);
        match dice.below(6) {
            0 => data.truncate(at),
            1 => data.insert(at, dice.byte()),
            2 if at < data.len() => data[at] = dice.byte(),
            3 if at < data.len() => data[at] ^= 1 << dice.below(8),
            4 if at < data.len() => drop(data.remove(at)),
            _ => {
                let from = dice.below(other.len() + 1);
                data.truncate(at);
                data.extend(&other[from..]);
            }
        }
    }
    data
}

/// The same throws in every run (xorshift64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.throw() >> 16).unwrap() % limit
    }

    fn byte(&mut self) -> u8 {
        (self.throw() >> 24).to_le_bytes()[0]
    }
}

/// Name and version of each package in a Cargo.lock.
fn locked(file: &str) -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let document = DeTable::parse(&text).unwrap();
    let packages = document.get_ref().get("package").unwrap();
    let packages = packages.get_ref().as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let package = package.get_ref().as_table().unwrap();
            let text = |key| package.get(key).unwrap().get_ref().as_str().unwrap();
            (text("name").to_owned(), text("version").to_owned())
        })
        .collect()
}

#[test]
fn the_fuzzer_runs_the_versions_that_ship() {
    let (ours, fuzzed) = (locked("../Cargo.lock"), locked("../fuzz/Cargo.lock"));
    let names: BTreeSet<&String> = ours.iter().map(|(name, _)| name).collect();
    let (same, rest): (Vec<_>, Vec<_>) = fuzzed.iter().partition(|it| ours.contains(it));
    assert!(same.len() > 10);
    let other = rest.iter().find(|(name, _)| names.contains(name));
    assert_eq!(other, None, "fuzz/Cargo.lock: cargo update --precise");
}

#[test]
fn a_policy_is_understood_or_its_faults_are_named() {
    replay("policy", bodies::policy, 5_000);
}

#[test]
fn what_is_typed_is_a_code_in_one_spelling_or_none() {
    replay("passcode", bodies::passcode, 20_000);
}

#[test]
fn a_name_never_leaves_its_directory_or_its_line() {
    replay("user", bodies::user, 5_000);
}

#[test]
fn a_line_is_obeyed_as_it_is_documented_or_named() {
    replay("line", bodies::line, 20_000);
}

#[test]
fn what_is_said_at_the_door_is_understood_by_the_book_or_not_at_all() {
    replay("door", bodies::door, 40_000);
}

// One house at a time: it stands where its process is.
#[test]
fn whatever_stands_in_a_file_it_is_answered_by_the_book() {
    replay("secrets", bodies::secrets, 300);
    replay("state", bodies::state, 300);
    replay("stored", bodies::stored, 300);
    replay("slots", bodies::slots, 500);
    replay("contacts", bodies::contacts, 500);
    replay("sends", bodies::sends, 500);
    replay("machine", bodies::machine, 500);
}

#[test]
fn logins_agree_with_a_model_that_forgets_nothing() {
    replay("logins", bodies::logins, 650);
}

#[test]
fn files_of_other_software_are_understood_or_named_by_line() {
    replay("import_google", imports::google, 20_000);
    replay("import_oath", imports::oath, 5_000);
    replay("import_otpauth", imports::otpauth, 20_000);
    replay("import_csv", imports::csv, 20_000);
    replay("import_pskc", imports::pskc, 5_000);
}
