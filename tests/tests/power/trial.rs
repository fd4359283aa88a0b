//! One trial: what is done, one thing after the other, with a kill after any operation of any of them, and the power cut
//! after any operation of the last.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use otp::time::UnixTime;

use crate::acts::Act;
use crate::checks::{check, check_by_programs};
use crate::claims::Claims;
use crate::disk::Disk;
use crate::record::Recording;
use crate::states::states;
use crate::tree::Tree;

/// How much is tried.
#[derive(Clone, Copy)]
struct Extent {
    /// States of one moment.
    states: usize,
    /// In one of so many states everything is tried that comes next, too.
    what_comes_next: usize,
    /// One in so many states is looked at by the built programs too.
    by_programs: usize,
    /// States of one moment from which a login is recorded, and the power cut once more.
    cut_again: usize,
}

const SHORT: Extent = Extent {
    states: 32,
    what_comes_next: 4,
    by_programs: 150,
    cut_again: 2,
};
const FULL: Extent = Extent {
    states: 20_000,
    what_comes_next: 1,
    by_programs: 25,
    cut_again: 40,
};

/// Whether `PAM_OTP_TRIALS=full` asks for everything.
pub(crate) fn is_full() -> bool {
    std::env::var_os("PAM_OTP_TRIALS").is_some_and(|trials| trials == "full")
}

/// A trial under way.
pub(crate) struct Trial {
    name: String,
    now: UnixTime,
    extent: Extent,
    /// What is done where the power was cut, before it is cut again.
    after_a_cut: Option<Act>,
    seen: HashSet<u64>,
    began: Instant,
    recordings: usize,
    moments: usize,
    by_programs: usize,
    /// By what does not hold: an example, and how often.
    broken: BTreeMap<String, (String, usize)>,
}

/// What has happened so far, for messages.
#[derive(Clone)]
struct Story(Vec<String>);

impl Trial {
    pub(crate) fn new(name: &str, now: UnixTime) -> Self {
        Self {
            name: name.to_owned(),
            now,
            extent: if is_full() { FULL } else { SHORT },
            after_a_cut: None,
            seen: HashSet::new(),
            began: Instant::now(),
            recordings: 0,
            moments: 0,
            by_programs: 0,
            broken: BTreeMap::new(),
        }
    }

    /// With this done after a power cut, and the power cut again.
    pub(crate) fn and_after_a_cut(mut self, act: Act) -> Self {
        self.after_a_cut = Some(act);
        self
    }

    /// Tries it from the store that is in the sandbox.
    pub(crate) fn run(mut self, claims: &Claims, acts: &[Act]) {
        let disk = Disk::holding(&Tree::read());
        self.explore(&disk, claims, acts, &Story(Vec::new()));
        println!(
            "{}: {} states after a power cut at {} moments of {} recordings, {} of them tried by the built programs too, in {:.1} s",
            self.name,
            self.seen.len(),
            self.moments,
            self.recordings,
            self.by_programs,
            self.began.elapsed().as_secs_f32()
        );
        let told = self.broken.iter().map(|(why, (example, times))| {
            format!("{times} states break a promise: {why}\n{example}")
        });
        let told: Vec<String> = told.collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }

    fn explore(&mut self, disk: &Disk, claims: &Claims, acts: &[Act], story: &Story) {
        let Some((act, next)) = acts.split_first() else {
            return;
        };
        disk.visible().materialise();
        let recording = act.recorded(self.now);
        self.recordings += 1;
        agrees(disk, &recording, act);
        let mut disk = disk.clone();
        for done in 0..=recording.ops.len() {
            if let Some(op) = done.checked_sub(1).map(|last| &recording.ops[last]) {
                disk.apply(op);
            }
            let told = recording.has_told(done);
            let claims = claims.after(act, &recording, told);
            let story = story.and(act, &recording, done);
            if next.is_empty() {
                self.cut(&disk, &claims, act, &story);
            } else {
                self.explore(&disk, &claims, next, &story);
            }
        }
    }

    fn cut(&mut self, disk: &Disk, claims: &Claims, last: &Act, story: &Story) {
        self.moments += 1;
        let mut again = 0;
        for tree in states(disk, self.extent.states, self.moments as u64) {
            if !self.seen.insert(tree.fingerprint(claims)) {
                continue;
            }
            self.judge(&tree, claims, last, story);
            if again < self.extent.cut_again {
                if let Some(act) = self.after_a_cut.take() {
                    again += 1;
                    let story = story.and_the_power_cut();
                    self.explore(
                        &Disk::holding(&tree),
                        claims,
                        std::slice::from_ref(&act),
                        &story,
                    );
                    self.after_a_cut = Some(act);
                }
            }
        }
    }

    fn judge(&mut self, tree: &Tree, claims: &Claims, last: &Act, story: &Story) {
        tree.materialise();
        let next = self.seen.len() % self.extent.what_comes_next == 0;
        let mut found = check(claims, self.now, next);
        if found.is_ok() && self.seen.len() % self.extent.by_programs == 1 {
            self.by_programs += 1;
            tree.materialise();
            found = check_by_programs(claims, last, self.now);
        }
        if let Err(why) = found {
            let example = || format!("  {}\n{}", story.0.join("\n  "), tree.outline());
            let (_, times) = self.broken.entry(why).or_insert_with(|| (example(), 0));
            *times += 1;
        }
    }
}

/// The model must end where the program did, or it has missed something.
fn agrees(disk: &Disk, recording: &Recording, act: &Act) {
    let mut disk = disk.clone();
    for op in &recording.ops {
        disk.apply(op);
    }
    let (modelled, real) = (disk.visible(), Tree::read());
    assert!(
        modelled == real,
        "the model of '{}' has\n{}and the disk\n{}",
        act.verb(),
        modelled.outline(),
        real.outline()
    );
}

impl Story {
    fn and(&self, act: &Act, recording: &Recording, done: usize) -> Self {
        let mut story = self.clone();
        let total = recording.ops.len();
        let last = done
            .checked_sub(1)
            .map(|last| recording.ops[last].in_words());
        let last = last.unwrap_or_else(|| "nothing".to_owned());
        story.0.push(format!(
            "{}: killed after {done} of {total}, {last}",
            act.verb()
        ));
        story
    }

    fn and_the_power_cut(&self) -> Self {
        let mut story = self.clone();
        story.0.push("the power was cut".to_owned());
        story
    }
}
