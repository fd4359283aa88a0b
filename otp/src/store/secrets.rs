//! The file of a user's authenticators and recovery codes: TOML, so that an administrator can read it.
//! FILEFORMAT.md has the keys. What is wrong with it is told by line, never with its text.

mod written;

use std::path::Path;

use data_encoding::HEXLOWER;
use toml::Spanned;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::Error;
use super::table::{Source, Table};
use crate::enrollment::{
    Authenticator, Enrollment, Kind, MAX_AUTHENTICATORS, MAX_RECOVERY_CODES, RecoveryList,
};
use crate::hotp::Algorithm;
use crate::keyed::Digest;
use crate::secret::Secret;
use crate::time::{Period, UnixTime};

/// The last version of the format that is known here.
const VERSION: u64 = 1;
/// A file of secrets is never longer, in bytes.
pub(super) const MAX_SECRETS: usize = 16 * 1024;

/// The first line of the file.
const WRITTEN_BY: &str =
    "# Written by otpctl, read at every login. FILEFORMAT.md in the documentation has the keys.\n";

/// The text of the file. Wiped on drop.
pub(super) fn text(uid: u32, enrollment: &Enrollment) -> Zeroizing<String> {
    // Allocated once: growing would leave copies of the secret behind.
    let mut out = Zeroizing::new(String::with_capacity(MAX_SECRETS));
    out.push_str(WRITTEN_BY);
    out.push_str(&format!("format = {VERSION}\nuid = {uid}\n"));
    for authenticator in &enrollment.authenticators {
        authenticator_to(&mut out, authenticator);
    }
    if let Some(list) = &enrollment.recovery {
        out.push_str("\n[recovery]\n");
        out.push_str(&format!(
            "generation = \"{:016x}\"\n",
            list.generation.bits()
        ));
        if let Some(length) = list.digits {
            out.push_str(&format!("digits = {}\n", length.digits()));
        }
        out.push_str("digests = [\n");
        for digest in &list.digests {
            let hex = HEXLOWER.encode(digest.as_bytes());
            out.push_str(&format!("  \"{hex}\",\n"));
        }
        out.push_str("]\n");
    }
    out
}

fn authenticator_to(out: &mut String, authenticator: &Authenticator) {
    out.push_str("\n[[authenticator]]\n");
    for (key, value) in [
        ("name", authenticator.name.as_str()),
        ("type", authenticator.kind.name()),
        ("secret", &authenticator.secret.to_base32()),
        ("algorithm", authenticator.algorithm.name()),
        ("issuer", &authenticator.issuer),
        ("label", &authenticator.label),
    ] {
        out.push_str(key);
        out.push_str(" = \"");
        escape_to(out, value);
        out.push_str("\"\n");
    }
    out.push_str(&format!(
        "generation = \"{:016x}\"\ndigits = {}\nenrolled_at = {}\n",
        authenticator.generation.bits(),
        authenticator.length.digits(),
        authenticator.enrolled_at.as_secs(),
    ));
    if let Some(period) = authenticator.kind.period() {
        out.push_str(&format!("period = {}\n", period.as_secs()));
    }
}

