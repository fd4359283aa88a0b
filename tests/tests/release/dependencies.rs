//! docs/dependencies.md tells of every crate in the module's process, and of no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::crates::{linked_into, root, sources};

/// The rows of the page's table, each its cells, without head and sum.
fn rows(page: &str) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// Lines with code, and places that say they are unsafe.
fn counted(directory: &Path) -> (usize, usize) {
    let (mut lines, mut places) = (0, 0);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let (more, further) = counted(&path);
            lines += more;
            places += further;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().map(str::trim);
            for line in code.filter(|line| !line.is_empty() && !line.starts_with("//")) {
                lines += 1;
                places += unsafe_in(line);
            }
        }
    }
    (lines, places)
}

fn unsafe_in(line: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("unsafe ")
        .filter(|(at, word)| {
            let begins = !line[..*at].ends_with(is_word);
            let next = &line[at + word.len()..];
            let opens = next.starts_with('{');
            begins
                && (opens
                    || ["fn", "impl", "trait", "extern"]
                        .contains(&next.split(|c| !is_word(c)).next().unwrap()))
        })
        .count()
}

#[test]
fn the_page_tells_of_every_crate_in_the_modules_process_and_of_no_other() {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows = rows(&page);
    let (head, sum) = (&rows[0], &rows[rows.len() - 1]);
    assert_eq!(head[0], "crate");
    let told: BTreeSet<String> = rows[1..rows.len() - 1]
        .iter()
        .map(|row| row[0].clone())
        .collect();
    let linked = linked_into("pam_otp");
    assert_eq!(told, linked, "told, and linked");

    let sources = sources();
    let (mut lines, mut places) = (0, 0);
    for row in &rows[1..rows.len() - 1] {
        let (more, further) = counted(&sources[&row[0]]);
        assert_eq!(
            row[4..6],
            [more.to_string(), further.to_string()],
            "lines and unsafe of {}",
            row[0]
        );
        assert!(
            row.iter().all(|cell| !cell.is_empty()),
            "{} says nothing of something",
            row[0]
        );
        lines += more;
        places += further;
    }
    assert_eq!(sum[0], format!("{} crates", linked.len()));
    assert_eq!(
        sum[4..6],
        [lines.to_string(), places.to_string()],
        "the sum"
    );
}
