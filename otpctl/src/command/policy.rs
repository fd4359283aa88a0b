//! `policy`: what is in force and where it comes from, or what is wrong with a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use otp::policy::{DEFAULT_PATH, Fault, MAX_POLICY, Parsed};
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
        Ok(parsed) => answer(context, &parsed, file),
        Err(faults) => faulty(context, &faults, file),
    }
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
    let rules = Rules::in_force(&parsed.settings(), &path.display().to_string(), &name);
    context.report.answer(&rules)?;
    Ok(Ending::Done)
}

fn faulty(context: Context<'_>, faults: &[Fault], path: &Path) -> Result<Ending, Failure> {
    context
        .report
        .answer(&Rules::faulty(faults, &path.display().to_string()))?;
    Ok(Ending::No)
}
