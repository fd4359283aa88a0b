//! A year of somebody who has the password and guesses at codes that are sent, and what docs/guessing.md tells of it.

use std::sync::OnceLock;

use tests::sent::{Attacker, Year, bound, bound_of_sends, bounds_table, every, year_table};

use crate::is_full;

const DOCUMENT: &str = include_str!("../../../docs/guessing.md");

/// The table of the document is of a whole year, and only the long form makes it again.
fn days() -> u32 {
    if is_full() { 365 } else { 4 }
}

fn simulated() -> &'static [(Attacker, usize, Year)] {
    static ALL: OnceLock<Vec<(Attacker, usize, Year)>> = OnceLock::new();
    ALL.get_or_init(|| every(days().into()))
}

#[test]
fn a_year_of_guessing_at_sent_codes_has_a_chance_of_at_most_one_in_a_hundred() {
    assert!(bound_of_sends(8) <= 0.01);
    for (attacker, channels, year) in simulated() {
        let (who, most) = (attacker.who, bound(8, *channels));
        assert!(most <= 0.01);
        let answers = (days() + 1) * 100;
        assert!(year.answers <= answers, "{who}: {}", year.answers);
        // Else nothing is shown of it.
        assert!(year.answers >= days() * 50, "{who}: {}", year.answers);
        assert!(year.chance <= most, "{who}: {}", year.chance);
        assert!(!year.broken_into, "{who}");
    }
}

#[test]
fn on_every_day_of_the_year_a_code_by_voice_lets_her_in_if_no_sent_one_does() {
    for (attacker, _, year) in simulated() {
        assert_eq!(year.shut_out, 0, "{}", attacker.who);
        assert_eq!(year.by_sent + year.by_voice, days(), "{}", attacker.who);
    }
}

#[test]
fn the_document_has_the_figures_of_sent_codes() {
    let has = |table: String| {
        let found = DOCUMENT.contains(&table);
        assert!(
            found,
            "docs/guessing.md should have this (guessing_year makes it):\n{table}"
        );
    };
    has(bounds_table());
    if is_full() {
        has(year_table(simulated()));
    }
}
