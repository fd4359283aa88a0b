//! What the administrator decided of codes that are sent: by which channels, and how many.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Policy;
use crate::delivery::Channel;

/// How codes are sent, and how many. Every limit holds for all processes of the machine together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// How long a code lives that was asked for at a prompt, a minute to ten (NIST SP 800-63B-4 section 3.1.3.2).
    pub ttl: Duration,
    /// How long after a code was sent on a channel the next one may be.
    pub resend_after: Duration,
    /// How often one code is sent on, each time anew, before its time is over.
    pub sends_per_code: u32,
    /// Codes sent to a user in an hour, 1 to 30.
    pub per_hour: u32,
    /// Codes sent by the machine in an hour.
    pub machine_per_hour: u32,
    /// The most entries that wait to be sent.
    pub queue: usize,
    /// The account that commands run as.
    pub user: String,
    /// How long handing one code over may take.
    pub timeout: Duration,
}

/// Codes by e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailPolicy {
    /// Who takes the message.
    pub via: Via,
    /// Whom it is from; empty: root at this machine.
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// The program that takes it where `via` is [`Via::Sendmail`].
    pub sendmail: PathBuf,
}

/// Who takes an e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Nobody: no code is sent by e-mail.
    Off,
    /// A program with the interface of sendmail.
    Sendmail,
    /// A server (RFC 5321).
    Smtp,
}

/// The server where [`EmailPolicy::via`] is [`Via::Smtp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpPolicy {
    /// Its name or address; empty: there is none.
    pub host: String,
    /// Its port; 0: the usual one ([`port`](Self::port)).
    pub port: u16,
    /// How what is said to it is kept from others.
    pub tls: Tls,
    /// Who we are to it; empty: nobody in particular.
    pub user: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with the certificates that may vouch for it; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It begins plain and must go on under TLS (RFC 3207).
    StartTls,
    /// It is under TLS from the first byte (RFC 8314).
    Tls,
    /// It is not. Only to this machine itself.
    None,
}

/// Codes by SMS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsPolicy {
    /// The command that hands one over, and its arguments; empty: none is sent.
    pub command: Vec<String>,
}

impl Via {
    pub(super) const ALL: [Self; 3] = [Self::Off, Self::Sendmail, Self::Smtp];

    /// The word for it in otp.toml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Sendmail => "sendmail",
            Self::Smtp => "smtp",
        }
    }
}

impl Tls {
    pub(super) const ALL: [Self; 3] = [Self::StartTls, Self::Tls, Self::None];

    /// The word for it in otp.toml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
            Self::None => "none",
        }
    }
}

impl SmtpPolicy {
    /// The port, of which 587, 465 and 25 are the usual ones.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, Tls::StartTls) => 587,
            (0, Tls::Tls) => 465,
            (0, Tls::None) => 25,
            (port, _) => port,
        }
    }

    /// Whether it is this machine itself.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Policy {
    /// Whether codes are sent by this channel.
    #[must_use]
    pub fn channel_is_on(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.email.via != Via::Off,
            Channel::Sms => !self.sms.command.is_empty(),
        }
    }

    /// Whether codes are sent by any channel.
    #[must_use]
    pub fn delivers(&self) -> bool {
        Channel::ALL
            .into_iter()
            .any(|channel| self.channel_is_on(channel))
    }

    /// What of it is right by itself but not together: the key and what is wrong.
    pub(super) fn delivery_together(&self) -> [(bool, &'static str, &'static str); 4] {
        let Self { email, smtp, .. } = self;
        [
            (
                email.via == Via::Smtp && smtp.host.is_empty(),
                "email.via",
                "email.via = \"smtp\" needs smtp.host",
            ),
            (
                smtp.tls == Tls::None && !smtp.host.is_empty() && !smtp.is_here(),
                "smtp.tls",
                "smtp.tls = \"none\" is for smtp.host = \"localhost\" alone: anybody on the way could read the codes",
            ),
            (
                !smtp.user.is_empty() && smtp.password_file.is_none(),
                "smtp.user",
                "smtp.user needs smtp.password_file",
            ),
            (
                smtp.user.is_empty() && smtp.password_file.is_some(),
                "smtp.password_file",
                "smtp.password_file needs smtp.user",
            ),
        ]
    }
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10 * 60),
            resend_after: Duration::from_secs(60),
            sends_per_code: 3,
            per_hour: 10,
            machine_per_hour: 300,
            queue: 200,
            user: "nobody".to_owned(),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Default for EmailPolicy {
    fn default() -> Self {
        Self {
            via: Via::Off,
            from: String::new(),
            subject: "Your one-time code".to_owned(),
            sendmail: PathBuf::from("/usr/sbin/sendmail"),
        }
    }
}

impl Default for SmtpPolicy {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            tls: Tls::StartTls,
            user: String::new(),
            password_file: None,
            ca_file: None,
        }
    }
}
