//! What a service's PAM lines let through: the stack is played with every answer that matters.

use std::path::Path;

use crate::pam_stack::{
    Answers, Control, Line, MODULE, Module, Ours, What, modules, play, reaches,
};
use crate::report::health::Check;

/// What our line takes; anything else denies every login.
const ARGUMENTS: &[&str] = &[
    "nullok",
    "echo",
    "try_first_pass",
    "use_first_pass",
    "forward_pass",
    VOUCH,
    "nodelay",
    "debug",
];
/// What lets whoever reaches our line have codes sent.
const VOUCH: &str = "after_first_factor";
/// What an account line of ours takes.
const ACCOUNT_ARGUMENTS: &[&str] = &["enroll", "notice"];
const ACCOUNT_SETTINGS: &[&str] = &["config=", "prompt="];
const SETTINGS: &[&str] = &["config=", "prompt=", "tail="];

/// Everything there is to say of a stack. `misplaced`: lines of other types that name our module. `second_factor`: something besides PAM is asked for.
pub(super) fn checks(
    service: &str,
    lines: &[Line],
    misplaced: &[Line],
    second_factor: bool,
) -> Vec<Check> {
    let all = ours(lines);
    let Some((line, module)) = all.first().copied() else {
        return vec![no_line(service, misplaced)];
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
        stack.vouched(),
        twice(&all),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// That no line asks for a code; one of another type does not.
fn no_line(service: &str, misplaced: &[Line]) -> Check {
    let detail = format!("no auth line of {service} names {MODULE}, so no code is asked for");
    let detail = match misplaced.first() {
        Some(Line { file, number, .. }) => format!(
            "{detail}: /etc/pam.d/{file} line {number} is a session or password line, where it does nothing"
        ),
        None => detail,
    };
    Check::fault(
        "pam-line",
        detail,
        format!(
            "otpctl try {service}, which adds 'auth required {MODULE}' below '@include common-auth' in /etc/pam.d/{service} and takes it back unless you log in with a code"
        ),
    )
}

/// The lines, with ours required.
fn required(lines: &[Line]) -> Vec<Line> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        match &mut line.what {
            What::Module(module) if module.name == MODULE => {
                module.control = Control::parse("required");
            }
            What::Module(_) => {}
            What::Substack(inner) => *inner = required(inner),
        }
    }
    lines
}

/// Our line two times: the second asks for a code when the first has just used it up.
fn twice(all: &[(&Line, &Module)]) -> Option<Check> {
    let (line, _) = all.get(1)?;
    let (file, number) = (&line.file, line.number);
    Some(Check::fault(
        "twice",
        format!(
            "/etc/pam.d/{file} line {number} asks for a second code, and the one just typed is used up by then"
        ),
        "take one of the two lines out",
    ))
}

/// What is wrong with our account line, if there is one.
pub(super) fn account(lines: &[Line]) -> Option<Check> {
    let (line, module) = ours(lines).into_iter().next()?;
    let at = format!("/etc/pam.d/{} line {}", line.file, line.number);
    let known = |word: &&String| {
        let is_setting = |key: &&str| bare(word).starts_with(key);
        ACCOUNT_ARGUMENTS.contains(&word.as_str()) || ACCOUNT_SETTINGS.iter().any(is_setting)
    };
    Some(match module.arguments.iter().find(|word| !known(word)) {
        Some(word) => Check::fault(
            "account-line",
            format!("{at}: unknown argument {word}, which denies every login"),
            "take it out; an account line takes enroll, notice, config=FILE and prompt=TEXT",
        ),
        None => Check::good(
            "account-line",
            format!(
                "{at}: account {} {MODULE} {}",
                module.control.text,
                module.arguments.join(" ")
            )
            .trim_end()
            .to_owned(),
        ),
    })
}

