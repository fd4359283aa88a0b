//! The socket: handed over by systemd as standard input, or made here.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::socket::sockopt::{self, AcceptConn};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket,
};
use otp::door::{self, client::Door};
use otp::store::load_policy;

/// A socket of our own making, which goes when we go.
pub(crate) struct Listening {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Another one's, if it has taken our place.
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The socket that stands as our standard input.
pub(crate) fn handed_over() -> Result<UnixListener, String> {
    let stdin = std::io::stdin();
    let is_listening = getsockopt(&stdin, AcceptConn).unwrap_or(false)
        && getsockopt(&stdin, sockopt::SockType) == Ok(SockType::SeqPacket);
    if !is_listening {
        return Err(
            "standard input is not the socket of pam-otp-otpd.socket: see otpd --help".to_owned(),
        );
    }
    let socket = stdin.as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| format!("cannot keep the socket: {error}"))?;
    Ok(UnixListener::from(socket))
}

/// The socket where the policy has it, made now.
pub(crate) fn at_the_policys_place(config: Option<&Path>) -> Result<Listening, String> {
    let policy = load_policy(config)
        .map_err(|error| error.to_string())?
        .policy;
    door::make_place(&policy.run_dir).map_err(|error| error.to_string())?;
    let path = Door::path(&policy.run_dir);
    let at =
        |error: &dyn std::fmt::Display| format!("cannot listen at {}: {error}", path.display());
    if fs::symlink_metadata(&path).is_ok_and(|file| !file.file_type().is_socket()) {
        return Err(at(&"something else than a socket is there"));
    }
    let try_address = UnixAddr::new(&path).map_err(|error| at(&error))?;
    let trying = seqpacket().map_err(|error| at(&error))?;
    if connect(trying.as_raw_fd(), &try_address).is_ok() {
        return Err(at(&"another otpd answers there"));
    }
    // Nobody ever finds it half-made: it listens before it has its name.
    let half_made = policy.run_dir.join(".new-otpd.sock");
    let _ = fs::remove_file(&half_made);
    let address = UnixAddr::new(&half_made).map_err(|error| at(&error))?;
    let socket = seqpacket().map_err(|error| at(&error))?;
    bind(socket.as_raw_fd(), &address).map_err(|error| at(&error))?;
    fs::set_permissions(&half_made, Permissions::from_mode(0o666)).map_err(|error| at(&error))?;
    // As many as the kernel lets stand before the door (net.core.somaxconn).
    listen(&socket, Backlog::MAXALLOWABLE).map_err(|error| at(&error))?;
    let inode = fs::symlink_metadata(&half_made)
        .map_err(|error| at(&error))?
        .ino();
    fs::rename(&half_made, &path).map_err(|error| at(&error))?;
    Ok(Listening {
        listener: UnixListener::from(socket),
        path,
        inode,
    })
}

fn seqpacket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}
