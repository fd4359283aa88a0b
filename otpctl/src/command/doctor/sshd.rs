//! Whether sshd asks PAM at all, and for what besides.

use super::records::some;
use crate::report::health::Check;
use crate::sshd::{self, Found, Settings, Visitor};

/// What mends most of it.
const DROP_IN: &str = "/etc/ssh/sshd_config.d/otp.conf";
/// An address nobody comes from (RFC 5737): somewhere outside.
const OUTSIDE: &str = "203.0.113.1";
/// So many users are asked after where `Match` blocks make a difference.
const ASKED: usize = 50;

/// What there is to say of sshd. `people`: those who log in.
pub(super) fn checks(found: &Found, people: &[String]) -> Vec<Check> {
    let (settings, read) = match found {
        Found::NoSshd => {
            return vec![Check::known(
                "sshd",
                "there is no sshd on this machine",
                "for another service: otpctl doctor SERVICE",
            )];
        }
        Found::Settings { settings, read } => (settings, read.as_ref()),
    };
    let mut checks: Vec<Check> = read.map(|why| not_told(why)).into_iter().collect();
    checks.extend(for_everybody(settings));
    checks.extend(for_some(settings, people));
    checks
}

/// That sshd itself does not say what it goes by.
fn not_told(why: &str) -> Check {
    match sshd::test() {
        Err(complaint) => Check::fault(
            "sshd-config",
            format!("sshd does not take its files, so it ends at the next reload: {complaint}"),
            "mend what it names, then: sshd -t",
        ),
        Ok(()) => Check::known(
            "sshd-config",
            format!("read from its files by otpctl, without Match blocks, not told by sshd: {why}"),
            "sshd -T, as root, says what is in force",
        ),
    }
}

fn for_everybody(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![
        switch("UsePAM", settings.use_pam, "sshd does not ask PAM at all"),
        keyboard_interactive(settings),
    ];
    checks.extend(methods(settings));
    if settings.use_dns {
        checks.push(Check::fault(
            "UseDNS",
            "yes: sshd tells PAM names where it finds them, and a name is no origin: all who have one are held together, \
             the owner with whoever guesses",
            format!("write 'UseDNS no' into {DROP_IN}, then: systemctl reload ssh"),
        ));
    }
    if settings.root_asks_nothing && !settings.key_is_enough() {
        checks.push(Check::known(
            "PermitRootLogin",
            "not yes: sshd refuses root's answers to any question, so root does not log in by ssh, with or without a code",
            "log in as somebody else and use sudo; or 'PermitRootLogin yes', which asks for the code as well",
        ));
    }
    if settings.key_is_enough() {
        checks.push(Check::known(
            "key-alone",
            "a key logs in without a code: sshd asks PAM nothing then",
            format!("if that is not meant: AuthenticationMethods publickey,keyboard-interactive in {DROP_IN}"),
        ));
    }
    checks
}

fn keyboard_interactive(settings: &Settings) -> Check {
    let check = switch(
        "KbdInteractiveAuthentication",
        settings.keyboard_interactive,
        "sshd has no way to ask for a code, and answers our prompt with the password",
    );
    let client = std::fs::read_to_string("/etc/ssh/ssh_config").unwrap_or_default();
    let says_so = |line: &str| {
        let line = line.trim().to_ascii_lowercase();
        [
            "kbdinteractiveauthentication",
            "challengeresponseauthentication",
        ]
        .iter()
        .any(|key| line.starts_with(key))
    };
    if check.ok || !client.lines().any(says_so) {
        return check;
    }
    Check {
        detail: format!(
            "{}; /etc/ssh/ssh_config has it, but that is for those who log in from here",
            check.detail
        ),
        ..check
    }
}

/// Methods that put our question to nobody, or no method that puts it.
fn methods(settings: &Settings) -> Option<Check> {
    let asks = |method: &String| method.starts_with("keyboard-interactive");
    let fix = format!(
        "AuthenticationMethods keyboard-interactive in {DROP_IN}, which asks for the password, too"
    );
    let lists = &settings.methods;
    if lists.iter().flatten().any(|method| method == "password") {
        return Some(Check::fault(
            "AuthenticationMethods",
            format!(
                "{}: 'password' runs the same PAM lines, and sshd answers our prompt with the password there, so it never succeeds",
                settings.methods()
            ),
            fix,
        ));
    }
    if !lists.is_empty() && !lists.iter().flatten().any(asks) {
        return Some(Check::fault(
            "AuthenticationMethods",
            format!("{}: nobody is ever asked for a code", settings.methods()),
            "AuthenticationMethods publickey,keyboard-interactive, or keyboard-interactive for password and code",
        ));
    }
    if lists.is_empty() && settings.password {
        return Some(Check::known(
            "password-method",
            "a client that offers the method 'password' first is refused there: sshd answers our prompt with the password",
            fix,
        ));
    }
    None
}

/// What is found of those whom a `Match` block treats otherwise, and who they are.
struct Otherwise<'a> {
    address: &'a str,
    check: Check,
    users: Vec<String>,
}