/// The policy files that our lines name, other than `usual`.
pub(super) fn policies<'a>(lines: &'a [Line], usual: Option<&Path>) -> Vec<&'a Path> {
    let named = |(_, module): (&Line, &'a Module)| {
        let words = module.arguments.iter();
        words
            .filter_map(|word| bare(word).strip_prefix("config="))
            .map(|path| Path::new(path.trim_end_matches(']')))
            .next_back()
    };
    let mut paths: Vec<&Path> = ours(lines).into_iter().filter_map(named).collect();
    paths.retain(|path| Some(*path) != usual);
    paths
}

/// Whether our line refuses users who are not enrolled.
pub(super) fn lacks_nullok(lines: &[Line]) -> bool {
    ours(lines).iter().any(|(_, module)| !has_nullok(module))
}

pub(super) fn ours(lines: &[Line]) -> Vec<(&Line, &Module)> {
    let mut all = modules(lines);
    all.retain(|(_, module)| module.name == MODULE);
    all
}

fn has_nullok(module: &Module) -> bool {
    module.arguments.iter().any(|word| word == "nullok")
}

/// Whether the line says that it is reached only when a first factor has passed.
fn vouches(module: &Module) -> bool {
    let is_ours = module.name == MODULE;
    is_ours && module.arguments.iter().any(|word| word == VOUCH)
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
        // Were our line required, would a refusal count? Then it is our line's own fault.
        let required = required(self.lines);
        let is_ours = !play(
            &required,
            Answers {
                ours: Ours::AuthErr,
                others: true,
            },
        );
        let leap = before.find(|(_, module)| !is_ours && module.control.ends_on_success());
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

    /// What is said of a first factor is true: whoever has none does not come as far as our line.
    fn vouched(&self) -> Option<Check> {
        let all = modules(self.lines);
        let (line, _) = all.into_iter().find(|(_, module)| vouches(module))?;
        let nothing = Answers {
            ours: Ours::Success,
            others: false,
        };
        if !reaches(self.lines, nothing, vouches) {
            let detail = "codes can be asked for only after another line of the stack has said yes";
            return Some(Check::good("first-factor", detail));
        }
        let (file, number) = (&line.file, line.number);
        let fix = if self.second_factor {
            format!(
                "take {VOUCH} out: where sshd has asked for a key before, the module sees it by itself"
            )
        } else {
            "end the stack where the password is wrong: '@include common-auth' above our line, or 'requisite' in the place of 'required'".to_owned()
        };
        Some(Check::fault(
            "first-factor",
            format!(
                "/etc/pam.d/{file} line {number} says {VOUCH}, but is reached without one too: whoever knows a user's name can have codes sent to her"
            ),
            fix,
        ))
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
pub(super) fn bare(word: &str) -> &str {
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
        let checks = checks("sshd", &lines, &[], second_factor);
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
    fn what_is_said_of_a_first_factor_is_looked_into() {
        let line = "auth required pam_otp.so after_first_factor\n";
        let with = |lines: &str| format!("{lines}{line}");
        let none: [&str; 0] = [];
        let common = with("@include common-auth\n");
        assert_eq!(faults(&common, false), none);
        assert_eq!(faults(&with("auth requisite pam_unix.so\n"), false), none);
        let required = with("auth required pam_unix.so\n");
        assert_eq!(faults(&required, false), ["first-factor"]);
        // Also where sshd asks for a key: the order of its methods is its own.
        assert_eq!(faults(line, true), ["first-factor"]);
        let substack = with("auth substack common-auth\n");
        assert_eq!(faults(&substack, false), ["first-factor"]);
        let before = format!("{line}@include common-auth\n");
        assert_eq!(faults(&before, false), ["first-factor"]);
        let second = format!("auth required pam_otp.so\n{line}@include common-auth\n");
        assert_eq!(faults(&second, false), ["first-factor", "twice"]);
    }

    #[test]
    fn the_line_that_skips_ours_is_named() {
        let read =
            |_: &str| Some("auth sufficient pam_unix.so\nauth required pam_otp.so\n".to_owned());
        let lines = auth_lines("su", &read).unwrap();
        let checks = checks("su", &lines, &[], false);
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
