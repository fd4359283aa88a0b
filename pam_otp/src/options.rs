//! The arguments of the module's line, parsed once. pam_otp(8) documents them.

use std::ffi::CStr;
use std::fmt;
use std::path::PathBuf;

use otp::passcode::{MAX_DIGITS, MIN_DIGITS};

/// What an `auth` line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// A user of whom nothing is kept is none of our business.
    pub(crate) nullok: bool,
    /// Another policy file than the default one.
    pub(crate) config: Option<PathBuf>,
    /// The prompt's text, instead of ours.
    pub(crate) prompt: Option<String>,
    /// A code is shown as it is typed.
    pub(crate) echo: bool,
    /// Whether the code may be the tail of a password that was typed before.
    pub(crate) first_pass: FirstPass,
    /// What stands before the code is handed on as the password.
    pub(crate) forward_pass: bool,
    /// How many digits the tail has.
    pub(crate) tail: usize,
    /// The administrator vouches that the line is reached only after a first factor, so that codes can be asked for.
    pub(crate) after_first_factor: bool,
    /// No delay after a failure.
    pub(crate) nodelay: bool,
    /// Tell the log which way a login went.
    pub(crate) debug: bool,
}

/// Where the code is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstPass {
    /// At the prompt.
    Prompt,
    /// At the end of the password typed before; at the prompt where there is none.
    Try,
    /// At the end of the password typed before, and nowhere else.
    Use,
}

/// An argument that is not to be obeyed, so nobody is let in by its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadArgument {
    argument: String,
    why: &'static str,
}

impl fmt::Display for BadArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument '{}' {}", self.argument, self.why)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nullok: false,
            config: None,
            prompt: None,
            echo: false,
            first_pass: FirstPass::Prompt,
            forward_pass: false,
            tail: MIN_DIGITS,
            after_first_factor: false,
            nodelay: false,
            debug: false,
        }
    }
}

impl Options {
    /// Understands the arguments of an `auth` line, or names the first that cannot be.
    pub(crate) fn parse(arguments: &[&CStr]) -> Result<Self, BadArgument> {
        let mut options = Self::default();
        for argument in arguments {
            options.take(argument).map_err(|why| bad(argument, why))?;
        }
        Ok(options)
    }

    fn take(&mut self, argument: &CStr) -> Result<(), &'static str> {
        let argument = argument.to_str().map_err(|_| "is not UTF-8")?;
        match (argument, argument.split_once('=')) {
            ("nullok", _) => self.nullok = true,
            ("echo", _) => self.echo = true,
            ("try_first_pass", _) => self.first_pass = self.only(FirstPass::Try)?,
            ("use_first_pass", _) => self.first_pass = self.only(FirstPass::Use)?,
            ("forward_pass", _) => self.forward_pass = true,
            ("after_first_factor", _) => self.after_first_factor = true,
            ("nodelay", _) => self.nodelay = true,
            ("debug", _) => self.debug = true,
            (_, Some(("config", path))) => self.config = Some(config(path)?),
            (_, Some(("prompt", text))) => self.prompt = Some(text.to_owned()),
            (_, Some(("tail", digits))) => self.tail = tail(digits)?,
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    fn only(&self, wanted: FirstPass) -> Result<FirstPass, &'static str> {
        if self.first_pass == FirstPass::Prompt || self.first_pass == wanted {
            Ok(wanted)
        } else {
            Err("cannot stand beside the other of try_first_pass and use_first_pass")
        }
    }
}

/// What an `account` line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountOptions {
    /// Who is not enrolled enrols now.
    pub(crate) enroll: bool,
    /// Who has logged in is told what came before.
    pub(crate) notice: bool,
    /// Another policy file than the default one.
    pub(crate) config: Option<PathBuf>,
    /// The prompt for the first code, instead of ours.
    pub(crate) prompt: Option<String>,
}

impl AccountOptions {
    /// Understands the arguments of an `account` line, or names the first that cannot be.
    pub(crate) fn parse(arguments: &[&CStr]) -> Result<Self, BadArgument> {
        let mut options = Self::default();
        for argument in arguments {
            options.take(argument).map_err(|why| bad(argument, why))?;
        }
        Ok(options)
    }

