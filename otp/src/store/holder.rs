//! Who holds a lock, as the kernel tells everybody. For the error alone: nothing is decided by it.

use std::fs::File;
use std::io::Read;

use nix::sys::stat::{fstat, major, minor};

const LOCKS: &str = "/proc/locks";
/// No more of it is read: whoever likes can take many locks.
const MOST: u64 = 1024 * 1024;

/// The process that holds the `flock` on this file, if that can be seen from here.
pub(super) fn of(file: &File) -> Option<u32> {
    let stat = fstat(file).ok()?;
    let (major, minor, inode) = (major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let mut locks = String::new();
    File::open(LOCKS)
        .and_then(|open| open.take(MOST).read_to_string(&mut locks))
        .ok()?;
    holder(&locks, &format!("{major:02x}:{minor:02x}:{inode}"))
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`
fn holder(locks: &str, place: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_ours = words.next() == Some("FLOCK");
        let pid = words.nth(2)?;
        (is_ours && words.next() == Some(place)).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_this_lock_is_found_and_no_other() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fd:01:1234 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 fd:01:123 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 fd:01:1234 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF\nhalf a li";
        assert_eq!(holder(locks, "fd:01:1234"), Some(4711));
        assert_eq!(holder(locks, "fd:02:1234"), None);
        // From another namespace.
        let hidden = "1: FLOCK  ADVISORY  WRITE -1 fd:01:1234 0 EOF";
        assert_eq!(holder(hidden, "fd:01:1234"), None);
    }
}
