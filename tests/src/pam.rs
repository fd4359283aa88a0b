//! A host that loads the module through the real libpam and answers from a script. Its stacks are files in a directory
//! of the sandbox, named to libpam by `pam_start_confdir`.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs;
use std::ptr;

use crate::sandbox::MODULE;

/// Where the stacks are.
const CONFDIR: &CStr = c"/etc/pam.d";

pub const SILENT: c_int = 0x8000;
pub const DISALLOW_NULL_AUTHTOK: c_int = 1;
pub const ECHO_OFF: c_int = 1;
pub const ECHO_ON: c_int = 2;
pub const ERROR_MSG: c_int = 3;
pub const TEXT_INFO: c_int = 4;

const ITEM_SERVICE: c_int = 1;
const ITEM_USER: c_int = 2;
const ITEM_RHOST: c_int = 4;
const ITEM_FAIL_DELAY: c_int = 10;
const ESTABLISH_CRED: c_int = 2;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conversation {
    talk: extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

enum Handle {}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        confdir: *const c_char,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_set_item(handle: *mut Handle, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(handle: *mut Handle, pair: *const c_char) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_chauthtok(handle: *mut Handle, flags: c_int) -> c_int;
}

/// What the host's conversation does when it is called.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers this.
    Text(Vec<u8>),
    /// Answers what comes out of this descriptor next, 64 bytes at most, and keeps no copy.
    Read(c_int),
    /// Succeeds, with a response that holds no text.
    NullText,
    /// Succeeds, without a response.
    NullArray,
    /// Fails with this code.
    Error(c_int),
    /// Does not live to answer.
    Killed,
    /// Answers what comes of everything that was shown so far.
    Worked(fn(&[Asked]) -> String),
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

/// A prompt as the host got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub style: c_int,
    pub text: String,
}

/// What the conversation does and has seen.
#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
    delay: Option<c_uint>,
    /// Where what is shown goes, instead of being kept.
    shown_to: Option<c_int>,
}

/// A login about to be made.
pub struct Login {
    service: CString,
    user: Option<CString>,
    rhost: Option<CString>,
    environment: Vec<CString>,
    flags: c_int,
    replies: Vec<Reply>,
    shown_to: Option<c_int>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// As in `<security/_pam_types.h>`.
    pub answer: &'static str,
    /// Every prompt.
    pub asked: Vec<Asked>,
    /// The delay libpam asked the host for, in microseconds.
    pub delay: Option<c_uint>,
}

impl Login {
    /// By this user, to `sshd`, from nowhere, with a conversation that fails when called.
    pub fn of(user: impl Into<Vec<u8>>) -> Self {
        Self {
            service: c"sshd".to_owned(),
            user: Some(CString::new(user).unwrap()),
            rhost: None,
            environment: Vec::new(),
            flags: 0,
            replies: Vec::new(),
            shown_to: None,
        }
    }

    /// By somebody who has not said who she is.
    pub fn of_nobody_yet() -> Self {
        let mut login = Self::of("");
        login.user = None;
        login
    }

    pub fn at(mut self, service: &str) -> Self {
        self.service = CString::new(service).unwrap();
        self
    }

    pub fn from(mut self, rhost: &str) -> Self {
        self.rhost = Some(CString::new(rhost).unwrap());
        self
    }

    /// With this in the environment of PAM: `NAME=value`.
    pub fn keeping(mut self, pair: &str) -> Self {
        self.environment.push(CString::new(pair).unwrap());
        self
    }

    pub fn with_flags(mut self, flags: c_int) -> Self {
        self.flags = flags;
        self
    }

    /// The next answer of the conversation.
    pub fn typing(mut self, reply: impl Into<Reply>) -> Self {
        self.replies.push(reply.into());
        self
    }

    /// What is shown is written to this descriptor, a line each, and not kept.
    pub fn shown_to(mut self, descriptor: c_int) -> Self {
        self.shown_to = Some(descriptor);
        self
    }

    /// Through `auth`.
    pub fn authenticate(self) -> Report {
        let mut session = Session::start(&self);
        let code = session.authenticate();
        session.end(code)
    }
}

