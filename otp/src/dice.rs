//! Chance that repeats itself, for tests of what draws.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A generator with a seed is no `CryptoRng`; tests want one that repeats.
pub(crate) struct Seeded(SmallRng);

impl rand::TryRng for Seeded {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0.try_next_u64()
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        self.0.try_fill_bytes(to)
    }
}

impl rand::TryCryptoRng for Seeded {}

/// The same numbers each time.
pub(crate) fn seeded() -> Seeded {
    Seeded(SmallRng::seed_from_u64(7))
}
