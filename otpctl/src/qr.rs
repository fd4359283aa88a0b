//! The picture that phones scan: in the terminal, or in a file nobody else reads.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};

/// Light modules that a scanner wants around the code (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;
/// Pixels of a module's side in a file.
const SCALE: usize = 8;
/// Black on white, whatever the terminal's colours are.
const BLACK_ON_WHITE: &str = "\x1b[30;47m";
const PLAIN: &str = "\x1b[0m";

/// How the code is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Two modules a character, by half blocks.
    Utf8,
    /// One module two characters, without anything beyond ASCII.
    Ascii,
    Png(PathBuf),
    Svg(PathBuf),
    None,
}

impl Form {
    /// What `--qr` says. A file must not be there yet.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let path = PathBuf::from(text);
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let form = match (text, ending.as_deref().and_then(std::ffi::OsStr::to_str)) {
            ("utf8", _) => Self::Utf8,
            ("ascii", _) => Self::Ascii,
            ("none", _) => Self::None,
            (_, Some("png")) => Self::Png(path),
            (_, Some("svg")) => Self::Svg(path),
            _ => {
                return Err(Failure::usage(format!(
                    "--qr {text}: it takes utf8, ascii, none, or a file that ends in .png or .svg"
                )));
            }
        };
        match &form {
            Self::Png(path) | Self::Svg(path) if path.symlink_metadata().is_ok() => {
                Err(is_there(path))
            }
            _ => Ok(form),
        }
    }
}

/// A QR code.
pub(crate) struct Picture {
    code: QrCode,
}

impl Picture {
    pub(crate) fn of(uri: &str) -> Result<Self, Failure> {
        let code = QrCode::with_error_correction_level(uri, EcLevel::L).map_err(|_| {
            Failure::usage("issuer and label are too long for a QR code: make them shorter")
        })?;
        Ok(Self { code })
    }

    /// Modules of a side, with the quiet zone.
    pub(crate) fn side(&self) -> usize {
        self.code
            .width()
            .saturating_add(QUIET_ZONE.saturating_mul(2))
    }

    /// Half blocks: a line is two rows. On a colour terminal what is drawn is dark on light. Without colour what
    /// is drawn is light, which is right on a dark terminal, and most scanners read the other one too.
    pub(crate) fn to_utf8(&self, colour: bool) -> Zeroizing<String> {
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
    pub(crate) fn to_ascii(&self, colour: bool) -> Zeroizing<String> {
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

    /// Writes it to a new file that only its owner reads. What was written in part is taken away again.
    pub(crate) fn save(&self, form: &Form) -> Result<(), Failure> {
        let (path, bytes) = match form {
            Form::Png(path) => (path, self.to_png()?),
            Form::Svg(path) => (path, self.to_svg()),
            Form::Utf8 | Form::Ascii | Form::None => return Ok(()),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => is_there(path),
                _ => Failure::io("make", path, &error),
            })?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| {
                let _ = fs::remove_file(path);
                Failure::io("write", path, &error)
            })
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inner = |at: usize| {
            at.checked_sub(QUIET_ZONE)
                .filter(|at| *at < self.code.width())
        };
        match (inner(x), inner(y)) {
            (Some(x), Some(y)) => self.code[(x, y)] == Color::Dark,
            _ => false,
        }
    }

    fn to_png(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let side = self.side().saturating_mul(SCALE);
        let pixels: Zeroizing<Vec<u8>> = Zeroizing::new(
            (0..side)
                .flat_map(|y| (0..side).map(move |x| (x / SCALE, y / SCALE)))
                .map(|(x, y)| if self.is_dark(x, y) { 0 } else { 255 })
                .collect(),
        );
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
        let side = u32::try_from(side).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(&mut *bytes, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let write = |mut writer: png::Writer<_>| {
            writer.write_image_data(&pixels)?;
            writer.finish()
        };
        encoder.write_header().and_then(write).map_err(|error| {
            Failure::new(Kind::Io, format!("the QR code could not be drawn: {error}"))
        })?;
        Ok(bytes)
    }

    fn to_svg(&self) -> Zeroizing<Vec<u8>> {
        let scale = u32::try_from(SCALE).unwrap_or(1);
        let image = self
            .code
            .render::<svg::Color<'_>>()
            .quiet_zone(true)
            .module_dimensions(scale, scale)
            .build();
        Zeroizing::new(image.into_bytes())
    }
}

fn push_line(text: &mut String, cells: impl Iterator<Item = char>, (on, off): (&str, &str)) {
    text.push_str(on);
    text.extend(cells);
    let _ = writeln!(text, "{off}");
}

fn is_there(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is there already and is not overwritten: name a new file, or remove it first",
        path.display()
    ))
}

/// A picture in a file, taken away again unless it is kept: who gives up leaves nothing behind.
pub(crate) struct Saved<'a> {
    path: Option<&'a Path>,
}

impl<'a> Saved<'a> {
    pub(crate) fn new(picture: &Picture, form: &'a Form) -> Result<Self, Failure> {
        picture.save(form)?;
        let path = match form {
            Form::Png(path) | Form::Svg(path) => Some(path.as_path()),
            Form::Utf8 | Form::Ascii | Form::None => None,
        };
        Ok(Self { path })
    }

    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Saved<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood_and_nothing_else() {
        assert_eq!(Form::parse("utf8").unwrap(), Form::Utf8);
        assert_eq!(Form::parse("none").unwrap(), Form::None);
        assert_eq!(
            Form::parse("/no/such/a.PNG").unwrap(),
            Form::Png("/no/such/a.PNG".into())
        );
        assert_eq!(Form::parse("a.jpg").unwrap_err().kind, Kind::Usage);
        assert_eq!(Form::parse("").unwrap_err().kind, Kind::Usage);
    }

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
}
