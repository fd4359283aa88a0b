//! `deliver`: codes go from the queue to people. Here is who hands over what and when; how is in [`one`].
//!
//! Each code is handed over by a process of its own, this program again, which has a time limit and leaves nothing behind
//! when it is killed. It holds the entry's lock and puts down what came of it, so nothing is lost when this one ends.

mod mail;
mod one;
mod program;
mod settle;
mod smtp;

use std::collections::VecDeque;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use otp::delivery::Channel;
use otp::store::load_policy;
use otp::store::queue::{Delivery, Queue, Reason, Turn};

use super::Context;
use crate::failure::{Ending, Failure, Kind};
use crate::report::delivered::Delivered;
use crate::{cli, clock};

/// This program, also where a newer one has taken its place.
const OURSELVES: &str = "/proc/self/exe";
/// So many are handed over at once, of each channel.
const HANDS: usize = 4;
/// Between two looks while something is on its way, and while nothing is.
const BUSY: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(1);
/// Whoever hands over keeps its own time, at most two minutes. This long, it is stuck.
const STUCK: Duration = Duration::from_secs(140);

pub(super) fn run(context: Context<'_>, args: &cli::Deliver) -> Result<Ending, Failure> {
    if let Some(name) = &args.taken {
        return one::run(context, name);
    }
    if args.settle {
        return settle::run(context);
    }
    let policy = load_policy(context.config)?.policy;
    let queue = Queue::open(&policy)?;
    let Some(turn) = queue.turn()? else {
        return Err(Failure::new(
            Kind::Pending,
            "another otpctl deliver is at work, and one is enough",
        ));
    };
    let mut desk = Desk {
        context,
        queue: &queue,
        turn: &turn,
        hands: Vec::new(),
        waiting: VecDeque::new(),
        told: Delivered::default(),
    };
    if args.once {
        while !desk.is_done()? {
            sleep(BUSY);
        }
        context.report.answer(&desk.told)?;
        return Ok(Ending::Done);
    }
    context
        .report
        .hint("Codes are handed over as people ask for them, until Ctrl-C.");
    loop {
        let failed = desk.told.failed;
        let pause = if desk.is_done()? { IDLE } else { BUSY };
        if desk.told.failed > failed {
            settle::apply(context, &policy, &queue)?;
        }
        sleep(pause);
    }
}

/// What is on its way, and what comes next.
struct Desk<'a> {
    context: Context<'a>,
    queue: &'a Queue,
    turn: &'a Turn,
    hands: Vec<Hand>,
    waiting: VecDeque<Waiting>,
    told: Delivered,
}

/// An entry that nobody works on.
struct Waiting {
    name: String,
    channel: Channel,
    /// Whether it was taken before, and left by a crash.
    taken: bool,
}

/// An entry that a process works on.
struct Hand {
    name: String,
    channel: Channel,
    process: Child,
    since: Instant,
}

impl Desk<'_> {
    /// Goes through everything once; whether nothing is left to do, for anybody.
    fn is_done(&mut self) -> Result<bool, Failure> {
        self.see_to_hands()?;
        if self.waiting.is_empty() {
            self.look_behind()?;
        }
        self.look()?;
        let mut later = VecDeque::new();
        while let Some(next) = self.waiting.pop_front() {
            let same = |hand: &&Hand| hand.channel == next.channel;
            if self.hands.iter().filter(same).count() >= HANDS {
                later.push_back(next);
            } else if next.taken || self.queue.take(self.turn, &next.name)? {
                self.begin(next)?;
            }
        }
        self.waiting = later;
        Ok(self.hands.is_empty() && self.queue.is_empty()?)
    }

    /// What a crash left, which comes first.
    fn look_behind(&mut self) -> Result<(), Failure> {
        self.queue.drop_strays(self.turn)?;
        // One that has just begun may not have locked its entry yet.
        let left = match self.hands.as_slice() {
            [] => self.queue.left_over(self.turn, clock::now())?,
            _ => Vec::new(),
        };
        for name in left {
            if let Some(channel) = Queue::channel_of(&name) {
                let taken = true;
                self.waiting.push_back(Waiting {
                    name,
                    channel,
                    taken,
                });
            }
        }
        Ok(())
    }

    /// What there is to do. One channel is not looked at again before its turn has come, and the other need not wait for that.
    fn look(&mut self) -> Result<(), Failure> {
        for channel in Channel::ALL {
            if self.waiting.iter().any(|next| next.channel == channel) {
                continue;
            }
            let names = self.queue.untaken(self.turn, channel)?;
            self.waiting.extend(names.into_iter().map(|name| Waiting {
                name,
                channel,
                taken: false,
            }));
        }
        Ok(())
    }

    fn begin(&mut self, next: Waiting) -> Result<(), Failure> {
        let mut command = Command::new(OURSELVES);
        command.arg0("otpctl");
        if let Some(config) = self.context.config {
            command.arg("--config").arg(config);
        }
        command.args(["deliver", "--taken", &next.name]);
        // Ctrl-C ends us; what is on its way goes on and is put down.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = command
            .spawn()
            .map_err(|error| Failure::io("start", Path::new("otpctl"), &error))?;
        self.hands.push(Hand {
            name: next.name,
            channel: next.channel,
            process,
            since: Instant::now(),
        });
        Ok(())
    }

    /// Takes leave of those who are done.
    fn see_to_hands(&mut self) -> Result<(), Failure> {
        let fail = |error| Failure::io("wait for", Path::new("otpctl"), &error);
        for mut hand in std::mem::take(&mut self.hands) {
            if hand.since.elapsed() >= STUCK {
                // It may have ended by itself just now.
                let _ = hand.process.kill();
                hand.process.wait().map_err(fail)?;
                self.ended(&hand, How::Ended(Reason::Timeout))?;
            } else if let Some(status) = hand.process.try_wait().map_err(fail)? {
                self.ended(&hand, How::of(status))?;
            } else {
                self.hands.push(hand);
            }
        }
        Ok(())
    }

    /// Counts what came of one; of one that was killed, puts it down.
    fn ended(&mut self, hand: &Hand, how: How) -> Result<(), Failure> {
        let reason = match how {
            How::Sent => {
                self.told.sent = self.told.sent.saturating_add(1);
                return Ok(());
            }
            How::Failed => {
                self.told.failed = self.told.failed.saturating_add(1);
                return Ok(());
            }
            How::Ended(reason) => reason,
        };
        match self.queue.claim(&hand.name) {
            // It was withdrawn.
            Ok(None) => return Ok(()),
            Ok(Some(claimed)) => {
                let failed = Delivery::Failed(reason);
                one::log(self.context, &claimed.entry, failed, "");
                self.queue.finish(claimed, failed, clock::now())?;
            }
            Err(_) => self.queue.discard(&hand.name)?,
        }
        self.told.failed = self.told.failed.saturating_add(1);
        Ok(())
    }
}

/// What came of one, by how its process ended.
enum How {
    Sent,
    /// It put down why.
    Failed,
    /// It could not.
    Ended(Reason),
}

impl How {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::Sent,
            (Some(1), _) => Self::Failed,
            // Its own alarm.
            (_, Some(signal)) if signal == Signal::SIGALRM as i32 => Self::Ended(Reason::Timeout),
            _ => Self::Ended(Reason::Interrupted),
        }
    }
}
