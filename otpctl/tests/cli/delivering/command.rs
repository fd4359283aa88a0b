//! The command for SMS: what it is given, and what becomes of one that misbehaves.

use super::*;

#[test]
fn a_command_gets_contact_and_code_on_its_input_and_nothing_else_of_ours() {
    on_a_machine_of_two(|machine| {
        gateway(
            "{ cat; echo \"$0 $*\"; pwd; id; env; grep NoNewPrivs /proc/self/status; grep 'core file' /proc/self/limits; ls /proc/self/fd | tr '\\n' ' '; echo; cut -d' ' -f5 /proc/$$/stat; echo $$; } >/tmp/seen 2>&1; echo secret; echo secret >&2",
        );
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        put("alice", "sms");
        // What it was started with open, and a variable of root's.
        let ours = machine.command(&[]);
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "exec 9</etc/passwd; exec \"$0\" deliver --once"]);
        command.arg(ours.get_program());
        let log = machine.log();
        let said = command
            .env("SECRET", "of root")
            .output()
            .map(Said::from)
            .unwrap()
            .exits(0);
        assert_eq!(
            (said.out.as_str(), said.err.as_str()),
            ("sent 1 code\n", "")
        );
        let lines = logged(&log);
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert!(
            line.starts_with("<85>") && line.contains(" otpctl["),
            "{line}"
        );
        assert!(
            line.ends_with("]: delivery: sent channel=sms to=+49…4711 id=01020304 user=\"alice\""),
            "{line}"
        );
        let seen = fs::read_to_string("/tmp/seen").unwrap();
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!(lines[..2], [NUMBER, CODE]);
        assert_eq!(lines[2], "/usr-local/sms an argument");
        assert_eq!(lines[3], "/");
        assert_eq!(lines[4], "uid=1(daemon) gid=1 groups=1");
        let rest = lines.len() - 5;
        let mut environment: Vec<_> = lines[5..rest]
            .iter()
            .map(|line| line.split('=').next().unwrap())
            .collect();
        environment.retain(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name));
        environment.sort_unstable();
        assert_eq!(environment, ["LANG", "PATH"], "{seen}");
        assert_eq!(lines[rest], "NoNewPrivs:\t1");
        let limit: Vec<&str> = lines[rest + 1].split_whitespace().collect();
        assert_eq!(limit[4..6], ["1", "1"], "{seen}");
        assert_eq!(
            lines[rest + 2],
            "0 1 2 3 ",
            "the standard ones, and that of ls: {seen}"
        );
        assert_eq!(
            lines[rest + 3],
            lines[rest + 4],
            "a group of its own: {seen}"
        );
        assert_eq!(left(), ["done/alice.sms"]);
    });
}

#[test]
fn a_command_that_says_no_has_its_status_logged_and_the_code_withdrawn() {
    on_a_machine_of_two(|machine| {
        gateway("cat; echo refused >&2; exit 75");
        let (sent, code) = ask_for_bob(machine);
        let lines = delivers(machine, 0, 1);
        let failed = "delivery: failed reason=status channel=sms to=+49…4711";
        assert!(lines.contains(failed), "{lines}");
        assert!(lines.contains(" status=75 user=\"bob\""), "{lines}");
        assert!(!lines.contains(&code));
        assert_eq!(left(), ["done/bob.sms", "settle/bob.sms"]);
        let log = machine.log();
        assert_eq!(machine.json(&["deliver", "--settle"])["withdrawn"], 1);
        let lines = logged(&log).join("\n");
        let withdrawn = format!(
            "delivery: withdrawn channel=sms id={} user=\"bob\"",
            sent.id
        );
        assert!(lines.contains(&withdrawn), "{lines}");
        assert_eq!(left(), ["done/bob.sms"]);
        let said = machine
            .otpctl_with(&["verify", "bob", "--json"], &code)
            .exits(1);
        assert_eq!(said.json()["reason"], "withdrawn");
        assert_eq!(machine.json(&["deliver", "--settle"])["withdrawn"], 0);
    });
}

