//! What a login leaves in the memory of its host: nothing secret. The host is a process of its own, which holds no secret
//! but what the module brings and what comes through a pipe at the prompt; it stops when `pam_authenticate` has returned,
//! and another process looks through every page it can write, stack and heap and the module's own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use data_encoding::BASE32_NOPAD;
use otp::delivery::Channel;
use otp::keyed::DigestKey;
use otp::store::Store;
use tests::crowd::pipe;
use tests::pam::{Login, Reply, Session, line, stack};
use tests::post::{self, AFTER_KEY};
use tests::processes::{self, Child};
use tests::sandbox::{MODULE, sandboxed};
use tests::users::{Phone, issue, store, wipe};
use zeroize::Zeroizing;

/// Nothing in it repeats, and no part of it is in any table.
const SECRET: [u8; 20] = [
    0xd3, 0x1f, 0x8a, 0x5c, 0xe7, 0x42, 0x99, 0x0b, 0x6d, 0xf4, 0xa1, 0x37, 0xc8, 0x5e, 0x93, 0x2d,
    0xb6, 0x70, 0x1e, 0xfa,
];
/// Of the machine: the same of it.
const KEY: [u8; 32] = [
    0x9e, 0x04, 0xcb, 0x71, 0x3a, 0xd8, 0x65, 0xf2, 0x17, 0xac, 0x80, 0x4d, 0xe9, 0x33, 0xb5, 0x0c,
    0x78, 0xd1, 0x2f, 0x96, 0xea, 0x43, 0xbd, 0x59, 0x02, 0xc6, 0x8f, 0x14, 0x7b, 0xa0, 0xf5, 0x61,
];
const RECOVERY: &str = "7kq2-m4tx-9bnc-2xwd";
const STORED: &str = "4821093765";
/// Three in a million that the phone shows it; all zeros would be found everywhere.
const WRONG: &str = "592716";
/// So many bytes of a secret in a row are a find.
const PART: usize = 6;

/// A host that waits to be told to begin, and stops after its login.
struct Host {
    child: Child,
    typed: File,
    done: File,
}

impl Host {
    /// To be started before this process knows any secret.
    fn start(after: fn()) -> Self {
        let (typed_in, typed) = pipe();
        let (done, mut done_in) = pipe();
        let child = processes::start(|| {
            let login = Login::of("alice").typing(Reply::Read(typed_in.as_raw_fd()));
            (&typed_in).read_exact(&mut [0]).unwrap();
            let mut session = Session::start(&login);
            let answer = session.authenticate();
            after();
            done_in.write_all(&[u8::try_from(answer).unwrap()]).unwrap();
            loop {
                // SAFETY: waits for its end.
                unsafe { libc::pause() };
            }
        });
        Self { child, typed, done }
    }

    /// One that asks for a code and types it: what it is asked comes out of the second.
    fn start_asking() -> (Self, BufReader<File>) {
        let (typed_in, typed) = pipe();
        let (done, mut done_in) = pipe();
        let (shown, shown_in) = pipe();
        let child = processes::start(|| {
            let typing = || Reply::Read(typed_in.as_raw_fd());
            let login = Login::of("alice").keeping(AFTER_KEY);
            let login = login.shown_to(shown_in.as_raw_fd());
            (&typed_in).read_exact(&mut [0]).unwrap();
            let mut session = Session::start(&login.typing(typing()).typing(typing()));
            let answer = session.authenticate();
            done_in.write_all(&[u8::try_from(answer).unwrap()]).unwrap();
            loop {
                // SAFETY: waits for its end.
                unsafe { libc::pause() };
            }
        });
        (Self { child, typed, done }, BufReader::new(shown))
    }

    /// One that enrols at its first login: what it shows comes out of the third.
    fn start_first_login() -> (Self, BufReader<File>) {
        let (typed_in, typed) = pipe();
        let (done, mut done_in) = pipe();
        let (shown, shown_in) = pipe();
        let child = processes::start(|| {
            let typing = || Reply::Read(typed_in.as_raw_fd());
            let login = Login::of("alice").shown_to(shown_in.as_raw_fd());
            (&typed_in).read_exact(&mut [0]).unwrap();
            let mut session = Session::start(&login.typing(typing()).typing(typing()));
            assert_eq!(session.authenticate(), 0);
            let answer = session.hook_code("account");
            done_in.write_all(&[u8::try_from(answer).unwrap()]).unwrap();
            loop {
                // SAFETY: waits for its end.
                unsafe { libc::pause() };
            }
        });
        (Self { child, typed, done }, BufReader::new(shown))
    }

