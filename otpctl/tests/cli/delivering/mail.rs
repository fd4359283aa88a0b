//! Mail: through the sendmail interface of a real program, and to a real server with and without TLS.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::*;

/// Debian's aiosmtpd, ended with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(mode: &str, files: &[&str]) -> Self {
        fs::create_dir_all("/tmp/mail").unwrap();
        write("/tmp/smtpd.py", include_str!("smtpd.py"), 0o644);
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["/tmp/smtpd.py", "/tmp/mail", mode])
            .args(files);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("python3-aiosmtpd is there");
        Self { process, port }
    }

    /// The message it took last.
    fn took(&self) -> Option<String> {
        let mut names: Vec<_> = fs::read_dir("/tmp/mail")
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort_unstable();
        let last = names.pop()?;
        let text = fs::read_to_string(&last).unwrap();
        fs::remove_file(last).unwrap();
        Some(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A certificate authority, and a certificate for localhost by it.
fn certificates(name: &str) -> [String; 3] {
    let path = |what: &str| format!("/etc/tls/{name}-{what}.pem");
    let [ca, key, certificate] = ["ca", "key", "cert"].map(path);
    let ca_key = path("ca-key");
    write(
        "/etc/tls/openssl.cnf",
        "[req]\ndistinguished_name = dn\n[dn]\n",
        0o644,
    );
    let openssl = |args: &[&str]| {
        let mut command = Command::new("/usr/bin/openssl");
        command.env("OPENSSL_CONF", "/etc/tls/openssl.cnf");
        let done = command
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    openssl(&[
        "-subj",
        "/CN=authority",
        "-keyout",
        &ca_key,
        "-out",
        &ca,
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    ]);
    openssl(&[
        "-subj",
        "/CN=server",
        "-keyout",
        &key,
        "-out",
        &certificate,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=CA:FALSE",
    ]);
    [ca, certificate, key]
}

fn hosts() {
    write("/etc/hosts", "127.0.0.1 localhost elsewhere\n", 0o644);
    write("/etc/nsswitch.conf", "passwd: files\nhosts: files\n", 0o644);
}

/// The policy for a server with TLS.
fn smtp(tls: &str, host: &str, port: u16, ca: &str, more: &str) {
    policy(&format!(
        "[email]\nvia = \"smtp\"\nfrom = \"otp@example.org\"\n[smtp]\nhost = \"{host}\"\nport = {port}\ntls = \"{tls}\"\nca_file = \"{ca}\"\n{more}"
    ));
}

const LOGIN: &str = "user = \"otp\"\npassword_file = \"/etc/smtp-password\"\n";

fn password(text: &str) {
    write("/etc/smtp-password", text, 0o600);
}

#[test]
fn a_program_with_the_interface_of_sendmail_gets_a_message_that_says_what_it_is() {
    on_a_machine_of_two(|machine| {
        // msmtp keeps the message there while it reads it.
        fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777)).unwrap();
        let server = Server::start("plain", &[]);
        let config = format!(
            "account default\nhost 127.0.0.1\nport {}\nfrom otp@example.org\n",
            server.port
        );
        write("/etc/msmtprc", &config, 0o644);
        policy(
            "[email]\nvia = \"sendmail\"\nsendmail = \"/usr/bin/msmtp\"\nfrom = \"otp@example.org\"\nsubject = \"Dein Einmalcode für ssh\"\n",
        );
        put("alice", "email");
        let lines = delivers(machine, 1, 0);
        assert!(
            lines.contains("delivery: sent channel=email to=a…@example.org"),
            "{lines}"
        );
        let message = server.took().unwrap();
        let (head, text) = message.split_once("\r\n\r\n").unwrap();
        let has = |header: &str| {
            assert!(
                head.lines().any(|line| line == header),
                "{header}: {message}"
            )
        };
        has("otp@example.org");
        has("alice@example.org");
        has("From: otp@example.org");
        has("To: alice@example.org");
        has("Auto-Submitted: auto-generated");
        has("Content-Type: text/plain; charset=utf-8");
        has("MIME-Version: 1.0");
        assert!(
            head.contains("Subject: =?utf-8?") || head.contains("Subject: Dein Einmalcode"),
            "{head}"
        );
        assert!(!head.contains(CODE) && head.is_ascii(), "{head}");
        for header in ["Date: ", "Message-ID: <"] {
            assert_eq!(head.matches(header).count(), 1, "{header}: {head}");
        }
        has("Content-Transfer-Encoding: 7bit");
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            text.starts_with(&format!("{CODE}\r\n\r\nIt logs you in at bastion, once.")),
            "{text}"
        );
        assert!(
            words.contains(" UTC on 20") && words.contains("did not just ask for it"),
            "{text}"
        );
        drop(server);
        put("alice", "email");
        let lines = delivers(machine, 0, 1);
        assert!(
            lines.contains("failed reason=status") && lines.contains("status=75"),
            "EX_TEMPFAIL: {lines}"
        );
    });
}

