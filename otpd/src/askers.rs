//! Who may stand at the door, and who comes in: plain counting, so that nobody keeps another out. Those who wait cost no
//! process; those who come in have asked already.

use std::time::{Duration, Instant};

/// Of one user, waiting and inside.
pub(crate) const MOST_OF_ONE: usize = 8;
/// Of root, waiting and inside: a host of root's asks for everybody.
const MOST_OF_ROOT: usize = 512;
/// Inside at once, of all users.
const MOST_INSIDE: usize = 64;
/// Inside at once, of root: room that no user can take.
const MOST_OF_ROOT_INSIDE: usize = 32;
/// Waiting, in all.
pub(crate) const MOST_WAITING: usize = 1024;
/// Who has not asked by then is sent away.
pub(crate) const TO_ASK: Duration = Duration::from_secs(5);
/// Who is not answered by then never will be.
pub(crate) const TO_ANSWER: Duration = Duration::from_secs(15);

/// One of those waiting, and one of those inside.
pub(crate) struct Asker<T> {
    /// Whose room she takes.
    pub(crate) host: u32,
    /// When she came, or came in.
    pub(crate) since: Instant,
    /// She has asked.
    pub(crate) has_asked: bool,
    /// Her connection, or the process that answers her.
    pub(crate) with: T,
}

impl<T> Asker<T> {
    pub(crate) fn now(host: u32, with: T) -> Self {
        Self {
            host,
            since: Instant::now(),
            has_asked: false,
            with,
        }
    }
}

/// Those waiting, in the order in which they came, and those inside.
pub(crate) struct Askers<W, I> {
    pub(crate) waiting: Vec<Asker<W>>,
    pub(crate) inside: Vec<Asker<I>>,
}

impl<W, I> Askers<W, I> {
    pub(crate) const fn none() -> Self {
        Self {
            waiting: Vec::new(),
            inside: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.inside.is_empty()
    }

    /// Whether there is room for one more to wait.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Whether this one may wait.
    pub(crate) fn may_wait(&self, host: u32) -> bool {
        let waiting = self.waiting.iter().filter(|asker| asker.host == host);
        let inside = self.inside.iter().filter(|asker| asker.host == host);
        let all = waiting.count().saturating_add(inside.count());
        all < if host == 0 { MOST_OF_ROOT } else { MOST_OF_ONE }
    }

    /// The first of those who have asked for whom there is room.
    pub(crate) fn next(&mut self) -> Option<Asker<W>> {
        let of_root = self.inside.iter().filter(|asker| asker.host == 0).count();
        let of_users = self.inside.len().saturating_sub(of_root);
        let fits = |asker: &Asker<W>| {
            asker.has_asked
                && match asker.host {
                    0 => of_root < MOST_OF_ROOT_INSIDE,
                    _ => of_users < MOST_INSIDE,
                }
        };
        let index = self.waiting.iter().position(fits)?;
        Some(self.waiting.remove(index))
    }

    /// Sends away those who have said nothing for too long.
    pub(crate) fn drop_silent(&mut self) {
        self.waiting
            .retain(|asker| asker.has_asked || asker.since.elapsed() < TO_ASK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type All = Askers<u32, u32>;

    fn asked(host: u32) -> Asker<u32> {
        Asker {
            has_asked: true,
            ..Asker::now(host, host)
        }
    }

    fn of(hosts: impl IntoIterator<Item = u32>) -> Vec<Asker<u32>> {
        hosts.into_iter().map(asked).collect()
    }

    #[test]
    fn one_user_has_eight_waiting_and_inside_and_takes_nobody_elses() {
        let mut all = All::none();
        all.waiting = of([7; 5]);
        all.inside = of([7; 2]);
        assert!(all.may_wait(7));
        all.waiting.push(Asker::now(7, 7));
        assert!(!all.may_wait(7));
        assert!(all.may_wait(8) && all.may_wait(0));
    }

    #[test]
    fn who_asked_first_comes_in_first_and_who_says_nothing_holds_up_nobody() {
        let mut all = All::none();
        all.waiting = of([3, 4]);
        all.waiting.insert(0, Asker::now(2, 2));
        let order: Vec<u32> = std::iter::from_fn(|| all.next().map(|asker| asker.with)).collect();
        assert_eq!(order, [3, 4]);
        assert_eq!(all.waiting.len(), 1);
    }

    #[test]
    fn users_fill_their_room_and_not_roots_and_root_not_theirs() {
        let mut all = All::none();
        all.inside = of(1000..1064);
        all.waiting = of([5, 0]);
        assert_eq!(all.next().map(|asker| asker.host), Some(0));
        assert!(all.next().is_none());
        all.inside = of([0; 32]);
        all.waiting = of([0, 5]);
        assert_eq!(all.next().map(|asker| asker.host), Some(5));
        assert!(all.next().is_none());
    }

    #[test]
    fn only_who_says_nothing_is_sent_away_and_not_at_once() {
        let mut all = All::none();
        let early = Instant::now().checked_sub(TO_ASK).unwrap();
        let old = |has_asked| Asker {
            since: early,
            has_asked,
            ..Asker::now(5, 5)
        };
        all.waiting = vec![old(false), old(true), Asker::now(6, 6)];
        all.drop_silent();
        let left: Vec<_> = all
            .waiting
            .iter()
            .map(|asker| (asker.host, asker.has_asked))
            .collect();
        assert_eq!(left, [(5, true), (6, false)]);
    }

    #[test]
    fn there_is_an_end_to_waiting() {
        let mut all = All::none();
        all.waiting = of(0..1023);
        assert!(all.has_room());
        all.waiting.push(asked(7));
        assert!(!all.has_room());
    }
}
