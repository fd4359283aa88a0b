//! What cargo knows of the crates that are linked into our programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the workspace is.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What cargo answers, of the downloaded alone.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// "name version" of all that is linked into a program on x86-64 Linux, our own crates left out. Macros are not linked.
pub fn linked_into(program: &str) -> BTreeSet<String> {
    let edges = "normal,no-proc-macro";
    let target = "x86_64-unknown-linux-gnu";
    cargo(&[
        "tree", "-p", program, "-e", edges, "--target", target, "--prefix", "none", "--format",
        "{p}",
    ])
    .lines()
    .map(|line| {
        let (name, rest) = line.split_once(" v").unwrap();
        (name, format!("{name} {}", rest.split(' ').next().unwrap()))
    })
    .filter(|(name, _)| !["otp", "pam_otp", "otpctl", "otpd"].contains(name))
    .map(|(_, both)| both)
    .collect()
}

/// Where the source of each crate of the workspace's tree is, by "name version".
pub fn sources() -> BTreeMap<String, PathBuf> {
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let text = |package: &serde_json::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(text(package, "manifest_path"));
            let key = format!("{} {}", text(package, "name"), text(package, "version"));
            (key, manifest.parent().unwrap().join("src"))
        })
        .collect()
}
