//! `policy`: what is in force and where it comes from, or what is wrong with a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::unistd::Group;
use otp::policy::{DEFAULT_PATH, Fault, MAX_POLICY, Parsed, Rule};
use otp::store::{PolicyError, load_policy};

use super::Context;
use crate::cli;
use crate::failure::{Ending, Failure};
use crate::report::rules::Rules;

pub(super) fn run(context: Context<'_>, args: &cli::Policy) -> Result<Ending, Failure> {
    match &args.check {
        Some(file) => check(context, file),
        None => in_force(context),
    }
}

fn in_force(context: Context<'_>) -> Result<Ending, Failure> {
    let path = context.config.unwrap_or(Path::new(DEFAULT_PATH));
    match load_policy(context.config) {
        Ok(parsed) => answer(context, &parsed, path),
        Err(PolicyError::Faults { path, faults }) => {
            context
                .report
                .answer(&Rules::faulty(&faults, &path.display().to_string()))?;
            Ok(Ending::AtFault)
        }
        Err(error) => Err(error.into()),
    }
}

fn check(context: Context<'_>, file: &Path) -> Result<Ending, Failure> {
    match Parsed::parse(&text(file)?) {
        Ok(parsed) => match unknown_groups(&parsed.policy.rules) {
            unknown if unknown.is_empty() => answer(context, &parsed, file),
            unknown => faulty(context, &unknown, file),
        },
        Err(faults) => faulty(context, &faults, file),
    }
}

/// A rule that asks for a group nobody knows denies whoever it is asked about.
fn unknown_groups(rules: &[Rule]) -> Vec<Fault> {
    let is_known = |group: &str| matches!(Group::from_name(group), Ok(Some(_)));
    let fault = |rule: &Rule| {
        let unknown = rule.groups.iter().find(|group| !is_known(group))?;
        let line = rule.line;
        let why = format!(
            "the group database does not know {unknown:?}: logins that this rule decides about would be denied"
        );
        Some(Fault { line, why })
    };
    rules.iter().filter_map(fault).collect()
}

/// A draft may stand anywhere and belong to anybody.
fn text(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::io("read", file, &error);
    let limit = MAX_POLICY.saturating_add(1);
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(limit as u64).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > MAX_POLICY {
        return Err(Failure::io("read", file, &"it is longer than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| Failure::io("read", file, &"it is not UTF-8"))
}

fn answer(context: Context<'_>, parsed: &Parsed, path: &Path) -> Result<Ending, Failure> {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let rules = Rules::in_force(parsed, &path.display().to_string(), &name);
    context.report.answer(&rules)?;
    Ok(Ending::Done)
}

fn faulty(context: Context<'_>, faults: &[Fault], path: &Path) -> Result<Ending, Failure> {
    context
        .report
        .answer(&Rules::faulty(faults, &path.display().to_string()))?;
    Ok(Ending::No)
}
