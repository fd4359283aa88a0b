use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

const ALICE: &str = "+4917012344711";

/// A queue in the world that tests/as-root makes.
struct World {
    temp: tempfile::TempDir,
    queue: Queue,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::Builder::new().tempdir_in("/run").unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let spool = Dir::open(temp.path(), Privacy::RootOnly).unwrap();
        assert!(Queue::within(&spool).unwrap().is_none());
        let queue = Queue::make(&spool).unwrap();
        Self { temp, queue }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(QUEUE).join(name)
    }

    fn all(&self) -> Vec<String> {
        let mut all = Vec::new();
        for dir in ["new", "work", "done", "settle"] {
            for entry in fs::read_dir(self.path(dir)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                all.push(format!("{dir}/{name}"));
            }
        }
        all.sort_unstable();
        all
    }

    fn put(&self, entry: &Entry) {
        assert_eq!(self.queue.put(entry, 10).unwrap(), Put::Queued);
    }

    fn begin(&self, name: &str) -> Claimed {
        let turn = self.queue.turn().unwrap().unwrap();
        assert!(self.queue.take(&turn, name).unwrap());
        self.queue.claim(name).unwrap().unwrap()
    }
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn code(name: &str, channel: Channel, id: u8) -> Entry {
    let address = match channel {
        Channel::Sms => ALICE,
        Channel::Email => "alice@example.org",
    };
    Entry {
        user: user(name),
        id: CodeId::from_bytes([id; 4]),
        address: Address::parse(channel, address).unwrap(),
        code: Zeroizing::new(format!("4821093{id}")),
        purpose: Purpose::Login,
        issued_at: at(1_000),
        expires_at: at(1_600),
        host: "host \"quoted\" \\ ä".to_owned(),
    }
}

#[test]
fn an_entry_is_handed_over_once_and_leaves_an_outcome_without_the_code() {
    let world = World::new();
    let entry = code("corp\\alice", Channel::Sms, 1);
    world.put(&entry);
    let name = "corp%5Calice.sms";
    assert_eq!(world.all(), [format!("new/{name}")]);
    let mode = fs::metadata(world.path("new").join(name))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o7777, 0o600);
    let turn = world.queue.turn().unwrap().unwrap();
    assert_eq!(world.queue.untaken(&turn, Channel::Sms).unwrap(), [name]);
    assert!(
        world
            .queue
            .untaken(&turn, Channel::Email)
            .unwrap()
            .is_empty()
    );
    assert!(world.queue.take(&turn, name).unwrap());
    assert!(!world.queue.take(&turn, name).unwrap());
    let claimed = world.queue.claim(name).unwrap().unwrap();
    assert!(claimed.entry == entry);
    assert!(
        world.queue.claim(name).unwrap().is_none(),
        "somebody works on it"
    );
    world
        .queue
        .finish(claimed, Delivery::Sent, at(1_003))
        .unwrap();
    assert_eq!(world.all(), [format!("done/{name}")]);
    assert!(world.queue.claim(name).unwrap().is_none());
    let kept = fs::read_to_string(world.path("done").join(name)).unwrap();
    assert!(!kept.contains("4821") && !kept.contains(ALICE), "{kept}");
    let outcome = world.queue.outcome_of(&entry.user, Channel::Sms).unwrap();
    assert_eq!(outcome, Some(entry.outcome(Delivery::Sent, at(1_003))));
    assert_eq!(world.queue.outcomes().unwrap(), [outcome.unwrap()]);
    assert!(world.queue.unsettled().unwrap().is_empty());
}

#[test]
fn every_failure_reads_back_and_is_told_to_the_store_until_it_has_heard() {
    let world = World::new();
    for reason in Reason::ALL {
        let entry = code("alice", Channel::Email, 1);
        world.put(&entry);
        let claimed = world.begin("alice.email");
        let failed = Delivery::Failed(reason);
        world.queue.finish(claimed, failed, at(1_001)).unwrap();
        let outcome = entry.outcome(failed, at(1_001));
        assert_eq!(
            world.queue.unsettled().unwrap(),
            std::slice::from_ref(&outcome)
        );
        world.queue.settled(&outcome).unwrap();
        assert!(world.queue.unsettled().unwrap().is_empty());
        let kept = world.queue.outcome_of(&entry.user, Channel::Email).unwrap();
        assert_eq!(kept, Some(outcome), "the person is told all the same");
    }
}

