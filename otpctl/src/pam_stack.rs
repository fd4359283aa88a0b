//! A service's PAM lines, read and played through (pam.conf(5)). Pure over text, but for [`read`] and [`services_with_module`].
//!
//! What a stack lets through is not seen from the order of its lines, so it is asked: given what each module answers,
//! does the login succeed? [`play()`] follows `_pam_dispatch_aux` of Linux-PAM for the auth hook.

mod lockers;
mod place;
mod play;
mod profile;

use std::path::Path;

pub(crate) use lockers::{locker_by, one_field_by};
pub(crate) use place::{First, Refusal, Wish, place};
pub(crate) use play::{Answers, Ours, play, reaches};
pub(crate) use profile::is_of_the_profile;

/// Our module's file.
pub(crate) const MODULE: &str = "pam_otp.so";
/// Files that include one another deeper than this do so in a circle.
const DEEPEST: usize = 16;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The file it stands in, and where.
    pub(crate) file: String,
    pub(crate) number: usize,
    pub(crate) what: What,
}

/// What a line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Module(Module),
    /// The lines of another file, where ends and jumps stay inside.
    Substack(Vec<Line>),
}

/// A module with its control and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its file's name, without directories.
    pub(crate) name: String,
    /// Its file as the line has it.
    pub(crate) path: String,
    /// A dash before the type: a module that is missing is passed over.
    pub(crate) may_lack: bool,
    pub(crate) arguments: Vec<String>,
    pub(crate) control: Control,
}

/// What is done about an answer: pairs of answer and action, the first that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) text: String,
    actions: Vec<(String, Action)>,
}

/// What is done about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Ok,
    Done,
    Bad,
    Die,
    Ignore,
    Reset,
    Jump(usize),
}

/// Why a stack cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A file that is named and not there.
    Missing(String),
    /// Files that include one another.
    Circle(String),
}

/// A service whose stack names our module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) service: String,
    pub(crate) nullok: bool,
}

/// Where services have their files; the second is where packages put what an administrator has not changed.
const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

/// The text of a service's file, by its name.
pub(crate) fn read(name: &str) -> Option<String> {
    let read = |directory: &str| std::fs::read_to_string(Path::new(directory).join(name)).ok();
    DIRECTORIES.into_iter().find_map(read)
}

/// The auth lines of a service, with what they include. `read` gives a file of /etc/pam.d by its name.
pub(crate) fn auth_lines(
    service: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, Unreadable> {
    lines_of("auth", service, read, 0)
}

/// The account lines of a service, with what they include.
pub(crate) fn account_lines(
    service: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Line>, Unreadable> {
    lines_of("account", service, read, 0)
}

/// The session and password lines of a service that name our module, which does nothing there.
pub(crate) fn misplaced(service: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<Line> {
    let of = |kind| lines_of(kind, service, read, 0).unwrap_or_default();
    let lines = [of("session"), of("password")].concat();
    let ours = modules(&lines)
        .into_iter()
        .filter(|(_, module)| module.name == MODULE);
    ours.map(|(line, _)| line.clone()).collect()
}

/// The lines of one type.
fn lines_of(
    kind: &str,
    file: &str,
    read: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<Vec<Line>, Unreadable> {
    if depth > DEEPEST {
        return Err(Unreadable::Circle(file.to_owned()));
    }
    let text = read(file).ok_or_else(|| Unreadable::Missing(file.to_owned()))?;
    let mut lines = Vec::new();
    for (number, text) in logical_lines(&text) {
        let included = |name: &str| lines_of(kind, base_name(name), read, depth.saturating_add(1));
        let what = match Directive::parse(kind, &text) {
            None => continue,
            Some(Directive::Include(name)) => {
                lines.extend(included(&name)?);
                continue;
            }
            Some(Directive::Substack(name)) => What::Substack(included(&name)?),
            Some(Directive::Module(module)) => What::Module(module),
        };
        let file = file.to_owned();
        lines.push(Line { file, number, what });
    }
    Ok(lines)
}

/// Lines without comments, those that end in a backslash joined, each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        let (part, more) = line
            .strip_suffix('\\')
            .map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, before)) => {
                before.push(' ');
                before.push_str(part);
            }
            None => lines.push((index.saturating_add(1), part.to_owned())),
        }
        goes_on = more;
    }
    lines.retain(|(_, line)| !line.trim().is_empty());
    lines
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

enum Directive {
    Include(String),
    Substack(String),
    Module(Module),
}

impl Directive {
    /// What a line of this type says; nothing for lines of other types.
    fn parse(kind: &str, line: &str) -> Option<Self> {
        let mut words = words(line).into_iter();
        let first = words.next()?;
        if first == "@include" {
            return words.next().map(Self::Include);
        }
        if !first.trim_start_matches('-').eq_ignore_ascii_case(kind) {
            return None;
        }
        let control = words.next()?;
        let target = words.next()?;
        match control.as_str() {
            "include" => Some(Self::Include(target)),
            "substack" => Some(Self::Substack(target)),
            _ => Some(Self::Module(Module {
                name: base_name(&target).to_owned(),
                may_lack: first.starts_with('-'),
                arguments: words.collect(),
                control: Control::parse(&control),
                path: target,
            })),
        }
    }
}

