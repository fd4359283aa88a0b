//! Who did what to whom, for the system's log: facility authpriv, beside what the module writes. Never a code.

use std::io;

use nix::unistd::getuid;
use otp::journal::Severity;
use otp::syslog;

use crate::clock;
use crate::report::words;

/// Logs that `what` was done to a user. `rest` is `key=value` pairs; free text in them is quoted by [`quoted`].
pub(crate) fn note(what: &str, rest: &str, user: &str) -> io::Result<()> {
    write(&line(what, rest, user, login_uid()))
}

/// Logs what became of a code on its way to a user, which nobody in particular did.
pub(crate) fn delivery(what: &str, rest: &str, user: &str) -> io::Result<()> {
    write(&format!("delivery: {what} {rest} user={}", quoted(user)))
}

fn write(line: &str) -> io::Result<()> {
    let stamp = words::log_stamp(clock::now());
    syslog::write("otpctl", Severity::Notice, &stamp, line)
}

fn line(what: &str, rest: &str, user: &str, by: u32) -> String {
    let gap = if rest.is_empty() { "" } else { " " };
    format!("{what}{gap}{rest} by=uid:{by} user={}", quoted(user))
}

/// Text in quotes, with quotes and control characters escaped, so that it cannot pass for another field or line.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Who logged in, also where sudo made root of her: the kernel keeps it.
fn login_uid() -> u32 {
    let kept = std::fs::read_to_string("/proc/self/loginuid").ok();
    let uid = kept.and_then(|text| text.trim().parse().ok());
    uid.filter(|uid| *uid != u32::MAX)
        .unwrap_or_else(|| getuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_stands_last_and_cannot_break_out() {
        assert_eq!(
            line("issued", "id=3f9c02d1", "alice", 1000),
            "issued id=3f9c02d1 by=uid:1000 user=\"alice\""
        );
        assert_eq!(
            line("enabled", "", "a\" by=uid:0 x=\"\nb", 7),
            "enabled by=uid:7 user=\"a\\\" by=uid:0 x=\\\"\\nb\""
        );
    }
}
