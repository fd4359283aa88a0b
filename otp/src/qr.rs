//! The picture that phones scan, drawn with characters.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Light modules that a scanner wants around the code (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;
/// Black on white, whatever the terminal's colours are.
const BLACK_ON_WHITE: &str = "\x1b[30;47m";
const PLAIN: &str = "\x1b[0m";

/// A QR code.
pub struct Picture {
    code: QrCode,
}

impl Picture {
    /// The code of a URI; nothing where it is too long for one.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(uri, EcLevel::L).ok()?;
        Some(Self { code })
    }

    /// Modules of a side, with the quiet zone.
    #[must_use]
    pub fn side(&self) -> usize {
        self.code
            .width()
            .saturating_add(QUIET_ZONE.saturating_mul(2))
    }

    /// Half blocks: a line is two rows. On a colour terminal what is drawn is dark on light. Without colour what
    /// is drawn is light, which is right on a dark terminal, and most scanners read the other one too.
    #[must_use]
    pub fn to_utf8(&self, colour: bool) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
        for y in (0..self.side()).step_by(2) {
            let cells = (0..self.side()).map(|x| {
                let drawn = |y| self.is_dark(x, y) == colour && y < self.side();
                match (drawn(y), drawn(y.saturating_add(1))) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                }
            });
            push_line(
                &mut text,
                cells,
                if colour {
                    (BLACK_ON_WHITE, PLAIN)
                } else {
                    ("", "")
                },
            );
        }
        text
    }

    /// Two characters a module, drawn as in [`to_utf8`](Self::to_utf8).
    #[must_use]
    pub fn to_ascii(&self, colour: bool) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64 * 1024));
        for y in 0..self.side() {
            let mut line = Zeroizing::new(String::with_capacity(4 * 1024));
            let mut before = None;
            for x in 0..self.side() {
                let dark = self.is_dark(x, y);
                if colour && before.replace(dark) != Some(dark) {
                    line.push_str(if dark { "\x1b[40m" } else { "\x1b[47m" });
                }
                line.push_str(if colour || dark { "  " } else { "##" });
            }
            push_line(
                &mut text,
                line.chars(),
                if colour { ("", PLAIN) } else { ("", "") },
            );
        }
        text
    }

    /// Whether a module is dark, where (0, 0) is a corner of the quiet zone.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inner = |at: usize| {
            at.checked_sub(QUIET_ZONE)
                .filter(|at| *at < self.code.width())
        };
        match (inner(x), inner(y)) {
            (Some(x), Some(y)) => self.code[(x, y)] == Color::Dark,
            _ => false,
        }
    }
}

fn push_line(text: &mut String, cells: impl Iterator<Item = char>, (on, off): (&str, &str)) {
    text.push_str(on);
    text.extend(cells);
    let _ = writeln!(text, "{off}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_zone_is_four_modules_wide() {
        let picture = Picture::of("otpauth://totp/a:b").unwrap();
        let side = picture.side();
        for at in 0..side {
            for edge in (0..4).chain(side - 4..side) {
                assert!(!picture.is_dark(at, edge) && !picture.is_dark(edge, at));
            }
        }
        assert!(picture.is_dark(4, 4));
    }

    #[test]
    fn without_colour_the_light_modules_are_drawn() {
        let picture = Picture::of("otpauth://totp/a:b").unwrap();
        assert!(picture.to_utf8(false).starts_with('█'));
        assert!(picture.to_ascii(false).starts_with("##"));
        assert!(picture.to_utf8(true).starts_with("\x1b[30;47m "));
    }

    #[test]
    fn what_is_too_long_is_no_picture() {
        assert!(Picture::of(&"a".repeat(2953)).is_some());
        assert!(Picture::of(&"a".repeat(2954)).is_none());
    }
}
