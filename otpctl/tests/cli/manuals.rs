//! The manual pages: every verb has one, each with examples that run.

use std::fs;
use std::path::Path;

use crate::docs::{is_understood, stock};
use crate::scripts::VERBS;
use crate::trying::install_module;
use crate::world::on_a_machine;

#[path = "../../examples/manpages.rs"]
#[allow(dead_code, reason = "its main and the shapes of the command line")]
mod manpages;

/// The lines of a section, as they are typed: no requests, no fonts, no escapes.
fn section(page: &str, heading: &str) -> Vec<String> {
    let lines = page
        .lines()
        .skip_while(|line| *line != format!(".SH {heading}"));
    let lines = lines.skip(1).take_while(|line| !line.starts_with(".SH "));
    let plain = |line: &str| {
        let line = line.replace("\\fB", "").replace("\\fR", "");
        line.replace("\\-", "-").replace("\\*(Aq", "'")
    };
    let typed = lines.filter(|line| !line.starts_with('.'));
    typed.map(plain).collect()
}

#[test]
fn every_page_has_examples_that_run() {
    on_a_machine(|machine| {
        stock();
        fs::create_dir_all("/home/alice").unwrap();
        let google = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" TOTP_AUTH\n";
        fs::write("/home/alice/.google_authenticator", google).unwrap();
        install_module();
        let pages = Path::new("/tmp/pages");
        manpages::write_all(pages).unwrap();
        for verb in VERBS {
            let page = fs::read_to_string(pages.join(format!("otpctl-{verb}.1"))).unwrap();
            let examples = section(&page, "EXAMPLES");
            assert!(!examples.is_empty(), "{verb} has no example");
            for example in examples {
                let begins = example.contains(&format!("otpctl {verb}"));
                assert!(begins, "{verb}: {example}");
                machine.otpctl(&["remove", "alice", "--yes"]);
                machine.otpctl(&["enroll", "alice", "--json"]);
                assert!(is_understood(machine, &example), "{verb}: {example}");
            }
        }
        let whole = fs::read_to_string(pages.join("otpctl.1")).unwrap();
        assert!(!section(&whole, "EXAMPLES").is_empty());
        assert_eq!(fs::read_dir(pages).unwrap().count(), VERBS.len() + 1);
    });
}

#[test]
fn the_pages_by_hand_have_examples() {
    for page in [
        include_str!("../../../docs/man/pam_otp.8"),
        include_str!("../../../docs/man/otp.toml.5"),
    ] {
        assert!(page.contains("\n.Sh EXAMPLES\n"));
    }
}

/// What stands in a page of mdoc between the requests that begin and end a display.
fn displays(page: &str) -> Vec<String> {
    let displays = page.split(".Bd -literal -offset indent\n").skip(1);
    let text = displays.map(|rest| rest.split(".Ed").next().unwrap());
    text.map(str::to_owned).collect()
}

#[test]
fn the_examples_of_a_policy_are_taken() {
    on_a_machine(|machine| {
        stock();
        let displays = displays(include_str!("../../../docs/man/otp.toml.5"));
        assert!(!displays.is_empty());
        for policy in displays {
            fs::write("otp.toml.new", &policy).unwrap();
            let said = machine.otpctl(&["policy", "--check", "otp.toml.new"]);
            assert_eq!(said.exit, 0, "{policy}{said:#?}");
        }
    });
}
