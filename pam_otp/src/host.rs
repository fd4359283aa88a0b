//! The host as libpam shows it, behind [`Host`].

use std::ffi::{CStr, CString, c_int};
use std::net::{IpAddr, Ipv6Addr};

use pam::constants::{PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_TEXT_INFO, PamResultCode};
use pam::conv::Conv;
use pam::items::{AuthTok, RHost, Service, User};
use pam::module::PamHandle;
use zeroize::Zeroizing;

use crate::login::{Failure, Host, SecretText};
use crate::mark::Mark;
use crate::request::Told;
use crate::{ffi, journal};

/// How late a failure is answered; libpam spreads it by half to either side.
const FAIL_DELAY_MICROSECONDS: u32 = 2_000_000;

/// The host of one login.
pub(crate) struct PamHost<'a> {
    pamh: &'a mut PamHandle,
    notes: bool,
}

impl<'a> PamHost<'a> {
    pub(crate) fn new(pamh: &'a mut PamHandle) -> Self {
        Self { pamh, notes: false }
    }

    /// The same host, with notes of the way in the log.
    pub(crate) fn with_notes(&mut self, notes: bool) -> &mut Self {
        self.notes = notes;
        self
    }

    /// One line for the log.
    pub(crate) fn log(&self, priority: c_int, line: &str) {
        // No line holds a NUL: it would have been escaped.
        if let Ok(line) = CString::new(line) {
            ffi::log(self.pamh, priority, &line);
        }
    }

    /// The name as typed, without asking for it; empty if there is none.
    pub(crate) fn typed_name(&self) -> Vec<u8> {
        let user: Option<User<'_>> = self.pamh.get_item().ok().flatten();
        user.map_or_else(Vec::new, |user| user.to_bytes().to_vec())
    }
}

impl Host for PamHost<'_> {
    fn user(&mut self) -> Result<Vec<u8>, Failure> {
        match self.pamh.get_user(None) {
            Ok(name) => Ok(name.into_bytes()),
            Err(PamResultCode::PAM_CONV_ERR) => Err(Failure::NoConversation),
            // The bindings say so of a name that is not UTF-8, too. Nobody has such a name, but it is asked like any.
            Err(PamResultCode::PAM_SYSTEM_ERR) => match self.typed_name() {
                name if std::str::from_utf8(&name).is_err() => Ok(name),
                _ => Err(Failure::Fault("libpam has no user name")),
            },
            Err(_) => Err(Failure::Fault("libpam gives no user name")),
        }
    }

    fn ask(&mut self, prompt: &str, echo: bool) -> Result<Option<SecretText>, Failure> {
        let conversation: Option<Conv<'_>> = self.pamh.get_item().ok().flatten();
        let conversation = conversation.ok_or(Failure::NoConversation)?;
        let style = if echo {
            PAM_PROMPT_ECHO_ON
        } else {
            PAM_PROMPT_ECHO_OFF
        };
        match conversation.send(style, prompt) {
            Ok(answer) => Ok(answer.map(|text| Zeroizing::new(text.as_bytes().to_vec()))),
            Err(_) => Err(Failure::NoConversation),
        }
    }

    fn password(&self) -> Result<Option<SecretText>, Failure> {
        match self.pamh.get_item::<AuthTok<'_>>() {
            Ok(token) => Ok(token.map(|token| Zeroizing::new(token.as_bytes().to_vec()))),
            Err(_) => Err(Failure::Fault("libpam keeps PAM_AUTHTOK from us")),
        }
    }

    fn hand_on(&mut self, password: &[u8]) -> Result<(), Failure> {
        let refused = Failure::Fault("libpam does not take PAM_AUTHTOK");
        let mut text = Zeroizing::new(Vec::with_capacity(password.len().saturating_add(1)));
        text.extend_from_slice(password);
        text.push(0);
        let Ok(text) = CStr::from_bytes_with_nul(&text) else {
            return Err(refused);
        };
        ffi::set_authtok(self.pamh, text).map_err(|_| refused)
    }

    fn delay_failure(&mut self) {
        ffi::fail_delay(self.pamh, FAIL_DELAY_MICROSECONDS);
    }

    fn service(&self) -> String {
        let service: Option<Service<'_>> = self.pamh.get_item().ok().flatten();
        service.map_or_else(String::new, |service| {
            service.to_string_lossy().into_owned()
        })
    }

    fn remote_address(&self) -> Option<IpAddr> {
        let remote: Option<RHost<'_>> = self.pamh.get_item().ok().flatten();
        address(remote?.to_str().ok()?)
    }

    fn environment(&self, name: &CStr) -> Option<&[u8]> {
        ffi::environment(self.pamh, name).map(CStr::to_bytes)
    }

    fn tell(&mut self, told: &Told<'_>) {
        journal::write_request(told, self);
    }

    fn note(&self, step: &str) {
        if self.notes {
            self.log(libc::LOG_DEBUG, step);
        }
    }

    fn leave(&mut self, mark: Option<Mark>) -> Result<(), Failure> {
        let words = mark.as_ref().map_or_else(Vec::new, Mark::to_words);
        let mut keep = |index, word| {
            let kept = ffi::keep_word(self.pamh, index, word);
            kept.map_err(|_| Failure::Fault("libpam keeps no data of ours"))
        };
        // How many there are comes last, so that half a mark is none.
        keep(0, 0)?;
        for (index, word) in words.into_iter().enumerate().rev() {
            keep(index, word)?;
        }
        Ok(())
    }

    fn left(&self) -> Option<Mark> {
        Mark::from_words(|index| ffi::word(self.pamh, index))
    }

    fn say(&mut self, text: &str) {
        let conversation: Option<Conv<'_>> = self.pamh.get_item().ok().flatten();
        if let Some(conversation) = conversation {
            let _ = conversation.send(PAM_TEXT_INFO, text);
        }
    }
}

/// An address literal; an IPv6 one may name its zone, as in `fe80::1%eth0`. Names are never looked up.
fn address(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((address, _)) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_literal_is_an_address() {
        let shown = |text| address(text).map(|address| address.to_string());
        assert_eq!(shown("198.51.100.7").as_deref(), Some("198.51.100.7"));
        assert_eq!(shown("fe80::1%eth0").as_deref(), Some("fe80::1"));
        assert_eq!(shown("2001:db8::7").as_deref(), Some("2001:db8::7"));
        for name in [
            "",
            "localhost",
            "198.51.100.7%eth0",
            "198.51.100",
            "[::1]",
            "1.2.3.4 ",
            "UNKNOWN",
        ] {
            assert_eq!(shown(name), None, "{name}");
        }
    }
}