impl From<Reply> for Vec<Reply> {
    fn from(reply: Reply) -> Self {
        vec![reply]
    }
}

/// One handle of libpam, from start to end.
pub struct Session {
    handle: *mut Handle,
    script: Box<Script>,
    flags: c_int,
    /// libpam copies it; the pointers in it must stay good.
    _conversation: Box<Conversation>,
}

impl Session {
    pub fn start(login: &Login) -> Self {
        let mut script = Box::new(Script {
            replies: login.replies.clone().into(),
            shown_to: login.shown_to,
            ..Script::default()
        });
        let conversation = Box::new(Conversation {
            talk,
            data: ptr::from_mut(script.as_mut()).cast(),
        });
        let mut handle = ptr::null_mut();
        let user = login
            .user
            .as_ref()
            .map_or(ptr::null(), |user| user.as_ptr());
        // SAFETY: every pointer is to something that outlives the call, and the conversation's data is boxed and kept
        // as long as the handle.
        let started = unsafe {
            pam_start_confdir(
                login.service.as_ptr(),
                user,
                conversation.as_ref(),
                CONFDIR.as_ptr(),
                &raw mut handle,
            )
        };
        assert_eq!(started, 0, "pam_start_confdir");
        let session = Self {
            handle,
            script,
            flags: login.flags,
            _conversation: conversation,
        };
        let delay: extern "C" fn(c_int, c_uint, *mut c_void) = note_delay;
        session.set(ITEM_FAIL_DELAY, delay as *const c_void);
        if let Some(rhost) = &login.rhost {
            session.set(ITEM_RHOST, rhost.as_ptr().cast());
        }
        for pair in &login.environment {
            // SAFETY: the handle is live, and libpam copies the string.
            let put = unsafe { pam_putenv(session.handle, pair.as_ptr()) };
            assert_eq!(put, 0, "pam_putenv");
        }
        session
    }

    fn set(&self, item: c_int, value: *const c_void) {
        // SAFETY: the handle is live, and the value is what libpam wants for the item: a string, which it copies, or
        // a function.
        let set = unsafe { pam_set_item(self.handle, item, value) };
        assert_eq!(set, 0, "pam_set_item");
    }

    pub fn authenticate(&mut self) -> c_int {
        // SAFETY: the handle is live.
        unsafe { pam_authenticate(self.handle, self.flags) }
    }

    /// The answers of the hooks that are not about authentication, by name.
    pub fn hook(&mut self, hook: &str) -> &'static str {
        name(self.hook_code(hook))
    }

    /// Everything that was asked and shown so far.
    pub fn asked(&self) -> &[Asked] {
        &self.script.asked
    }

    /// Another user from here on.
    pub fn rename(&self, user: &str) {
        let user = CString::new(user).unwrap();
        self.set(ITEM_USER, user.as_ptr().cast());
    }

    /// Another service from here on: libpam unloads its modules and loads those of this one.
    pub fn turn_to(&self, service: &str) {
        let service = CString::new(service).unwrap();
        self.set(ITEM_SERVICE, service.as_ptr().cast());
    }

    /// The same answers as numbers.
    pub fn hook_code(&mut self, hook: &str) -> c_int {
        // SAFETY: the handle is live.
        unsafe {
            match hook {
                "setcred" => pam_setcred(self.handle, ESTABLISH_CRED),
                "account" => pam_acct_mgmt(self.handle, self.flags),
                "open_session" => pam_open_session(self.handle, self.flags),
                "close_session" => pam_close_session(self.handle, self.flags),
                "chauthtok" => pam_chauthtok(self.handle, self.flags),
                other => panic!("no hook {other}"),
            }
        }
    }

    pub fn end(mut self, code: c_int) -> Report {
        // SAFETY: the handle is live, and not used again.
        unsafe { pam_end(self.handle, code) };
        Report {
            answer: name(code),
            asked: std::mem::take(&mut self.script.asked),
            delay: self.script.delay,
        }
    }
}

extern "C" fn note_delay(_: c_int, microseconds: c_uint, data: *mut c_void) {
    // SAFETY: libpam passes the conversation's data, which is the script.
    let script = unsafe { &mut *data.cast::<Script>() };
    script.delay = Some(microseconds);
}

