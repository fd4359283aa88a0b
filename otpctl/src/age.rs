//! Files that a passphrase opens, as age writes them (age-encryption.org/v1, C2SP), so that `age -d` opens a backup without us.
//! The scrypt recipient alone.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, Mac};
use rand::CryptoRng;
use scrypt::Params;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What such a file begins with.
pub(crate) const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// Two to the so many rounds, each of a KiB: 128 MiB, a good second of an attacker for each guess.
const WORK: u8 = 17;
/// What others may have chosen, 1 GiB at most.
const MOST_WORK: u8 = 20;
/// Text encrypted as one piece, in bytes.
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;
/// Nobody's header is longer, in bytes.
const MAX_LINE: u64 = 256;
const LABEL: &[u8] = b"age-encryption.org/v1/scrypt";

type Wiped<const N: usize> = Zeroizing<[u8; N]>;

/// Encrypts what is written to it. Without [`finish`](Self::finish) what was written is no whole file.
pub(crate) struct Writer<W: Write> {
    to: W,
    pieces: Pieces,
    waiting: Zeroizing<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(mut to: W, passphrase: &[u8], rng: &mut impl CryptoRng) -> io::Result<Self> {
        let (mut file_key, mut salt, mut nonce) = (Wiped::<16>::default(), [0; 16], [0; 16]);
        rng.fill_bytes(&mut *file_key);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let wrapped = cipher(&*wrapping_key(passphrase, &salt, WORK)?)
            .encrypt(&Nonce::default(), file_key.as_slice())
            .map_err(|_| broken("it cannot be encrypted"))?;
        let mut header = MAGIC.to_vec();
        let (salt, wrapped) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&wrapped));
        header.extend(format!("-> scrypt {salt} {WORK}\n{wrapped}\n---").bytes());
        let mac = header_mac(&file_key, &header)?.finalize().into_bytes();
        header.extend(format!(" {}\n", BASE64_NOPAD.encode(&mac)).bytes());
        to.write_all(&header)?;
        to.write_all(&nonce)?;
        Ok(Self {
            to,
            pieces: Pieces::new(&file_key, &nonce)?,
            waiting: Zeroizing::new(Vec::with_capacity(PIECE)),
        })
    }

    /// Writes the last piece, and gives back what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let last = self.pieces.encrypt(&self.waiting, true)?;
        self.to.write_all(&last)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits for more: only the last one says that it is the last.
        if self.waiting.len() >= PIECE {
            let piece = self.pieces.encrypt(&self.waiting, false)?;
            self.to.write_all(&piece)?;
            self.waiting.clear();
        }
        let room = PIECE.saturating_sub(self.waiting.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Decrypts what is read through it. What comes out is genuine; that it was all of it is known at the end alone.
pub(crate) struct Reader<R: BufRead> {
    from: R,
    pieces: Pieces,
    ready: Zeroizing<Vec<u8>>,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(mut from: R, passphrase: &[u8]) -> io::Result<Self> {
        let mut header = header_line(&mut from)?;
        if header != MAGIC {
            return Err(broken("it is no age file, version 1"));
        }
        let recipient = header_line(&mut from)?;
        let wrapped = header_line(&mut from)?;
        let end = header_line(&mut from)?;
        let (salt, work) = scrypt_recipient(&recipient)
            .ok_or_else(|| broken("it was not encrypted with a passphrase"))?;
        let wrapped_key = decoded::<32>(wrapped.trim_ascii_end()).ok_or_else(malformed)?;
        let mac = end
            .strip_prefix(b"--- ")
            .and_then(|mac| decoded::<32>(mac.trim_ascii_end()));
        let file_key = cipher(&*wrapping_key(passphrase, &salt, work)?)
            .decrypt(&Nonce::default(), wrapped_key.as_slice())
            .map_err(|_| broken("the passphrase is not that of this archive"))?;
        let file_key = Zeroizing::new(file_key);
        let file_key = Wiped::<16>::new(file_key.as_slice().try_into().map_err(|_| malformed())?);
        header.extend([recipient, wrapped].concat());
        header.extend(b"---");
        header_mac(&file_key, &header)?
            .verify_slice(&mac.ok_or_else(malformed)?)
            .map_err(|_| broken("its header was changed"))?;
        let mut nonce = [0; 16];
        from.read_exact(&mut nonce)?;
        Ok(Self {
            from,
            pieces: Pieces::new(&file_key, &nonce)?,
            ready: Zeroizing::new(Vec::new()),
            given: 0,
            ended: false,
        })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let most = PIECE.saturating_add(TAG);
        let mut piece = Vec::with_capacity(most);
        let limit = u64::try_from(most).unwrap_or(u64::MAX);
        (&mut self.from).take(limit).read_to_end(&mut piece)?;
        self.ended = piece.len() < most || self.from.fill_buf()?.is_empty();
        self.ready = self.pieces.decrypt(&piece, self.ended)?;
        self.given = 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.ready.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let rest = self.ready.get(self.given..).unwrap_or_default();
        let count = rest.len().min(to.len());
        for (to, from) in to.iter_mut().zip(rest) {
            *to = *from;
        }
        self.given = self.given.saturating_add(count);
        Ok(count)
    }
}

/// The pieces of a file in their order: STREAM of Hoang and others, with ChaCha20-Poly1305.
struct Pieces {
    cipher: ChaCha20Poly1305,
    count: u64,
}

impl Pieces {
    fn new(file_key: &[u8; 16], nonce: &[u8; 16]) -> io::Result<Self> {
        let key = derived(file_key, nonce, b"payload")?;
        Ok(Self {
            cipher: cipher(&key),
            count: 0,
        })
    }

    /// Eleven bytes of count, and one that says whether it is the last.
    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        let count = self.count.to_be_bytes();
        for (to, from) in nonce.iter_mut().skip(3).zip(count) {
            *to = from;
        }
        if let Some(flag) = nonce.last_mut() {
            *flag = u8::from(last);
        }
        self.count = self.count.saturating_add(1);
        nonce.into()
    }

    fn encrypt(&mut self, piece: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let nonce = self.nonce(last);
        let done = self.cipher.encrypt(&nonce, piece);
        done.map_err(|_| broken("it cannot be encrypted"))
    }

    fn decrypt(&mut self, piece: &[u8], last: bool) -> io::Result<Zeroizing<Vec<u8>>> {
        let is_first = self.count == 0;
        let nonce = self.nonce(last);
        let done = self.cipher.decrypt(&nonce, piece);
        let text = done.map_err(|_| broken("it was cut short or changed"))?;
        if text.is_empty() && !is_first {
            return Err(malformed());
        }
        Ok(Zeroizing::new(text))
    }
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

fn wrapping_key(passphrase: &[u8], salt: &[u8; 16], work: u8) -> io::Result<Wiped<32>> {
    let params = Params::new(work, 8, 1).map_err(|_| malformed())?;
    let mut key = Wiped::<32>::default();
    scrypt::scrypt(passphrase, &[LABEL, salt].concat(), &params, &mut *key)
        .map_err(|_| malformed())?;
    Ok(key)
}

fn header_mac(file_key: &[u8; 16], header: &[u8]) -> io::Result<Hmac<Sha256>> {
    let key = derived(file_key, b"", b"header")?;
    let mut mac = hmac(&*key)?;
    mac.update(header);
    Ok(mac)
}

/// HKDF-SHA-256 (RFC 5869), of which one block is enough.
fn derived(file_key: &[u8; 16], salt: &[u8], purpose: &[u8]) -> io::Result<Wiped<32>> {
    let mut extract = hmac(salt)?;
    extract.update(file_key);
    let extracted = Zeroizing::new(<[u8; 32]>::from(extract.finalize().into_bytes()));
    let mut expand = hmac(&*extracted)?;
    expand.update(purpose);
    expand.update(&[1]);
    Ok(Zeroizing::new(expand.finalize().into_bytes().into()))
}

fn hmac(key: &[u8]) -> io::Result<Hmac<Sha256>> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).map_err(|_| malformed())
}

