//! Makes the tables of docs/guessing.md: `cargo run --release -p tests --example guessing_year [YEARS]`.

use tests::sent;
use tests::year::{attackers, attackers_table, bounds_table, settings_table};

fn main() {
    let years = std::env::args().nth(1);
    let years = years.map_or(1, |years| years.parse().expect("a number of years"));
    println!("{}", bounds_table());
    println!("{}", sent::bounds_table());
    println!("{}", sent::year_table(&sent::every(365)));
    println!("{}", attackers_table(&attackers(years)));
    println!("{}", settings_table(years));
}
