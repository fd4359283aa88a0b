//! Which of the states that a power cut may leave are tried.

use std::collections::BTreeSet;

use crate::disk::{Choice, Disk};
use crate::tree::Tree;

/// All states if they are at most `limit`. Else the extremes (nothing pending came to the disk, all did, each single thing
/// did alone or alone did not, whole and torn in the middle) and a sample up to the limit, the same at every run.
pub(crate) fn states(disk: &Disk, limit: usize, seed: u64) -> Vec<Tree> {
    let choices = disk.choices();
    let total = choices
        .iter()
        .try_fold(1_usize, |all, choice| all.checked_mul(choice.ways));
    let ways = match total.filter(|total| *total <= limit) {
        Some(total) => (0..total).map(|number| nth(&choices, number)).collect(),
        None => sample(&choices, limit, seed),
    };
    ways.iter().map(|ways| disk.left(ways)).collect()
}

fn nth(choices: &[Choice], mut number: usize) -> Vec<usize> {
    let mut digit = |choice: &Choice| {
        let way = number % choice.ways;
        number /= choice.ways;
        way
    };
    choices.iter().map(&mut digit).collect()
}

fn sample(choices: &[Choice], limit: usize, seed: u64) -> BTreeSet<Vec<usize>> {
    let mut ways = extremes(choices);
    let mut random = seed | 1;
    // Bounded, because the extremes may be all there are.
    for _ in 0..limit {
        if ways.len() >= limit {
            break;
        }
        let mut draw = |choice: &Choice| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 33) as usize % choice.ways
        };
        ways.insert(choices.iter().map(&mut draw).collect());
    }
    ways
}

fn extremes(choices: &[Choice]) -> BTreeSet<Vec<usize>> {
    let none = vec![0; choices.len()];
    let all: Vec<usize> = choices.iter().map(|choice| choice.latest).collect();
    let mut ways = BTreeSet::from([none.clone(), all.clone()]);
    for group in groups(choices) {
        let mut alone = none.clone();
        let mut without = all.clone();
        for index in group {
            alone[index] = all[index];
            without[index] = 0;
        }
        ways.extend([alone, without]);
    }
    for (index, choice) in choices.iter().enumerate() {
        for way in 0..choice.ways {
            for base in [&none, &all] {
                let mut other = base.clone();
                other[index] = way;
                ways.insert(other);
            }
        }
    }
    ways
}

/// The choices of each file and directory: all of them, and the first and the second half.
fn groups(choices: &[Choice]) -> Vec<Vec<usize>> {
    let owners: BTreeSet<usize> = choices.iter().map(Choice::owner).collect();
    let mut groups = Vec::new();
    for owner in owners {
        let indices = choices.iter().enumerate();
        let of: Vec<usize> = indices
            .filter(|(_, choice)| choice.owner() == owner)
            .map(|(index, _)| index)
            .collect();
        let (front, back) = of.split_at(of.len() / 2);
        groups.extend([front.to_vec(), back.to_vec(), of.clone()]);
    }
    groups
}
