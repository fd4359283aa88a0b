//! debian/sbom: the bill of materials in the package names all that is linked, with the checksums of Cargo.lock.
//! CycloneDX's own schema is asked by scripts/audit.sh.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::crates::{linked_into, root};

/// What the script prints for a version, at a time, in a locale.
fn printed(version: &str, time: &str, locale: &str) -> String {
    let output = Command::new("perl")
        .args(["debian/sbom", version])
        .env("SOURCE_DATE_EPOCH", time)
        .env("LC_ALL", locale)
        .env("CARGO_NET_OFFLINE", "true")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn named(component: &Value) -> String {
    format!("{} {}", text(component, "name"), text(component, "version"))
}

/// "name version" of the components that are crates of others and say that they are linked into the program.
fn told(bom: &Value, program: &str) -> BTreeSet<String> {
    let components = bom["components"].as_array().unwrap().iter();
    components
        .filter(|component| component["purl"].is_string())
        .filter(|component| {
            let mut properties = component["properties"].as_array().unwrap().iter();
            properties.any(|property| text(property, "value") == program)
        })
        .map(named)
        .collect()
}

/// Checksums in Cargo.lock, by "name version".
fn checksums() -> BTreeMap<String, String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let field = |entry: &str, key: &str| {
        let value = entry.lines().find_map(|line| line.strip_prefix(key));
        Some(value?.trim_matches(['=', ' ', '"']).to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|entry| {
            let key = format!("{} {}", field(entry, "name")?, field(entry, "version")?);
            Some((key, field(entry, "checksum")?))
        })
        .collect()
}

#[test]
fn the_bill_names_all_that_is_linked_and_where_it_is_from() {
    let bom: Value = serde_json::from_str(&printed("1.2.3", "86400", "C")).unwrap();
    assert_eq!(text(&bom, "bomFormat"), "CycloneDX");
    assert_eq!(text(&bom, "specVersion"), "1.5");
    assert_eq!(text(&bom["metadata"], "timestamp"), "1970-01-02T00:00:00Z");
    assert_eq!(text(&bom["metadata"]["component"], "version"), "1.2.3");
    assert_eq!(told(&bom, "pam_otp.so"), linked_into("pam_otp"));
    assert_eq!(told(&bom, "otpctl"), linked_into("otpctl"));
    assert_eq!(told(&bom, "otpd"), linked_into("otpd"));

    let checksums = checksums();
    for component in bom["components"].as_array().unwrap() {
        assert!(!text(&component["licenses"][0], "expression").is_empty());
        if component["purl"].is_string() {
            let key = format!("{} {}", text(component, "name"), text(component, "version"));
            assert_eq!(
                text(&component["hashes"][0], "content"),
                checksums[&key],
                "{key}"
            );
        }
    }
}

#[test]
fn whatever_needs_something_is_itself_in_the_bill() {
    let bom: Value = serde_json::from_str(&printed("1.2.3", "86400", "C")).unwrap();
    let components = bom["components"].as_array().unwrap().iter();
    let refs: BTreeSet<&str> = components
        .map(|component| text(component, "bom-ref"))
        .collect();
    let mut needed = BTreeSet::new();
    for entry in bom["dependencies"].as_array().unwrap() {
        let from = text(entry, "ref");
        assert!(from == "libpam-otp" || refs.contains(from), "{from}");
        for needs in entry["dependsOn"].as_array().unwrap() {
            needed.insert(needs.as_str().unwrap());
        }
    }
    let runtimes = BTreeSet::from(["rust-std", "libgcc_eh"]);
    assert_eq!(&needed | &runtimes, refs, "needed by something, and there");
}

#[test]
fn the_bill_is_the_same_whenever_and_wherever_it_is_made() {
    let one = printed("1.2.3", "86400", "C");
    assert_eq!(one, printed("1.2.3", "86400", "tr_TR.UTF-8"));
    let number = |bom: &str| serde_json::from_str::<Value>(bom).unwrap()["serialNumber"].clone();
    let another = printed("1.2.4", "86400", "C");
    assert_ne!(
        number(&one),
        number(&another),
        "another content, another number"
    );
}
