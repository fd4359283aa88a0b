//! Files that are not what they should be, in every place the command reads: refused at once and by name, and nothing is
//! written through them. `tests/module/files.rs` has the same of logins.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::world::{Machine, Said, on_a_machine};

const LIB: &str = "/var/lib/pam_otp";
const NOTHING: Option<&str> = None;

/// `false` where it cannot be had here.
type Put = fn(&Path, &Path) -> bool;

/// What is put where a file was, which is kept under another name.
const FILES: &[(&str, Put)] = &[
    ("a link", |aside, at| symlink(aside, at).is_ok()),
    ("a link to nothing", |_, at| symlink("/nowhere", at).is_ok()),
    ("a link to itself", |_, at| symlink(at, at).is_ok()),
    ("a second name", |aside, at| {
        fs::hard_link(aside, at).is_ok()
    }),
    ("a directory", |_, at| fs::create_dir(at).is_ok()),
    ("a pipe", |_, at| pipe(at)),
    ("a socket", |_, at| UnixListener::bind(at).is_ok()),
    ("the device null", |_, at| bind("/dev/null", at)),
    ("the device zero", |_, at| bind("/dev/zero", at)),
    ("somebody else's", |aside, at| {
        fs::copy(aside, at).unwrap();
        // In a user namespace of one user there is nobody else.
        chown(at, Some(1000), None).is_ok()
    }),
    ("what others may write", |aside, at| {
        fs::copy(aside, at).unwrap();
        fs::set_permissions(at, Permissions::from_mode(0o666)).is_ok()
    }),
];

/// What is put where a directory was.
const DIRECTORIES: &[(&str, Put)] = &[
    ("a link", |aside, at| symlink(aside, at).is_ok()),
    ("a link to itself", |_, at| symlink(at, at).is_ok()),
    ("a file", |_, at| File::create(at).is_ok()),
    ("a pipe", |_, at| pipe(at)),
    ("the device zero", |_, at| bind("/dev/zero", at)),
    ("what others may write", |_, at| {
        fs::create_dir(at).unwrap();
        fs::set_permissions(at, Permissions::from_mode(0o777)).is_ok()
    }),
];

/// What only the content tells from a record.
const SPARSE: &[(&str, Put)] = &[("a gigabyte of nothing", |_, at| {
    let file = File::create(at).unwrap();
    fs::set_permissions(at, Permissions::from_mode(0o600)).unwrap();
    file.set_len(1 << 30).is_ok()
})];

fn pipe(at: &Path) -> bool {
    mkfifo(at, Mode::S_IRUSR | Mode::S_IWUSR).is_ok()
}

fn bind(from: &str, at: &Path) -> bool {
    File::create(at).unwrap();
    mount(Some(from), at, NOTHING, MsFlags::MS_BIND, NOTHING).is_ok()
}

/// What is asked, and whether it may delete what is hostile instead of refusing it: that is what it is for.
const VERBS: &[(&[&str], bool)] = &[
    (&["status", "alice"], false),
    (&["status"], false),
    (&["list"], false),
    (&["verify", "alice"], false),
    (&["enroll", "alice", "--replace"], false),
    (&["enroll", "alice"], false),
    (&["issue", "alice"], false),
    (&["issue", "alice", "--send", "sms"], false),
    (&["contact", "alice"], false),
    (
        &[
            "contact",
            "alice",
            "--email",
            "alice@example.org",
            "--confirmed",
        ],
        false,
    ),
    (&["recovery", "alice"], false),
    (&["show", "alice"], false),
    (&["explain", "alice"], false),
    (&["unlock", "alice"], false),
    (&["disable", "alice"], false),
    (&["enable", "alice"], false),
    (&["sweep"], true),
    (&["revoke", "alice"], true),
    (&["revoke", "--everyone", "--yes"], true),
    (&["remove", "alice", "--yes"], true),
];

/// The same, of those that read where codes can be sent to her. A login does not, once there is something to answer with.
const OF_CONTACTS: &[(&[&str], bool)] = &[
    (&["status", "alice"], false),
    (&["list"], false),
    (&["contact", "alice"], false),
    (
        &[
            "contact",
            "alice",
            "--email",
            "alice@example.org",
            "--confirmed",
        ],
        false,
    ),
    (
        &[
            "contact",
            "alice",
            "--sms",
            "+4917099999999",
            "--confirmed",
            "--yes",
        ],
        false,
    ),
    (&["contact", "alice", "--confirm", "sms"], false),
    (&["contact", "alice", "--remove", "sms", "--yes"], false),
    (&["issue", "alice", "--send", "sms"], false),
    (&["remove", "alice", "--yes"], true),
];

/// Runs it; a command that hangs ends with 124.
fn run(machine: &Machine, args: &[&str]) -> Said {
    let command = machine.command(args);
    let mut bounded = Command::new("timeout");
    bounded.arg("3").arg(command.get_program()).args(args);
    let input = PathBuf::from("/tmp/typed");
    fs::write(&input, "000000\n").unwrap();
    bounded.stdin(File::open(input).unwrap());
    Said::from(bounded.env("TZ", "UTC").output().unwrap())
}