/// Words, where brackets hold spaces together. The control keeps its brackets, arguments lose them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut inside = false;
    for letter in line.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        if letter.is_whitespace() && !inside {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(letter);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

impl Control {
    /// A control as a line has it.
    pub(crate) fn parse(text: &str) -> Self {
        let spelled = match text.to_ascii_lowercase().as_str() {
            "required" => "success=ok new_authtok_reqd=ok ignore=ignore default=bad".to_owned(),
            "requisite" => "success=ok new_authtok_reqd=ok ignore=ignore default=die".to_owned(),
            "sufficient" => "success=done new_authtok_reqd=done default=ignore".to_owned(),
            "optional" => "success=ok new_authtok_reqd=ok default=ignore".to_owned(),
            other => other.trim_matches(['[', ']']).to_owned(),
        };
        let pair = |pair: &str| {
            let (answer, action) = pair.split_once('=')?;
            Some((answer.to_owned(), Action::parse(action)))
        };
        Self {
            text: text.to_owned(),
            actions: spelled.split_whitespace().filter_map(pair).collect(),
        }
    }

    /// Whether a success ends the stack or jumps over the lines that follow.
    pub(crate) fn ends_on_success(&self) -> bool {
        matches!(self.action("success"), Action::Done | Action::Jump(_))
    }

    /// What is done about this answer. What a line says nothing of is bad.
    fn action(&self, answer: &str) -> Action {
        let named = |name: &str| self.actions.iter().find(|(known, _)| known == name);
        let found = named(answer).or_else(|| named("default"));
        found.map_or(Action::Bad, |(_, action)| *action)
    }
}

impl Action {
    fn parse(text: &str) -> Self {
        match text {
            "ok" => Self::Ok,
            "done" => Self::Done,
            "die" => Self::Die,
            "ignore" => Self::Ignore,
            "reset" => Self::Reset,
            other => other.parse().map_or(Self::Bad, Self::Jump),
        }
    }
}

/// Every module line, those of substacks among them, in order.
pub(crate) fn modules<'a>(lines: &'a [Line]) -> Vec<(&'a Line, &'a Module)> {
    let of = |line: &'a Line| match line {
        Line {
            what: What::Module(module),
            ..
        } => vec![(line, module)],
        Line {
            what: What::Substack(inner),
            ..
        } => modules(inner),
    };
    lines.iter().flat_map(of).collect()
}

/// The services in a directory whose auth stack names our module. What cannot be read is left out.
pub(crate) fn services_with_module(directory: &Path) -> Vec<Service> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    // common-auth and its like are no services, but parts of them.
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("common-")).collect();
    names.sort_unstable();
    let service = |service: String| {
        let lines = auth_lines(&service, &read).ok()?;
        let ours: Vec<&Module> = modules(&lines)
            .into_iter()
            .map(|(_, module)| module)
            .filter(|module| module.name == MODULE)
            .collect();
        let has_nullok = |module: &&Module| module.arguments.iter().any(|word| word == "nullok");
        let nullok = ours.iter().all(has_nullok);
        (!ours.is_empty()).then_some(Service { service, nullok })
    };
    names.into_iter().filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_pam_conf_has_them() {
        let text = "# comment\nauth [success=1 default=ignore] pam_unix.so \\\n  nullok # why\n\n-auth optional pam_x.so\naccount required pam_y.so\nauth required /lib/security/pam_otp.so [prompt=My code: ] nullok\n";
        let lines = auth_lines("sshd", &|_| Some(text.to_owned())).unwrap();
        let found = modules(&lines);
        let names: Vec<(usize, &str, &str)> = found
            .iter()
            .map(|(line, module)| {
                (
                    line.number,
                    module.name.as_str(),
                    module.control.text.as_str(),
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                (2, "pam_unix.so", "[success=1 default=ignore]"),
                (5, "pam_x.so", "optional"),
                (7, "pam_otp.so", "required"),
            ]
        );
        assert_eq!(found[2].1.arguments, ["[prompt=My code: ]", "nullok"]);
    }

    #[test]
    fn a_circle_and_a_missing_file_are_named() {
        let circle = auth_lines("sshd", &|_| Some("@include sshd\n".to_owned()));
        assert_eq!(circle, Err(Unreadable::Circle("sshd".to_owned())));
        let read = |name: &str| (name == "sshd").then(|| "auth include nowhere\n".to_owned());
        let missing = auth_lines("sshd", &read);
        assert_eq!(missing, Err(Unreadable::Missing("nowhere".to_owned())));
    }
}
