//! The picture that phones scan: in the terminal, or in a file nobody else reads.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use otp::qr::Picture;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};

/// Pixels of a module's side in a file.
const SCALE: usize = 8;

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

/// The picture of a URI.
pub(crate) fn picture(uri: &str) -> Result<Picture, Failure> {
    Picture::of(uri).ok_or_else(|| {
        Failure::usage("issuer and label are too long for a QR code: make them shorter")
    })
}

/// Writes it to a new file that only its owner reads. What was written in part is taken away again.
fn save(picture: &Picture, form: &Form) -> Result<(), Failure> {
    let (path, bytes) = match form {
        Form::Png(path) => (path, to_png(picture)?),
        Form::Svg(path) => (path, to_svg(picture)),
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

fn to_png(picture: &Picture) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let side = picture.side().saturating_mul(SCALE);
    let pixels: Zeroizing<Vec<u8>> = Zeroizing::new(
        (0..side)
            .flat_map(|y| (0..side).map(move |x| (x / SCALE, y / SCALE)))
            .map(|(x, y)| if picture.is_dark(x, y) { 0 } else { 255 })
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

/// One path of squares, [`SCALE`] pixels wide.
fn to_svg(picture: &Picture) -> Zeroizing<Vec<u8>> {
    let mut image = Zeroizing::new(String::with_capacity(256 * 1024));
    let pixels = |modules: usize| modules.saturating_mul(SCALE);
    let size = pixels(picture.side());
    let _ = write!(
        image,
        "<?xml version=\"1.0\" standalone=\"yes\"?><svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{size}\" height=\"{size}\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path fill=\"#000\" d=\""
    );
    for y in 0..picture.side() {
        for x in (0..picture.side()).filter(|x| picture.is_dark(*x, y)) {
            let (x, y) = (pixels(x), pixels(y));
            let _ = write!(image, "M{x} {y}h{SCALE}v{SCALE}h-{SCALE}z");
        }
    }
    image.push_str("\"/></svg>");
    Zeroizing::new(std::mem::take(&mut *image).into_bytes())
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
        save(picture, form)?;
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
}
