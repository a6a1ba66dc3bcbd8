//! Indexes and sizes: 0 to 2^63-1, so that they are the same in every language.

use std::fmt;
use std::str::FromStr;

/// What is not an index or a size.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a decimal number from 0 to 9223372036854775807 without leading zeros")]
pub struct NumberError(String);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The number, if it is at most 2^63-1.
            pub const fn new(number: u64) -> Option<Self> {
                if number <= MAX { Some(Self(number)) } else { None }
            }

            /// The number, at most 2^63-1.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NumberError;

            fn from_str(text: &str) -> Result<Self, NumberError> {
                decimal(text).map(Self).ok_or_else(|| NumberError(text.chars().take(100).collect()))
            }
        }
    };
}

number! {
    /// The zero-based position of a leaf.
    LeafIndex
}

number! {
    /// A number of leaves.
    TreeSize
}

impl TreeSize {
    /// The size of the empty tree.
    pub const ZERO: Self = Self(0);
}

const MAX: u64 = i64::MAX.unsigned_abs();

/// A decimal number of digits alone, with no zero before others.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !digits || leading_zero {
        return None;
    }
    text.parse().ok().filter(|number| *number <= MAX)
}
