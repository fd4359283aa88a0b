//! What sshd goes by: its own word (`sshd -T`), or, where it gives none, its files as we read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// By its path: root's own program, whatever the caller's PATH says.
const BINARY: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
/// Where Debian's configuration includes files from.
pub(crate) const DROP_INS: &str = "/etc/ssh/sshd_config.d";
/// Where Debian's sshd writes its process.
const PID_FILE: &str = "/run/sshd.pid";

/// So many lines of a complaint are told.
const MOST: usize = 3;

/// What could be learned of sshd.
pub(crate) enum Found {
    /// There is none here.
    NoSshd,
    Settings {
        settings: Settings,
        /// Why it is our own reading, in sshd's words where it has any; `None` where sshd told it.
        read: Option<String>,
    },
}

/// The settings that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) use_pam: bool,
    pub(crate) keyboard_interactive: bool,
    pub(crate) public_key: bool,
    pub(crate) password: bool,
    /// root may not answer questions: by a key alone, or not at all.
    pub(crate) root_asks_nothing: bool,
    /// It tells names instead of addresses.
    pub(crate) use_dns: bool,
    /// Lists of methods, any one of which is enough; empty: any single method.
    pub(crate) methods: Vec<Vec<String>>,
    pub(crate) pid_file: PathBuf,
}

/// Who comes, for `Match` blocks.
pub(crate) struct Visitor<'a> {
    pub(crate) user: &'a str,
    pub(crate) address: &'a str,
}

/// The settings in force for everybody whom no `Match` block names.
pub(crate) fn in_force() -> Found {
    let said = ask(&["-T"]);
    match said {
        Some(Ok(text)) => Found::Settings {
            settings: Settings::parse(&text),
            read: None,
        },
        Some(Err(why)) => read_files(why),
        None if Path::new(CONFIG).exists() => {
            read_files("there is no sshd here to be asked".to_owned())
        }
        None => Found::NoSshd,
    }
}

fn read_files(why: String) -> Found {
    Found::Settings {
        settings: Settings::parse(&everybodys(&files())),
        read: Some(why),
    }
}

/// The settings in force for a visitor, if sshd tells.
pub(crate) fn in_force_for(visitor: &Visitor<'_>) -> Option<Settings> {
    let Visitor { user, address } = visitor;
    // The connection is described by a list in which a comma or a space would begin something else.
    if user.contains([',', ' ', '=']) {
        return None;
    }
    let connection = format!("user={user},host={address},addr={address}");
    let said = ask(&["-T", "-C", &connection])?.ok()?;
    Some(Settings::parse(&said))
}

/// Whether sshd could start with the files as they are; if not, why, in its words. Nothing is known where there is none.
pub(crate) fn test() -> Result<(), String> {
    ask(&["-t"]).map_or(Ok(()), |said| said.map(|_| ()))
}

/// What sshd says; its complaint where it fails; `None` where there is no sshd.
fn ask(args: &[&str]) -> Option<Result<String, String>> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(BINARY).args(args).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() {
        return Some(Ok(text(&stdout)));
    }
    let complaint = text(&stderr);
    let lines = complaint.lines().map(str::trim);
    let said: Vec<&str> = lines.filter(|line| !line.is_empty()).take(MOST).collect();
    Some(Err(match said.as_slice() {
        [] => "it fails without a word".to_owned(),
        said => said.join("; "),
    }))
}

/// The configuration as text, the files it includes first, as Debian's does: the first value counts.
pub(crate) fn files() -> String {
    let entries = fs::read_dir(DROP_INS).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "conf"));
    paths.sort_unstable();
    paths.push(CONFIG.into());
    let texts = paths
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    // A Match block ends where its file does.
    texts
        .map(|text| format!("{text}\nMatch all\n"))
        .collect::<Vec<String>>()
        .concat()
}