/// Alice as she is before each trial: enrolled, with a code and recovery codes, and with a record in memory.
fn scene(machine: &Machine) -> PathBuf {
    for tree in [LIB, "/var/spool/pam_otp", "/run/pam_otp"] {
        let _ = fs::remove_dir_all(tree);
    }
    fs::write("/etc/security/otp.toml", "").unwrap();
    machine.otpctl(&["enroll", "alice"]).exits(0);
    machine.otpctl(&["issue", "alice"]).exits(0);
    let number = ["contact", "alice", "--sms", "+4917012344711", "--confirmed"];
    machine.otpctl(&number).exits(0);
    fs::create_dir_all("/run/pam_otp/state").unwrap();
    fs::set_permissions("/run/pam_otp/state", Permissions::from_mode(0o700)).unwrap();
    fs::copy(format!("{LIB}/state/alice"), "/run/pam_otp/state/alice").unwrap();
    let mut codes = fs::read_dir("/var/spool/pam_otp/alice").unwrap();
    codes.next().unwrap().unwrap().path()
}

/// Takes away what was put, and whatever it was put over.
fn clear(at: &Path) {
    let _ = umount2(at, MntFlags::MNT_DETACH);
    let gone = match at.symlink_metadata() {
        Err(_) => return,
        Ok(found) if found.is_dir() => fs::remove_dir_all(at),
        Ok(_) => fs::remove_file(at),
    };
    gone.unwrap();
}

/// Puts each of these in a place, and tries every verb on it.
fn try_each(machine: &Machine, place: &str, things: &[(&str, Put)], verbs: &[(&[&str], bool)]) {
    for (thing, put) in things {
        let code = scene(machine);
        let at = Path::new(place);
        let at = if place == "a code" { &code } else { at };
        let aside = Path::new("/tmp/aside");
        fs::rename(at, aside).or_else(|_| moved(at, aside)).unwrap();
        if put(aside, at) {
            let before = content(aside);
            let doctor = run(machine, &["doctor", "sshd"]).exits(1);
            let named = doctor.out.contains(at.to_str().unwrap()) || doctor.out.contains("alice");
            assert!(named, "doctor with {thing} at {}: {doctor:?}", at.display());
            for (verb, may_delete) in verbs {
                let what = format!("otpctl {} with {thing} at {}", verb.join(" "), at.display());
                let said = run(machine, verb);
                assert!(
                    said.exit == 5 || said.exit == 0 && *may_delete,
                    "{what}: {said:?}"
                );
                let named = format!("{}{}", said.err, said.out);
                let is_named = named.contains(at.to_str().unwrap()) || *verb == ["status"];
                assert!(is_named || said.exit == 0, "{what}: {said:?}");
                assert!(content(aside) == before, "{what} wrote through it");
                assert!(!Path::new("/nowhere").exists(), "{what}");
            }
        }
        clear(at);
        clear(aside);
    }
}

/// From one file system to another.
fn moved(from: &Path, to: &Path) -> std::io::Result<()> {
    let done = Command::new("mv").arg(from).arg(to).status()?;
    done.success()
        .then_some(())
        .ok_or_else(std::io::Error::last_os_error)
}

/// Every byte beneath a path.
fn content(path: &Path) -> Vec<u8> {
    let Ok(names) = fs::read_dir(path) else {
        return fs::read(path).unwrap();
    };
    let mut paths: Vec<PathBuf> = names.map(|name| name.unwrap().path()).collect();
    paths.sort_unstable();
    paths.iter().flat_map(|path| content(path)).collect()
}

#[test]
fn hostile_files_in_the_place_of_contacts_are_refused_by_name_and_remove_takes_them_away() {
    on_a_machine(|machine| {
        try_each(
            machine,
            "/var/lib/pam_otp/contacts/alice",
            FILES,
            OF_CONTACTS,
        );
    });
}

#[test]
fn hostile_files_wherever_the_command_reads_are_refused_by_name_at_once() {
    on_a_machine(|machine| {
        for place in [
            "/etc/security/otp.toml",
            "/var/lib/pam_otp/STORE",
            "/var/spool/pam_otp/.store",
            "/var/lib/pam_otp/key",
            "/var/lib/pam_otp/secrets/alice",
            "/var/lib/pam_otp/state/alice",
            "/run/pam_otp/state/alice",
            "a code",
        ] {
            try_each(machine, place, FILES, VERBS);
        }
    });
}

#[test]
fn hostile_directories_wherever_the_command_reads_are_refused_by_name_at_once() {
    on_a_machine(|machine| {
        for place in [
            LIB,
            "/var/lib/pam_otp/secrets",
            "/var/lib/pam_otp/state",
            "/var/spool/pam_otp",
            "/var/spool/pam_otp/alice",
            "/run/pam_otp/state",
        ] {
            try_each(machine, place, DIRECTORIES, VERBS);
        }
    });
}

#[test]
fn a_gigabyte_of_nothing_is_refused_by_name_at_once() {
    on_a_machine(|machine| {
        for place in [
            "/etc/security/otp.toml",
            "/var/lib/pam_otp/key",
            "/var/lib/pam_otp/secrets/alice",
            "/var/lib/pam_otp/state/alice",
            "/run/pam_otp/state/alice",
            "a code",
        ] {
            try_each(machine, place, SPARSE, VERBS);
        }
    });
}
