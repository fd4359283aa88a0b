//! The log as a syslog daemon gets it: the test's own `/dev/log`.

use std::os::unix::net::UnixDatagram;

/// The socket that libc's `syslog` writes to.
pub struct Syslog(UnixDatagram);

/// One line of a PAM module.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// As in `<syslog.h>`, without its shift.
    pub facility: i32,
    /// As in `<syslog.h>`: 3 is LOG_ERR, 5 is LOG_NOTICE, 6 is LOG_INFO, 7 is LOG_DEBUG.
    pub severity: i32,
    /// From `pam_otp(` on.
    pub text: String,
}

impl Syslog {
    /// Takes the sandbox's `/dev/log`.
    pub fn bind() -> Self {
        let socket = UnixDatagram::bind("/dev/log").expect("the sandbox has no syslog yet");
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Everything that came since the last call, whoever sent it, as it came.
    pub fn take_any(&self) -> Vec<String> {
        let mut buffer = [0; 16 * 1024];
        let mut texts = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            texts.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        texts
    }

    /// The lines that came since the last call. Take them often: the kernel keeps ten.
    pub fn take(&self) -> Vec<Line> {
        let mut buffer = [0; 16 * 1024];
        let mut lines = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).expect("a line is ASCII");
            lines.push(parse(&text));
        }
        lines
    }
}

/// `<86>Nov 20 12:00:00 program: pam_otp(sshd:auth): …`
fn parse(datagram: &str) -> Line {
    let (priority, rest) = datagram[1..].split_once('>').expect("a priority");
    let priority: i32 = priority.parse().expect("a number");
    let from = rest.find("pam_").expect("only modules write here");
    Line {
        facility: priority >> 3,
        severity: priority & 7,
        text: rest[from..].to_owned(),
    }
}
