//! Where our line goes in a service's file. Pure: the new text is played through before anybody sees it, and a stack in
//! which no place is right is refused.

use super::play::proves;
use super::{
    Answers, Directive, Line, MODULE, Ours, Unreadable, auth_lines, base_name, logical_lines,
    modules, play,
};

/// Files that ask for the password, where a service includes one.
const PASSWORD_FILES: [&str; 3] = ["common-auth", "password-auth", "system-auth"];

/// What the code stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A password, asked for by the lines that are there.
    Password,
    /// A key, asked for by sshd: our line stands in the place of those that ask for the password.
    Key,
}

/// What is to be put in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The line, without its end.
    pub(crate) line: &'a str,
    pub(crate) first: First,
    /// Whether users who are not enrolled are to get in.
    pub(crate) nullok: bool,
}

/// Why our line is not put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A line of this file names our module already; whether the stack does what is wished for.
    Present {
        file: String,
        number: usize,
        fits: bool,
    },
    /// The file, or one it includes, cannot be read.
    Unreadable(Unreadable),
    /// There is no auth line to stand beside.
    NothingAsks,
    /// Nothing that can be replaced asks for the password.
    NoPasswordFile,
    /// Wherever it stood, the stack would let in somebody it should not, or nobody.
    NoPlace,
}

/// The text of a service's file with our line in it. `read` gives the files it includes.
pub(crate) fn place(
    service: &str,
    text: &str,
    read: &dyn Fn(&str) -> Option<String>,
    wish: Wish<'_>,
) -> Result<String, Refusal> {
    let lines = lines_with(service, text, read)?;
    if let Some((line, _)) = modules(&lines)
        .into_iter()
        .find(|(_, it)| it.name == MODULE)
    {
        return Err(Refusal::Present {
            file: line.file.clone(),
            number: line.number,
            fits: is_right(&lines, wish),
        });
    }
    let candidates = match wish.first {
        First::Password => beside(text, &lines, wish)?,
        First::Key => vec![instead(text, wish)?],
    };
    let fits =
        |text: &String| lines_with(service, text, read).is_ok_and(|lines| is_right(&lines, wish));
    candidates.into_iter().find(fits).ok_or(Refusal::NoPlace)
}

