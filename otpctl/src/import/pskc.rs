//! PSKC (RFC 6030): the XML in which vendors deliver tokens. Plain secrets alone; encrypted ones are named.

use data_encoding::BASE64;
use otp::drift::Drift;
use otp::enrollment::Kind;
use otp::hotp::{Algorithm, CodeLength};
use otp::time::Period;
use roxmltree::{Document, Node, ParsingOptions};
use zeroize::Zeroizing;

use super::person::{Brought, Person, Why};
use super::text;

/// A document is read whole: so many bytes at most, which is some 100,000 keys.
pub(crate) const MAX_FILE: usize = 256 * 1024 * 1024;
/// So many elements and texts at most.
const MAX_NODES: u32 = 16 * 1024 * 1024;
const HOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";
const TOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:totp";

/// The line a key package begins on, and what it says.
pub(crate) type Package = (usize, Result<Person, Why>);

/// What each key package says, with the line it begins on.
pub(crate) fn document(content: &[u8]) -> Result<Vec<Package>, Why> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8")?;
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|_| "it is not XML")?;
    let root = document.root_element();
    if root.tag_name().name() != "KeyContainer" {
        return Err("it is no KeyContainer of RFC 6030");
    }
    let packages = root.children().filter(|node| is(node, "KeyPackage"));
    let mut people = Vec::new();
    // Counted on from package to package: asking for a line counts from the beginning.
    let (mut line, mut at) = (1_usize, 0_usize);
    for package in packages {
        let start = package.range().start;
        let between = content.get(at..start).unwrap_or_default();
        let breaks = between.iter().filter(|byte| **byte == b'\n').count();
        line = line.saturating_add(breaks);
        at = start;
        people.push((line, self::package(package)));
    }
    Ok(people)
}

fn package(package: Node<'_, '_>) -> Result<Person, Why> {
    let key = child(package, "Key").ok_or("it has no Key")?;
    let data = child(key, "Data").ok_or("its Key has no Data")?;
    let secret = child(data, "Secret").ok_or("its Key has no Secret")?;
    if child(secret, "EncryptedValue").is_some() {
        return Err(
            "its secret is encrypted, which is not supported: have the file exported with plain values",
        );
    }
    let secret = plain(secret).ok_or("its Secret has no PlainValue")?;
    let bytes = BASE64
        .decode(secret.as_bytes())
        .map_err(|_| "its secret is not base64")?;
    let mut brought = Brought::totp(text::secret(Zeroizing::new(bytes))?);
    let counter = number(data, "Counter", "its Counter is not a number")?;
    match key.attribute("Algorithm") {
        Some(HOTP) => brought.count_from(counter.unwrap_or(0)),
        Some(TOTP) => {
            let period = number(data, "TimeInterval", "its TimeInterval is not a number")?;
            let period = Period::from_secs(period.unwrap_or(30));
            let period = period.ok_or("its TimeInterval is not 5 to 300 seconds")?;
            brought.kind = Kind::Totp { period };
            let drift = child(data, "TimeDrift").and_then(plain);
            let drift = drift
                .map(|drift| text::signed(drift.as_bytes()).ok_or("its TimeDrift is not a number"));
            brought.drift = Drift::measured(drift.transpose()?.unwrap_or(0));
        }
        _ => return Err("its algorithm is neither HOTP nor TOTP"),
    }
    shape(key, &mut brought)?;
    let issuer = child(key, "Issuer").and_then(content);
    brought.issuer = issuer.map(|issuer| issuer.to_string());
    brought.name = key.attribute("Id").map(str::to_owned);
    let device = child(package, "DeviceInfo").and_then(|device| child(device, "UserId"));
    let user = child(key, "UserId").or(device).and_then(content);
    Ok(Person::with(user.map(|user| named_by(&user)), brought))
}

/// Digits and hash.
fn shape(key: Node<'_, '_>, brought: &mut Brought) -> Result<(), Why> {
    let Some(parameters) = child(key, "AlgorithmParameters") else {
        return Ok(());
    };
    if let Some(format) = child(parameters, "ResponseFormat") {
        if format
            .attribute("Encoding")
            .is_some_and(|encoding| encoding != "DECIMAL")
        {
            return Err("its codes are not decimal");
        }
        if let Some(length) = format.attribute("Length") {
            let length = text::number(length.as_bytes()).and_then(CodeLength::new);
            brought.length = length.ok_or("its codes are not of 6 to 8 digits")?;
        }
    }
    if let Some(suite) = child(parameters, "Suite").and_then(content) {
        let name = suite.to_ascii_lowercase().replace(['-', '_'], "");
        let name = name.strip_prefix("hmac").unwrap_or(&name);
        brought.algorithm =
            Algorithm::from_name(name).ok_or("its Suite is not SHA1, SHA256 or SHA512")?;
    }
    Ok(())
}

