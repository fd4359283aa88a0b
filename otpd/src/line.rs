//! The log line of an asker, as the module writes it where it judges itself.

use std::net::IpAddr;

use otp::door::wire::Asker;
use otp::journal::Entry;
use otp::service::Service;
use otp::syslog;

/// What is written of an asker.
pub(crate) struct Line {
    pub(crate) entry: Entry,
    pub(crate) service: Option<Service>,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) user: Vec<u8>,
}

impl Line {
    pub(crate) fn of(entry: Entry, asker: Asker) -> Self {
        Self {
            entry,
            service: asker.service,
            remote: asker.remote,
            user: asker.user,
        }
    }

    /// Where it was not understood who asked for whom.
    pub(crate) const fn of_nobody(entry: Entry) -> Self {
        Self {
            entry,
            service: None,
            remote: None,
            user: Vec::new(),
        }
    }

    /// Writes it. A log that takes nothing keeps nobody out.
    pub(crate) fn write(&self) {
        // The log has the time: ours would need the time zone's files.
        let _ = syslog::write("otpd", self.entry.severity, "", &self.text());
    }

    /// `pam_otp(i3lock:auth): accepted method=totp offset=0 rhost=- user="alice"`
    pub(crate) fn text(&self) -> String {
        let line = self.entry.line(self.remote, &self.user);
        // Whoever asks names the service, so what could pass for another line is left out.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte);
        let service = self.service.as_ref().map(Service::as_str);
        let service = service.filter(|name| name.bytes().all(is_plain));
        format!("pam_otp({}:auth): {line}", service.unwrap_or("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otp::journal::Severity;

    fn text(service: &str) -> String {
        let line = Line {
            entry: Entry::plain(Severity::Notice, "refused reason=used".to_owned()),
            service: Service::parse(service),
            remote: None,
            user: b"al\"ice".to_vec(),
        };
        line.text()
    }

    #[test]
    fn the_line_is_the_modules_whatever_a_service_is_called() {
        let rest = "refused reason=used rhost=- user=\"al\\x22ice\"";
        assert_eq!(text("i3lock"), format!("pam_otp(i3lock:auth): {rest}"));
        assert_eq!(
            text("kde-fingerprint"),
            format!("pam_otp(kde-fingerprint:auth): {rest}")
        );
        for service in ["", "x:auth):accepted", "a(b", "a\"b"] {
            assert_eq!(
                text(service),
                format!("pam_otp(-:auth): {rest}"),
                "{service}"
            );
        }
    }
}
