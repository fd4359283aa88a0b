//! Playing a stack through: whether a login succeeds, given what each module answers, and which modules are asked at all.

use std::cell::Cell;

use super::{Action, Line, MODULE, Module, What};

/// What our module answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    Success,
    AuthErr,
    /// An unenrolled user under `nullok`.
    Ignore,
    /// The store cannot be read.
    AuthinfoUnavail,
}

/// What the modules answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) ours: Ours,
    /// Whether the other modules that prove something (a password, a token) say yes.
    pub(crate) others: bool,
}

/// Modules that prove nothing: what they say yes to is not who somebody is.
const PROVES_NOTHING: &[&str] = &[
    "pam_access.so",
    "pam_cap.so",
    "pam_echo.so",
    "pam_ecryptfs.so",
    "pam_env.so",
    "pam_exec.so",
    "pam_faildelay.so",
    "pam_gnome_keyring.so",
    "pam_group.so",
    "pam_issue.so",
    "pam_keyinit.so",
    "pam_kwallet5.so",
    "pam_lastlog.so",
    "pam_limits.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_loginuid.so",
    "pam_mail.so",
    "pam_motd.so",
    "pam_nologin.so",
    "pam_permit.so",
    "pam_securetty.so",
    "pam_selinux.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_systemd.so",
    "pam_time.so",
    "pam_umask.so",
    "pam_usertype.so",
    "pam_warn.so",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Impression {
    None,
    Positive,
    Negative,
}

/// Whether a module says who somebody is: by a password, a token, anything but what proves nothing.
pub(super) fn proves(module: &Module) -> bool {
    let name = module.name.as_str();
    let is_other = [MODULE, "pam_deny.so", "pam_rootok.so", "pam_faillock.so"].contains(&name);
    !is_other && !PROVES_NOTHING.contains(&name)
}

/// Whether the login succeeds.
pub(crate) fn play(lines: &[Line], answers: Answers) -> bool {
    run(lines, answers, Impression::None, &|_| ()) == Impression::Positive
}

/// Whether a module of which this holds is asked.
pub(crate) fn reaches(lines: &[Line], answers: Answers, is_it: impl Fn(&Module) -> bool) -> bool {
    let reached = Cell::new(false);
    let asks = |module: &Module| reached.set(reached.get() || is_it(module));
    run(lines, answers, Impression::None, &asks);
    reached.get()
}

/// Plays the lines; `asks` is told of each module that is asked.
fn run(lines: &[Line], answers: Answers, before: Impression, asks: &dyn Fn(&Module)) -> Impression {
    let mut impression = before;
    let mut rest = lines.iter();
    while let Some(line) = rest.next() {
        let module = match &line.what {
            What::Module(module) => module,
            What::Substack(lines) => {
                impression = run(lines, answers, impression, asks);
                continue;
            }
        };
        asks(module);
        let answer = answer(module, answers);
        match module.control.action(answer) {
            Action::Ignore => {}
            Action::Reset => impression = before,
            Action::Ok | Action::Done if impression != Impression::Negative => {
                impression = well(impression, answer);
                let is_over = module.control.action(answer) == Action::Done;
                if is_over && impression == Impression::Positive {
                    return impression;
                }
            }
            Action::Ok | Action::Done => {}
            Action::Bad => impression = Impression::Negative,
            Action::Die => return Impression::Negative,
            Action::Jump(0) => impression = Impression::Negative,
            Action::Jump(over) => {
                // Jumping past the end is a failure.
                if rest.len() < over {
                    impression = Impression::Negative;
                }
                rest.nth(over.saturating_sub(1));
            }
        }
    }
    impression
}

/// An answer that counts as good: success is, "ignore" says nothing, and another one is what the stack returns.
fn well(impression: Impression, answer: &str) -> Impression {
    match answer {
        "success" => Impression::Positive,
        "ignore" => impression,
        _ => Impression::Negative,
    }
}

fn answer(module: &Module, answers: Answers) -> &'static str {
    let others = if answers.others {
        "success"
    } else {
        "auth_err"
    };
    match module.name.as_str() {
        MODULE => match answers.ours {
            Ours::Success => "success",
            Ours::AuthErr => "auth_err",
            Ours::Ignore => "ignore",
            Ours::AuthinfoUnavail => "authinfo_unavail",
        },
        "pam_deny.so" => "auth_err",
        // Says yes to root alone, who is not the one we ask for.
        "pam_rootok.so" => "auth_err",
        "pam_faillock.so" if module.arguments.iter().any(|word| word == "authfail") => "auth_err",
        "pam_faillock.so" => "success",
        name if PROVES_NOTHING.contains(&name) => "success",
        _ => others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pam_stack::auth_lines;

    const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n";

    fn passes(service: &str, ours: Ours, others: bool) -> bool {
        let read = |name: &str| match name {
            "service" => Some(service.to_owned()),
            "common-auth" => Some(COMMON.to_owned()),
            _ => None,
        };
        play(
            &auth_lines("service", &read).unwrap(),
            Answers { ours, others },
        )
    }

    #[test]
    fn password_and_code_beside_each_other_are_both_needed() {
        let stack = "@include common-auth\nauth required pam_otp.so\n";
        assert!(passes(stack, Ours::Success, true));
        assert!(!passes(stack, Ours::Success, false));
        assert!(!passes(stack, Ours::AuthErr, true));
        assert!(passes(stack, Ours::Ignore, true));
        assert!(!passes(stack, Ours::AuthinfoUnavail, true));
    }

    #[test]
    fn a_code_alone_is_seen_as_one() {
        let stack = "auth required pam_env.so\nauth required pam_otp.so\n";
        assert!(passes(stack, Ours::Success, false));
        // And with nullok, nothing at all.
        assert!(passes(stack, Ours::Ignore, false));
        assert!(!passes("auth required pam_otp.so\n", Ours::Ignore, true));
    }

    #[test]
    fn a_jump_or_an_end_before_our_line_makes_it_idle() {
        let jump = "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_otp.so\nauth required pam_permit.so\n";
        assert!(passes(jump, Ours::AuthErr, true));
        let end = "auth sufficient pam_unix.so\nauth required pam_otp.so\n";
        assert!(passes(end, Ours::AuthErr, true));
    }

    #[test]
    fn an_end_in_a_substack_ends_no_more_than_that() {
        let inner = "auth substack common-auth\nauth required pam_otp.so\n";
        assert!(!passes(inner, Ours::AuthErr, true));
        let read = |name: &str| match name {
            "service" => Some("auth substack inner\nauth required pam_otp.so\n".to_owned()),
            "inner" => Some("auth sufficient pam_unix.so\nauth required pam_deny.so\n".to_owned()),
            _ => None,
        };
        let lines = auth_lines("service", &read).unwrap();
        let with = |ours| Answers { ours, others: true };
        assert!(play(&lines, with(Ours::Success)));
        assert!(!play(&lines, with(Ours::AuthErr)));
    }

    #[test]
    fn a_store_that_cannot_be_read_is_no_way_in() {
        let stack = "@include common-auth\nauth [success=ok authinfo_unavail=ignore default=die] pam_otp.so\n";
        assert!(passes(stack, Ours::AuthinfoUnavail, true));
    }

    #[test]
    fn a_module_is_reached_unless_a_line_before_it_ends_or_leaps() {
        let reached = |stack: &str, others| {
            let read = |name: &str| match name {
                "service" => Some(format!("{stack}\nauth required pam_otp.so\n")),
                "common-auth" => Some(COMMON.to_owned()),
                _ => None,
            };
            let lines = auth_lines("service", &read).unwrap();
            let answers = Answers {
                ours: Ours::Success,
                others,
            };
            reaches(&lines, answers, |module| module.name == MODULE)
        };
        for stack in [
            "@include common-auth",
            "auth requisite pam_unix.so",
            "auth [success=ok default=die] pam_unix.so",
            "auth required pam_unix.so\nauth requisite pam_deny.so",
        ] {
            assert!(!reached(stack, false), "{stack}");
        }
        assert!(reached("@include common-auth", true));
        for stack in [
            "",
            "auth required pam_env.so",
            "auth required pam_unix.so",
            "auth optional pam_unix.so",
            "auth sufficient pam_unix.so",
            "auth required pam_deny.so",
            // What dies in a substack ends no more than that.
            "auth substack common-auth",
            "auth [success=1 default=ignore] pam_unix.so\nauth required pam_deny.so",
        ] {
            assert!(reached(stack, false), "{stack}");
        }
        assert!(!reached("auth sufficient pam_unix.so", true));
    }

    #[test]
    fn nothing_that_says_yes_is_no() {
        assert!(!passes("", Ours::Success, true));
        assert!(!passes("auth optional pam_otp.so\n", Ours::AuthErr, true));
        assert!(!passes(
            "auth [success=9] pam_otp.so\n",
            Ours::Success,
            true
        ));
    }
}
