//! The otpauth:// URI that authenticator apps scan (the Key URI format that Google Authenticator set).

use zeroize::Zeroizing;

use crate::enrollment::{Authenticator, Kind};
use crate::state::AuthenticatorState;

/// The URI of an authenticator, secret included: for the one showing at enrolment.
/// Issuer and label are percent-encoded; parameters at their defaults are spelled out too, as some apps want.
/// A HOTP carries the counter of its next code, as `state` has it.
#[must_use]
pub fn otpauth(authenticator: &Authenticator, state: &AuthenticatorState) -> Zeroizing<String> {
    let (moving, value) = match authenticator.kind {
        Kind::Totp { period } => ("period", period.as_secs()),
        Kind::Hotp => ("counter", state.used.next_counter().unwrap_or(u64::MAX)),
    };
    let issuer = encoded(&authenticator.issuer);
    let label = encoded(&authenticator.label);
    let secret = authenticator.secret.to_base32();
    Zeroizing::new(format!(
        "otpauth://{kind}/{issuer}:{label}?secret={secret}&issuer={issuer}&algorithm={algorithm}&digits={digits}&{moving}={value}",
        kind = authenticator.kind.name(),
        secret = secret.as_str(),
        algorithm = authenticator.algorithm.name().to_ascii_uppercase(),
        digits = authenticator.length.digits(),
    ))
}

/// RFC 3986 section 2.1: unreserved characters stand for themselves.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::Generation;
    use crate::hotp::{Algorithm, CodeLength};
    use crate::secret::Secret;
    use crate::time::{Period, UnixTime};

    #[test]
    fn what_people_write_cannot_break_the_uri() {
        let alice = Authenticator {
            name: "phone".to_owned(),
            generation: Generation::from_bits(1),
            kind: Kind::Totp {
                period: Period::THIRTY,
            },
            secret: Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(),
            algorithm: Algorithm::Sha256,
            length: CodeLength::SIX,
            issuer: "Müller & Co: web".to_owned(),
            label: "alice@corp?x=1".to_owned(),
            enrolled_at: UnixTime::EPOCH,
        };
        let mut state = AuthenticatorState::fresh(alice.generation);
        let uri = otpauth(&alice, &state);
        assert_eq!(
            *uri,
            "otpauth://totp/M%C3%BCller%20%26%20Co%3A%20web:alice%40corp%3Fx%3D1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=M%C3%BCller%20%26%20Co%3A%20web&algorithm=SHA256&digits=6&period=30"
        );
        state.used.raise_to(41);
        let token = Authenticator {
            kind: Kind::Hotp,
            ..alice
        };
        let uri = otpauth(&token, &state);
        assert!(uri.starts_with("otpauth://hotp/") && uri.ends_with("&digits=6&counter=42"));
    }
}
