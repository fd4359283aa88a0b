//! The system's log, for our own programs: datagrams to `/dev/log`, facility authpriv. The module writes through libpam.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::journal::Severity;

/// Where the system's log listens.
const SOCKET: &str = "/dev/log";
/// authpriv of RFC 3164, shifted.
const FACILITY: u8 = 10 << 3;
/// A log that takes nothing for so long is full and read by nobody. What was done stands, and is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Logs one line as this program, which has to be free of control characters. `stamp` is the local time as RFC 3164 has
/// it; where it is empty the line gets the time at which it arrives.
pub fn write(program: &str, severity: Severity, stamp: &str, line: &str) -> io::Result<()> {
    let priority = FACILITY | severity.number();
    let pid = std::process::id();
    let gap = if stamp.is_empty() { "" } else { " " };
    let message = format!("<{priority}>{stamp}{gap}{program}[{pid}]: {line}");
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to(message.as_bytes(), SOCKET).map(|_| ())
}
