//! The hash function FNV-1a, of 64 bits, for what is to be the same on every machine. No secret depends on it.

/// What was hashed so far.
#[derive(Debug)]
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Some bytes.
    pub(crate) fn bytes(&mut self, bytes: impl IntoIterator<Item = u8>) -> &mut Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    /// A text and its end.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.bytes().chain([0xff]))
    }
}