    /// Lets it log in; its answer as a number.
    fn log_in(&mut self, code: &str) -> u8 {
        self.typed.write_all(b".").unwrap();
        self.typed.write_all(code.as_bytes()).unwrap();
        let mut answer = [0];
        self.done.read_exact(&mut answer).unwrap();
        answer[0]
    }

    /// Where in its memory parts of these are.
    fn finds(&self, needles: &[(&'static str, Vec<u8>)]) -> Vec<String> {
        let parts = parts(needles);
        let memory = File::open(format!("/proc/{}/mem", self.child.pid())).unwrap();
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.child.pid())).unwrap();
        let writable = maps.lines().filter(|line| line.contains(" rw"));
        writable
            .flat_map(|line| finds_in(&memory, line, &parts))
            .collect()
    }
}

fn parts<'a>(needles: &'a [(&'static str, Vec<u8>)]) -> HashMap<&'a [u8], &'static str> {
    let parts = needles
        .iter()
        .flat_map(|(name, bytes)| bytes.windows(PART).map(move |part| (part, *name)));
    parts.collect()
}

fn finds_in(memory: &File, mapping: &str, parts: &HashMap<&[u8], &'static str>) -> Vec<String> {
    let (from, to) = mapping.split_once(' ').unwrap().0.split_once('-').unwrap();
    let from = u64::from_str_radix(from, 16).unwrap();
    let to = u64::from_str_radix(to, 16).unwrap();
    let mut content = vec![0; usize::try_from(to - from).unwrap()];
    memory.read_exact_at(&mut content, from).unwrap();
    let whose = mapping.split_whitespace().nth(5).unwrap_or("-");
    let mut first = [false; 256];
    parts
        .keys()
        .for_each(|part| first[usize::from(part[0])] = true);
    let is_part = |at: usize| {
        let window = content.get(at..at + PART)?;
        let may_be = first[usize::from(window[0])];
        may_be.then(|| parts.get(window)).flatten()
    };
    // A find begins where the one before has no part.
    let begins = |at: &usize| *at == 0 || is_part(at - 1).is_none();
    (0..content.len())
        .filter_map(|at| Some((at, is_part(at)?)))
        .filter(|(at, _)| begins(at))
        .map(|(at, name)| format!("{name} in {whose}, {} below its end", content.len() - at))
        .collect()
}

/// A key as HMAC has it in its first block.
fn padded(key: &[u8], pad: u8) -> Vec<u8> {
    key.iter().map(|byte| byte ^ pad).collect()
}

/// Everything of a login that is secret.
fn needles(typed: &str) -> Vec<(&'static str, Vec<u8>)> {
    let plain = typed.replace('-', "");
    vec![
        ("the secret", SECRET.to_vec()),
        ("the secret's base32", BASE32_NOPAD.encode(&SECRET).into()),
        ("the secret's inner pad", padded(&SECRET, 0x36)),
        ("the secret's outer pad", padded(&SECRET, 0x5c)),
        ("the key's inner pad", padded(&KEY, 0x36)),
        ("the key's outer pad", padded(&KEY, 0x5c)),
        ("the key", KEY.to_vec()),
        ("what was typed", typed.into()),
        ("what was typed, tidied", plain.into()),
    ]
}

fn enroll() -> Phone {
    wipe();
    let key = DigestKey::from_bytes(Zeroizing::new(KEY));
    store().digest_key(|| key).unwrap();
    let phone = Phone::with_secret("alice", &BASE32_NOPAD.encode(&SECRET));
    let phone = phone.enroll("alice", &[RECOVERY]);
    issue("alice", STORED, 600);
    phone
}

#[test]
fn after_a_login_nothing_secret_is_left_in_its_hosts_memory() {
    sandboxed(|| {
        line("nodelay");
        let kinds = [("totp", 0), ("wrong", 7), ("stored", 0), ("recovery", 0)];
        let hosts = kinds.map(|_| Host::start(|| ()));
        for ((kind, answer), mut host) in kinds.into_iter().zip(hosts) {
            let phone = enroll();
            let code = match kind {
                "totp" => phone.code(),
                "wrong" => WRONG.to_owned(),
                "stored" => STORED.to_owned(),
                _ => RECOVERY.to_owned(),
            };
            assert_eq!(host.log_in(&code), answer, "{kind}");
            let finds = host.finds(&needles(&code));
            assert!(finds.is_empty(), "{kind}: {finds:#?}");
        }
    });
}

#[test]
fn a_code_that_was_sent_is_nowhere_in_its_hosts_memory_before_and_after_it_is_typed() {
    sandboxed(|| {
        line("nodelay");
        let (mut host, mut shown) = Host::start_asking();
        post::send("");
        let key = DigestKey::from_bytes(Zeroizing::new(KEY));
        store().digest_key(|| key).unwrap();
        post::contact("alice", Channel::Sms);
        host.typed.write_all(b".").unwrap();
        host.typed.write_all(b"\n").unwrap();
        shown_until("Code (if one could be sent):", &mut shown);
        let code = post::code("alice", Channel::Sms).unwrap();
        let needles = needles(&code);
        let finds = host.finds(&needles);
        assert!(finds.is_empty(), "before: {finds:#?}");
        host.typed.write_all(code.as_bytes()).unwrap();
        let mut answer = [9];
        host.done.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0]);
        let finds = host.finds(&needles);
        assert!(finds.is_empty(), "after: {finds:#?}");
    });
}

