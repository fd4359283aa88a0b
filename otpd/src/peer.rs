//! Who is at the other end, as the kernel tells it.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

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

    /// Whose room she takes: a set-user-ID program such as su is root, and takes that of the one who runs it. Where that
    /// cannot be told, it is her uid.
    pub(crate) fn host(self) -> u32 {
        if self.is_root() {
            real_uid(self.pid).unwrap_or(self.uid)
        } else {
            self.uid
        }
    }
}

/// `Uid:` and four uids, the real one first.
fn real_uid(pid: i32) -> Option<u32> {
    let mut status = String::new();
    let file = File::open(format!("/proc/{pid}/status")).ok()?;
    file.take(4096).read_to_string(&mut status).ok()?;
    uid_in(&status)
}

fn uid_in(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::getuid;

    #[test]
    fn the_real_uid_of_a_process_is_told() {
        let status = "Name:\tUid: 7\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t5\t0\t0\t0\n";
        assert_eq!(uid_in(status), Some(1000));
        assert_eq!(uid_in("Name:\tsu\n"), None);
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(real_uid(own), Some(getuid().as_raw()));
        assert_eq!(real_uid(-1), None);
    }
}
