//! Spans of time as people spell them.

use std::time::Duration;

/// A duration as otp.toml and the command line spell it: a whole number above zero and a unit, `s`, `m`, `h` or `d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = plain.then(|| digits.parse().ok())??;
    let total = count.checked_mul(seconds).filter(|total| *total > 0)?;
    Some(Duration::from_secs(total))
}

/// The shortest spelling [`parse_duration`] reads back.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let secs = span.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    for (size, unit) in units {
        // A day is spelled 24h, as people say it of codes.
        let whole = secs.checked_rem(size) == Some(0) && secs > 0;
        if whole && !(unit == "d" && secs == size) {
            return format!("{}{unit}", secs.checked_div(size).unwrap_or(0));
        }
    }
    format!("{secs}s")
}
