//! The door of FILEFORMAT.md, read by the book: which packets are a question or an answer, and what they ask.

use std::net::{Ipv4Addr, Ipv6Addr};

use otp::door::wire::{Unread, answer_bytes, answer_from, question_bytes, question_from};
use otp::door::{MAX_ANSWER, MAX_QUESTION};

/// One packet, from either side.
pub fn door(data: &[u8]) {
    match (question_from(data), question(data)) {
        (Ok((asker, asked)), Ok(user)) => {
            assert_eq!(asker.user, user);
            assert_eq!(*question_bytes(&asker, &asked), data, "one spelling");
        }
        (Err(unread), Err(meant)) => assert_eq!(unread, meant),
        (read, meant) => panic!("{:?} is {meant:?}", read.err()),
    }
    match (answer_from(data), answer(data)) {
        (Ok(answered), Ok(())) => assert_eq!(answer_bytes(&answered), data, "one spelling"),
        (Err(unread), Err(meant)) => assert_eq!(unread, meant),
        (read, meant) => panic!("{read:?} is {meant:?}"),
    }
}

type Book<T> = Result<T, Unread>;

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn behind(data: &'a [u8], magic: &[u8], most: usize) -> Book<Self> {
        if data.len() > most || data.len() < 9 || data[..8] != *magic {
            return Err(Unread::Nonsense);
        }
        match data[8] {
            1 => Ok(Self(&data[9..])),
            other => Err(Unread::Version(other)),
        }
    }

    fn take(&mut self, count: usize) -> Book<&'a [u8]> {
        if self.0.len() < count {
            return Err(Unread::Nonsense);
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Book<u128> {
        let taken = self.take(bytes)?.iter().rev();
        Ok(taken.fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    fn small(&mut self) -> Book<usize> {
        self.number(1).map(|byte| byte as usize)
    }

    fn must(&self, holds: bool) -> Book<()> {
        if holds { Ok(()) } else { Err(Unread::Nonsense) }
    }

    fn truth(&mut self) -> Book<()> {
        let byte = self.small()?;
        self.must(byte < 2)
    }

    /// A list of at most so many, each read by this.
    fn list(&mut self, most: usize, each: fn(&mut Self) -> Book<()>) -> Book<()> {
        let count = self.small()?;
        self.must(count <= most)?;
        (0..count).try_for_each(|_| each(self))
    }

    fn service(&mut self) -> Book<()> {
        let length = self.small()?;
        self.must(length <= 32)?;
        let name = self.take(length)?;
        let is_fit = |byte: &u8| (b'!'..=b'~').contains(byte) && *byte != b'/';
        self.must(name.iter().all(is_fit) && name.first() != Some(&b'.'))
    }

    /// Kind and number.
    fn origin(&mut self) -> Book<(usize, u128)> {
        let kind = self.small()?;
        let number = self.number(16)?;
        let fits = match kind {
            0 | 4 => number <= u128::from(u32::MAX),
            6 => true,
            _ => false,
        };
        self.must(fits)?;
        Ok((kind, number))
    }

    fn any_origin(&mut self) -> Book<()> {
        self.origin().map(|_| ())
    }

    fn method(&mut self) -> Book<()> {
        let method = self.small()?;
        self.must((1..=4).contains(&method))
    }

    fn last(&mut self) -> Book<()> {
        self.take(8)?;
        self.method()?;
        self.any_origin()?;
        self.service()
    }

    fn left(&mut self) -> Book<()> {
        let left = self.small()?;
        self.must(left <= 64)
    }

    fn history(&mut self) -> Book<()> {
        self.list(1, Self::last)?;
        self.take(4)?;
        self.list(1, Self::left)
    }

    fn device(&mut self) -> Book<()> {
        let length = self.small()?;
        self.must(length <= 32)?;
        let name = self.take(length)?;
        self.must(std::str::from_utf8(name).is_ok())?;
        let (period, algorithm, digits) = (self.number(2)?, self.small()?, self.small()?);
        self.must(period == 0 || (5..=300).contains(&period))?;
        self.must((1..=3).contains(&algorithm) && (6..=8).contains(&digits))?;
        self.take(8)?;
        self.list(1, |rest| rest.take(4).map(|_| ()))?;
        self.list(1, |rest| rest.take(8).map(|_| ()))?;
        self.list(1, |rest| rest.take(8).map(|_| ()))?;
        self.take(8)?;
        self.list(1, Self::any_origin)
    }

    fn end(&self) -> Book<()> {
        self.must(self.0.is_empty())
    }
}

/// Whom a question is about.
fn question(data: &[u8]) -> Book<Vec<u8>> {
    let mut rest = Rest::behind(data, b"pamotpDQ", MAX_QUESTION)?;
    let what = rest.small()?;
    let length = rest.number(2)? as usize;
    rest.must(length <= 257)?;
    let user = rest.take(length)?;
    rest.service()?;
    let (kind, number) = rest.origin()?;
    rest.must(kind > 0 || number == 0)?;
    let (kind, number) = rest.origin()?;
    let network = u128::from(u64::MAX);
    let is_one = match kind {
        4 => {
            let address = Ipv4Addr::from(number as u32);
            !address.is_loopback() || address == Ipv4Addr::LOCALHOST
        }
        6 => {
            let address = Ipv6Addr::from(number);
            number & network == 0 && !address.is_loopback() && address.to_ipv4_mapped().is_none()
        }
        _ => true,
    };
    rest.must(is_one)?;
    match what {
        1 | 3 => {}
        2 => {
            let length = rest.small()?;
            let code = rest.take(length)?;
            let known = b"0123456789abcdefghjkmnpqrstvwxyz";
            rest.must(match length {
                6..=10 => code.iter().all(u8::is_ascii_digit),
                16 => code.iter().all(|letter| known.contains(letter)),
                _ => false,
            })?;
        }
        _ => return Err(Unread::Nonsense),
    }
    rest.end()?;
    Ok(user.to_vec())
}

fn answer(data: &[u8]) -> Book<()> {
    let mut rest = Rest::behind(data, b"pamotpDA", MAX_ANSWER)?;
    match rest.small()? {
        1 => {
            rest.truth()?;
            rest.truth()?;
            rest.history()?;
        }
        2 => {
            rest.method()?;
            rest.list(1, |rest| rest.take(8).map(|_| ()))?;
            rest.history()?;
        }
        3 => {}
        4 => {
            (0..4).try_for_each(|_| rest.truth())?;
            rest.take(12)?;
            rest.list(3, Rest::device)?;
            rest.list(20, |rest| {
                rest.take(20)?;
                rest.list(1, |rest| {
                    let channel = rest.small()?;
                    rest.must((1..=2).contains(&channel))
                })
            })?;
            rest.list(1, |rest| {
                let (left, of) = (rest.small()?, rest.small()?);
                rest.must(left <= of && of <= 64)
            })?;
            rest.list(2, |rest| {
                let channel = rest.small()?;
                rest.must((1..=2).contains(&channel))?;
                let length = rest.small()?;
                let is_text = std::str::from_utf8(rest.take(length)?).is_ok();
                rest.must(length <= 200 && is_text)?;
                rest.take(8).map(|_| ())
            })?;
            rest.list(8, |rest| {
                rest.any_origin()?;
                rest.take(8).map(|_| ())
            })?;
            rest.list(1, Rest::last)?;
        }
        5 => {
            let why = rest.small()?;
            rest.must((1..=4).contains(&why))?;
        }
        _ => return Err(Unread::Nonsense),
    }
    rest.end()
}
