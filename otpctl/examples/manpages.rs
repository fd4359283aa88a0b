//! Writes otpctl.1 and a page a verb into the directory given: `cargo run --example manpages -- DIRECTORY`.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

#[path = "../src/cli.rs"]
#[allow(
    dead_code,
    reason = "the shapes are shown here; what they hold is read by the command"
)]
mod cli;

/// The exit codes, as every verb has them.
const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "Done; the code was accepted; nothing wrong was found."),
    (
        "1",
        "The answer is no: a code was refused, the user is enrolled already, doctor found a fault, somebody gave up.",
    ),
    ("2", "Usage."),
    ("3", "There is no such user, enrolment or code."),
    ("4", "Not permitted: this needs root."),
    (
        "5",
        "State or policy could not be read or written, is at fault or insecure; list, status or metrics met a damaged record.",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or("name a directory to write the pages into")?;
    write_all(Path::new(&directory))
}

/// All pages.
pub fn write_all(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let mut whole = cli::Cli::command();
    whole.build();
    let verbs: Vec<String> = whole
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    write(directory, &whole, "otpctl", &verbs)?;
    for verb in whole.get_subcommands() {
        let name = format!("otpctl-{}", verb.get_name());
        write(directory, verb, &name, &[])?;
    }
    Ok(())
}

/// One page. `verbs` are those that have pages of their own.
fn write(
    directory: &Path,
    of: &Command,
    name: &str,
    verbs: &[String],
) -> Result<(), Box<dyn Error>> {
    let examples = examples(of);
    // Examples have a section of their own, and subcommands of a verb are shown here, not on pages of theirs.
    let shape = of.clone().after_help("").display_name(name);
    let man = Man::new(shape.clone())
        .title(name.to_uppercase())
        .section("1")
        .manual("otpctl")
        .source(version());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    if shape.has_subcommands() {
        commands(&mut rest, of, !verbs.is_empty());
    }
    rest.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_STATUS {
        entry(&mut rest, code, meaning);
    }
    rest.control("SH", ["EXAMPLES"]);
    for example in &examples {
        rest.control("PP", [])
            .control("nf", [])
            .text([bold(example.as_str())])
            .control("fi", []);
    }
    see_also(&mut rest, verbs);
    rest.to_writer(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)?;
    Ok(())
}

fn version() -> String {
    format!("otpctl {}", env!("CARGO_PKG_VERSION"))
}

/// The verbs, or what a verb has of its own.
fn commands(page: &mut Roff, of: &Command, have_pages: bool) {
    page.control("SH", ["COMMANDS"]);
    for verb in of.get_subcommands() {
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = verb.get_name();
        let shown = if have_pages {
            format!("otpctl-{name}(1)")
        } else {
            name.to_owned()
        };
        entry(page, &shown, &format!("{about}."));
    }
}

fn entry(page: &mut Roff, tag: &str, text: &str) {
    page.control("TP", []).text([bold(tag)]).text([roman(text)]);
}

/// What stands behind "Example:" in a verb's help.
fn examples(of: &Command) -> Vec<String> {
    let help = of
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let line = |line: &str| {
        let start = line.find("otpctl ")?;
        line.get(start..).map(str::to_owned)
    };
    help.lines().filter_map(line).collect()
}

fn see_also(page: &mut Roff, verbs: &[String]) {
    page.control("SH", ["SEE ALSO"]);
    let mut names: Vec<(String, &str)> = Vec::new();
    if verbs.is_empty() {
        names.push(("otpctl".to_owned(), "(1), "));
    }
    names.extend(verbs.iter().map(|verb| (format!("otpctl-{verb}"), "(1), ")));
    names.push(("pam_otp".to_owned(), "(8), "));
    names.push(("otp.toml".to_owned(), "(5)"));
    let parts: Vec<Inline> = names
        .iter()
        .flat_map(|(name, section)| [bold(name.as_str()), roman(*section)])
        .collect();
    page.text(parts);
}
