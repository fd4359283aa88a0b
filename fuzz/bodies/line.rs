//! The module's line in `/etc/pam.d`, as pam_otp(8) documents it. The module is a library for libpam alone, so its parser is
//! taken in from its source.

use std::ffi::{CStr, CString};
use std::path::PathBuf;

// What is compiled here for the second time is tried, not shipped: what only the module uses is unused here.
#[allow(dead_code, unreachable_pub)]
#[path = "../../pam_otp/src/options.rs"]
mod options;

use options::{AccountOptions, FirstPass, Options};

/// The arguments of a line, each ended by a NUL as libpam has them.
pub fn line(data: &[u8]) {
    let arguments: Vec<CString> = data
        .split(|byte| *byte == 0)
        .map(|argument| CString::new(argument).unwrap())
        .collect();
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    match (Options::parse(&arguments), documented(&arguments)) {
        (Ok(options), Ok(meant)) => assert_eq!(options, meant),
        (Err(bad), Err(first)) => assert_named(&bad.to_string(), first),
        (Ok(_), Err(bad)) => panic!("{bad:?} is obeyed"),
        (Err(bad), Ok(_)) => panic!("{bad} though it is documented"),
    }
    match (
        AccountOptions::parse(&arguments),
        documented_of_accounts(&arguments),
    ) {
        (Ok(options), Ok(meant)) => assert_eq!(options, meant),
        (Err(bad), Err(first)) => assert_named(&bad.to_string(), first),
        (Ok(_), Err(bad)) => panic!("{bad:?} is obeyed in an account line"),
        (Err(bad), Ok(_)) => panic!("{bad} though it is documented for an account line"),
    }
}

fn assert_named(said: &str, argument: &CStr) {
    let named = format!("argument '{}' ", argument.to_string_lossy());
    assert!(said.starts_with(&named), "{said}: not {named}");
}

/// What the line asks for, or its first argument that is not in the manual.
fn documented<'a>(arguments: &[&'a CStr]) -> Result<Options, &'a CStr> {
    let mut meant = Options::default();
    for argument in arguments {
        let bytes = argument.to_bytes();
        let text = std::str::from_utf8(bytes).map_err(|_| *argument)?;
        let digits = ["6", "7", "8", "9", "10"];
        match bytes {
            b"nullok" => meant.nullok = true,
            b"echo" => meant.echo = true,
            b"forward_pass" => meant.forward_pass = true,
            b"after_first_factor" => meant.after_first_factor = true,
            b"nodelay" => meant.nodelay = true,
            b"debug" => meant.debug = true,
            b"try_first_pass" if meant.first_pass != FirstPass::Use => {
                meant.first_pass = FirstPass::Try;
            }
            b"use_first_pass" if meant.first_pass != FirstPass::Try => {
                meant.first_pass = FirstPass::Use;
            }
            [b'c', b'o', b'n', b'f', b'i', b'g', b'=', b'/', ..] => {
                meant.config = Some(PathBuf::from(&text[7..]));
            }
            [b'p', b'r', b'o', b'm', b'p', b't', b'=', ..] => {
                meant.prompt = Some(text[7..].to_owned());
            }
            [b't', b'a', b'i', b'l', b'=', ..] => {
                // A number may begin with zeros.
                let number = text[5..].trim_start_matches('0');
                let at = digits.iter().position(|digits| *digits == number);
                meant.tail = at.ok_or(*argument)? + 6;
            }
            _ => return Err(argument),
        }
    }
    Ok(meant)
}

/// The same of an `account` line.
fn documented_of_accounts<'a>(arguments: &[&'a CStr]) -> Result<AccountOptions, &'a CStr> {
    let mut meant = AccountOptions::default();
    for argument in arguments {
        let text = argument.to_str().map_err(|_| *argument)?;
        match text.as_bytes() {
            b"enroll" => meant.enroll = true,
            b"notice" => meant.notice = true,
            [b'c', b'o', b'n', b'f', b'i', b'g', b'=', b'/', ..] => {
                meant.config = Some(PathBuf::from(&text[7..]));
            }
            [b'p', b'r', b'o', b'm', b'p', b't', b'=', ..] => {
                meant.prompt = Some(text[7..].to_owned());
            }
            _ => return Err(argument),
        }
    }
    Ok(meant)
}
