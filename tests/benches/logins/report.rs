//! The table.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::LOGINS;
use crate::measure::{AtOnce, Latency, files};
use crate::peers::MODULES;
use crate::world::World;

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100].as_secs_f64() * 1e3
}

fn median(sorted: &[Duration]) -> f64 {
    percentile(sorted, 50)
}

/// One module on its own.
pub fn alone(latencies: &[Latency]) -> String {
    let Latency { wall, cpu, faults } = &latencies[0];
    let (wall, cpu, faults) = (median(wall), median(cpu), faults[faults.len() / 2]);
    format!("{LOGINS} logins, p50 {wall:.3} ms, on a processor {cpu:.3} ms, {faults} page faults")
}

pub fn report(
    world: &World,
    latencies: &[Latency],
    at_once: &[(u32, Vec<AtOnce>)],
    crowded: &[(u32, Latency)],
    loads: &[Vec<Duration>],
    memory: &[u32],
) -> String {
    let mut out = format!(
        "{LOGINS} users, one login at a time, the modules taking turns. Milliseconds from pam_start to pam_end.\n\n"
    );
    let permit = &latencies[MODULES.len() - 1];
    out += "| module | p50 | p10 to p90 | above pam_permit | on a processor | page faults | dlopen + dlclose | file, KB | host grows by, KiB |\n";
    out += "|---|---|---|---|---|---|---|---|---|\n";
    for (which, file) in files(world).iter().enumerate() {
        let Latency { wall, cpu, faults } = &latencies[which];
        let size = fs::metadata(file).unwrap().len() / 1000;
        writeln!(
            out,
            "| {} | {:.3} | {:.3} to {:.3} | {:.3} | {:.3} | {} | {:.3} | {size} | {} |",
            MODULES[which],
            median(wall),
            percentile(wall, 10),
            percentile(wall, 90),
            median(wall) - median(&permit.wall),
            median(cpu),
            faults[faults.len() / 2],
            median(&loads[which]),
            memory[which],
        )
        .unwrap();
    }
    out += "\nAccepted of 300 valid codes of distinct users, and accepted a second, by so many processes at once:\n\n";
    out += "| module | 2 | 8 | 32 |\n|---|---|---|---|\n";
    for (which, module) in MODULES.iter().enumerate() {
        write!(out, "| {module} |").unwrap();
        for (_, each) in at_once {
            let each = &each[which];
            write!(out, " {}, {:.0}/s |", each.accepted, rate(each)).unwrap();
        }
        out.push('\n');
    }
    out += "\npam_otp with so many users enrolled, the stores taking turns:\n\n| users | p50 | p10 to p90 |\n|---|---|---|\n";
    for (crowd, Latency { wall, .. }) in crowded {
        let (low, high) = (percentile(wall, 10), percentile(wall, 90));
        writeln!(
            out,
            "| {crowd} | {:.3} | {low:.3} to {high:.3} |",
            median(wall)
        )
        .unwrap();
    }
    out + &ratios(latencies, at_once, crowded)
}

fn rate(AtOnce { accepted, took }: &AtOnce) -> f64 {
    f64::from(*accepted) / took.as_secs_f64()
}

fn ratios(
    latencies: &[Latency],
    at_once: &[(u32, Vec<AtOnce>)],
    crowded: &[(u32, Latency)],
) -> String {
    let p50 = |which: usize| median(&latencies[which].wall);
    let above = |which: usize| p50(which) - p50(MODULES.len() - 1);
    let eight = &at_once[1].1;
    let crowds = crowded.iter().map(|(_, latency)| median(&latency.wall));
    let crowds: Vec<f64> = crowds.collect();
    format!(
        "\n- cost above pam_permit: {:.2} of pam_google_authenticator's (goal 0.20), {:.2} of pam_oath's (goal 0.50)\n\
         - above the physical limit: {:.3} ms (goal 0.3), of which {:.3} ms are what looking the user up and logging cost the limit\n\
         - accepted a second, eight at once: {:.1} times pam_google_authenticator's (goal 4), {} of {LOGINS} accepted\n\
         - the largest crowd beside the smallest: {:.2} (goal 1.10)\n",
        above(0) / above(1),
        above(0) / above(2),
        p50(0) - p50(3),
        p50(4) - p50(3),
        rate(&eight[0]) / rate(&eight[1]),
        eight[0].accepted,
        crowds[crowds.len() - 1] / crowds[0],
    )
}
