//! Screen lockers, which run as the one whose screen it is.

use super::{auth_lines, modules};

/// Those that ask PAM as the user.
const LOCKERS: &[&str] = &[
    "cinnamon-screensaver",
    "gtklock",
    "i3lock",
    "kde",
    "kscreensaver",
    "light-locker",
    "mate-screensaver",
    "physlock",
    "slock",
    "swaylock",
    "vlock",
    "xfce4-screensaver",
    "xlock",
    "xscreensaver",
    "xsecurelock",
    "xtrlock",
];
/// Those among them that ask once and answer every question of PAM with what was typed then.
const ONE_FIELD: &[&str] = &["i3lock", "swaylock"];

/// A screen locker that would ask for a code if this file did: it is its own, or its own includes it.
pub(crate) fn locker_by(file: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<&'static str> {
    by(LOCKERS, file, read)
}

/// The same, of those that have one field.
pub(crate) fn one_field_by(
    file: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<&'static str> {
    by(ONE_FIELD, file, read)
}

fn by(
    lockers: &[&'static str],
    file: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<&'static str> {
    // A line at its end, to be looked for: a file that does nothing but include others has none of its own.
    let marked = |name: &str| {
        let mark = if name == file {
            "\nauth required -\n"
        } else {
            ""
        };
        read(name).map(|text| text + mark)
    };
    let asks_by = |locker: &&&str| {
        let lines = auth_lines(locker, &marked).unwrap_or_default();
        let mut all = modules(&lines).into_iter();
        **locker == file || all.any(|(line, _)| line.file == file)
    };
    lockers.iter().find(asks_by).copied()
}
