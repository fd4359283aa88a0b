//! Telling sshd: whether it could start with the files as they are, whether it goes by what we wrote, and that it should
//! read them again. Sessions go on: nothing is restarted, and no process but the listening one gets a signal.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sshd::{self, Found};

/// By its path: root's own program, whatever the caller's PATH says.
pub(super) const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// Debian's name for it.
const UNIT: &str = "ssh.service";

/// Whether systemd runs this machine.
pub(in crate::command) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether systemctl does this without a complaint.
pub(in crate::command) fn systemctl(args: &[&str]) -> bool {
    let done = Command::new(SYSTEMCTL)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    done.is_ok_and(|status| status.success())
}

/// Whether sshd understands its files, and asks as it should; if not, why.
pub(super) fn check_sshd(methods: &str) -> Result<(), String> {
    sshd::test().map_err(|why| format!("sshd does not take it: {why}"))?;
    let Found::Settings { settings, .. } = sshd::in_force() else {
        return Err("there is no sshd any more".to_owned());
    };
    if settings.keyboard_interactive && settings.methods() == methods {
        return Ok(());
    }
    Err(format!(
        "sshd does not go by {}/otp.conf: another file says otherwise before it, or /etc/ssh/sshd_config lacks 'Include {}/*.conf' at its top",
        sshd::DROP_INS,
        sshd::DROP_INS
    ))
}

/// Has a running sshd read its files again; whether there was one.
pub(super) fn reload_sshd() -> Result<bool, String> {
    // One that cannot read them would end.
    sshd::test().map_err(|why| format!("sshd was not told, because it would end: {why}"))?;
    if let Some(pid) = listening() {
        return kill(pid, Signal::SIGHUP)
            .map(|()| true)
            .map_err(|errno| format!("sshd (process {pid}) was not told: {}", errno.desc()));
    }
    if !has_systemd() || !systemctl(&["is-active", "--quiet", UNIT]) {
        return Ok(false);
    }
    // Not waited for: at a boot, and after a kill, sshd's job waits for ours.
    if systemctl(&["--no-block", "reload", UNIT]) {
        return Ok(true);
    }
    Err(format!(
        "systemctl reload {UNIT} fails: see systemctl status {UNIT}"
    ))
}

/// The sshd that listens, by the file it writes, if it is one.
fn listening() -> Option<Pid> {
    let Found::Settings { settings, .. } = sshd::in_force() else {
        return None;
    };
    let text = fs::read_to_string(settings.pid_file).ok()?;
    let pid: i32 = text.trim().parse().ok().filter(|pid| *pid > 1)?;
    // A session is an sshd, too, and would end: its parent is another.
    let is_one = is_sshd(pid) && !parent(pid).is_some_and(is_sshd);
    is_one.then(|| Pid::from_raw(pid))
}

fn is_sshd(pid: i32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.trim() == "sshd")
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}
