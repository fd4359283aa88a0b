//! Whether sshd asks PAM at all, and for what besides.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::report::health::Check;

const BINARY: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
const DROP_INS: &str = "/etc/ssh/sshd_config.d";
/// What mends most of it.
const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-otp.conf";

/// What could be learned of sshd.
pub(super) enum Found {
    /// There is none here.
    NoSshd,
    Settings(Sshd),
}

/// The settings that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sshd {
    use_pam: bool,
    keyboard_interactive: bool,
    public_key: bool,
    /// It tells names instead of addresses.
    use_dns: bool,
    /// Lists of methods, any one of which is enough; empty: any single method.
    methods: Vec<Vec<String>>,
}

/// The settings in force: sshd's own word, or, where it gives none, its files as we read them.
pub(super) fn in_force() -> Found {
    let said = Command::new(BINARY).arg("-T").output();
    let said = said.ok().filter(|output| output.status.success());
    if let Some(output) = said {
        return Found::Settings(Sshd::parse(&String::from_utf8_lossy(&output.stdout)));
    }
    if Path::new(BINARY).exists() || Path::new(CONFIG).exists() {
        return Found::Settings(Sshd::parse(&files()));
    }
    Found::NoSshd
}

/// Debian's sshd_config includes its drop-ins first, and the first value counts.
fn files() -> String {
    let entries = fs::read_dir(DROP_INS).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "conf"));
    paths.sort_unstable();
    paths.push(CONFIG.into());
    let texts = paths
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    // What stands in a Match block holds for some only.
    let everybody = |text: String| {
        let is_match = |line: &&str| line.trim().to_ascii_lowercase().starts_with("match ");
        text.lines()
            .take_while(|line| !is_match(line))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    texts.map(everybody).collect::<Vec<String>>().concat()
}

impl Sshd {
    /// From `keyword value` lines, of which the first counts.
    fn parse(text: &str) -> Self {
        let value = |names: &[&str]| {
            text.lines().find_map(|line| {
                let line = line.trim();
                let (key, value) = line.split_once([' ', '\t', '='])?;
                let key = key.to_ascii_lowercase();
                let value = value.trim_matches([' ', '\t', '=', '"']).to_owned();
                names.contains(&key.as_str()).then_some(value)
            })
        };
        let is_on = |names: &[&str], default: bool| {
            value(names).map_or(default, |value| value.eq_ignore_ascii_case("yes"))
        };
        let methods = value(&["authenticationmethods"]).unwrap_or_default();
        let lists = methods.split_whitespace().filter(|list| *list != "any");
        Self {
            use_pam: is_on(&["usepam"], false),
            keyboard_interactive: is_on(
                &[
                    "kbdinteractiveauthentication",
                    "challengeresponseauthentication",
                ],
                true,
            ),
            public_key: is_on(&["pubkeyauthentication"], true),
            use_dns: is_on(&["usedns"], false),
            methods: lists
                .map(|list| list.split(',').map(str::to_owned).collect())
                .collect(),
        }
    }

    /// Whether every way in that asks PAM asks for something else too.
    pub(super) fn asks_for_more(&self) -> bool {
        let asks_pam = |method: &String| method.starts_with("keyboard-interactive");
        let proves = |method: &String| {
            ["publickey", "hostbased", "gssapi-with-mic"].contains(&method.as_str())
        };
        let enough = |list: &Vec<String>| !list.iter().any(asks_pam) || list.iter().any(proves);
        !self.methods.is_empty() && self.methods.iter().all(enough)
    }

    /// Whether a key logs in without a code.
    fn key_is_enough(&self) -> bool {
        let asks_pam = |method: &String| method.starts_with("keyboard-interactive");
        if self.methods.is_empty() {
            return self.public_key;
        }
        self.methods.iter().any(|list| !list.iter().any(asks_pam))
    }
}

/// What there is to say of sshd.
pub(super) fn checks(found: &Found) -> Vec<Check> {
    let sshd = match found {
        Found::NoSshd => {
            return vec![Check::known(
                "sshd",
                "there is no sshd on this machine",
                "for another service: otpctl doctor SERVICE",
            )];
        }
        Found::Settings(sshd) => sshd,
    };
    let mut checks = vec![
        switch("UsePAM", sshd.use_pam, "sshd does not ask PAM at all"),
        switch(
            "KbdInteractiveAuthentication",
            sshd.keyboard_interactive,
            "sshd has no way to ask for a code, and answers our prompt with the password",
        ),
    ];
    if sshd.use_dns {
        checks.push(Check::fault(
            "UseDNS",
            "yes: sshd tells PAM names where it finds them, and a name is no origin: all who have one are held together, \
             the owner with whoever guesses",
            format!("write 'UseDNS no' into {DROP_IN}, then: systemctl reload ssh"),
        ));
    }
    if sshd.key_is_enough() {
        checks.push(Check::known(
            "key-alone",
            "a key logs in without a code: sshd asks PAM nothing then",
            format!("if that is not meant: AuthenticationMethods publickey,keyboard-interactive in {DROP_IN}"),
        ));
    }
    checks
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
        let checks = checks(&Found::Settings(Sshd::parse(text)));
        let faults = checks.into_iter().filter(|check| !check.ok);
        faults.map(|check| check.name).collect()
    }

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
        let on = "UsePAM yes\nKbdInteractiveAuthentication yes\n";
        assert_eq!(faults(&format!("{on}UseDNS yes\n")), ["UseDNS"]);
        assert_eq!(faults(&format!("{on}UseDNS no\n")), [""; 0]);
    }

    #[test]
    fn a_second_factor_is_one_on_every_way_in() {
        let asks = |methods: &str| {
            Sshd::parse(&format!("authenticationmethods {methods}\n")).asks_for_more()
        };
        assert!(asks("publickey,keyboard-interactive"));
        assert!(asks("publickey,keyboard-interactive:pam publickey"));
        assert!(!asks("any"));
        assert!(!asks("publickey,keyboard-interactive keyboard-interactive"));
        assert!(!Sshd::parse("").asks_for_more());
    }

    #[test]
    fn a_key_alone_is_seen() {
        let enough = |text: &str| Sshd::parse(text).key_is_enough();
        assert!(enough("usepam yes\n"));
        assert!(!enough("pubkeyauthentication no\n"));
        assert!(!enough(
            "AuthenticationMethods publickey,keyboard-interactive\n"
        ));
        assert!(enough("AuthenticationMethods publickey\n"));
    }
}
