//! The guides say what is so: their commands run, their PAM lines and policies are taken, the set-ups they teach are
//! the ones that doctor approves, what they undo is undone, and their links lead somewhere.
//!
//! A guide is a page in docs/guide. Its blocks of `sh` are commands, those of `toml` policies; a block without a
//! language is what somebody sees or puts into the file that the paragraph before it names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::{commands, is_understood, stock};
use crate::trying::install_module;
use crate::world::{Machine, on_a_machine};

/// Commands of others that a guide may ask for. Whether they do what it says is seen where the guides are followed in a
/// container.
const OTHERS: &[&str] = &[
    "ansible-playbook",
    "apparmor_parser",
    "apt",
    "doveadm",
    "exec",
    "fail2ban-regex",
    "id",
    "install",
    "journalctl",
    "make",
    "mount",
    "pam-auth-update",
    "pamtester",
    "restorecon",
    "rm",
    "sed",
    "semanage",
    "sh",
    "sort",
    "ssh",
    "sshd",
    "sudo",
    "sync",
    "systemctl",
    "systemd-analyze",
];

struct Guide {
    name: String,
    text: String,
}

/// A fenced block, and the paragraph before it.
struct Block {
    before: String,
    language: String,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page. To be read before the machine of the test is entered.
fn guides() -> Vec<Guide> {
    let pages = fs::read_dir(root().join("docs/guide"))
        .into_iter()
        .flatten();
    let read = |page: std::io::Result<fs::DirEntry>| {
        let path = page.unwrap().path();
        let name = path.file_name()?.to_str()?.to_owned();
        let is_page = path.extension().is_some_and(|ending| ending == "md");
        is_page.then(|| Guide {
            name,
            text: fs::read_to_string(&path).unwrap(),
        })
    };
    let mut guides: Vec<Guide> = pages.filter_map(read).collect();
    guides.sort_by(|one, other| one.name.cmp(&other.name));
    guides
}

impl Guide {
    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut before = String::new();
        let mut is_open = false;
        for line in self.text.lines() {
            let bare = line.trim();
            match (bare.strip_prefix("```"), is_open) {
                (Some(language), false) => {
                    blocks.push(Block {
                        before: std::mem::take(&mut before),
                        language: language.to_owned(),
                        lines: Vec::new(),
                    });
                    is_open = true;
                }
                (Some(_), true) => is_open = false,
                (None, true) => blocks.last_mut().unwrap().push(line),
                (None, false) if !bare.is_empty() => before = bare.to_owned(),
                (None, false) => (),
            }
        }
        assert!(!is_open, "{}: a block does not end", self.name);
        blocks
    }

    /// Lines of commands.
    fn shell(&self) -> Vec<String> {
        let blocks = self.blocks().into_iter();
        let sh = blocks.filter(|block| block.language == "sh");
        sh.flat_map(|block| block.lines).collect()
    }
}

impl Block {
    /// The names of the files in this directory that the paragraph before tells to put it into.
    fn files_in(&self, directory: &str) -> Vec<String> {
        let words = self.before.split('`').skip(1).step_by(2);
        let words = words.filter(|_| self.language.is_empty());
        let names = words.filter_map(|word| word.strip_prefix(directory)?.strip_prefix('/'));
        names.map(str::to_owned).collect()
    }

    /// A difference is kept as it is; lists of steps indent the others.
    fn push(&mut self, line: &str) {
        let is_raw = self.language == "diff";
        self.lines
            .push(if is_raw { line } else { line.trim() }.to_owned());
    }

    fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn is_pam(&self) -> bool {
        let kinds = ["auth", "account", "session", "password", "@include"];
        let is_line = |line: &String| {
            let first = line.split_whitespace().next().unwrap_or("#");
            first.starts_with('#') || kinds.contains(&first)
        };
        self.language.is_empty()
            && self.lines.iter().all(is_line)
            && self.lines.iter().any(|line| line.contains("pam_"))
    }
}

const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n";
const ACCOUNT: &str = "account required pam_permit.so\n";
const SSHD: &str =
    "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n";

/// A Debian on which alice is enrolled.
fn set_up(machine: &Machine) {
    fs::write("/etc/pam.d/common-auth", COMMON).unwrap();
    for service in ["sshd", "sudo", "sudo-i", "su", "login", "gdm-password"] {
        fs::write(
            format!("/etc/pam.d/{service}"),
            format!("@include common-auth\n{ACCOUNT}"),
        )
        .unwrap();
    }
    for service in ["lightdm", "sddm"] {
        fs::copy("/etc/pam.d/sudo", format!("/etc/pam.d/{service}")).unwrap();
    }
    fs::create_dir_all("/etc/ssh/sshd_config.d").unwrap();
    fs::write("/etc/ssh/sshd_config", SSHD).unwrap();
    fs::write("/etc/security/otp.toml", "").unwrap();
    machine.otpctl(&["enroll", "alice"]);
}