#[test]
fn what_the_command_took_is_good_once_and_is_not_withdrawn() {
    on_a_machine_of_two(|machine| {
        gateway("cat >/dev/null");
        let (_, code) = ask_for_bob(machine);
        delivers(machine, 1, 0);
        assert_eq!(machine.json(&["deliver", "--settle"])["withdrawn"], 0);
        machine.otpctl_with(&["verify", "bob"], &code).exits(0);
        machine.otpctl_with(&["verify", "bob"], &code).exits(1);
    });
}

#[test]
fn a_failure_of_an_older_code_withdraws_no_newer_one() {
    on_a_machine_of_two(|machine| {
        gateway("exit 1");
        let (sent, code) = ask_for_bob(machine);
        fs::remove_file(format!("{QUEUE}/new/bob.sms")).unwrap();
        put_with("bob", "sms", &sent.id.to_string(), now() - 100, now() + 100);
        delivers(machine, 0, 1);
        assert_eq!(machine.json(&["deliver", "--settle"])["withdrawn"], 0);
        machine.otpctl_with(&["verify", "bob"], &code).exits(0);
    });
}

#[test]
fn a_command_that_cannot_or_should_not_be_run_is_not() {
    on_a_machine_of_two(|machine| {
        let refused = |reason: &str| {
            put("alice", "sms");
            let lines = delivers(machine, 0, 1);
            assert!(
                lines.contains(&format!("failed reason={reason}")),
                "{reason}: {lines}"
            );
            assert!(!Path::new("/tmp/ran").exists());
            lines
        };
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        policy("[sms]\ncommand = [\"/nowhere/sms\"]\n");
        assert!(refused("missing").contains("errno=2"));
        gateway("touch /tmp/ran");
        fs::set_permissions("/usr-local/sms", fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refused("missing").contains("errno=13"));
        for (mode, owner) in [(0o757, 0), (0o775, 0), (0o755, 1)] {
            gateway("touch /tmp/ran");
            fs::set_permissions("/usr-local/sms", fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown("/usr-local/sms", Some(owner), Some(1)).unwrap();
            assert!(refused("setup").contains("at=program-writable"), "{mode:o}");
        }
        std::os::unix::fs::chown("/usr-local/sms", Some(0), Some(0)).unwrap();
        for nobody in ["nobody-of-that-name", "root"] {
            let text =
                format!("[delivery]\nuser = \"{nobody}\"\n[sms]\ncommand = [\"/usr-local/sms\"]\n");
            write("/etc/security/otp.toml", &text, 0o644);
            assert!(refused("setup").contains("at=delivery.user"));
        }
        policy("");
        refused("off");
        gateway("touch /tmp/ran");
        put_with("alice", "sms", "01020304", now() - 600, now());
        assert!(delivers(machine, 0, 1).contains("failed reason=expired"));
        assert!(!Path::new("/tmp/ran").exists());
        put("alice", "sms");
        delivers(machine, 1, 0);
        assert!(Path::new("/tmp/ran").exists());
    });
}

#[test]
fn a_command_that_hangs_is_killed_with_everything_it_started() {
    on_a_machine_of_two(|machine| {
        let word = word();
        gateway(&format!(
            "sleep {word} & setsid sleep {word} & trap '' TERM INT HUP; cat; sleep {word}"
        ));
        put("alice", "sms");
        let started = Instant::now();
        let lines = delivers(machine, 0, 1);
        assert!(lines.contains("failed reason=timeout"), "{lines}");
        assert!(started.elapsed() < Duration::from_secs(8));
        assert!(!runs(&word));
    });
}

#[test]
fn what_a_command_leaves_running_is_killed_wherever_it_hides() {
    on_a_machine_of_two(|machine| {
        let sleep = format!("sleep {}", word());
        gateway(&format!(
            "cat; setsid sh -c 'setsid {sleep} & setsid {sleep} & exec {sleep}' >/dev/null 2>&1 & {sleep} & exit 0"
        ));
        put("alice", "sms");
        let lines = delivers(machine, 1, 0);
        assert!(lines.contains("killed="), "{lines}");
        assert!(!runs(&word()));
    });
}

#[test]
fn a_command_that_makes_ever_more_of_itself_is_killed_to_the_last() {
    on_a_machine_of_two(|machine| {
        let script = "#!/bin/sh\nf() { sleep 0.01; f & f; }; f & f & cat; exit 0\n";
        let bomb = format!("/usr-local/bomb.{}", std::process::id());
        write(&bomb, script, 0o755);
        // So many processes an account may have, so it is not the one of the other tests.
        let lines = format!("[delivery]\nuser = \"alice\"\n[sms]\ncommand = [\"{bomb}\"]\n");
        write("/etc/security/otp.toml", &lines, 0o644);
        put("alice", "sms");
        let started = Instant::now();
        let lines = delivers(machine, 1, 0);
        assert!(lines.contains("killed="), "{lines}");
        assert!(started.elapsed() < Duration::from_secs(8));
        assert!(!runs(&bomb), "{lines}");
    });
}

/// How long a process of this test would sleep: a number that no other has.
fn word() -> String {
    format!("4711.{}", std::process::id())
}

/// Whether any process has this among its arguments.
fn runs(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap();
    let mut lines =
        processes.filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|byte| *byte == 0)
            .any(|arg| arg == word.as_bytes())
    })
}

