//! What is searched for, as 16 bytes.

use std::fmt;

use sha2::{Digest, Sha256};
use tegula_tlog::{Hash, leaf_hash};

/// The domain of leaf hashes, which every entry has one of.
pub const LEAF_DOMAIN: u8 = 1;

/// A value in a domain, hashed: 15 bytes of SHA-256, then the domain.
///
/// Keys are ordered as bytes. The identity (domain 5) `alice@example.com` is
/// `bd42d741c701deffbf87c30e1766e305`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// The key of a value in a domain.
    pub fn new(domain: u8, value: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([domain]);
        hasher.update(value);
        let hash: [u8; 32] = hasher.finalize().into();
        let mut key = [domain; 16];
        key[..15].copy_from_slice(&hash[..15]);
        Self(key)
    }

    /// The key of the entry with this leaf hash: of its 64 lower-case hexadecimal digits in [`LEAF_DOMAIN`].
    pub fn leaf(hash: &Hash) -> Self {
        Self::new(LEAF_DOMAIN, hash.to_string().as_bytes())
    }

    /// The domain of its value.
    pub fn domain(&self) -> u8 {
        self.0[15]
    }

    /// The number that its first bits are, as many as are asked for: 0 to 64.
    pub fn prefix(&self, bits: u8) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let dropped = 64_u32.saturating_sub(bits.into());
        first.checked_shr(dropped).unwrap_or(0)
    }
}

/// The keys of an entry: of its leaf hash, and of the values in other domains that its bytes name.
pub fn entry_keys<V: AsRef<[u8]>>(
    entry: &[u8],
    named: impl IntoIterator<Item = (u8, V)>,
) -> Vec<Key> {
    let mut keys = vec![Key::leaf(&leaf_hash(entry))];
    let named = named.into_iter();
    keys.extend(named.map(|(domain, value)| Key::new(domain, value.as_ref())));
    keys
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bits() {
        let key = Key([0xab, 0xcd, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(key.prefix(0), 0);
        assert_eq!(key.prefix(1), 1);
        assert_eq!(key.prefix(12), 0xabc);
        assert_eq!(key.prefix(64), 0xabcd_0000_0000_0001);
    }

    #[test]
    fn of_a_leaf() {
        let digits = "ab".repeat(32);
        let key = Key::leaf(&Hash([0xab; 32]));
        assert_eq!(key, Key::new(1, digits.as_bytes()));
        assert_eq!(key.domain(), LEAF_DOMAIN);
    }

    #[test]
    fn a_domain_is_seen_and_hashed() {
        let (identity, prefix) = (Key::new(5, b"example.com"), Key::new(6, b"example.com"));
        assert_eq!((identity.domain(), prefix.domain()), (5, 6));
        assert_ne!(identity.0[..15], prefix.0[..15]);
    }
}
