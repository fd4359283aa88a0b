//! What a service's PAM lines let through: the stack is played with every answer that matters.

use crate::pam_stack::{Answers, Line, MODULE, Module, Ours, modules, play};
use crate::report::health::Check;

/// What our line takes; anything else denies every login.
const ARGUMENTS: &[&str] = &[
    "nullok",
    "echo",
    "try_first_pass",
    "use_first_pass",
    "forward_pass",
    "after_first_factor",
    "nodelay",
    "debug",
];
const SETTINGS: &[&str] = &["config=", "prompt=", "tail="];

/// Everything there is to say of a stack. `second_factor`: something besides PAM is asked for.
pub(super) fn checks(service: &str, lines: &[Line], second_factor: bool) -> Vec<Check> {
    let Some((line, module)) = ours(lines).into_iter().next() else {
        return vec![Check::fault(
            "pam-line",
            format!("no auth line of {service} names {MODULE}, so no code is asked for"),
            format!(
                "add 'auth required {MODULE}' below '@include common-auth' in /etc/pam.d/{service}, keep this session open, and log in from a second one"
            ),
        )];
    };
    let stack = Stack {
        lines,
        at: format!("/etc/pam.d/{} line {}", line.file, line.number),
        module,
        second_factor,
    };
    vec![
        stack.line(),
        stack.passable(),
        stack.needed(),
        stack.not_alone(),
        stack.closed(),
        stack.nullok(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether our line refuses users who are not enrolled.
pub(super) fn lacks_nullok(lines: &[Line]) -> bool {
    ours(lines).iter().any(|(_, module)| !has_nullok(module))
}

fn ours(lines: &[Line]) -> Vec<(&Line, &Module)> {
    let mut all = modules(lines);
    all.retain(|(_, module)| module.name == MODULE);
    all
}

fn has_nullok(module: &Module) -> bool {
    module.arguments.iter().any(|word| word == "nullok")
}

struct Stack<'a> {
    lines: &'a [Line],
    /// Where our line stands.
    at: String,
    module: &'a Module,
    second_factor: bool,
}

impl Stack<'_> {
    fn passes(&self, ours: Ours, others: bool) -> bool {
        play(self.lines, Answers { ours, others })
    }

    /// Our line, and whether it says what we understand.
    fn line(&self) -> Option<Check> {
        let at = &self.at;
        let known = |word: &&String| {
            ARGUMENTS.contains(&word.as_str())
                || SETTINGS.iter().any(|key| bare(word).starts_with(key))
        };
        let unknown = self.module.arguments.iter().find(|word| !known(word));
        Some(match unknown {
            Some(word) => Check::fault(
                "pam-line",
                format!("{at}: unknown argument {word}, which denies every login"),
                "take it out; see pam_otp(8) for what the line takes",
            ),
            None => {
                let arguments = self.module.arguments.join(" ");
                let said = format!("{} {MODULE} {arguments}", self.module.control.text);
                Check::good("pam-line", format!("{at}: auth {}", said.trim_end()))
            }
        })
    }

    /// Who has the password and the code gets in.
    fn passable(&self) -> Option<Check> {
        (!self.passes(Ours::Success, true)).then(|| {
            Check::fault(
                "stack",
                "a right password and a right code do not log in: another line refuses",
                format!(
                    "look for pam_deny.so, or a jump beyond the end, around {}",
                    self.at
                ),
            )
        })
    }

    /// Who has the password alone does not.
    fn needed(&self) -> Option<Check> {
        if !self.passes(Ours::AuthErr, true) {
            let detail = "a wrong code is refused, whatever the other lines say";
            return Some(Check::good("code-needed", detail));
        }
        let mut before = modules(self.lines)
            .into_iter()
            .take_while(|(_, module)| module.name != MODULE);
        let leap = before.find(|(_, module)| module.control.ends_on_success());
        let cause = leap.map_or_else(
            || format!("the control of {} ignores a refusal", self.at),
            |(line, module)| {
                let (file, number, control) = (&line.file, line.number, &module.control.text);
                format!(
                    "/etc/pam.d/{file} line {number} ({control} {}) skips our line",
                    module.name
                )
            },
        );
        Some(Check::fault(
            "code-needed",
            format!("a right password logs in without a code: {cause}"),
            format!(
                "make our line 'auth required {MODULE}', and let no line before it end the stack or jump over it"
            ),
        ))
    }

    /// Who has the code alone does not either.
    fn not_alone(&self) -> Option<Check> {
        let alone = self.passes(Ours::Success, false);
        Some(match (alone, self.second_factor) {
            (false, _) => Check::good("code-alone", "a code alone does not log in"),
            (true, true) => Check::good(
                "code-alone",
                "PAM asks for a code alone, and sshd for another factor besides",
            ),
            (true, false) => Check::fault(
                "code-alone",
                "a code alone logs in: no other line has to succeed",
                "keep '@include common-auth' above our line, or let sshd ask for a key first: AuthenticationMethods publickey,keyboard-interactive",
            ),
        })
    }

    /// A store that cannot be read, which can be provoked, is no way in.
    fn closed(&self) -> Option<Check> {
        let open = self.passes(Ours::AuthinfoUnavail, true) && !self.passes(Ours::AuthErr, true);
        open.then(|| {
            Check::fault(
                "fails-closed",
                "authinfo_unavail=ignore lets people in without a code when the store cannot be read, and that can be provoked",
                format!("take it out of {}: 'auth required {MODULE}'", self.at),
            )
        })
    }

    /// What becomes of users who are not enrolled.
    fn nullok(&self) -> Option<Check> {
        if !has_nullok(self.module) {
            return None;
        }
        let passes = self.passes(Ours::Ignore, true);
        let passes_with_nothing = self.passes(Ours::Ignore, false);
        Some(if !passes {
            Check::fault(
                "nullok",
                "users who are not enrolled are refused all the same: no other line succeeds for them",
                "put 'auth required pam_permit.so' below our line if sshd has asked for a key before, else '@include common-auth' above it",
            )
        } else if passes_with_nothing && !self.second_factor {
            Check::fault(
                "nullok",
                "users who are not enrolled log in with nothing at all",
                "put '@include common-auth' above our line",
            )
        } else {
            Check::known(
                "nullok",
                "users who are not enrolled log in without a code",
                "take nullok out when everybody is enrolled",
            )
        })
    }
}

/// An argument without the brackets that hold its spaces together.
fn bare(word: &str) -> &str {
    word.trim_start_matches('[')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pam_stack::auth_lines;

    const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n";

    /// The names of the faults of a stack.
    fn faults(service: &str, second_factor: bool) -> Vec<&'static str> {
        let read = |name: &str| match name {
            "sshd" => Some(service.to_owned()),
            "common-auth" => Some(COMMON.to_owned()),
            _ => None,
        };
        let lines = auth_lines("sshd", &read).unwrap();
        let checks = checks("sshd", &lines, second_factor);
        let faults = checks.into_iter().filter(|check| !check.ok);
        faults.map(|check| check.name).collect()
    }

    #[test]
    fn the_line_of_the_readme_is_healthy() {
        let none: [&str; 0] = [];
        assert_eq!(
            faults("@include common-auth\nauth required pam_otp.so\n", false),
            none
        );
        assert_eq!(
            faults(
                "@include common-auth\nauth required pam_otp.so nullok\n",
                false
            ),
            none
        );
        assert_eq!(faults("auth required pam_otp.so\n", true), none);
        let permit =
            "auth required pam_otp.so [prompt=Your code: ] nullok\nauth required pam_permit.so\n";
        assert_eq!(faults(permit, true), none);
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(faults("@include common-auth\n", false), ["pam-line"]);
        assert_eq!(faults("auth required pam_otp.so\n", false), ["code-alone"]);
        let skipped = "auth sufficient pam_unix.so\nauth required pam_otp.so\n";
        assert_eq!(faults(skipped, false), ["code-needed", "code-alone"]);
        let jump = "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_otp.so\nauth required pam_permit.so\n";
        assert_eq!(faults(jump, false), ["code-needed"]);
        let open = "@include common-auth\nauth [success=ok authinfo_unavail=ignore default=die] pam_otp.so\n";
        assert_eq!(faults(open, false), ["fails-closed"]);
        assert_eq!(
            faults("auth required pam_otp.so nullok\n", true),
            ["nullok"]
        );
        let nothing = "auth required pam_env.so\nauth required pam_otp.so nullok\n";
        assert_eq!(faults(nothing, false), ["code-alone", "nullok"]);
        let unknown = "@include common-auth\nauth required pam_otp.so nulok\n";
        assert_eq!(faults(unknown, false), ["pam-line"]);
        let denied = "auth required pam_otp.so\nauth required pam_deny.so\n";
        assert_eq!(faults(denied, false), ["stack"]);
    }

    #[test]
    fn the_line_that_skips_ours_is_named() {
        let read =
            |_: &str| Some("auth sufficient pam_unix.so\nauth required pam_otp.so\n".to_owned());
        let lines = auth_lines("su", &read).unwrap();
        let checks = checks("su", &lines, false);
        let found = checks
            .iter()
            .find(|check| check.name == "code-needed")
            .unwrap();
        assert!(
            found
                .detail
                .contains("/etc/pam.d/su line 1 (sufficient pam_unix.so)"),
            "{}",
            found.detail
        );
    }
}
