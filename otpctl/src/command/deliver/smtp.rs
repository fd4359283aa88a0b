//! A message handed to a server (RFC 5321), under TLS except on this machine itself.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use nix::libc;
use nix::unistd::alarm;
use otp::policy::{SmtpPolicy, Tls};
use otp::store::queue::Reason;
use zeroize::Zeroizing;

use super::one::Trouble;

/// Nothing longer is a password, and nothing longer a list of certificates, in bytes.
const MOST: u64 = 1024;
const MOST_CERTIFICATES: u64 = 1024 * 1024;

/// Hands it over. All of it takes at most `limit`: after that the process is killed, which its parent understands.
pub(super) fn send(smtp: &SmtpPolicy, message: &Message, limit: Duration) -> Result<(), Trouble> {
    if smtp.tls == Tls::None && !smtp.is_here() {
        return Err(setup("smtp.tls"));
    }
    let tls = match smtp.tls {
        Tls::None => None,
        Tls::Tls | Tls::StartTls => Some(parameters(smtp)?),
    };
    let password = password(smtp)?;
    // A server that says a byte now and then never times out by itself.
    alarm::set(u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).max(1));
    let done = converse(smtp, tls, password, message, limit);
    alarm::cancel();
    done
}

fn converse(
    smtp: &SmtpPolicy,
    tls: Option<TlsParameters>,
    password: Option<Zeroizing<String>>,
    message: &Message,
    limit: Duration,
) -> Result<(), Trouble> {
    let hello = ClientId::default();
    let at_once = tls.as_ref().filter(|_| smtp.tls == Tls::Tls);
    let addresses = addresses(smtp)?;
    let mut connection =
        SmtpConnection::connect(addresses.as_slice(), Some(limit), &hello, at_once, None)
            .map_err(|error| trouble(&error, Reason::Unreachable))?;
    if let Some(tls) = tls.as_ref().filter(|_| smtp.tls == Tls::StartTls) {
        connection
            .starttls(tls, &hello)
            .map_err(|error| trouble(&error, Reason::Tls))?;
    }
    if let Some(password) = password {
        let credentials = Credentials::new(smtp.user.clone(), password.to_string());
        connection
            .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
            .map_err(|error| trouble(&error, Reason::Login))?;
    }
    connection
        .send(message.envelope(), &message.formatted())
        .map_err(|error| trouble(&error, Reason::Refused))?;
    // It has taken the message; how it says farewell does not matter.
    let _ = connection.quit();
    Ok(())
}

/// Where the server is. This machine itself is not looked up: who answers for its name could be anybody.
fn addresses(smtp: &SmtpPolicy) -> Result<Vec<SocketAddr>, Trouble> {
    let port = smtp.port();
    if smtp.host == "localhost" {
        let here = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        return Ok(here.map(|address| SocketAddr::new(address, port)).into());
    }
    let found = (smtp.host.as_str(), port).to_socket_addrs();
    found
        .map(Iterator::collect)
        .map_err(|_| Trouble::new(Reason::Unreachable, "at=smtp.host"))
}

/// What went wrong, where `stage` is what it is if nothing tells otherwise. The server's own words stay out of the log:
/// they may quote the message.
fn trouble(error: &Error, stage: Reason) -> Trouble {
    if let Some(status) = error.status() {
        let reason = match stage {
            Reason::Unreachable => Reason::Refused,
            stage => stage,
        };
        return Trouble::new(reason, format!("reply={status}"));
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let reason = match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Reason::Timeout,
                // How rustls says that it does not believe the server.
                io::ErrorKind::InvalidData => Reason::Tls,
                _ if stage == Reason::Tls => Reason::Tls,
                _ => Reason::Unreachable,
            };
            return Trouble::new(reason, "");
        }
        source = error.source();
    }
    Trouble::new(if error.is_tls() { Reason::Tls } else { stage }, "")
}

fn parameters(smtp: &SmtpPolicy) -> Result<TlsParameters, Trouble> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca_file {
        let pem = read(path, MOST_CERTIFICATES, 0o022).map_err(|_| setup("smtp.ca_file"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|_| setup("smtp.ca_file"))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder.build().map_err(|_| setup("smtp.host"))
}

/// The first line of the file that only root may read.
fn password(smtp: &SmtpPolicy) -> Result<Option<Zeroizing<String>>, Trouble> {
    let Some(path) = &smtp.password_file else {
        return Ok(None);
    };
    let content = read(path, MOST, 0o077).map_err(|_| setup("smtp.password_file"))?;
    let line = content.split(|byte| *byte == b'\n').next();
    let text = std::str::from_utf8(line.unwrap_or_default());
    let text = text.map_err(|_| setup("smtp.password_file"))?;
    Ok(Some(Zeroizing::new(text.trim_end_matches('\r').to_owned())))
}

/// A file of root's that nobody else may touch so.
fn read(path: &Path, most: u64, forbidden: u32) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.uid() != 0 || about.mode() & forbidden != 0 || about.len() > most {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let size = usize::try_from(about.len()).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

fn setup(key: &str) -> Trouble {
    Trouble::new(Reason::Setup, format!("at={key}"))
}
