//! A page for people: lines, labelled rows, wrapping, colour. Knows nothing of what it says.

use anstyle::{AnsiColor, Style};
use zeroize::Zeroizing;

use super::words;
use crate::clock;
use otp::time::UnixTime;

/// Columns of a label.
const LABEL: usize = 12;

/// Columns of a lead-in.
const WIDE_LABEL: usize = 18;

/// What colour stands for. Never the only sign.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    /// What the eye should find first: a code, a name.
    Strong,
    /// What can be skipped.
    Faint,
    Good,
    Warning,
    Bad,
}

impl Tint {
    const fn style(self) -> Style {
        let plain = Style::new();
        match self {
            Self::Plain => plain,
            Self::Strong => plain.bold(),
            Self::Faint => plain.dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// A page being written. Wiped on drop, since it may hold what is shown once.
pub(crate) struct Page {
    text: Zeroizing<String>,
    colour: bool,
    width: usize,
    now: UnixTime,
}

impl Page {
    pub(crate) fn new(colour: bool, width: usize) -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(64 * 1024)),
            colour,
            width,
            now: clock::now(),
        }
    }

    /// Whether it is drawn on a terminal with colours.
    pub(crate) const fn has_colour(&self) -> bool {
        self.colour
    }

    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// When it is written.
    pub(crate) const fn now(&self) -> UnixTime {
        self.now
    }

    pub(crate) fn into_bytes(mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(std::mem::take(&mut *self.text).into_bytes())
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.blank();
    }

    /// Text, wrapped.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.hanging(0, text);
    }

    /// A label in its column, and text beside it, wrapped.
    pub(crate) fn row(&mut self, label: &str, text: &str) {
        self.tinted_row(label, Tint::Plain, text);
    }

    pub(crate) fn tinted_row(&mut self, label: &str, tint: Tint, text: &str) {
        let shown = self.painted(tint, label);
        self.text.push_str(&shown);
        let column = words::columns(label).saturating_add(1).max(LABEL);
        self.pad(column.saturating_sub(words::columns(label)));
        self.hanging(column, text);
    }

    /// Text behind a label that is no column: `warning: …`.
    pub(crate) fn labelled(&mut self, label: &str, tint: Tint, text: &str) {
        let shown = self.painted(tint, label);
        self.text.push_str(&shown);
        // The first line is shorter by the label; the others begin at the edge.
        let first = words::columns(label);
        for (index, line) in words::wrap(text, self.width, first).enumerate() {
            if index > 0 {
                self.blank();
            }
            self.text.push_str(&line);
        }
        self.blank();
    }

    /// A lead-in in a wide column, and something to copy beside it, which is not wrapped.
    pub(crate) fn labelled_column(&mut self, label: &str, tint: Tint, text: &str) {
        let shown = self.painted(tint, text);
        let line = Zeroizing::new(format!("{label:<WIDE_LABEL$}{}", shown.as_str()));
        self.line(&line);
    }

    /// Text in a colour, for use in a line.
    pub(crate) fn painted(&self, tint: Tint, text: &str) -> Zeroizing<String> {
        let style = tint.style();
        Zeroizing::new(if self.colour && tint != Tint::Plain && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        })
    }

    /// Text wrapped so that every line but the first begins at `column`, where the first is now.
    fn hanging(&mut self, column: usize, text: &str) {
        let room = self.width.saturating_sub(column).max(20);
        for (index, line) in words::wrap(text, room, 0).enumerate() {
            if index > 0 {
                self.blank();
                self.pad(column);
            }
            self.text.push_str(&line);
        }
        self.blank();
    }

    fn pad(&mut self, columns: usize) {
        self.text.extend(std::iter::repeat_n(' ', columns));
    }
}

/// A page as it takes the place of the one on the screen: from the corner, each line cleared behind its end, then
/// everything below. What the screen has no row for is left out, because it would scroll.
pub(super) fn screenful(page: &[u8], rows: usize) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(64 * 1024));
    out.extend_from_slice(b"\x1b[H");
    let page = page.strip_suffix(b"\n").unwrap_or(page);
    for (row, line) in page.split(|byte| *byte == b'\n').take(rows).enumerate() {
        if row > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\x1b[K");
    }
    out.extend_from_slice(b"\x1b[J");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize, write: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(false, width);
        write(&mut page);
        String::from_utf8(page.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_row_hangs_beside_its_label() {
        let text = page(34, |page| {
            page.row("failures", "two since then, and none of them held")
        });
        assert_eq!(
            text,
            "failures    two since then, and\n            none of them held\n"
        );
    }

    #[test]
    fn a_screenful_leaves_nothing_of_the_one_before_and_does_not_scroll() {
        let drawn = screenful(b"one\ntwo\nthree\n", 2);
        assert_eq!(drawn.as_slice(), b"\x1b[Hone\x1b[K\ntwo\x1b[K\x1b[J");
    }

    #[test]
    fn without_colour_there_is_no_escape() {
        let text = page(80, |page| page.tinted_row("fault", Tint::Bad, "here"));
        assert_eq!(text, "fault       here\n");
    }
}