#[test]
fn a_newer_entry_takes_the_place_of_an_older_one_that_waits_and_not_of_one_on_its_way() {
    let world = World::new();
    let (old, new) = (
        code("alice", Channel::Sms, 1),
        code("alice", Channel::Sms, 2),
    );
    let path = world.path("new/alice.sms");
    world.put(&old);
    let file = fs::File::open(&path).unwrap();
    world.put(&new);
    let mut left = String::new();
    std::io::Read::read_to_string(&mut &file, &mut left).unwrap();
    assert!(left.bytes().all(|byte| byte == 0), "{left}");
    let claimed = world.begin("alice.sms");
    assert!(claimed.entry == new);
    world.put(&old);
    let turn = world.queue.turn().unwrap().unwrap();
    assert!(!world.queue.take(&turn, "alice.sms").unwrap());
    world
        .queue
        .finish(claimed, Delivery::Sent, at(1_001))
        .unwrap();
    assert!(world.queue.take(&turn, "alice.sms").unwrap());
}

#[test]
fn what_is_full_takes_nothing_more_but_in_the_place_of_what_is_there() {
    let world = World::new();
    let put = |name, channel| world.queue.put(&code(name, channel, 1), 2).unwrap();
    assert_eq!(put("alice", Channel::Sms), Put::Queued);
    assert_eq!(put("alice", Channel::Email), Put::Queued);
    assert_eq!(put("bob", Channel::Sms), Put::Full);
    assert_eq!(put("alice", Channel::Sms), Put::Queued);
    assert_eq!(world.all(), ["new/alice.email", "new/alice.sms"]);
    let (waiting, oldest) = world.queue.waiting().unwrap();
    assert_eq!((waiting, oldest), (2, Some(at(1_000))));
}

#[test]
fn a_code_taken_back_is_wiped_wherever_it_waits_and_others_stay() {
    let world = World::new();
    world.put(&code("alice", Channel::Sms, 1));
    world.put(&code("alice", Channel::Email, 2));
    world.put(&code("bob", Channel::Sms, 1));
    let first = CodeId::from_bytes([1; 4]);
    let file = fs::File::open(world.path("new/alice.sms")).unwrap();
    let withdraw =
        |which: &dyn Fn(CodeId) -> bool| world.queue.withdraw(&user("alice"), which).unwrap();
    assert_eq!(withdraw(&|id| id == first), 1);
    assert_eq!(world.all(), ["new/alice.email", "new/bob.sms"]);
    let mut left = String::new();
    std::io::Read::read_to_string(&mut &file, &mut left).unwrap();
    assert!(left.bytes().all(|byte| byte == 0), "{left}");
    let claimed = world.begin("alice.email");
    assert_eq!(withdraw(&|_| true), 1);
    assert_eq!(world.all(), ["new/bob.sms"]);
    // It was on its way: what came of it is known, and nothing of the code stays.
    world
        .queue
        .finish(claimed, Delivery::Sent, at(1_001))
        .unwrap();
    assert_eq!(world.all(), ["done/alice.email", "new/bob.sms"]);
    world.put(&code("alice", Channel::Sms, 1));
    world.queue.forget(&user("alice")).unwrap();
    assert_eq!(world.all(), ["new/bob.sms"]);
}

/// Withdrawn while it was handed over, with a newer one taken since, under the same name.
#[test]
fn whoever_is_done_with_one_that_was_taken_back_leaves_the_next_alone() {
    let world = World::new();
    let old = code("alice", Channel::Sms, 1);
    world.put(&old);
    let claimed = world.begin("alice.sms");
    assert_eq!(world.queue.withdraw(&old.user, |_| true).unwrap(), 1);
    let next = code("alice", Channel::Sms, 2);
    world.put(&next);
    let turn = world.queue.turn().unwrap().unwrap();
    assert!(world.queue.take(&turn, "alice.sms").unwrap());
    let failed = Delivery::Failed(Reason::Timeout);
    world.queue.finish(claimed, failed, at(1_010)).unwrap();
    let claimed = world.queue.claim("alice.sms").unwrap().unwrap();
    assert!(claimed.entry == next);
    let sent = Delivery::Sent;
    world.queue.finish(claimed, sent, at(1_011)).unwrap();
    assert_eq!(world.all(), ["done/alice.sms"]);
    let outcome = world.queue.outcome_of(&next.user, Channel::Sms).unwrap();
    assert_eq!(outcome, Some(next.outcome(sent, at(1_011))));
}

