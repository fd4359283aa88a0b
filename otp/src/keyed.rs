//! The keyed hash under which stored and recovery codes are kept. A plain hash of eight digits falls in
//! seconds (OWASP ASVS 5.0, 6.5.2); this one is worth nothing without the root-only key of this machine.

use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::delivery::Address;
use crate::enrollment::Generation;
use crate::issued::CodeId;
use crate::passcode::{Digits, RecoveryCode};
use crate::user::UserName;

/// Bytes of the key.
pub const KEY_LENGTH: usize = 32;

/// The machine's key for stored and recovery codes. Wiped on drop.
#[derive(Clone)]
pub struct DigestKey(Zeroizing<[u8; KEY_LENGTH]>);

/// HMAC-SHA-256 of a code, of whose it is and of what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Digest([u8; 32]);

impl DigestKey {
    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_LENGTH]>) -> Self {
        Self(bytes)
    }

    /// Draws a fresh one.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// The bytes, for the key's own file.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// The digest of a stored code. It holds for this user and this code alone: moved elsewhere, it matches nothing.
    #[must_use]
    pub fn stored(&self, user: &UserName, id: CodeId, code: &Digits) -> Digest {
        self.digest(b"stored", user, &id.to_bytes(), code.as_bytes())
    }

    /// The digest of a recovery code of one list of one user.
    #[must_use]
    pub fn recovery(&self, user: &UserName, list: Generation, code: &RecoveryCode) -> Digest {
        self.digest(b"recovery", user, &list.to_bytes(), code.as_bytes())
    }

    /// The digest of a recovery code of digits, as other software made it.
    #[must_use]
    pub fn scratch(&self, user: &UserName, list: Generation, code: &Digits) -> Digest {
        self.digest(b"scratch", user, &list.to_bytes(), code.as_bytes())
    }

    /// The digest of a code that confirms an address of one user.
    #[must_use]
    pub fn contact(&self, user: &UserName, address: &Address, code: &Digits) -> Digest {
        let of = address.as_str().as_bytes();
        self.digest(b"contact", user, of, code.as_bytes())
    }

    fn digest(&self, purpose: &[u8], user: &UserName, of: &[u8], code: &[u8]) -> Digest {
        let mut digest = Digest([0; 32]);
        // An HMAC takes a key of any length, so the fallback is never reached.
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&*self.0) else {
            return digest;
        };
        for part in [purpose, user.as_str().as_bytes(), of, code] {
            // Each part with its length before it, so that no two lists of parts read the same.
            mac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            mac.update(part);
        }
        digest.0.copy_from_slice(&mac.finalize().into_bytes());
        digest
    }
}

impl Digest {
    /// From a record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For a record.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passcode::Passcode;
    use data_encoding::HEXLOWER;

    /// Computed elsewhere, by FILEFORMAT.md, with the bytes 0 to 31 as the key.
    const STORED: &str = "9415421f589ccd329e0e3282e8a34b0f597451507dda21c9deee958386b26746";
    const RECOVERY: &str = "545f9efae1c7d9e3d660eb7af1d44f20b9beb47371e368308fe6360604be9a97";

    fn key() -> DigestKey {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        for (byte, value) in bytes.iter_mut().zip(0..) {
            *byte = value;
        }
        DigestKey::from_bytes(bytes)
    }

    fn digests() -> [Digest; 2] {
        let alice = UserName::parse("alice").unwrap();
        let Ok(Passcode::Digits(digits)) = Passcode::parse(b"48210937") else {
            panic!("stored codes are digits");
        };
        let Ok(Passcode::Recovery(code)) = Passcode::parse(b"7kq2-m4tx-9bnc-2xwd") else {
            panic!("no recovery code");
        };
        let list = Generation::from_bits(u64::from_le_bytes([9, 8, 7, 6, 5, 4, 3, 2]));
        [
            key().stored(&alice, CodeId::from_bytes([1, 2, 3, 4]), &digits),
            key().recovery(&alice, list, &code),
        ]
    }

    #[test]
    fn digests_are_those_that_fileformat_md_tells() {
        let found = digests().map(|digest| HEXLOWER.encode(digest.as_bytes()));
        assert_eq!(found, [STORED, RECOVERY]);
    }

    #[test]
    fn a_digest_equals_itself_alone_and_a_key_is_its_bytes() {
        let [stored, recovery] = digests();
        assert!(stored == Digest::from_bytes(*stored.as_bytes()));
        assert!(stored != recovery);
        assert!(key().expose().iter().copied().eq(0..32));
    }
}