/// A service whose lines a guide changes, and what they were before.
struct Changed {
    service: String,
    before: String,
}

/// Does what a block says.
fn follow(block: &Block) -> Vec<Changed> {
    if block.language == "diff" {
        return patch(block);
    }
    for name in block.files_in("/etc/ssh/sshd_config.d") {
        fs::write(format!("/etc/ssh/sshd_config.d/{name}"), block.text()).unwrap();
    }
    if !block.is_pam() {
        return Vec::new();
    }
    let mut services = block.files_in("/etc/pam.d");
    if services.is_empty() {
        services.push("any".to_owned());
    }
    let replaces = |what: &str| block.before.contains(&format!("in the place of `{what}"));
    let is_whole = replaces("@include") || block.lines.iter().any(|line| line.contains("pam_unix"));
    let above = if is_whole {
        ""
    } else {
        "@include common-auth\n"
    };
    let change = |service: String| {
        let lines = format!("{above}{}{ACCOUNT}", block.text());
        fs::write(format!("/etc/pam.d/{service}"), lines).unwrap();
        let first = if replaces("auth include login") {
            "auth include login"
        } else {
            "@include common-auth"
        };
        let before = format!("{first}\n{ACCOUNT}");
        Changed { service, before }
    };
    services.into_iter().map(change).collect()
}

/// Makes the change that a difference shows. Of a file only what it shows is there.
fn patch(block: &Block) -> Vec<Changed> {
    let text = block.text();
    let mut changed = Vec::new();
    for file in text.split("--- ").skip(1) {
        let (_, rest) = file.split_once("+++ ").unwrap();
        let (path, rest) = rest.split_once('\n').unwrap();
        let side = |sign: char| -> String {
            let lines = rest.lines().filter(|line| !line.starts_with("@@"));
            let kept = lines.filter(|line| line.is_empty() || line.starts_with([' ', sign]));
            kept.map(|line| format!("{}\n", line.get(1..).unwrap_or("")))
                .collect()
        };
        fs::write(path, side('+')).unwrap();
        if let Some(service) = path.strip_prefix("/etc/pam.d/") {
            changed.push(Changed {
                service: service.to_owned(),
                before: side('-'),
            });
        }
    }
    changed
}

/// What doctor finds wrong with a service, apart from what this machine lacks.
fn faults(machine: &Machine, service: &str) -> Vec<String> {
    let health = machine.json(&["doctor", service]);
    let checks = health["checks"].as_array().unwrap().clone();
    let wrong = checks.into_iter().filter(|check| {
        let name = check["name"].as_str().unwrap();
        let lacks = ["module", "otpd-program", "otpd", "as-the-user", "clock"];
        // To doctor that is somebody's choice; to these guides it is a code that is not asked for.
        check["ok"] == false && !lacks.contains(&name) || name == "key-alone"
    });
    wrong.map(|check| check.to_string()).collect()
}

#[test]
fn every_command_in_the_guides_is_one() {
    let guides = guides();
    on_a_machine(|machine| {
        stock();
        set_up(machine);
        install_module();
        fs::write("otp.toml", "window = 2\n").unwrap();
        let mut tried = 0;
        for guide in &guides {
            let found = commands(&guide.text);
            for line in guide.shell() {
                let is_found = found.iter().any(|command| line.ends_with(command.as_str()));
                let is_ours = line.contains("otpctl ");
                assert!(!is_ours || is_found, "{}: {line}", guide.name);
            }
            for command in found {
                machine.otpctl(&["remove", "alice", "--yes"]);
                machine.otpctl(&["enroll", "alice", "--json"]);
                if command.contains("--name phone") {
                    let second = ["enroll", "alice", "--add", "--name", "phone", "--json"];
                    machine.otpctl(&second);
                }
                let understood = is_understood(machine, &command);
                assert!(understood, "{}: {command}", guide.name);
                tried += 1;
            }
        }
        assert!(tried > 30, "only {tried} commands were found");
    });
}

#[test]
fn commands_of_others_are_known_and_spelled_right() {
    for guide in guides() {
        for line in guide.shell() {
            let parsed = Command::new("sh").args(["-nc", &line]).output().unwrap();
            assert!(parsed.status.success(), "{}: {line}", guide.name);
            let as_root = line
                .strip_prefix("sudo ")
                .filter(|rest| !rest.starts_with('-'));
            let bare = as_root.unwrap_or(&line);
            let first = bare.split_whitespace().next().unwrap_or("otpctl");
            let known = first == "otpctl" || OTHERS.contains(&first);
            assert!(known, "{}: {line}", guide.name);
        }
    }
}

