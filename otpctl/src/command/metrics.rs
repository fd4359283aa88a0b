//! `metrics`: figures of the installation for Prometheus. Where a part cannot be read, the figures that are left say so:
//! they are wanted most when something is wrong.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use otp::policy::Policy;
use otp::store::{FileStore, Store, load_policy};
use rand::Rng;

use super::{Context, list, status};
use crate::cli;
use crate::entropy;
use crate::failure::{Ending, Failure};
use crate::house::House;
use crate::report::metrics::Metrics;

pub(super) fn run(context: Context<'_>, args: &cli::Metrics) -> Result<Ending, Failure> {
    let mut metrics = Metrics::new(args.per_user);
    if let Err(failure) = gather(context, &mut metrics) {
        // With --json it is among the figures.
        if !context.report.is_json() {
            context.report.failure(&failure);
        }
        metrics.fault = Some(failure.message);
    }
    if let Some(path) = &args.output {
        replace(path, metrics.text().as_bytes())?;
    }
    if args.output.is_none() || context.report.is_json() {
        context.report.answer(&metrics)?;
    }
    Ok(if metrics.is_at_fault() {
        Ending::AtFault
    } else {
        Ending::Done
    })
}

/// Counts what can be read. What stops it is told by the figures as well.
fn gather(context: Context<'_>, metrics: &mut Metrics) -> Result<(), Failure> {
    let policy = load_policy(context.config)?.policy;
    metrics.policy_fault = false;
    metrics.store_writable = is_writable(&policy);
    let house = House {
        store: FileStore::open(&policy)?,
        policy,
    };
    let names = house.store.users()?;
    metrics.store_readable();
    for (index, name) in names.iter().enumerate() {
        context.report.progress("reading user", index, names.len());
        match list::status_of(&house, name) {
            Ok(status) => metrics.count(&status),
            Err(_) => metrics.count_damaged(name.as_str()),
        }
    }
    metrics.sending(status::sending(&house)?);
    Ok(())
}

/// Whether the kernel would let root overwrite records: not on a read-only file system.
fn is_writable(policy: &Policy) -> bool {
    let trees = [&policy.state_dir, &policy.spool_dir];
    let mut places = trees
        .iter()
        .map(|tree| access(tree.as_path(), AccessFlags::W_OK));
    places.all(|answer| answer.is_ok())
}

/// Puts a file in the place of the one that is there, whole or not at all, for everybody to read.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match path.symlink_metadata() {
        // What is renamed over a device takes its place, and over a link, the link's.
        Ok(found) if !found.is_file() => {
            return Err(Failure::usage(format!(
                "{} is no ordinary file; without --output the figures go to standard output",
                path.display()
            )));
        }
        _ => {}
    }
    let half = half_made(path)?;
    let done = write(&half, bytes).and_then(|()| fs::rename(&half, path));
    done.map_err(|error| {
        let _ = fs::remove_file(&half);
        Failure::io("write", path, &error)
    })
}

/// A name of its own beside the file: hidden, and without the ending that collectors look for.
fn half_made(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::usage(format!("{} names no file", path.display())));
    };
    let mut half = std::ffi::OsString::from(".");
    half.push(name);
    half.push(format!(".{:016x}", entropy::system()?.next_u64()));
    Ok(path.with_file_name(half))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    // On the open file, so whatever the umask is.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_data()
}
