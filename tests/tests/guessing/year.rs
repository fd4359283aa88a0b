//! A year of an attacker who has the password and never tires, and docs/guessing.md, which tells what came of it.

use std::sync::OnceLock;

use tests::year::{
    Attacker, Plan, Setting, Years, attackers, attackers_table, bound, bounds_table, most_guesses,
    settings_table,
};

use crate::is_full;

const DOCUMENT: &str = include_str!("../../../docs/guessing.md");
/// The years of each in the tables of the document that only the long form makes again.
const YEARS: u32 = 2000;

/// Some years of every attacker at the default policy.
fn simulated() -> &'static [(Attacker, Years)] {
    static ALL: OnceLock<Vec<(Attacker, Years)>> = OnceLock::new();
    ALL.get_or_init(|| attackers(if is_full() { YEARS } else { 2 }))
}

#[test]
fn a_year_of_guessing_has_a_chance_of_at_most_one_in_a_hundred() {
    assert!(bound(Setting::DEFAULT) <= 0.01);
    let most = most_guesses(&otp::policy::Policy::default());
    for (attacker, all) in simulated() {
        let who = attacker.who;
        assert!(all.most_guesses <= most, "{who}: {}", all.most_guesses);
        assert!(all.chance <= 0.01, "{who}: {}", all.chance);
        // What happened is what was to be expected: at most five standard deviations more.
        let expected = all.chance * f64::from(all.years);
        let unlikely = expected + 5.0 * expected.sqrt() + 1.0;
        assert!(f64::from(all.broken_into) <= unlikely, "{who}");
    }
}

#[test]
fn on_every_day_of_the_year_something_lets_the_owner_in() {
    for (attacker, all) in simulated() {
        assert_eq!(all.shut_out, 0, "{}", attacker.who);
        if attacker.plan != Plan::BesideOwner {
            let why = "her phone works where she logged in before";
            assert_eq!(all.refused_at_home, 0, "{}: {why}", attacker.who);
        }
    }
}

#[test]
fn the_document_has_the_figures_of_the_default_policy() {
    let has = |table: String| {
        let found = DOCUMENT.contains(&table);
        assert!(
            found,
            "docs/guessing.md should have this (guessing_year makes it):\n{table}"
        );
    };
    has(bounds_table());
    has(attackers_table(&attackers(1)));
    if is_full() {
        has(attackers_table(simulated()));
        has(settings_table(YEARS));
    }
}
