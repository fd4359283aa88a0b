//! One login as a process of its own, for trials that kill it or fail its system calls: `login USER CODE`. What came of it is
//! the one line it prints.

use std::env;

use tests::pam::Login;

fn main() {
    let mut arguments = env::args().skip(1);
    let (Some(user), Some(code)) = (arguments.next(), arguments.next()) else {
        panic!("login USER CODE");
    };
    let report = Login::of(user).typing(&*code).authenticate();
    println!("{}", report.answer);
}