    fn take(&mut self, argument: &CStr) -> Result<(), &'static str> {
        let argument = argument.to_str().map_err(|_| "is not UTF-8")?;
        match (argument, argument.split_once('=')) {
            ("enroll", _) => self.enroll = true,
            ("notice", _) => self.notice = true,
            (_, Some(("config", path))) => self.config = Some(config(path)?),
            (_, Some(("prompt", text))) => self.prompt = Some(text.to_owned()),
            _ => return Err("is unknown in an account line: see pam_otp(8)"),
        }
        Ok(())
    }
}

const UNKNOWN: &str = "is unknown: see pam_otp(8)";

fn bad(argument: &CStr, why: &'static str) -> BadArgument {
    let argument = argument.to_string_lossy().into_owned();
    BadArgument { argument, why }
}

fn config(path: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("takes an absolute path")
    }
}

fn tail(digits: &str) -> Result<usize, &'static str> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(digits @ MIN_DIGITS..=MAX_DIGITS) if plain => Ok(digits),
        _ => Err("takes a number of digits from 6 to 10"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::path::Path;

    fn parse(line: &[&str]) -> Result<Options, String> {
        let owned: Vec<CString> = line.iter().map(|a| CString::new(*a).unwrap()).collect();
        let arguments: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
        Options::parse(&arguments).map_err(|bad| bad.to_string())
    }

    #[test]
    fn every_documented_argument_is_taken() {
        assert_eq!(parse(&[]), Ok(Options::default()));
        let all = parse(&[
            "nullok",
            "config=/etc/other.toml",
            "prompt=Code = ",
            "echo",
            "try_first_pass",
            "forward_pass",
            "tail=8",
            "after_first_factor",
            "nodelay",
            "debug",
        ])
        .unwrap();
        assert!(all.nullok && all.echo && all.forward_pass && all.nodelay && all.debug);
        assert!(all.after_first_factor);
        assert_eq!(all.config.as_deref(), Some(Path::new("/etc/other.toml")));
        assert_eq!(all.prompt.as_deref(), Some("Code = "));
        assert_eq!((all.first_pass, all.tail), (FirstPass::Try, 8));
        assert_eq!(
            parse(&["use_first_pass"]).unwrap().first_pass,
            FirstPass::Use
        );
    }

    #[test]
    fn what_is_unknown_or_wrong_is_named() {
        let why = |argument: &str| parse(&["nullok", argument]).unwrap_err();
        assert_eq!(why("nulok"), "argument 'nulok' is unknown: see pam_otp(8)");
        for unknown in [
            "",
            "NULLOK",
            "nullok=1",
            "prompt",
            "config",
            "user=alice",
            "enroll",
        ] {
            assert!(why(unknown).contains("is unknown"), "{unknown}");
        }
        for tail in [
            "tail=", "tail=5", "tail=11", "tail=+6", "tail=six", "tail=-6",
        ] {
            assert_eq!(
                why(tail),
                format!("argument '{tail}' takes a number of digits from 6 to 10")
            );
        }
        assert!(why("config=otp.toml").ends_with("takes an absolute path"));
        assert!(parse(&["try_first_pass", "use_first_pass"]).is_err());
        let latin1 = CString::new(b"prompt=\xe9".to_vec()).unwrap();
        let bad = Options::parse(&[&latin1]).unwrap_err();
        assert_eq!(bad.to_string(), "argument 'prompt=\u{fffd}' is not UTF-8");
    }

    #[test]
    fn every_documented_argument_of_an_account_line_is_taken_and_no_other() {
        assert_eq!(AccountOptions::parse(&[]), Ok(AccountOptions::default()));
        let all = [c"enroll", c"notice", c"config=/x", c"prompt=First code: "];
        let all = AccountOptions::parse(&all).unwrap();
        assert!(all.enroll && all.notice);
        assert_eq!(all.config.as_deref(), Some(Path::new("/x")));
        assert_eq!(all.prompt.as_deref(), Some("First code: "));
        for other in [
            c"nullok",
            c"config=x",
            c"debug",
            c"enroll=1",
            c"prompt",
            c"",
        ] {
            assert!(AccountOptions::parse(&[other]).is_err(), "{other:?}");
        }
    }
}