extern "C" fn talk(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: libpam passes the conversation's data, which is the script, and as many messages as it says, at least one.
    let (script, message) = unsafe { (&mut *data.cast::<Script>(), &**messages) };
    assert_eq!(count, 1, "a module asks one thing at a time");
    // SAFETY: a message's text is a string.
    let text = unsafe { CStr::from_ptr(message.text) };
    match script.shown_to {
        // SAFETY: the string's bytes, and the end of a line.
        Some(to) => unsafe {
            libc::write(to, message.text.cast(), text.count_bytes());
            libc::write(to, c"\n".as_ptr().cast(), 1);
        },
        None => script.asked.push(Asked {
            style: message.style,
            text: text.to_str().expect("a prompt is UTF-8").to_owned(),
        }),
    }
    let is_told = [ERROR_MSG, TEXT_INFO].contains(&message.style);
    let reply = match is_told {
        true => Some(Reply::NullText),
        false => script.replies.pop_front(),
    };
    let text = match reply {
        Some(Reply::Worked(work)) => {
            let text = CString::new(work(&script.asked)).unwrap();
            // SAFETY: a string; the module frees the copy.
            unsafe { libc::strdup(text.as_ptr()) }
        }
        None => return PAM_CONV_ERR,
        Some(Reply::Error(code)) => return code,
        Some(Reply::Killed) => {
            // SAFETY: the process ends here, as it is meant to.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            return PAM_CONV_ERR;
        }
        Some(Reply::NullArray) => {
            // SAFETY: it is where the response goes.
            unsafe { *responses = ptr::null_mut() };
            return 0;
        }
        Some(Reply::NullText) => ptr::null_mut(),
        // SAFETY: calloc gives room for what is read and the NUL behind it; the module frees it.
        Some(Reply::Read(from)) => unsafe {
            let text: *mut c_char = libc::calloc(65, 1).cast();
            assert!(libc::read(from, text.cast(), 64) > 0);
            text
        },
        Some(Reply::Text(text)) => {
            let text = CString::new(text).unwrap();
            // SAFETY: a string; the module frees the copy.
            unsafe { libc::strdup(text.as_ptr()) }
        }
    };
    // SAFETY: calloc gives room for one response; the module frees it.
    unsafe {
        let response: *mut Response = libc::calloc(1, size_of::<Response>()).cast();
        (*response).text = text;
        *responses = response;
    }
    0
}

/// Makes the stack of a service.
pub fn stack(service: &str, lines: &[&str]) {
    let path = format!("{}/{service}", CONFDIR.to_str().unwrap());
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// Makes our line with these arguments the whole stack of `sshd`, so that the module's own answer is what comes out. Only
/// PAM_IGNORE does not: where nobody has anything to say, libpam says PAM_PERM_DENIED, which we never do.
pub fn line(arguments: &str) {
    line_at("sshd", arguments);
}

/// The same for another service.
pub fn line_at(service: &str, arguments: &str) {
    line_of("auth", service, arguments);
}

/// The same for another hook.
pub fn line_of(kind: &str, service: &str, arguments: &str) {
    let control = "[success=ok ignore=ignore default=die]";
    stack(
        service,
        &[&format!("{kind} {control} {MODULE} {arguments}")],
    );
}

pub const PAM_CONV_ERR: c_int = 19;
pub const PAM_CONV_AGAIN: c_int = 30;

fn name(code: c_int) -> &'static str {
    match code {
        0 => "PAM_SUCCESS",
        1 => "PAM_OPEN_ERR",
        2 => "PAM_SYMBOL_ERR",
        4 => "PAM_SYSTEM_ERR",
        5 => "PAM_BUF_ERR",
        // See `line`.
        6 => "PAM_IGNORE",
        7 => "PAM_AUTH_ERR",
        9 => "PAM_AUTHINFO_UNAVAIL",
        PAM_CONV_ERR => "PAM_CONV_ERR",
        26 => "PAM_ABORT",
        28 => "PAM_MODULE_UNKNOWN",
        other => panic!("an answer nobody expected: {other}"),
    }
}
