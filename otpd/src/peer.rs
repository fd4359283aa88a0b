//! Who is at the other end, as the kernel tells it.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

/// Whose room those take who cannot be told apart: nobody has this uid (`(uid_t) -1`).
const CROWD: u32 = u32::MAX;

/// The one at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The effective uid with which she connected: it decides for whom she may ask.
    pub(crate) uid: u32,
    pid: i32,
}

impl Peer {
    pub(crate) fn of(socket: &impl AsFd) -> nix::Result<Self> {
        let credentials = getsockopt(socket, PeerCredentials)?;
        Ok(Self {
            uid: credentials.uid(),
            pid: credentials.pid(),
        })
    }

    pub(crate) const fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Whose room she takes: a set-user-ID program such as su is root, and takes that of the one who runs it. Whoever makes
    /// a user namespace has as many uids in it as she was given, so all who are in one take the room of one together, and so
    /// do those of whom nobody can tell any more.
    pub(crate) fn host(self) -> u32 {
        match uids(self.pid) {
            Some((real, effective)) if effective == self.uid && is_in_our_namespace(self.pid) => {
                if self.is_root() {
                    real
                } else {
                    self.uid
                }
            }
            _ => CROWD,
        }
    }
}

/// Of a process, whose number the kernel may have given to another since: its real and its effective uid.
fn uids(pid: i32) -> Option<(u32, u32)> {
    let status = about(&pid.to_string(), "status")?;
    uids_in(&status)
}

/// `Uid:` and four uids, the real one first.
fn uids_in(status: &str) -> Option<(u32, u32)> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut uids = line.split_whitespace().map(str::parse);
    Some((uids.next()?.ok()?, uids.next()?.ok()?))
}

/// Whether a uid means there what it means here. Where the kernel knows no user namespaces, neither has a map.
fn is_in_our_namespace(pid: i32) -> bool {
    about(&pid.to_string(), "uid_map") == about("self", "uid_map")
}

fn about(process: &str, what: &str) -> Option<String> {
    let mut text = String::new();
    let file = File::open(format!("/proc/{process}/{what}")).ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::getuid;

    #[test]
    fn whose_room_somebody_takes_is_told_of_a_process_that_is_there_and_hers() {
        let status = "Name:\tUid: 7\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t5\t0\t0\t0\n";
        assert_eq!(uids_in(status), Some((1000, 0)));
        assert_eq!(uids_in("Name:\tsu\n"), None);
        assert_eq!(uids_in("Uid:\t1000\n"), None);
        let own = i32::try_from(std::process::id()).unwrap();
        let uid = getuid().as_raw();
        let host = |uid, pid| Peer { uid, pid }.host();
        assert_eq!(uids(own), Some((uid, uid)));
        assert_eq!(host(uid, own), uid);
        assert_eq!(host(uid.wrapping_add(1), own), CROWD, "it is another's");
        assert_eq!(host(uid, -1), CROWD);
        assert!(is_in_our_namespace(own) && !is_in_our_namespace(-1));
    }
}
