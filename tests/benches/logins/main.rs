//! What a login costs, side by side: pam_otp, pam_google_authenticator, pam_oath and pam_permit through one libpam, in
//! one run, taking turns, and beside them the physical limit: a module in C that does nothing but open, lock, read,
//! overwrite and flush one file. Quote the ratios: the machine's own speed is in all of them. `make bench` runs it.
//!
//! `PAM_OTP_BENCH=full` adds a million users; `PAM_OTP_BENCH=pam_otp` (or another module) runs that one alone, for a profiler.

mod measure;
mod peers;
mod report;
mod world;

use std::env;
use std::fs;
use std::path::Path;

use measure::{AtOnce, Latency};
use world::World;

/// Logins of each module in each trial.
pub const LOGINS: u32 = 300;
/// So many processes log in at once, one number after the other.
const AT_ONCE: [u32; 3] = [2, 8, 32];
/// So many users have a record beside those who log in.
const CROWDS: [u32; 2] = [100, 10_000];
const GREAT_CROWD: u32 = 1_000_000;

fn main() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(out.join("disk")).unwrap();
    let disk = fs::canonicalize(out.join("disk")).unwrap();
    let form = env::var("PAM_OTP_BENCH").unwrap_or_default();
    let alone = peers::MODULES.iter().find(|module| **module == form);
    let mut crowds = CROWDS.to_vec();
    if form == "full" {
        crowds.push(GREAT_CROWD);
    }
    let most = *crowds.iter().max().unwrap();
    let world = World::new(&disk, &out, most);
    if let Some(module) = alone {
        peers::enrol(&world, "alone", &[module], LOGINS);
        let latencies = measure::one_by_one("alone", &[module]);
        let grown = measure::memory("alone", module);
        println!("{}, host grows by {grown} KiB", report::alone(&latencies));
        return;
    }
    peers::enrol(&world, "one", &peers::MODULES, LOGINS);
    let latencies = measure::one_by_one("one", &peers::MODULES);
    let at_once: Vec<(u32, Vec<AtOnce>)> = AT_ONCE
        .map(|processes| {
            let trial = format!("by{processes}");
            peers::enrol(&world, &trial, &peers::MODULES, LOGINS);
            let each = peers::MODULES.map(|module| measure::all_at_once(&trial, module, processes));
            (processes, each.into())
        })
        .into();
    let crowded: Vec<(u32, Latency)> = crowded(&world, &crowds);
    let loads = measure::loads(&world);
    let memory = peers::MODULES.map(|module| measure::memory("one", module));
    let report = report::report(&world, &latencies, &at_once, &crowded, &loads, &memory);
    fs::write(out.join("logins.md"), &report).unwrap();
    println!("{report}");
}

/// Our latencies with so many others enrolled, the crowds taking turns.
fn crowded(world: &World, crowds: &[u32]) -> Vec<(u32, Latency)> {
    let trials: Vec<String> = crowds.iter().map(|crowd| format!("of{crowd}")).collect();
    for (trial, crowd) in trials.iter().zip(crowds) {
        peers::enrol(world, trial, &["pam_otp"], LOGINS);
        peers::crowd(world, trial, *crowd);
    }
    let latencies = measure::in_turns(&trials, "pam_otp");
    crowds.iter().copied().zip(latencies).collect()
}
