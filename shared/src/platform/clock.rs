//! Time and randomness, handed in so that tests and simulations decide them.

use jiff::Timestamp;

/// What time it is, and bytes that nobody can guess.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` from a cryptographic source.
    fn fill_random(&self, bytes: &mut [u8]);
}

impl dyn Clock + '_ {
    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill_random(&mut bytes);
        bytes
    }
}
