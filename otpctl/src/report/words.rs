//! How times, spans, codes and names are spelled.

use std::fmt::Display;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use otp::enrollment::{Authenticator, Kind};
use otp::hotp::{Algorithm, CodeLength};
use otp::time::UnixTime;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// A moment, for scripts: RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) UnixTime);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&timestamp(self.0))
    }
}

/// A time no calendar reaches is told as the last one it does.
fn timestamp(time: UnixTime) -> Timestamp {
    let secs = i64::try_from(time.as_secs()).ok();
    secs.and_then(|secs| Timestamp::from_second(secs).ok())
        .unwrap_or(Timestamp::MAX)
}

fn local(time: UnixTime) -> Zoned {
    timestamp(time).to_zoned(TimeZone::system())
}

/// A moment as people tell it: "today 13:58", "2026-11-20 13:58".
pub(crate) fn moment(time: UnixTime, now: UnixTime) -> String {
    moment_between(&local(time), local(now).date())
}

fn moment_between(at: &Zoned, today: Date) -> String {
    let day = at.date();
    let clock = at.strftime("%H:%M");
    if day == today {
        format!("today {clock}")
    } else if today.checked_sub(1.day()).is_ok_and(|before| before == day) {
        format!("yesterday {clock}")
    } else if today.checked_add(1.day()).is_ok_and(|after| after == day) {
        format!("tomorrow {clock}")
    } else {
        format!("{day} {clock}")
    }
}

/// A moment as the system's log wants it (RFC 3164): "Nov 20 13:58:07".
pub(crate) fn log_stamp(time: UnixTime) -> String {
    local(time).strftime("%b %e %H:%M:%S").to_string()
}

/// A moment for somebody who may be anywhere: "14:32:10 UTC on 2026-11-20".
pub(crate) fn anywhere(time: UnixTime) -> String {
    let at = local(time).with_time_zone(TimeZone::UTC);
    at.strftime("%H:%M:%S UTC on %Y-%m-%d").to_string()
}

/// The day of a moment: "2026-11-20".
pub(crate) fn day(time: UnixTime) -> String {
    local(time).date().to_string()
}

/// When something ends: "14:32", or with its day where that is another, seconds where it is soon.
pub(crate) fn end(time: UnixTime, now: UnixTime) -> String {
    let at = local(time);
    if time.since(now) < Duration::from_secs(120) {
        return at.strftime("%H:%M:%S").to_string();
    }
    let told = moment_between(&at, local(now).date());
    told.strip_prefix("today ")
        .map_or_else(|| told.clone(), str::to_owned)
}

/// A length of time in words, of its larger unit: "15 minutes".
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let (size, unit) = match secs {
        ..120 => (1, "second"),
        120..7200 => (60, "minute"),
        7200..172_800 => (3600, "hour"),
        _ => (86_400, "day"),
    };
    let half: u64 = size / 2;
    count(
        secs.saturating_add(half).checked_div(size).unwrap_or(0),
        unit,
    )
}

/// "1 code", "2 codes".
pub(crate) fn count(n: impl TryInto<u64>, unit: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {unit}"),
        n => format!("{n} {unit}s"),
    }
}

/// "1 code was", "2 codes were".
pub(crate) fn were(n: i64, unit: &str) -> String {
    let verb = if n == 1 { "was" } else { "were" };
    format!("{} {verb}", count(n, unit))
}

/// How far a phone's clock is off, from steps: as near as a code can tell.
pub(crate) fn drift(steps: i64, period: u64) -> Option<String> {
    let off = Duration::from_secs(steps.unsigned_abs().saturating_mul(period));
    let way = if steps > 0 { "ahead" } else { "behind" };
    (steps != 0).then(|| format!("about {} {way}", span(off)))
}

/// An authenticator in a few words: "time-based, SHA1, 6 digits, 30 s".
pub(crate) fn authenticator(of: &Authenticator) -> String {
    device(of.kind, of.algorithm, of.length)
}

/// The same of one whose secret is not at hand.
pub(crate) fn device(kind: Kind, algorithm: Algorithm, length: CodeLength) -> String {
    let algorithm = algorithm.name().to_ascii_uppercase();
    let digits = length.digits();
    match kind {
        Kind::Totp { period } => {
            let seconds = period.as_secs();
            format!("time-based, {algorithm}, {digits} digits, {seconds} s")
        }
        Kind::Hotp => format!("counter-based, {algorithm}, {digits} digits"),
    }
}

/// Where a login came from, as people tell it: an address, or this machine.
pub(crate) fn origin(origin: &str) -> String {
    origin.strip_prefix("local:").map_or_else(
        || origin.to_owned(),
        |uid| format!("this machine (uid {uid})"),
    )
}

