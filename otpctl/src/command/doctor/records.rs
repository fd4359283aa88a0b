//! Policy and store: owners, modes, room, records of nobody, and people without a record.

use std::fs;
use std::path::Path;
use std::process::Command;

use otp::policy::{DEFAULT_PATH, Policy};
use otp::store::{Error, FileStore, Store, load_policy};
use otp::user::UserName;

use super::{delivery, machine};
use crate::account;
use crate::command::Context;
use crate::failure::Failure;
use crate::report::health::Check;
use crate::report::words;

/// So many names are told; the rest is a number.
const NAMES: usize = 8;
/// By its path: root's own program, whatever the caller's PATH says.
const GETENT: &str = "/usr/bin/getent";
/// The first uid of people (login.defs of Debian), and the uid of nobody.
const PEOPLE: std::ops::Range<u32> = 1000..65_534;

pub(super) fn checks(context: Context<'_>, lacks_nullok: bool) -> Vec<Check> {
    let policy = match load_policy(context.config) {
        Ok(parsed) => parsed.policy,
        Err(error) => {
            let why = Failure::from(error).message;
            let fix =
                "otpctl policy --check FILE names every fault; the file belongs to root, mode 0644";
            return vec![Check::fault("policy", why, fix)];
        }
    };
    let shown = context
        .config
        .map_or(DEFAULT_PATH.to_owned(), |path| path.display().to_string());
    let mut checks = vec![Check::good("policy", shown)];
    checks.extend(delivery::checks(&policy));
    match FileStore::open(&policy) {
        Ok(store) => checks.extend(store_checks(context, &store, &policy, lacks_nullok)),
        Err(error) => checks.push(Check::fault("store", error.to_string(), mend(&error))),
    }
    checks
}

/// What is wrong with a policy that a line names, where doctor goes by another.
pub(super) fn other_policy(path: &Path) -> Option<Check> {
    let error = load_policy(Some(path)).err()?;
    let why = Failure::from(error).message;
    Some(Check::fault(
        "line-policy",
        format!("a PAM line goes by {}: {why}", path.display()),
        format!("otpctl policy --check {} names every fault", path.display()),
    ))
}

fn mend(error: &Error) -> &'static str {
    match error {
        Error::Missing { .. } => "mount it, or make a new store: otpctl enroll USER",
        Error::Insecure { .. } => {
            "chown root:root and chmod go-w what is named, after asking who changed it"
        }
        _ => "mend what is named, then run otpctl doctor again",
    }
}

fn store_checks(
    context: Context<'_>,
    store: &FileStore,
    policy: &Policy,
    lacks_nullok: bool,
) -> Vec<Check> {
    let mut checks = vec![Check::good("store", policy.state_dir.display().to_string())];
    checks.extend(machine::room(&policy.state_dir, policy.on_read_only));
    if !machine::share_room(&policy.state_dir, &policy.spool_dir) {
        checks.extend(machine::room(&policy.spool_dir, policy.on_read_only));
    }
    match store.users() {
        Ok(names) => checks.extend(Found::among(context, store, &names).checks()),
        Err(error) => checks.push(Check::fault("records", error.to_string(), mend(&error))),
    }
    if lacks_nullok {
        checks.push(locked_out(store));
    }
    checks
}

/// What is wrong with records, by user.
#[derive(Default)]
struct Found {
    whole: usize,
    damaged: Vec<String>,
    orphaned: Vec<String>,
}

impl Found {
    fn among(context: Context<'_>, store: &FileStore, names: &[UserName]) -> Self {
        let mut found = Self::default();
        for (index, name) in names.iter().enumerate() {
            context
                .report
                .progress("looking at user", index, names.len());
            let shown = words::printable(name.as_str());
            let read = account::kept(name).map(|account| {
                // What was sent to her is read where a code is sent, and nowhere else.
                let sends = |record| store.counted(&account).map(|_| record);
                (account.uid, store.read(&account).and_then(sends))
            });
            match read {
                Ok((None, Ok(_)) | (_, Err(Error::OtherUid { .. }))) => found.orphaned.push(shown),
                Ok((_, Ok(_))) => found.whole = found.whole.saturating_add(1),
                Ok((_, Err(_))) | Err(_) => found.damaged.push(shown),
            }
        }
        found
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![if self.damaged.is_empty() {
            Check::good(
                "records",
                format!("{} read", words::count(self.whole as u64, "record")),
            )
        } else {
            Check::fault(
                "records",
                format!(
                    "{} cannot be read, and every code of theirs is refused",
                    some(&self.damaged)
                ),
                "otpctl status USER says why; if it cannot be mended: otpctl remove USER, then enrol again",
            )
        }];
        if !self.orphaned.is_empty() {
            checks.push(Check::known(
                "orphans",
                format!(
                    "{} gone from the passwd database, or another uid now",
                    some(&self.orphaned)
                ),
                "otpctl remove USER",
            ));
        }
        checks
    }
}

/// People who have a shell and nothing to answer the prompt with.
fn locked_out(store: &FileStore) -> Check {
    let is_enrolled = |name: &str| {
        let record = account::present(name).map(|account| store.read(&account));
        matches!(record, Ok(Ok(record)) if record.enrollment.is_some())
    };
    let mut without = people();
    without.retain(|name| !is_enrolled(name));
    if without.is_empty() {
        return Check::good("locked-out", "everybody with a shell is enrolled");
    }
    Check::known(
        "locked-out",
        format!("not enrolled, so refused: {}", some(&without)),
        "otpctl enroll USER; until everybody is, nullok on the PAM line lets the others in",
    )
}

/// Those who log in, as the passwd database lists them: `getent` knows directories that do list theirs, too.
pub(super) fn people() -> Vec<String> {
    let asked = Command::new(GETENT).arg("passwd").output();
    let listed = asked.ok().filter(|output| output.status.success());
    let passwd = listed.map_or_else(
        || fs::read_to_string("/etc/passwd").unwrap_or_default(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    people_in(&passwd)
}

/// Those who log in: root and people, with a shell.
fn people_in(passwd: &str) -> Vec<String> {
    let person = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, _, shell] = fields.as_slice() else {
            return None;
        };
        let uid: u32 = uid.parse().ok()?;
        let has_shell = !shell.ends_with("/nologin") && !shell.ends_with("/false");
        (has_shell && (uid == 0 || PEOPLE.contains(&uid))).then(|| words::printable(name))
    };
    passwd.lines().filter_map(person).collect()
}

/// The first few names, and how many more.
pub(super) fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let first: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    let first = first.join(", ");
    if more > 0 {
        format!("{first} and {more} more")
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_log_in_have_a_shell() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nalice:x:1000:1000::/home/alice:/bin/sh\nbot:x:1001:1001::/:/bin/false\nnobody:x:65534:65534::/:/bin/sh\nbroken line\n";
        assert_eq!(people_in(passwd), ["root", "alice"]);
    }

    #[test]
    fn many_names_are_a_number() {
        let names: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
        assert_eq!(some(&names), "u0, u1, u2, u3, u4, u5, u6, u7 and 2 more");
    }
}