#[test]
fn a_host_that_keeps_a_secret_is_found_out() {
    sandboxed(|| {
        line("nodelay");
        let mut host = Host::start(|| {
            std::mem::forget(fs::read("/var/lib/pam_otp/key").unwrap());
        });
        enroll();
        assert_eq!(host.log_in(WRONG), 7);
        let finds = host.finds(&needles(WRONG));
        let is_key = |find: &String| find.starts_with("the key in");
        assert!(!finds.is_empty() && finds.iter().all(is_key), "{finds:#?}");
    });
}

/// What is shown until this prompt, and the prompt.
fn shown_until(prompt: &str, shown: &mut impl BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    while !lines
        .last()
        .is_some_and(|line: &String| line.starts_with(prompt))
    {
        let mut line = String::new();
        assert_ne!(shown.read_line(&mut line).unwrap(), 0, "{lines:?}");
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A text of capitals and digits as a QR code has it (ISO/IEC 18004, 7.4.4: 11 bits for two), wherever it begins in a byte and
/// whether or not a letter stands before it.
fn as_in_a_picture(text: &str) -> Vec<Vec<u8>> {
    let value = |letter: u8| match letter {
        b'0'..=b'9' => u32::from(letter - b'0'),
        _ => u32::from(letter - b'A') + 10,
    };
    let mut all = Vec::new();
    for skipped in 0..2 {
        let pairs = text.as_bytes()[skipped..].chunks_exact(2);
        let bits: String = pairs
            .map(|pair| format!("{:011b}", value(pair[0]) * 45 + value(pair[1])))
            .collect();
        for shift in 0..8 {
            let bytes = bits.as_bytes()[shift..].chunks_exact(8);
            let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2);
            all.push(bytes.map(|bits| byte(bits).unwrap()).collect());
        }
    }
    all
}

#[test]
fn after_a_first_login_nothing_secret_is_left_in_its_hosts_memory() {
    sandboxed(|| {
        stack(
            "sshd",
            &[
                &format!("auth required {MODULE} nullok nodelay"),
                "auth required pam_permit.so",
                &format!("account required {MODULE} enroll"),
                "account required pam_permit.so",
            ],
        );
        store();
        let (mut host, mut shown) = Host::start_first_login();
        host.typed.write_all(b".").unwrap();
        let lines = shown_until("Code the app shows now:", &mut shown);
        let line = |words: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(words));
            line.unwrap().trim().to_owned()
        };
        let typed_in = line("or type the key");
        let key = typed_in.replace(' ', "");
        let phone = Phone::with_secret("alice", &key);
        let code = phone.code();
        host.typed.write_all(code.as_bytes()).unwrap();
        let lines = shown_until("Press Enter", &mut shown);
        host.typed.write_all(b"\n").unwrap();
        let mut answer = [9];
        host.done.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0]);

        let secret = BASE32_NOPAD.decode(key.as_bytes()).unwrap();
        let mut needles = vec![
            ("the secret", secret.clone()),
            ("the secret's base32", key.clone().into()),
            ("the key to type", typed_in.into()),
            ("the secret's inner pad", padded(&secret, 0x36)),
            ("the secret's outer pad", padded(&secret, 0x5c)),
            ("what was typed", code.into()),
        ];
        let pictured = as_in_a_picture(&key).into_iter();
        needles.extend(pictured.map(|bytes| ("the secret in the picture", bytes)));
        let recovery = lines.iter().flat_map(|line| line.split_whitespace());
        let recovery = recovery.filter(|word| word.matches('-').count() == 3);
        let recovery: Vec<_> = recovery.collect();
        assert_eq!(recovery.len(), 10);
        for code in recovery {
            needles.push(("a recovery code", code.into()));
            needles.push(("a recovery code", code.replace('-', "").into()));
        }
        let finds = host.finds(&needles);
        assert!(finds.is_empty(), "{finds:#?}");
    });
}