/// What stands outside of `Match` blocks, or in one for all.
fn everybodys(text: &str) -> String {
    let mut for_all = true;
    let mut out = String::new();
    for line in text.lines() {
        match match_pattern(line) {
            Some(pattern) => for_all = pattern.eq_ignore_ascii_case("all"),
            None if for_all => out.push_str(&format!("{line}\n")),
            None => {}
        }
    }
    out
}

/// What follows `Match` on a line that begins a block.
pub(crate) fn match_pattern(line: &str) -> Option<&str> {
    let (word, pattern) = line.trim().split_once([' ', '\t'])?;
    word.eq_ignore_ascii_case("match").then(|| pattern.trim())
}

impl Settings {
    /// From `keyword value` lines, of which the first counts.
    pub(crate) fn parse(text: &str) -> Self {
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
        let asking = [
            "kbdinteractiveauthentication",
            "challengeresponseauthentication",
        ];
        Self {
            use_pam: is_on(&["usepam"], false),
            keyboard_interactive: is_on(&asking, true),
            public_key: is_on(&["pubkeyauthentication"], true),
            password: is_on(&["passwordauthentication"], true),
            root_asks_nothing: value(&["permitrootlogin"])
                .is_none_or(|value| !value.eq_ignore_ascii_case("yes")),
            use_dns: is_on(&["usedns"], false),
            methods: lists
                .map(|list| list.split(',').map(str::to_owned).collect())
                .collect(),
            pid_file: value(&["pidfile"]).map_or(PID_FILE.into(), PathBuf::from),
        }
    }

    /// Whether every way in that asks PAM asks for something else too.
    pub(crate) fn asks_for_more(&self) -> bool {
        let proves = |method: &String| {
            ["publickey", "hostbased", "gssapi-with-mic"].contains(&method.as_str())
        };
        let enough =
            |list: &Vec<String>| !list.iter().any(|it| asks_pam(it)) || list.iter().any(proves);
        !self.methods.is_empty() && self.methods.iter().all(enough)
    }

    /// Whether a key logs in without a code.
    pub(crate) fn key_is_enough(&self) -> bool {
        if self.methods.is_empty() {
            return self.public_key;
        }
        self.methods
            .iter()
            .any(|list| !list.iter().any(|it| asks_pam(it)))
    }

    /// The list of methods, as the file has it.
    pub(crate) fn methods(&self) -> String {
        let lists: Vec<String> = self.methods.iter().map(|list| list.join(",")).collect();
        lists.join(" ")
    }
}

/// Whether a method puts PAM's own questions.
fn asks_pam(method: &str) -> bool {
    method.starts_with("keyboard-interactive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_factor_is_one_on_every_way_in() {
        let asks = |methods: &str| {
            Settings::parse(&format!("authenticationmethods {methods}\n")).asks_for_more()
        };
        assert!(asks("publickey,keyboard-interactive"));
        assert!(asks("publickey,keyboard-interactive:pam publickey"));
        assert!(!asks("any"));
        assert!(!asks("publickey,keyboard-interactive keyboard-interactive"));
        assert!(!Settings::parse("").asks_for_more());
    }

    #[test]
    fn a_key_alone_is_seen() {
        let enough = |text: &str| Settings::parse(text).key_is_enough();
        assert!(enough("usepam yes\n"));
        assert!(!enough("pubkeyauthentication no\n"));
        assert!(!enough(
            "AuthenticationMethods publickey,keyboard-interactive\n"
        ));
        assert!(enough("AuthenticationMethods publickey\n"));
    }

    #[test]
    fn what_stands_in_a_block_is_for_some() {
        let text = "UsePAM yes\nMatch User bob\n  KbdInteractiveAuthentication no\nMatch all\nUseDNS yes\n";
        let settings = Settings::parse(&everybodys(text));
        assert!(settings.use_pam && settings.keyboard_interactive && settings.use_dns);
        assert_eq!(match_pattern("\tmatch  user bob"), Some("user bob"));
        assert_eq!(match_pattern("MatchX y"), None);
    }
}
