//! What pam-auth-update has written (pam-auth-update(8)): it knows its own lines by the comments around them.

use super::Line;

/// Where a profile such as ours writes its auth line.
const FILE: &str = "common-auth";
const BEGINS: &str = "# and here are more per-package modules";
const ENDS: &str = "# end of pam-auth-update config";

/// Whether a line is one that pam-auth-update has written for a profile, and takes out with it.
pub(crate) fn is_of_the_profile(line: &Line, read: &dyn Fn(&str) -> Option<String>) -> bool {
    let Some(text) = read(FILE).filter(|_| line.file == FILE) else {
        return false;
    };
    let before = text.lines().take(line.number).collect::<Vec<_>>();
    let last = |mark| before.iter().rposition(|text| text.starts_with(mark));
    let is_inside = last(BEGINS) > last(ENDS);
    is_inside
        && text
            .lines()
            .skip(line.number)
            .any(|text| text.starts_with(ENDS))
}

#[cfg(test)]
mod tests {
    use super::super::{auth_lines, modules};
    use super::*;

    /// Of each line that names our module, whether the profile has it.
    fn of_the_profile(text: &str) -> Vec<bool> {
        let read = |name: &str| match name {
            "sshd" => Some("@include common-auth\nauth required pam_otp.so\n".to_owned()),
            _ => Some(text.to_owned()),
        };
        let lines = auth_lines("sshd", &read).unwrap();
        let all = modules(&lines).into_iter();
        let ours = all.filter(|(_, module)| module.name == "pam_otp.so");
        ours.map(|(line, _)| is_of_the_profile(line, &read))
            .collect()
    }

    #[test]
    fn a_line_of_the_profile_stands_between_its_marks() {
        let own = "auth required pam_otp.so nullok\n";
        let written = format!(
            "auth required pam_permit.so\n{BEGINS} (the \"Additional\" block)\n{own}{ENDS}\n"
        );
        assert_eq!(of_the_profile(&written), [true, false]);
        assert_eq!(
            of_the_profile(&format!("{own}{written}{own}")),
            [false, true, false, false]
        );
        assert_eq!(of_the_profile(&format!("{BEGINS}\n{own}")), [false, false]);
        assert_eq!(of_the_profile(own), [false, false]);
    }
}