/// A user may be named by a distinguished name (RFC 4514): then by its first part.
fn named_by(text: &str) -> String {
    let first = text.split(',').next().unwrap_or(text);
    match first.split_once('=') {
        Some((kind, name))
            if ["uid", "cn"].contains(&kind.trim().to_ascii_lowercase().as_str()) =>
        {
            name.trim().to_owned()
        }
        _ => text.to_owned(),
    }
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn child<'a, 'input>(of: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    of.children().find(|node| is(node, name))
}

fn content(of: Node<'_, '_>) -> Option<Zeroizing<String>> {
    let text = of.text()?.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// Without the blanks that XML may have anywhere in it.
fn plain(of: Node<'_, '_>) -> Option<Zeroizing<String>> {
    let value = content(child(of, "PlainValue")?)?;
    Some(Zeroizing::new(value.split_whitespace().collect()))
}

fn number(data: Node<'_, '_>, name: &str, bad: Why) -> Result<Option<u64>, Why> {
    match child(data, name) {
        None => Ok(None),
        Some(node) => {
            let value = plain(node).and_then(|value| text::number(value.as_bytes()));
            value.map(Some).ok_or(bad)
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a test may overflow and fail"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // After RFC 6030 figures 2 and 8.
    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
  <KeyPackage>
    <DeviceInfo><Manufacturer>oath.ACME</Manufacturer><SerialNo>987654321</SerialNo></DeviceInfo>
    <Key Id="token-1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
      <Issuer>ACME</Issuer>
      <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
      <Data>
        <Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
        <Counter><PlainValue>5</PlainValue></Counter>
      </Data>
      <UserId>UID=alice,DC=example-bank,DC=net</UserId>
    </Key>
  </KeyPackage>
  <pskc:KeyPackage xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc">
    <pskc:DeviceInfo><pskc:UserId>bob</pskc:UserId></pskc:DeviceInfo>
    <pskc:Key Id="2" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp">
      <pskc:AlgorithmParameters><pskc:Suite>HMAC-SHA256</pskc:Suite></pskc:AlgorithmParameters>
      <pskc:Data>
        <pskc:Secret><pskc:PlainValue>
          MTIzNDU2Nzg5MDEy MzQ1Njc4OTA=
        </pskc:PlainValue></pskc:Secret>
        <pskc:Time><pskc:PlainValue>0</pskc:PlainValue></pskc:Time>
        <pskc:TimeInterval><pskc:PlainValue>60</pskc:PlainValue></pskc:TimeInterval>
        <pskc:TimeDrift><pskc:PlainValue>-2</pskc:PlainValue></pskc:TimeDrift>
      </pskc:Data>
    </pskc:Key>
  </pskc:KeyPackage>
  <KeyPackage><Key Id="3" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
      <Data><Secret><EncryptedValue/></Secret></Data></Key></KeyPackage>
</KeyContainer>
"#;

    #[test]
    fn keys_of_both_kinds_are_taken_and_encrypted_ones_named() {
        let people = document(FILE.as_bytes()).unwrap();
        let lines: Vec<_> = people.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 15, 29]);
        let alice = people[0].1.as_ref().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(alice.user.as_deref(), Some("alice"));
        let token = &alice.authenticators[0];
        assert_eq!(token.secret.expose(), b"12345678901234567890");
        assert_eq!(
            (token.length.digits(), token.used.next_counter()),
            (8, Some(5))
        );
        assert_eq!(token.name.as_deref(), Some("token-1"));
        let bob = people[1].1.as_ref().unwrap_or_else(|why| panic!("{why}"));
        let app = &bob.authenticators[0];
        assert_eq!(bob.user.as_deref(), Some("bob"));
        assert_eq!(
            (app.algorithm, app.kind.period()),
            (Algorithm::Sha256, Period::from_secs(60))
        );
        assert_eq!(app.drift.learned(4), -2);
        assert!(people[2].1.as_ref().err().unwrap().contains("encrypted"));
    }

    #[test]
    fn what_is_no_such_document_is_refused_and_entities_are_not_expanded() {
        for text in ["", "<a/>", "<KeyContainer>", "\u{0}"] {
            assert!(document(text.as_bytes()).is_err(), "{text}");
        }
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><KeyContainer>&b;</KeyContainer>";
        assert!(document(bomb.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..FILE.len(), bytes: Vec<u8>) {
            let mut text = FILE.as_bytes().to_vec();
            let end = (at + bytes.len()).min(text.len());
            let _ = text.splice(at..end, bytes);
            let _ = document(&text);
        }
    }
}