/// Whom a `Match` block treats otherwise: whom one names first.
fn for_some(settings: &Settings, people: &[String]) -> Vec<Check> {
    let text = sshd::files();
    let patterns: Vec<&str> = text.lines().filter_map(sshd::match_pattern).collect();
    if patterns.iter().all(|it| it.eq_ignore_ascii_case("all")) {
        return Vec::new();
    }
    let mut addresses = vec![OUTSIDE.to_owned()];
    addresses.extend(patterns.iter().flat_map(|pattern| addresses_in(pattern)));
    let is_named = |user: &str| {
        let mut words = patterns
            .iter()
            .flat_map(|pattern| pattern.split([' ', ',']));
        words.any(|word| word == user)
    };
    let mut people: Vec<&String> = people.iter().collect();
    people.sort_by_key(|user| !is_named(user));
    let mut found: Vec<Otherwise<'_>> = Vec::new();
    for user in people.iter().take(ASKED) {
        for address in &addresses {
            let visitor = Visitor { user, address };
            let Some(theirs) = sshd::in_force_for(&visitor) else {
                continue;
            };
            if theirs.keyboard_interactive == settings.keyboard_interactive
                && theirs.methods == settings.methods
            {
                continue;
            }
            let check = judged(&theirs);
            let mut known = found.iter_mut();
            match known.find(|one| one.address == address && one.check == check) {
                Some(one) => one.users.push((*user).clone()),
                None => found.push(Otherwise {
                    address,
                    check,
                    users: vec![(*user).clone()],
                }),
            }
        }
    }
    let mut checks: Vec<Check> = found.into_iter().map(Otherwise::told).collect();
    if people.len() > ASKED {
        checks.push(Check::known(
            "Match",
            format!("sshd was asked about {ASKED} of {} users", people.len()),
            "for another: sshd -T -C user=USER,addr=ADDRESS,host=ADDRESS",
        ));
    }
    checks
}

/// What there is to say of settings that are not everybody's.
fn judged(settings: &Settings) -> Check {
    let faults = for_everybody(settings).into_iter().find(|check| !check.ok);
    match faults {
        Some(check) => Check {
            detail: format!("by a Match block: {} {}", check.name, check.detail),
            name: "Match",
            ..check
        },
        None => Check::known(
            "Match",
            format!(
                "a Match block says otherwise: AuthenticationMethods {}",
                settings.methods()
            ),
            "if that is not meant: look at the Match blocks of /etc/ssh/sshd_config",
        ),
    }
}

impl Otherwise<'_> {
    fn told(self) -> Check {
        let (users, address) = (some(&self.users), self.address);
        Check {
            detail: format!("for {users} from {address}, {}", self.check.detail),
            ..self.check
        }
    }
}

/// The first address of each network that a `Match Address` names.
fn addresses_in(pattern: &str) -> Vec<String> {
    let mut words = pattern.split_whitespace();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("address") {
            continue;
        }
        for network in words.next().unwrap_or_default().split(',') {
            let address = network.split('/').next().unwrap_or_default();
            if address.parse::<std::net::IpAddr>().is_ok() {
                found.push(address.to_owned());
            }
        }
    }
    found
}

fn switch(name: &'static str, on: bool, meaning: &str) -> Check {
    if on {
        return Check::good(name, "yes");
    }
    Check::fault(
        name,
        format!("no: {meaning}"),
        format!("write '{name} yes' into {DROP_IN}, then: systemctl reload ssh"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<&'static str> {
        let checks = for_everybody(&Settings::parse(text));
        let faults = checks.into_iter().filter(|check| !check.ok);
        faults.map(|check| check.name).collect()
    }

    const ON: &str = "UsePAM yes\nKbdInteractiveAuthentication yes\n";

    #[test]
    fn what_debian_ships_cannot_ask() {
        let shipped =
            "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n";
        assert_eq!(faults(shipped), ["KbdInteractiveAuthentication"]);
        // The first value counts: a drop-in comes before the file.
        let mended = format!("KbdInteractiveAuthentication yes\n{shipped}");
        assert_eq!(faults(&mended), [""; 0]);
        assert_eq!(faults("#UsePAM yes\n"), ["UsePAM"]);
    }

    #[test]
    fn names_for_addresses_are_a_fault() {
        assert_eq!(faults(&format!("{ON}UseDNS yes\n")), ["UseDNS"]);
        assert_eq!(faults(&format!("{ON}UseDNS no\n")), [""; 0]);
    }

    #[test]
    fn methods_that_cannot_ask_are_a_fault() {
        for methods in ["password,keyboard-interactive", "password", "publickey"] {
            let text = format!("{ON}AuthenticationMethods {methods}\n");
            assert_eq!(faults(&text), ["AuthenticationMethods"], "{methods}");
        }
        let text = format!("{ON}AuthenticationMethods publickey,keyboard-interactive\n");
        assert_eq!(faults(&text), [""; 0]);
    }

    #[test]
    fn a_block_names_networks() {
        assert_eq!(
            addresses_in("User bob Address 192.0.2.0/24,!10.0.0.1,2001:db8::/32"),
            ["192.0.2.0", "2001:db8::"]
        );
        assert_eq!(addresses_in("User address"), [""; 0]);
    }
}
