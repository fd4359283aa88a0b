//! One login as a process of its own, for trials that kill it or fail its system calls: `login USER CODE`. What came of it is
//! the one line it prints. `login USER` alone is a first login, through the account lines: before its answer it prints the key
//! that it was shown and the code that it typed. `login USER ask` asks for a code by SMS and types what waits to be sent.

use std::env;
use std::io::Write;

use otp::delivery::Channel;
use tests::pam::{Asked, Login, Reply, Session};
use tests::post;
use tests::users::Phone;

fn main() {
    let mut arguments = env::args().skip(1);
    let user = arguments.next().expect("login USER [CODE]");
    let Some(code) = arguments.next() else {
        return first_login(&user);
    };
    let login = Login::of(&*user);
    let report = match code.as_str() {
        "ask" => login.typing("").typing(Reply::Worked(waiting)),
        code => login.typing(code),
    };
    let report = report.authenticate();
    println!("{}", report.answer);
}

fn first_login(user: &str) {
    let login = Login::of(user).typing(Reply::Worked(proves)).typing("");
    let mut session = Session::start(&login);
    assert_eq!(session.authenticate(), 0, "she is let by");
    println!("{}", session.hook("account"));
}

/// The code that waits for alice, or none.
fn waiting(_: &[Asked]) -> String {
    post::code("alice", Channel::Sms).unwrap_or_else(|| "12345".to_owned())
}

/// The code of the key that is shown.
fn proves(shown: &[Asked]) -> String {
    let mut lines = shown.iter().rev();
    let key = lines.find_map(|line| line.text.strip_prefix("or type the key   "));
    let key = key.expect("a key").replace(' ', "");
    let code = Phone::with_secret("alice", &key).code_at(0);
    println!("{key} {code}");
    std::io::stdout().flush().unwrap();
    code
}