#[test]
fn a_slow_command_keeps_nobody_else_waiting() {
    on_a_machine_of_two(|machine| {
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        gateway(
            "read to; read code; if ! mkdir /tmp/first; then touch /tmp/second; exit 0; fi; sleep 1.5; test -e /tmp/second",
        );
        put("alice", "sms");
        put("bob", "sms");
        delivers(machine, 2, 0);
    });
}

#[test]
fn a_slow_command_keeps_no_mail_waiting_and_four_are_at_work_at_most() {
    on_a_machine_of_two(|machine| {
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        let count = "me=/tmp/at-work.$$; touch $me; ls /tmp/at-work.* | wc -l >>/tmp/counts; sleep 0.5; rm $me";
        write("/usr-local/sms", &format!("#!/bin/sh\n{count}\n"), 0o755);
        write(
            "/usr-local/sendmail",
            "#!/bin/sh\nls /tmp/at-work.* | wc -l >/tmp/mail\n",
            0o755,
        );
        policy(
            "[sms]\ncommand = [\"/usr-local/sms\"]\n[email]\nvia = \"sendmail\"\nsendmail = \"/usr-local/sendmail\"\n",
        );
        for n in 0..9 {
            put(&format!("u{n}"), "sms");
        }
        put("alice", "email");
        delivers(machine, 10, 0);
        let counts = fs::read_to_string("/tmp/counts").unwrap();
        let most = counts
            .lines()
            .map(|line| line.trim().parse::<u32>().unwrap())
            .max();
        assert_eq!((counts.lines().count(), most), (9, Some(4)), "{counts}");
        let beside = fs::read_to_string("/tmp/mail").unwrap();
        assert!(beside.trim().parse::<u32>().unwrap() > 0, "{beside}");
    });
}

/// Those who wait for the slow one are many, and the mail comes after them.
#[test]
fn a_code_by_mail_that_comes_later_waits_for_no_slow_command() {
    on_a_machine_of_two(|machine| {
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        write(
            "/usr-local/sms",
            "#!/bin/sh\ntouch /tmp/begun.$$; sleep 1.5; touch /tmp/ended.$$\n",
            0o755,
        );
        write(
            "/usr-local/sendmail",
            "#!/bin/sh\nls /tmp/ended.* | wc -l >/tmp/mail\n",
            0o755,
        );
        policy(
            "[sms]\ncommand = [\"/usr-local/sms\"]\n[email]\nvia = \"sendmail\"\nsendmail = \"/usr-local/sendmail\"\n",
        );
        for n in 0..9 {
            put(&format!("u{n}"), "sms");
        }
        let begun =
            |one: std::fs::DirEntry| one.file_name().to_string_lossy().starts_with("begun.");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let is_slow = || {
                    let mut all = fs::read_dir("/tmp").unwrap();
                    all.any(|one| begun(one.unwrap()))
                };
                assert!(soon(is_slow));
                put("alice", "email");
            });
            delivers(machine, 10, 0);
        });
        // Of three rounds, those of the first at most, however slow this machine is.
        let ended = fs::read_to_string("/tmp/mail").unwrap();
        assert!(ended.trim().parse::<u32>().unwrap() <= 4, "{ended}");
    });
}