/// Digits in groups for reading aloud: "492 039", "4821 0937".
pub(crate) fn grouped(code: &str) -> Zeroizing<String> {
    let size = match code.len() {
        ..=7 | 9 => 3,
        8 => 4,
        _ => 5,
    };
    // Seven digits read better as three and four.
    let lead = if code.len() == 7 { 4 } else { 0 };
    in_groups(code, size, lead)
}

/// Base32 in groups of four.
pub(crate) fn key(base32: &str) -> Zeroizing<String> {
    in_groups(base32, 4, 0)
}

/// Groups of `size`, or a last one of `last` where it is not 0.
fn in_groups(text: &str, size: usize, last: usize) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(2)));
    let open_end = text.len().saturating_sub(last);
    for (index, letter) in text.chars().enumerate() {
        let starts = index.checked_rem(size) == Some(0) && (last == 0 || index <= open_end);
        if index > 0 && starts {
            out.push(' ');
        }
        out.push(letter);
    }
    out
}

/// What the operating system said, without its number.
pub(crate) fn os_error(why: &impl Display) -> String {
    let said = why.to_string();
    let number = said.rfind(" (os error ");
    number
        .and_then(|at| said.get(..at))
        .unwrap_or(&said)
        .to_owned()
}

/// A name or a text somebody chose, with nothing in it that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let escaped = letter.is_control().then(|| letter.escape_default());
            let plain = escaped.is_none().then_some(letter);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Columns a text takes, as near as counting characters comes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// The lines of a text at a width, the first of them shorter by `taken`. Words longer than a line stay whole.
pub(crate) fn wrap(text: &str, width: usize, taken: usize) -> std::vec::IntoIter<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = taken;
    for word in text.split(' ') {
        let needed = columns(word).saturating_add(usize::from(!line.is_empty()));
        if !line.is_empty() && used.saturating_add(needed) > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if !line.is_empty() {
            line.push(' ');
            used = used.saturating_add(1);
        }
        line.push_str(word);
        used = used.saturating_add(columns(word));
    }
    lines.push(line);
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_grouped_for_reading() {
        let texts = ["492039", "4920391", "48210937", "482109371", "4821093712"];
        let grouped: Vec<String> = texts.iter().map(|text| grouped(text).to_string()).collect();
        assert_eq!(
            grouped,
            [
                "492 039",
                "492 0391",
                "4821 0937",
                "482 109 371",
                "48210 93712"
            ]
        );
        assert_eq!(*key("JBSWY3DPEHPK3PXP"), "JBSW Y3DP EHPK 3PXP");
    }

    #[test]
    fn spans_are_told_in_their_larger_unit() {
        let told = |secs| span(Duration::from_secs(secs));
        assert_eq!(told(1), "1 second");
        assert_eq!(told(90), "90 seconds");
        assert_eq!(told(900), "15 minutes");
        assert_eq!(told(86_400), "24 hours");
        assert_eq!(told(604_800), "7 days");
        assert_eq!(told(u64::MAX), "213503982334601 days");
    }

    #[test]
    fn days_near_today_have_names() {
        let at = |text: &str| -> Zoned {
            let time: jiff::civil::DateTime = text.parse().unwrap();
            time.to_zoned(TimeZone::UTC).unwrap()
        };
        let today = at("2026-11-20T12:00").date();
        let told = |text: &str| moment_between(&at(text), today);
        assert_eq!(told("2026-11-20T13:58"), "today 13:58");
        assert_eq!(told("2026-11-19T23:59"), "yesterday 23:59");
        assert_eq!(told("2026-11-21T00:00"), "tomorrow 00:00");
        assert_eq!(told("2026-11-18T07:05"), "2026-11-18 07:05");
    }

    #[test]
    fn no_time_is_beyond_telling() {
        let never = UnixTime::from_secs(u64::MAX);
        assert!(moment(never, UnixTime::EPOCH).starts_with("9999-"));
        assert_eq!(
            serde_json::to_string(&Stamp(UnixTime::from_secs(1_111_111_109))).unwrap(),
            "\"2005-03-18T01:58:29Z\""
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a\x1b[2Jb Müller"), "a\\u{1b}[2Jb Müller");
    }

    #[test]
    fn long_words_stay_whole() {
        let lines: Vec<String> = wrap("see /a/very/long/path now", 10, 4).collect();
        assert_eq!(lines, ["see", "/a/very/long/path", "now"]);
    }

    #[test]
    fn a_drift_is_told_as_near_as_a_code_can() {
        assert_eq!(drift(0, 30), None);
        assert_eq!(drift(1, 30).unwrap(), "about 30 seconds ahead");
        assert_eq!(drift(-8, 30).unwrap(), "about 4 minutes behind");
    }
}