#[test]
fn what_a_crash_left_is_begun_once_more_and_then_ended() {
    let world = World::new();
    world.put(&code("alice", Channel::Sms, 1));
    let turn = world.queue.turn().unwrap().unwrap();
    assert!(world.queue.take(&turn, "alice.sms").unwrap());
    let on_its_way = world.queue.claim("alice.sms").unwrap().unwrap();
    let left = |now| world.queue.left_over(&turn, at(now)).unwrap();
    assert!(left(1_001).is_empty(), "somebody works on it");
    drop(on_its_way);
    assert_eq!(left(1_002), ["+alice.sms"]);
    world.put(&code("alice", Channel::Sms, 2));
    assert!(!world.queue.take(&turn, "alice.sms").unwrap());
    let once_more = world.queue.claim("+alice.sms").unwrap().unwrap();
    assert!(left(1_003).is_empty());
    drop(once_more);
    assert!(left(1_004).is_empty());
    let outcome = world
        .queue
        .outcome_of(&user("alice"), Channel::Sms)
        .unwrap();
    let interrupted = Delivery::Failed(Reason::Interrupted);
    assert_eq!(outcome.map(|outcome| outcome.result), Some(interrupted));
    assert!(world.queue.take(&turn, "alice.sms").unwrap());
}

#[test]
fn one_process_takes_at_a_time() {
    let world = World::new();
    let turn = world.queue.turn().unwrap();
    assert!(turn.is_some() && world.queue.turn().unwrap().is_none());
    drop(turn);
    assert!(world.queue.turn().unwrap().is_some());
}

#[test]
fn what_is_late_or_makes_no_sense_is_swept_and_the_rest_stays() {
    let world = World::new();
    world.put(&code("alice", Channel::Sms, 1));
    world
        .queue
        .finish(
            world.begin("alice.sms"),
            Delivery::Failed(Reason::Status),
            at(1_001),
        )
        .unwrap();
    world.put(&code("alice", Channel::Sms, 1));
    world.put(&code("bob", Channel::Sms, 1));
    let turn = world.queue.turn().unwrap().unwrap();
    assert!(world.queue.take(&turn, "bob.sms").unwrap());
    assert_eq!(world.queue.sweep(at(1_599)).unwrap(), 0);
    assert_eq!(
        world.all(),
        [
            "done/alice.sms",
            "new/alice.sms",
            "settle/alice.sms",
            "work/bob.sms"
        ]
    );
    fs::write(world.path("new/carol.sms"), "code = \"12345678\"\n").unwrap();
    fs::set_permissions(
        world.path("new/carol.sms"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    assert_eq!(world.queue.sweep(at(1_599)).unwrap(), 1);
    assert_eq!(world.queue.sweep(at(1_600)).unwrap(), 2);
    assert!(world.all().is_empty(), "{:?}", world.all());
}

#[test]
fn an_entry_is_taken_from_root_alone_and_for_nobody_else() {
    let world = World::new();
    let entry = code("alice", Channel::Sms, 1);
    let content = text::entry(&entry);
    let place = |name: &str, content: &str| {
        fs::write(world.path(name), content).unwrap();
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    };
    let why = |name: &str| {
        let claimed = world.queue.claim(name);
        claimed
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    place("work/alice.sms", &content);
    assert!(world.queue.claim("alice.sms").unwrap().is_some());
    place("work/bob.sms", &content);
    assert!(why("bob.sms").contains("another user or channel"));
    place("work/alice.email", &content);
    assert!(why("alice.email").contains("another user or channel"));
    fs::set_permissions(
        world.path("work/alice.sms"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    assert!(why("alice.sms").contains("its mode is 0640"));
    symlink("bob.sms", world.path("work/carol.sms")).unwrap();
    assert!(why("carol.sms").contains("symbolic link"));
    for (good, bad) in [
        ("format = 1", "format = 2"),
        ("\"48210931\"", "\"4821 0931\""),
        ("\"48210931\"", "\"48210931\\n\""),
        ("\"48210931\"", "\"12345\""),
        ("+4917012344711", "+49170-12344711"),
        ("\"login\"", "\"other\""),
        ("1600", "\"1600\""),
        ("01010101", "0101010"),
    ] {
        assert!(content.contains(good), "{good}");
        place("work/alice.sms", &content.replace(good, bad));
        let why = why("alice.sms");
        assert!(!why.is_empty() && !why.contains("4821"), "{bad}: {why}");
        world.queue.discard("alice.sms").unwrap();
    }
    place("work/alice.sms", &"#".repeat(MAX_ENTRY + 1));
    assert!(why("alice.sms").contains("larger than"));
}