/// A line with its end.
fn header_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        return Ok(line);
    }
    Err(malformed())
}

/// Salt and work of `-> scrypt SALT WORK`.
fn scrypt_recipient(line: &[u8]) -> Option<([u8; 16], u8)> {
    let text = std::str::from_utf8(line.trim_ascii_end()).ok()?;
    let mut words = text.strip_prefix("-> scrypt ")?.split(' ');
    let salt = decoded(words.next()?.as_bytes())?;
    let work = words.next()?;
    let is_plain = work.bytes().all(|byte| byte.is_ascii_digit()) && !work.starts_with('0');
    let work = work
        .parse()
        .ok()
        .filter(|work| (1..=MOST_WORK).contains(work) && is_plain)?;
    words.next().is_none().then_some((salt, work))
}

fn decoded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    BASE64_NOPAD.decode(text).ok()?.try_into().ok()
}

fn malformed() -> io::Error {
    broken("it is not as age writes files")
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &[u8] = b"correct horse battery staple";

    fn written(text: &[u8]) -> Vec<u8> {
        let mut rng = crate::entropy::system().unwrap();
        let mut writer = Writer::new(Vec::new(), PASSPHRASE, &mut rng).unwrap();
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn read(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Reader::new(file, PASSPHRASE)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_is_written_reads_back_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let text: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            assert!(read(&written(&text)).unwrap() == text, "{length}");
        }
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_no_whole_one() {
        let file = written(&vec![7; PIECE + 100]);
        let header = file.len() - (PIECE + 100 + 2 * TAG + 16);
        for length in [
            file.len() - 1,
            file.len() - 100 - TAG,
            header + 16,
            header,
            30,
        ] {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
        for at in [
            25,
            60,
            120,
            header - 5,
            header + 3,
            header + 100,
            file.len() - 1,
        ] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "{at}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(read(&longer).is_err());
    }

    #[test]
    fn another_passphrase_opens_nothing_and_work_is_bounded() {
        let file = written(b"text");
        let wrong = Reader::new(&file[..], b"wrong").err().unwrap();
        assert!(wrong.to_string().contains("passphrase"), "{wrong}");
        let work = |work: &str| {
            scrypt_recipient(format!("-> scrypt {} {work}\n", "A".repeat(22)).as_bytes())
        };
        assert!(work("18").is_some() && work("20").is_some());
        for bad in ["21", "0", "018", "+8", "8 8", ""] {
            assert!(work(bad).is_none(), "{bad}");
        }
    }
}