#[test]
fn the_set_ups_of_the_guides_are_healthy() {
    let guides = guides();
    on_a_machine(|machine| {
        let mut tried = 0;
        for guide in &guides {
            set_up(machine);
            for block in guide.blocks() {
                let has_auth = block.lines.iter().any(|line| line.contains("auth "));
                for Changed { service, .. } in follow(&block) {
                    if has_auth {
                        let faults = faults(machine, &service);
                        let place = format!("{}, {service}:\n{}", guide.name, block.text());
                        assert_eq!(faults, [""; 0], "{place}");
                        tried += 1;
                    }
                }
            }
            let _ = fs::remove_file("/etc/ssh/sshd_config.d/otp.conf");
        }
        assert!(tried > 6, "only {tried} set-ups were found");
    });
}

#[test]
fn what_the_guides_undo_is_undone() {
    let guides = guides();
    on_a_machine(|machine| {
        let mut undone = 0;
        for guide in guides.iter().filter(|guide| guide.text.contains("## Undo")) {
            set_up(machine);
            let changes: Vec<Changed> = guide.blocks().iter().flat_map(follow).collect();
            let (_, undo) = guide.text.split_once("## Undo").unwrap();
            let undo = Guide {
                name: guide.name.clone(),
                text: undo.to_owned(),
            };
            for line in undo.shell() {
                let line = line.trim_start_matches("sudo ");
                if ["sed ", "rm "].iter().any(|word| line.starts_with(word)) {
                    let done = Command::new("sh").args(["-c", line]).output().unwrap();
                    assert!(done.status.success(), "{}: {line}: {done:?}", guide.name);
                }
            }
            let last = |service: &str| changes.iter().rfind(|change| change.service == service);
            for Changed { service, .. } in &changes {
                let left = fs::read_to_string(format!("/etc/pam.d/{service}")).unwrap();
                assert_eq!(
                    left,
                    last(service).unwrap().before,
                    "{}, {service}",
                    guide.name
                );
                undone += 1;
            }
        }
        assert!(undone > 6, "only {undone} were undone");
    });
}

#[test]
fn every_policy_in_the_guides_is_taken() {
    let guides = guides();
    on_a_machine(|machine| {
        stock();
        for guide in &guides {
            for block in guide.blocks() {
                if block.language == "toml" {
                    fs::write("otp.toml.new", block.text()).unwrap();
                    let said = machine.otpctl(&["policy", "--check", "otp.toml.new"]);
                    assert_eq!(said.exit, 0, "{}: {said:#?}", guide.name);
                }
            }
        }
    });
}

/// The commands of a playbook: what it runs, and what it lets judge a file.
fn played(playbook: &str) -> Vec<String> {
    let told = |line: &str| {
        let (key, command) = line.trim().split_once(": ")?;
        let runs = ["cmd", "validate"].contains(&key) && command.starts_with("otpctl ");
        runs.then(|| command.to_owned())
    };
    playbook.lines().filter_map(told).collect()
}

#[test]
fn every_command_in_the_playbook_is_one() {
    let playbook = root().join("docs/guide/ansible/one-time-codes.yml");
    let playbook = fs::read_to_string(playbook).unwrap_or_default();
    on_a_machine(|machine| {
        stock();
        set_up(machine);
        let commands = played(&playbook);
        assert_eq!(commands.len(), 3, "{commands:?}");
        let said = playbook.matches("otpctl ").count();
        assert_eq!(
            said,
            3 + 1,
            "each in a place of its own, and one in the head"
        );
        for command in commands {
            let command = command
                .replace("{{ item }}", "bob")
                .replace("%s", "/etc/security/otp.toml");
            assert!(is_understood(machine, &command), "{command}");
        }
    });
}

#[test]
fn every_link_leads_somewhere_and_the_index_has_every_page() {
    let mut pages = vec![("README.md".to_owned(), root().join("README.md"))];
    let guides = guides();
    let directory = root().join("docs/guide");
    pages.extend(guides.iter().map(|guide| {
        let name = format!("docs/guide/{}", guide.name);
        (name, directory.join(&guide.name))
    }));
    for (name, path) in pages {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if !link.starts_with("https://") {
                assert!(leads(&path, link), "{name}: {link}");
            }
        }
    }
    let index = fs::read_to_string(directory.join("README.md")).unwrap();
    for guide in guides.iter().filter(|guide| guide.name != "README.md") {
        let link = format!("]({})", guide.name);
        assert!(index.contains(&link), "{} is not in the index", guide.name);
    }
}

/// Whether there is such a file, with such a heading.
fn leads(from: &Path, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let to = if file.is_empty() {
        from.to_path_buf()
    } else {
        from.parent().unwrap().join(file)
    };
    let plain = |line: &str| -> String {
        let line = line.trim_start_matches('#').trim().to_lowercase();
        let kept = line
            .chars()
            .filter(|c| c.is_alphanumeric() || " -".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    let has = |text: String| {
        let mut headings = text.lines().filter(|line| line.starts_with('#'));
        headings.any(|line| plain(line) == heading)
    };
    to.exists() && (heading.is_empty() || fs::read_to_string(to).is_ok_and(has))
}