#[test]
fn a_server_takes_it_under_tls_from_one_who_knows_the_password() {
    on_a_machine_of_two(|machine| {
        hosts();
        let [ca, certificate, key] = certificates("ours");
        for tls in ["starttls", "tls"] {
            let server = Server::start(tls, &[&certificate, &key]);
            smtp(tls, "localhost", server.port, &ca, LOGIN);
            password("secret of the server\n");
            put("alice", "email");
            delivers(machine, 1, 0);
            let message = server.took().unwrap();
            assert!(message.contains(CODE) && message.contains("Auto-Submitted: auto-generated"));
            assert_eq!(message.lines().next(), Some("otp@example.org"));
            password("another\n");
            put("alice", "email");
            let lines = delivers(machine, 0, 1);
            assert!(
                lines.contains("reason=login") && lines.contains("reply=535"),
                "{lines}"
            );
            smtp(tls, "localhost", server.port, &ca, "");
            put("alice", "email");
            let lines = delivers(machine, 0, 1);
            assert!(
                lines.contains("reason=refused") && lines.contains("reply=530"),
                "{lines}"
            );
            assert_eq!(server.took(), None);
        }
    });
}

#[test]
fn a_server_that_does_not_prove_who_it_is_gets_neither_password_nor_code() {
    on_a_machine_of_two(|machine| {
        hosts();
        password("secret of the server");
        let [ca, certificate, key] = certificates("ours");
        let [other, _, _] = certificates("theirs");
        for tls in ["starttls", "tls"] {
            let server = Server::start(tls, &[&certificate, &key]);
            let refused = |host: &str, ca: &str| {
                smtp(tls, host, server.port, ca, LOGIN);
                put("alice", "email");
                let lines = delivers(machine, 0, 1);
                assert!(
                    lines.contains("failed reason=tls"),
                    "{tls} {host} {ca}: {lines}"
                );
                assert_eq!(server.took(), None);
            };
            refused("localhost", &other);
            refused("elsewhere", &ca);
            // The system's, of which there are none here.
            refused("localhost", "");
        }
        let plain = Server::start("plain", &[]);
        smtp("starttls", "localhost", plain.port, &ca, LOGIN);
        put("alice", "email");
        let lines = delivers(machine, 0, 1);
        assert!(
            lines.contains("failed reason=tls"),
            "it offers none: {lines}"
        );
        assert_eq!(plain.took(), None);
    });
}

#[test]
fn a_server_on_this_machine_may_go_without_tls() {
    on_a_machine_of_two(|machine| {
        hosts();
        let server = Server::start("plain", &[]);
        smtp("none", "localhost", server.port, "", "");
        put("alice", "email");
        delivers(machine, 1, 0);
        assert!(server.took().unwrap().contains(CODE));
    });
}

#[test]
fn a_server_that_is_away_or_says_nothing_or_drips_is_given_up() {
    on_a_machine_of_two(|machine| {
        hosts();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = |reason: &str| {
            smtp("none", "localhost", port, "", "");
            put("alice", "email");
            let started = Instant::now();
            let lines = delivers(machine, 0, 1);
            assert!(
                lines.contains(&format!("failed reason={reason}")),
                "{lines}"
            );
            assert!(started.elapsed() < Duration::from_secs(8));
        };
        refused("timeout");
        let drip = std::thread::spawn(move || {
            use std::io::Write;
            let _ = listener.accept();
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(b"2").is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        refused("timeout");
        drip.join().unwrap();
        refused("unreachable");
    });
}

#[test]
fn files_of_the_server_that_others_could_read_or_write_are_not_used() {
    on_a_machine_of_two(|machine| {
        hosts();
        let [ca, certificate, key] = certificates("ours");
        let server = Server::start("starttls", &[&certificate, &key]);
        smtp("starttls", "localhost", server.port, &ca, LOGIN);
        let refused = |key: &str| {
            put("alice", "email");
            let lines = delivers(machine, 0, 1);
            assert!(lines.contains("failed reason=setup"), "{key}: {lines}");
            assert!(lines.contains(&format!("at=smtp.{key}")), "{lines}");
        };
        refused("password_file");
        password("secret of the server");
        fs::set_permissions("/etc/smtp-password", fs::Permissions::from_mode(0o640)).unwrap();
        refused("password_file");
        password("secret of the server");
        fs::set_permissions(&ca, fs::Permissions::from_mode(0o666)).unwrap();
        refused("ca_file");
        write(&ca, "no certificate", 0o644);
        let lines = {
            put("alice", "email");
            delivers(machine, 0, 1)
        };
        assert!(
            lines.contains("reason=setup") || lines.contains("reason=tls"),
            "{lines}"
        );
        assert_eq!(server.took(), None);
    });
}
