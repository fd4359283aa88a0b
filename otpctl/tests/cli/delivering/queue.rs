//! Who takes what waits, and what becomes of it when one of them is killed or an administrator takes it back.

use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

fn in_the_foreground(machine: &Machine) -> Child {
    let mut command = machine.command(&["deliver"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut child: Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    child.wait().unwrap();
}

/// The process that hands a code over.
fn hand() -> Option<Pid> {
    let mut processes = fs::read_dir("/proc").unwrap();
    processes.find_map(|entry| {
        let path = entry.unwrap().path();
        let line = fs::read(path.join("cmdline")).ok()?;
        let ours = line.split(|byte| *byte == 0).any(|arg| arg == b"--taken")
            && fs::read_link(path.join("root")).is_ok_and(|root| root == Path::new("/"));
        let own = fs::metadata(path.join("root/usr-local/of-this-test")).is_ok();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        (ours && own).then(|| Pid::from_raw(number))
    })
}

#[test]
fn without_systemd_one_stays_and_hands_over_and_withdraws() {
    on_a_machine_of_two(|machine| {
        gateway("cat >/dev/null; exit 1");
        let child = in_the_foreground(machine);
        let lock = format!("{QUEUE}/lock");
        assert!(soon(|| Path::new(&lock).exists()));
        std::thread::sleep(Duration::from_millis(200));
        let said = machine.otpctl(&["deliver", "--once"]).exits(1);
        assert!(
            said.err.contains("another otpctl deliver is at work"),
            "{said:?}"
        );
        put("alice", "sms");
        assert!(soon(|| names() == ["done/alice.sms"]), "{:?}", names());
        left();
        end(child, Signal::SIGTERM);
        machine.otpctl(&["deliver", "--once"]).exits(0);
    });
}

#[test]
fn what_is_on_its_way_goes_on_when_the_deliverer_is_killed_and_is_not_sent_twice() {
    on_a_machine_of_two(|machine| {
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        gateway("cat >>/tmp/sent; touch /tmp/begun; sleep 1");
        let child = in_the_foreground(machine);
        put("alice", "sms");
        assert!(soon(|| Path::new("/tmp/begun").exists()));
        end(child, Signal::SIGKILL);
        // The next one waits for what the first has begun.
        machine.otpctl(&["deliver", "--once"]).exits(0);
        assert_eq!(left(), ["done/alice.sms"]);
        let sent = fs::read_to_string("/tmp/sent").unwrap();
        assert_eq!(sent.lines().count(), 2, "{sent}");
    });
}

#[test]
fn what_a_crash_left_is_sent_once_more_and_no_third_time() {
    on_a_machine_of_two(|machine| {
        gateway("cat >/dev/null");
        put("alice", "sms");
        fs::rename(
            format!("{QUEUE}/new/alice.sms"),
            format!("{QUEUE}/work/alice.sms"),
        )
        .unwrap();
        delivers(machine, 1, 0);
        assert_eq!(left(), ["done/alice.sms"]);
        put("alice", "sms");
        fs::rename(
            format!("{QUEUE}/new/alice.sms"),
            format!("{QUEUE}/work/+alice.sms"),
        )
        .unwrap();
        delivers(machine, 0, 0);
        assert_eq!(left(), ["done/alice.sms", "settle/alice.sms"]);
        let kept = fs::read_to_string(format!("{QUEUE}/done/alice.sms")).unwrap();
        assert!(kept.contains("result = \"interrupted\""), "{kept}");
    });
}

#[test]
fn one_that_is_killed_while_it_hands_over_is_a_failure_and_the_others_go_on() {
    on_a_machine_of_two(|machine| {
        write("/usr-local/of-this-test", "", 0o644);
        gateway("read to; read code; sleep 1");
        put("alice", "sms");
        let child = machine
            .command(&["deliver", "--once", "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(soon(|| hand().is_some()));
        std::thread::sleep(Duration::from_millis(100));
        kill(hand().unwrap(), Signal::SIGKILL).unwrap();
        let said = Said::from(child.wait_with_output().unwrap()).exits(0);
        assert_eq!(said.json()["failed"], 1);
        assert_eq!(left(), ["done/alice.sms", "settle/alice.sms"]);
        let kept = fs::read_to_string(format!("{QUEUE}/done/alice.sms")).unwrap();
        assert!(kept.contains("result = \"interrupted\""), "{kept}");
    });
}

#[test]
fn what_makes_no_sense_is_dropped_and_holds_nothing_up() {
    on_a_machine_of_two(|machine| {
        gateway("cat >/dev/null");
        write(
            &format!("{QUEUE}/new/alice.sms"),
            "code = \"48210937\"\n",
            0o600,
        );
        write(&format!("{QUEUE}/new/no-entry"), CODE, 0o600);
        put("bob", "sms");
        delivers(machine, 1, 1);
        assert_eq!(left(), ["done/bob.sms"]);
    });
}

#[test]
fn a_code_that_an_administrator_ends_is_not_sent() {
    on_a_machine_of_two(|machine| {
        gateway("cat >/dev/null");
        let waits = |user: &str| Path::new(&format!("{QUEUE}/new/{user}.sms")).exists();
        let issued = machine.json(&["issue", "bob"]);
        let id = issued["id"].as_str().unwrap().to_owned();
        let another = machine.json(&["issue", "bob"]);
        let another = another["id"].as_str().unwrap().to_owned();
        let put_bobs = || put_with("bob", "sms", &id, now(), now() + 600);
        put_bobs();
        machine.otpctl(&["revoke", "bob", &another]).exits(0);
        assert!(waits("bob"), "another code");
        machine.otpctl(&["revoke", "bob", &id]).exits(0);
        assert!(!waits("bob"));
        for verb in [&["disable", "bob"][..], &["remove", "bob", "--yes"]] {
            machine.otpctl(&["issue", "bob"]).exits(0);
            put_bobs();
            put("alice", "sms");
            machine.otpctl(verb).exits(0);
            assert!(!waits("bob") && waits("alice"), "{verb:?}");
        }
        put_with("carol", "sms", "01020304", now() - 700, now() - 100);
        machine.otpctl(&["sweep"]).exits(0);
        assert!(!waits("carol") && waits("alice"));
    });
}
