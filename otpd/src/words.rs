//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Checks one-time codes for programs that do not run as root, such as screen lockers.

Usage: otpd [--listen] [--config FILE]

Without --listen it answers at the socket that it is given as standard input, by
systemd (pam-otp-otpd.socket), and ends when nobody has come for a minute.

      --listen       make the socket /run/pam_otp/otpd.sock and answer there until
                     told to end, where there is no systemd
      --config FILE  another policy than /etc/security/otp.toml
  -h, --help         this text
  -V, --version      the version

Example: otpd --listen
";

/// What is asked of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Stand at a door that somebody else has made.
    Keep,
    /// Make the door.
    Listen,
    /// Answer one asker. For ourselves alone.
    Answer,
    Help,
    Version,
}

/// A command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) task: Task,
    pub(crate) config: Option<PathBuf>,
}

impl Words {
    pub(crate) fn parse(words: &[OsString]) -> Result<Self, String> {
        let mut parsed = Self {
            task: Task::Keep,
            config: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let task = match word.to_str() {
                Some("--help" | "-h") => Task::Help,
                Some("--version" | "-V") => Task::Version,
                Some("--listen") => Task::Listen,
                Some("answer") => Task::Answer,
                Some("--config") => {
                    let file = words.next().map(PathBuf::from);
                    let file = file.filter(|file| file.is_absolute() && parsed.config.is_none());
                    parsed.config = Some(file.ok_or("--config takes one absolute path")?);
                    continue;
                }
                _ => {
                    let word = word.to_string_lossy();
                    return Err(format!(
                        "'{}' is unknown; see otpd --help",
                        word.escape_debug()
                    ));
                }
            };
            if parsed.task != Task::Keep {
                return Err("asked for two things at once; see otpd --help".to_owned());
            }
            parsed.task = task;
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Words, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Words::parse(&words)
    }

    #[test]
    fn what_is_documented_is_understood_and_nothing_else() {
        for (line, task, config) in [
            ("", Task::Keep, None),
            ("--listen", Task::Listen, None),
            ("--config /x --listen", Task::Listen, Some("/x")),
            ("answer --config /x", Task::Answer, Some("/x")),
            ("-h", Task::Help, None),
            ("--version", Task::Version, None),
        ] {
            let config = config.map(PathBuf::from);
            assert_eq!(parse(line), Ok(Words { task, config }), "{line}");
        }
        for line in [
            "--config",
            "--config x",
            "--config /x --config /y",
            "--listen answer",
            "--listen=1",
            "x",
            "-x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