/// The auth lines of the service, were this its text.
fn lines_with(
    service: &str,
    text: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, Refusal> {
    let read = |name: &str| {
        if name == service {
            Some(text.to_owned())
        } else {
            read(name)
        }
    };
    auth_lines(service, &read).map_err(Refusal::Unreadable)
}

/// Whether a stack does what it should: both factors are needed, and enough.
fn is_right(lines: &[Line], wish: Wish<'_>) -> bool {
    let passes = |ours, others| play(lines, Answers { ours, others });
    let alone_is_fine = wish.first == First::Key;
    let enrolled = passes(Ours::Success, true)
        && passes(Ours::Success, false) == alone_is_fine
        && !passes(Ours::AuthErr, true)
        && !passes(Ours::AuthinfoUnavail, true);
    let others = !wish.nullok
        || (passes(Ours::Ignore, true) && passes(Ours::Ignore, false) == alone_is_fine);
    enrolled && others
}

/// The texts with our line below one that asks for the password, the nearest first.
fn beside(text: &str, lines: &[Line], wish: Wish<'_>) -> Result<Vec<String>, Refusal> {
    let entries = entries(text);
    let asks = |entry: &Entry| match &entry.what {
        Directive::Include(file) | Directive::Substack(file) => {
            PASSWORD_FILES.contains(&base_name(file))
        }
        Directive::Module(module) => proves(module),
    };
    // A file nobody knows may ask for it, too: then below the last line there is.
    let asking = entries.iter().rposition(asks);
    let known = asking.or_else(|| {
        let anything = modules(lines).iter().any(|(_, module)| proves(module));
        anything.then(|| entries.len().checked_sub(1)).flatten()
    });
    let from = known.ok_or(Refusal::NothingAsks)?;
    let below = entries.iter().skip(from);
    Ok(below
        .map(|entry| spliced(text, entry.end, entry.end, &format!("{}\n", wish.line)))
        .collect())
}

/// The text with our line where the password was asked for, and that one as a comment above it.
fn instead(text: &str, wish: Wish<'_>) -> Result<String, Refusal> {
    let entries = entries(text);
    let mut asking = entries.iter().filter(|entry| match &entry.what {
        Directive::Include(file) | Directive::Substack(file) => {
            PASSWORD_FILES.contains(&base_name(file))
        }
        Directive::Module(_) => false,
    });
    let (Some(entry), None) = (asking.next(), asking.next()) else {
        return Err(Refusal::NoPasswordFile);
    };
    let old = text.lines().skip(entry.start);
    let mut new: String = old
        .take(entry.end.saturating_sub(entry.start))
        .map(|line| format!("# {line}\n"))
        .collect();
    new.push_str(&format!("{}\n", wish.line));
    if wish.nullok {
        // Under nullok our line says nothing of some, and a stack in which nobody says yes is a no.
        new.push_str("auth required pam_permit.so\n");
    }
    Ok(spliced(text, entry.start, entry.end, &new))
}

/// An auth line of the file itself: the lines of text it takes, counted from 0, the end not among them.
struct Entry {
    start: usize,
    end: usize,
    what: Directive,
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let goes_on = |line: &&str| {
        let line = line.split('#').next().unwrap_or("").trim();
        line.ends_with('\\')
    };
    for (number, logical) in logical_lines(text) {
        let start = number.saturating_sub(1);
        let more = text.lines().skip(start).take_while(goes_on).count();
        let end = start.saturating_add(more).saturating_add(1);
        if let Some(what) = Directive::parse("auth", &logical) {
            found.push(Entry { start, end, what });
        }
    }
    found
}

/// The text with `new` in the place of some of its lines.
fn spliced(text: &str, start: usize, end: usize, new: &str) -> String {
    let part = |lines: &mut dyn Iterator<Item = &str>| {
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let before = part(&mut text.lines().take(start));
    let after = part(&mut text.lines().skip(end));
    format!("{before}{new}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n";
    const LINE: &str = "auth required pam_otp.so";

    fn placed(text: &str, first: First, nullok: bool) -> Result<String, Refusal> {
        let read = |name: &str| match name {
            "common-auth" => Some(COMMON.to_owned()),
            "inner" => Some("@include common-auth\n".to_owned()),
            "common-account" => Some("account required pam_unix.so\n".to_owned()),
            _ => None,
        };
        let line = if nullok {
            "auth required pam_otp.so nullok"
        } else {
            LINE
        };
        let wish = Wish {
            line,
            first,
            nullok,
        };
        place("svc", text, &read, wish)
    }

    #[track_caller]
    fn beside_password(text: &str, expected: &str) {
        assert_eq!(
            placed(text, First::Password, false).as_deref(),
            Ok(expected)
        );
    }

    #[test]
    fn below_what_asks_for_the_password() {
        beside_password(
            "# ssh\n@include common-auth\n\naccount required pam_nologin.so\n@include common-account\n",
            "# ssh\n@include common-auth\nauth required pam_otp.so\n\naccount required pam_nologin.so\n@include common-account\n",
        );
        // su: root needs nothing, and is not who we ask for.
        beside_password(
            "auth sufficient pam_rootok.so\n@include common-auth\n",
            "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_otp.so\n",
        );
        // gdm: what follows the password stays below.
        beside_password(
            "auth requisite pam_nologin.so\nauth substack common-auth\nauth optional pam_gnome_keyring.so\n",
            "auth requisite pam_nologin.so\nauth substack common-auth\nauth required pam_otp.so\nauth optional pam_gnome_keyring.so\n",
        );
        // A last line without an end gets one.
        beside_password(
            "@include common-auth",
            "@include common-auth\nauth required pam_otp.so\n",
        );
    }

    #[test]
    fn below_jumps_and_continued_lines() {
        beside_password(
            "auth [success=1 default=ignore] pam_unix.so \\\n  nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
            "auth [success=1 default=ignore] pam_unix.so \\\n  nullok\nauth requisite pam_deny.so\nauth required pam_otp.so\nauth required pam_permit.so\n",
        );
        beside_password(
            "auth include inner\n",
            "auth include inner\nauth required pam_otp.so\n",
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused = |text| placed(text, First::Password, false).unwrap_err();
        assert_eq!(refused("auth sufficient pam_unix.so\n"), Refusal::NoPlace);
        assert_eq!(
            refused("auth sufficient pam_unix.so\nauth required pam_deny.so\n"),
            Refusal::NoPlace
        );
        assert_eq!(
            refused("account required pam_unix.so\n"),
            Refusal::NothingAsks
        );
        assert_eq!(refused("auth required pam_env.so\n"), Refusal::NothingAsks);
        assert_eq!(
            refused("@include nowhere\n"),
            Refusal::Unreadable(Unreadable::Missing("nowhere".to_owned()))
        );
        assert_eq!(
            refused("@include common-auth\nauth required pam_otp.so\n"),
            Refusal::Present {
                file: "svc".to_owned(),
                number: 2,
                fits: true
            }
        );
        assert!(matches!(
            refused("auth required pam_otp.so\n"),
            Refusal::Present { fits: false, .. }
        ));
    }

    #[test]
    fn beside_a_key_the_password_is_a_comment() {
        let text = "# ssh\n@include common-auth\naccount required pam_nologin.so\n";
        assert_eq!(
            placed(text, First::Key, false).as_deref(),
            Ok(
                "# ssh\n# @include common-auth\nauth required pam_otp.so\naccount required pam_nologin.so\n"
            )
        );
        assert_eq!(
            placed(text, First::Key, true).as_deref(),
            Ok(
                "# ssh\n# @include common-auth\nauth required pam_otp.so nullok\nauth required pam_permit.so\naccount required pam_nologin.so\n"
            )
        );
        assert_eq!(
            placed("auth required pam_unix.so\n", First::Key, false),
            Err(Refusal::NoPasswordFile)
        );
        // Another line asks for a password all the same: then a code alone is not enough, and that was not meant.
        assert_eq!(
            placed(
                "@include common-auth\nauth required pam_ldap.so\n",
                First::Key,
                false
            ),
            Err(Refusal::NoPlace)
        );
    }

    #[test]
    fn users_without_a_code_need_their_password() {
        let text = "@include common-auth\n";
        assert_eq!(
            placed(text, First::Password, true).as_deref(),
            Ok("@include common-auth\nauth required pam_otp.so nullok\n")
        );
    }
}