/// A TOML basic string: quotes, backslashes and control characters escaped.
pub(super) fn escape_to(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// Reads what [`text`] wrote: the uid and the enrolment.
pub(super) fn parse(content: &[u8], path: &Path) -> Result<(u32, Enrollment), Error> {
    let source = Source { content, path };
    let plain = std::str::from_utf8(content).ok();
    match plain.and_then(written::read) {
        Some(read) => Ok(read),
        None => parse_toml(source),
    }
}

/// Reads it whatever way it was written.
fn parse_toml(source: Source<'_>) -> Result<(u32, Enrollment), Error> {
    let document = source.document()?;
    let root = source.root(&document, VERSION)?;
    root.only(&["format", "uid", "authenticator", "recovery"])?;
    let uid = u32::try_from(root.number("uid")?).map_err(|_| root.wrong("uid"))?;
    let tables = root.tables("authenticator")?;
    if tables.is_empty() || tables.len() > MAX_AUTHENTICATORS {
        return Err(root.wrong("authenticator"));
    }
    let enrollment = Enrollment {
        authenticators: authenticators_from(&tables)?,
        recovery: root.table("recovery")?.map(recovery_from).transpose()?,
    };
    Ok((uid, enrollment))
}

fn authenticators_from(tables: &[Table<'_>]) -> Result<Vec<Authenticator>, Error> {
    let mut all: Vec<Authenticator> = Vec::with_capacity(tables.len());
    for table in tables {
        let one = authenticator_from(table)?;
        if let Some(key) = all.iter().find_map(|known| in_common(known, &one)) {
            return Err(table.shared(key));
        }
        all.push(one);
    }
    Ok(all)
}

/// The key of what two authenticators have in common and must not: what is used is kept apart for each, so with a secret
/// or a generation in two of them a code would be good twice.
fn in_common(one: &Authenticator, other: &Authenticator) -> Option<&'static str> {
    if one.name == other.name {
        Some("name")
    } else if one.generation == other.generation {
        Some("generation")
    } else if one.secret.is_same(&other.secret) {
        Some("secret")
    } else {
        None
    }
}

fn authenticator_from(table: &Table<'_>) -> Result<Authenticator, Error> {
    table.only(&[
        "name",
        "type",
        "secret",
        "algorithm",
        "issuer",
        "label",
        "generation",
        "digits",
        "period",
        "enrolled_at",
    ])?;
    Ok(Authenticator {
        name: table.text("name")?.to_owned(),
        generation: table.generation()?,
        kind: kind_from(table)?,
        secret: Secret::brought_base32(table.text("secret")?).map_err(|_| table.wrong("secret"))?,
        algorithm: Algorithm::from_name(table.text("algorithm")?)
            .ok_or_else(|| table.wrong("algorithm"))?,
        length: table.length()?,
        issuer: table.text("issuer")?.to_owned(),
        label: table.text("label")?.to_owned(),
        enrolled_at: UnixTime::from_secs(table.number("enrolled_at")?),
    })
}

fn kind_from(table: &Table<'_>) -> Result<Kind, Error> {
    match table.text("type")? {
        "totp" => Period::from_secs(table.number("period")?)
            .map(|period| Kind::Totp { period })
            .ok_or_else(|| table.wrong("period")),
        "hotp" if table.entries.get("period").is_some() => Err(table.wrong("period")),
        "hotp" => Ok(Kind::Hotp),
        _ => Err(table.wrong("type")),
    }
}

fn recovery_from(table: Table<'_>) -> Result<RecoveryList, Error> {
    table.only(&["generation", "digits", "digests"])?;
    let digest = |item: &Spanned<DeValue<'_>>| {
        let bytes = HEXLOWER.decode(item.get_ref().as_str()?.as_bytes()).ok()?;
        Some(Digest::from_bytes(bytes.try_into().ok()?))
    };
    let digests: Option<Vec<_>> = table
        .get("digests")?
        .as_array()
        .filter(|items| items.len() <= MAX_RECOVERY_CODES)
        .and_then(|items| items.iter().map(digest).collect());
    let digits = match table.entries.get("digits") {
        None => None,
        Some(_) => Some(table.length()?),
    };
    Ok(RecoveryList {
        generation: table.generation()?,
        digits,
        digests: digests.ok_or_else(|| table.wrong("digests"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::Generation;
    use crate::hotp::CodeLength;
    use proptest::prelude::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn enrollment() -> Enrollment {
        Enrollment {
            authenticators: vec![Authenticator {
                name: "phone".to_owned(),
                generation: Generation::from_bits(u64::MAX),
                kind: Kind::Totp {
                    period: Period::THIRTY,
                },
                secret: Secret::from_base32(SECRET).unwrap(),
                algorithm: Algorithm::Sha512,
                length: CodeLength::new(8).unwrap(),
                issuer: "a \"quoted\" \\ name \u{7f}".to_owned(),
                label: "älice@corp".to_owned(),
                enrolled_at: UnixTime::from_secs(1_800_000_000),
            }],
            recovery: Some(RecoveryList {
                generation: Generation::from_bits(3),
                digits: CodeLength::new(8),
                digests: vec![Digest::from_bytes([0xab; 32]); 10],
            }),
        }
    }

    fn why(text: &str) -> String {
        let error = parse(text.as_bytes(), Path::new("secrets/alice")).err();
        let why = error.map(|error| error.to_string()).unwrap_or_default();
        why.split(';').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = text(1000, &enrollment());
        let (uid, read) = parse(written.as_bytes(), Path::new("x")).unwrap();
        assert_eq!(uid, 1000);
        assert_eq!(*text(1000, &read), *written);
        assert_eq!(read.authenticators[0].issuer, "a \"quoted\" \\ name \u{7f}");
    }

    #[test]
    fn the_fullest_file_fits() {
        let mut full = enrollment();
        full.authenticators = several(MAX_AUTHENTICATORS);
        for one in &mut full.authenticators {
            one.kind = Kind::Hotp;
        }
        full.recovery.as_mut().unwrap().digests = vec![Digest::from_bytes([1; 32]); 64];
        assert!(text(1, &full).len() <= MAX_SECRETS);
    }

    #[test]
    fn errors_name_the_line_and_none_of_its_text() {
        let good = text(1000, &enrollment());
        let broken = good.replace(&format!("secret = \"{SECRET}\""), "secret = \"HUSH");
        assert_eq!(why(&broken), "secrets/alice line 8: it is not TOML");
        let short = good.replace(SECRET, "HUSHHUSH");
        assert_eq!(
            why(&short),
            "secrets/alice line 8: secret is missing or wrong"
        );
        let unknown = good.replace("digits = 8", "digitz = \"hush\"");
        assert_eq!(
            why(&unknown),
            "secrets/alice line 13: there is an unknown key"
        );
        for text in ["ffffffffffffffff0", "+fffffffffffffff", "fffffffffffffff"] {
            let odd = good.replace("ffffffffffffffff", text);
            let why = why(&odd);
            assert!(
                why.ends_with("generation is missing or wrong"),
                "{text}: {why}"
            );
        }
        let nine = good.replace("digits = 8", "digits = 9");
        assert_eq!(
            why(&nine),
            "secrets/alice line 13: digits is missing or wrong"
        );
        for text in [
            "",
            "format = 0",
            "format = \"1\"",
            "format = 1\nuid = -1\nauthenticator = []",
        ] {
            assert!(why(text).starts_with("secrets/alice line"), "{text}");
        }
    }

    #[test]
    fn what_people_write_stands_as_they_wrote_it() {
        let written = text(1000, &enrollment());
        assert!(
            written.contains("\nlabel = \"älice@corp\"\n"),
            "{}",
            *written
        );
        assert!(written.contains("\nissuer = \"a \\\"quoted\\\" \\\\ name \\u007F\"\n"));
    }

    #[test]
    fn there_are_one_to_three_authenticators_and_at_most_64_recovery_codes() {
        let fault = |authenticators: usize, codes: usize| {
            let mut full = enrollment();
            full.authenticators = several(authenticators);
            full.recovery.as_mut().unwrap().digests = vec![Digest::from_bytes([1; 32]); codes];
            why(&text(1, &full))
        };
        for (authenticators, codes) in [(1, 0), (3, 64)] {
            assert_eq!(fault(authenticators, codes), "");
        }
        assert!(fault(4, 0).ends_with("authenticator is missing or wrong"));
        assert!(fault(1, 65).ends_with("digests is missing or wrong"));
        let none = "format = 1\nuid = 1\nauthenticator = []\n";
        assert_eq!(
            why(none),
            "secrets/alice line 3: authenticator is missing or wrong"
        );
        let unknown = text(1, &enrollment()).replace("\"totp\"", "\"morse\"");
        assert!(why(&unknown).ends_with("type is missing or wrong"));
    }

    /// So many authenticators that share nothing.
    fn several(count: usize) -> Vec<Authenticator> {
        let one = |index: usize| {
            let mut one = enrollment().authenticators[0].clone();
            let letter = ["A", "B", "C", "D"][index];
            one.name = letter.to_owned();
            one.generation = Generation::from_bits(index as u64);
            one.secret = Secret::from_base32(&letter.repeat(32)).unwrap();
            one
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn no_two_authenticators_share_name_generation_or_secret() {
        let fault = |share: fn(&mut Authenticator, &Authenticator)| {
            let mut full = enrollment();
            full.authenticators = several(2);
            // So that the quick reader is asked first.
            full.authenticators
                .iter_mut()
                .for_each(|one| one.issuer.clear());
            let first = full.authenticators[0].clone();
            share(&mut full.authenticators[1], &first);
            why(&text(1, &full))
        };
        assert_eq!(fault(|_, _| {}), "");
        for (share, key) in [
            (
                (|one, other| one.name = other.name.clone())
                    as fn(&mut Authenticator, &Authenticator),
                "name",
            ),
            (|one, other| one.generation = other.generation, "generation"),
            (|one, other| one.secret = other.secret.clone(), "secret"),
        ] {
            let why = fault(share);
            assert!(
                why.ends_with(&format!("{key} is that of another authenticator")),
                "{why}"
            );
        }
    }

    /// As most files are: with nothing in them that is escaped.
    fn plain() -> String {
        let mut plain = enrollment();
        plain.authenticators[0].issuer = "älice's corp".to_owned();
        let mut token = several(1).remove(0);
        token.kind = Kind::Hotp;
        token.issuer.clear();
        plain.authenticators.push(token);
        text(1000, &plain).to_string()
    }

    /// What the quick reader takes the TOML parser takes for the same. Whether it was taken.
    fn taken_for_the_same(content: &str) -> bool {
        let Some((uid, quickly)) = written::read(content) else {
            return false;
        };
        let path = Path::new("x");
        let content = content.as_bytes();
        let slowly = parse_toml(Source { content, path });
        let (same_uid, slowly) = slowly.unwrap();
        assert_eq!(*text(uid, &quickly), *text(same_uid, &slowly));
        true
    }

    #[test]
    fn what_was_written_is_read_without_the_toml_parser() {
        assert!(taken_for_the_same(&plain()));
        let mut bare = enrollment();
        bare.authenticators[0].issuer.clear();
        bare.recovery = None;
        assert!(taken_for_the_same(&text(0, &bare)));
        let escaped = text(1000, &enrollment());
        assert!(!taken_for_the_same(&escaped));
    }

    #[test]
    fn what_somebody_edited_is_left_to_the_toml_parser() {
        for (from, to) in [
            ("digits = 8", "digits = 08"),
            ("digits = 8", "digits = +8"),
            ("digits = 8", "digits = 0x8"),
            ("digits = 8", "digits = 8 # eight"),
            ("digits = 8", "digits = "),
            ("digits = 8", "digits = 8\nperiod = 30"),
            ("uid = 1000", "uid = 1_000"),
            ("uid = 1000", "uid = 4294967296"),
            ("uid = 1000", "uid = 1000\r"),
            ("uid = 1000", "uid = 1000\nuid = 1000"),
            (" = 1800000000", " = 18446744073709551615"),
            ("format = 1", "format = 0"),
            ("format = 1", "format = 2"),
            ("corp\"", "corp"),
            ("corp\"", "corp\\\""),
            ("corp\"", "corp\"\""),
            ("corp\"", "corp\u{7f}\""),
            ("corp\"", "corp\u{1}\""),
            ("corp\"", "corp\t\""),
            ("\"ab", "\"AB"),
            ("\",\n]", "\"\n]"),
            ("]\n", "]\n\n"),
            ("]\n", "]\nmore = 1\n"),
            ("[[authenticator]]", "[authenticator]"),
            ("\"totp\"", "\"morse\""),
            ("# Written", "# Edited"),
        ] {
            let edited = plain().replace(from, to);
            assert_ne!(edited, plain(), "{from}");
            assert!(!taken_for_the_same(&edited), "{to}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let newer = "format = 2\nsomething = \"else\"\n";
        assert!(why(newer).contains("has format 2, and this version knows formats up to 1"));
    }

    proptest! {
        #[test]
        fn no_edit_is_read_otherwise_than_the_toml_parser_reads_it(
            at in 0..1700_usize,
            gone in 0..12_usize,
            new in prop::sample::select(vec![
                "", "0", "7", "a", "\"", "\\", "\n", "\r\n", "\t", " ", "#", "=", "é", "\u{80}", "\u{7f}", "]", "[",
            ]),
        ) {
            let before = plain();
            let (start, end) = (at.min(before.len()), (at + gone).min(before.len()));
            let bytes = [&before.as_bytes()[..start], new.as_bytes(), &before.as_bytes()[end..]];
            if let Ok(edited) = String::from_utf8(bytes.concat()) {
                taken_for_the_same(&edited);
            }
        }

        #[test]
        fn no_change_of_a_byte_panics(at in 0..900_usize, byte: u8) {
            let mut bytes = text(1000, &enrollment()).as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = parse(&bytes, Path::new("x"));
        }
    }
}
