//! The examples of etc/gateways, each with the program it is for.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Installs an example as its head says, for an account of this number.
fn install(name: &str, account: &str) {
    let text = match name {
        "smstools" => include_str!("../../../../etc/gateways/smstools"),
        "gammu" => include_str!("../../../../etc/gateways/gammu"),
        _ => include_str!("../../../../etc/gateways/http"),
    };
    write("/usr-local/otp-sms", text, 0o755);
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = format!("{account}:x:990:990::/:/usr/sbin/nologin\n");
    fs::write("/etc/passwd", passwd + &line).unwrap();
    let policy = format!(
        "[delivery]\nuser = \"{account}\"\ntimeout = \"5s\"\n[sms]\ncommand = [\"/usr-local/otp-sms\"]\n"
    );
    write("/etc/security/otp.toml", &policy, 0o644);
}

/// A directory of this account's.
fn directory(path: &str) {
    fs::create_dir_all(path).unwrap();
    std::os::unix::fs::chown(path, Some(990), Some(990)).unwrap();
}

/// The one file that is in there.
fn only(path: &str) -> String {
    let mut entries: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    fs::read_to_string(entries.remove(0)).unwrap()
}

#[test]
fn the_example_for_smstools_writes_what_smsd_reads() {
    on_a_machine_of_two(|machine| {
        install("smstools", "smsd");
        put("alice", "sms");
        delivers(machine, 0, 1);
        directory("/var/spool/sms/outgoing");
        put("alice", "sms");
        delivers(machine, 1, 0);
        let message = only("/var/spool/sms/outgoing");
        let expected = "To: 4917012344711\nPriority: high\n\n48210937 is your one-time code.\n";
        assert_eq!(message, expected);
    });
}

#[test]
fn the_example_for_gammu_gives_it_to_gammu() {
    on_a_machine_of_two(|machine| {
        assert!(
            Path::new("/usr/bin/gammu-smsd-inject").exists(),
            "gammu-smsd is there"
        );
        install("gammu", "gammu");
        put("alice", "sms");
        let lines = delivers(machine, 0, 1);
        assert!(
            lines.contains("reason=status"),
            "no /etc/gammu-smsdrc: {lines}"
        );
        let config = "[gammu]\nport = /dev/null\nconnection = at\n[smsd]\nservice = files\noutboxpath = /tmp/outbox/\n";
        write("/etc/gammu-smsdrc", config, 0o644);
        directory("/tmp/outbox");
        put("alice", "sms");
        delivers(machine, 1, 0);
        let raw = {
            let mut entries = fs::read_dir("/tmp/outbox").unwrap();
            let path = entries.next().unwrap().unwrap().path();
            assert!(path.to_str().unwrap().contains(NUMBER), "{path:?}");
            fs::read(path).unwrap()
        };
        let text: Vec<u8> = raw.into_iter().filter(|byte| *byte != 0).collect();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("48210937 is your one-time code."), "{text}");
    });
}

#[test]
fn the_example_for_the_web_posts_it_with_the_secret_of_its_file() {
    on_a_machine_of_two(|machine| {
        assert!(Path::new("/usr/bin/curl").exists(), "curl is there");
        install("http", "courier");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = format!(
            "url = \"http://127.0.0.1:{port}/v1/messages\"\nheader = \"Authorization: Bearer of us\"\nheader = \"Content-Type: application/json\"\n"
        );
        write("/etc/otp-sms.curl", &config, 0o640);
        put("alice", "sms");
        delivers(machine, 0, 1);
        std::os::unix::fs::chown("/etc/otp-sms.curl", Some(0), Some(990)).unwrap();
        let serve = |answer: &'static str| {
            let listener = listener.try_clone().unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut part = [0; 1024];
                while !request.ends_with(b"}") {
                    let read = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request).unwrap()
            })
        };
        let provider = serve("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        put("alice", "sms");
        delivers(machine, 1, 0);
        let request = provider.join().unwrap();
        assert!(
            request.starts_with("POST /v1/messages HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("\r\nAuthorization: Bearer of us\r\n"),
            "{request}"
        );
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["to"], NUMBER);
        assert_eq!(body["text"], "48210937 is your one-time code.");
        let provider = serve("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        put("alice", "sms");
        let lines = delivers(machine, 0, 1);
        provider.join().unwrap();
        assert!(lines.contains("status=22"), "of curl: {lines}");
    });
}
