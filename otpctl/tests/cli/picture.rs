//! QR codes, read back by zbarimg: from files, and from pictures of what stands in the terminal.

use std::fs::{self, File};
use std::process::Command;

use crate::terminal::Session;
use crate::world::on_a_machine;

/// Pixels of a module's side.
const SCALE: usize = 6;

/// What a scanner reads in a picture.
fn scanned(path: &str) -> String {
    let read = Command::new("zbarimg")
        .args(["--quiet", "--raw", path])
        .output();
    let read = read.expect("zbarimg (zbar-tools) is there");
    String::from_utf8(read.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Draws rows of modules (true: dark) as a scanner would see them on a screen of this background.
fn draw(rows: &[Vec<bool>], dark_around: bool, path: &str) {
    let margin = 10;
    let width = rows.iter().map(Vec::len).max().unwrap() + 2 * margin;
    let height = rows.len() + 2 * margin;
    let is_dark = |x: usize, y: usize| {
        let row = y.checked_sub(margin).and_then(|y| rows.get(y));
        let cell = row.and_then(|row| x.checked_sub(margin).and_then(|x| row.get(x)));
        cell.copied().unwrap_or(dark_around)
    };
    let pixels: Vec<u8> = (0..height * SCALE)
        .flat_map(|y| (0..width * SCALE).map(move |x| (x / SCALE, y / SCALE)))
        .map(|(x, y)| if is_dark(x, y) { 20 } else { 235 })
        .collect();
    let (width, height) = ((width * SCALE) as u32, (height * SCALE) as u32);
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
}

/// What a terminal shows: for each half of each character whether it is dark. Light letters on dark unless told.
fn modules(text: &str, columns: usize) -> Vec<Vec<bool>> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        // Dark: the letters, the ground.
        let (mut letters, mut ground) = (false, true);
        let mut rest = line.chars().peekable();
        while let Some(letter) = rest.next() {
            let (top, bottom) = match letter {
                '\x1b' => {
                    let code: String = rest.by_ref().skip(1).take_while(|it| *it != 'm').collect();
                    for part in code.split(';') {
                        match part {
                            "0" => (letters, ground) = (false, true),
                            "30" => letters = true,
                            "40" => ground = true,
                            "47" => ground = false,
                            other => panic!("{other}"),
                        }
                    }
                    continue;
                }
                '█' | '#' => (letters, letters),
                '▀' => (letters, ground),
                '▄' => (ground, letters),
                ' ' => (ground, ground),
                _ => break,
            };
            upper.push(top);
            lower.push(bottom);
        }
        if columns == 2 {
            // One module is two letters wide and one high.
            rows.push(upper.into_iter().step_by(2).collect());
        } else {
            rows.push(upper);
            rows.push(lower);
        }
    }
    rows
}

/// The lines of the code in what was printed: those between the heading and the key.
fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("authenticator app").unwrap();
    let (code, _) = rest.split_once("or type the key").unwrap();
    code.replace('\r', "").trim_matches('\n').to_owned()
}

fn uri_in(text: &str) -> &str {
    text.split_whitespace()
        .find(|word| word.starts_with("otpauth://"))
        .unwrap()
}

#[test]
fn a_png_file_reads_as_the_uri() {
    on_a_machine(|machine| {
        let args = [
            "enroll",
            "alice",
            "--issuer",
            "Müller & Co",
            "--qr",
            "/run/a.png",
            "--json",
        ];
        let uri = machine.otpctl(&args).exits(0).json()["uri"].clone();
        assert_eq!(scanned("/run/a.png"), uri.as_str().unwrap());
    });
}

#[test]
fn an_svg_file_holds_the_same_modules() {
    on_a_machine(|machine| {
        machine
            .otpctl(&["enroll", "alice", "--qr", "/run/a.svg"])
            .exits(0);
        let uri = machine.json(&["show", "alice"])["uri"].clone();
        let svg = fs::read_to_string("/run/a.svg").unwrap();
        let side: usize = svg
            .split("width=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let path = svg
            .split(" d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let mut rows = vec![vec![false; side / 8]; side / 8];
        for cell in path.split('M').skip(1) {
            let mut numbers = cell
                .split(|letter: char| !letter.is_ascii_digit())
                .filter(|part| !part.is_empty());
            let mut next = || numbers.next().unwrap().parse::<usize>().unwrap();
            let (x, y, width) = (next() / 8, next() / 8, next() / 8);
            rows[y][x..x + width].fill(true);
        }
        draw(&rows, false, "/run/drawn.png");
        assert_eq!(scanned("/run/drawn.png"), uri.as_str().unwrap());
    });
}

#[test]
fn the_terminals_text_reads_as_the_uri_without_colour() {
    on_a_machine(|machine| {
        for (form, columns) in [("utf8", 1), ("ascii", 2)] {
            let said = machine
                .otpctl(&["enroll", "alice", "--replace", "--qr", form])
                .exits(0);
            let code = code_in(&said.out);
            assert!(form == "utf8" || code.is_ascii());
            draw(&modules(&code, columns), true, "/run/screen.png");
            assert_eq!(
                scanned("/run/screen.png"),
                uri_in(&said.out),
                "{form}\n{code}"
            );
        }
    });
}

#[test]
fn the_terminals_text_reads_as_the_uri_on_dark_and_light() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        for (form, columns) in [("utf8", 1), ("ascii", 2)] {
            let mut session = Session::start(machine, &["show", "alice", "--qr", form], 400);
            let seen = session.until("or open");
            let rest = session.end();
            let shown = format!("{seen}{rest}");
            assert!(shown.contains("\x1b["), "colour on a terminal: {shown}");
            let rows = modules(&code_in(&shown), columns);
            for dark_around in [true, false] {
                draw(&rows, dark_around, "/run/screen.png");
                assert_eq!(
                    scanned("/run/screen.png"),
                    uri_in(&rest),
                    "{form} {dark_around}"
                );
            }
        }
    });
}

#[test]
fn a_narrow_terminal_is_told_what_to_do() {
    on_a_machine(|machine| {
        machine.otpctl(&["enroll", "alice"]).exits(0);
        let mut session = Session::start(machine, &["show", "alice"], 40);
        let shown = session.end();
        let flat: Vec<&str> = shown.split_whitespace().collect();
        assert!(
            flat.join(" ")
                .contains("and there are 40: widen the terminal, or use --qr FILE.png"),
            "{shown}"
        );
    });
}
