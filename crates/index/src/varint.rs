//! Numbers in as few bytes as they take: LEB128.

/// What is not a varint.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum NoVarint {
    /// The bytes end within it.
    Short,
    /// It is longer than it needs to be, or above 2^64-1.
    Spelling,
}

pub(crate) fn push(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// The number at the front, and what follows it.
pub(crate) fn split(bytes: &[u8]) -> Result<(u64, &[u8]), NoVarint> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    let mut rest = bytes;
    loop {
        let (byte, after) = rest.split_first().ok_or(NoVarint::Short)?;
        rest = after;
        let bits = u64::from(byte & 0x7f);
        // Of ten bytes the last has one bit left.
        if shift > 63 || (shift == 63 && bits > 1) {
            return Err(NoVarint::Spelling);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            let padded = *byte == 0 && shift > 0;
            return if padded {
                Err(NoVarint::Spelling)
            } else {
                Ok((number, rest))
            };
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn there_and_back(number: u64, after: Vec<u8>) {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            bytes.extend(&after);
            prop_assert_eq!(split(&bytes), Ok((number, &after[..])));
        }

        #[test]
        fn one_spelling(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Ok((number, rest)) = split(&bytes) {
                let mut again = Vec::new();
                push(&mut again, number);
                again.extend(rest);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn refused() {
        assert_eq!(split(&[]), Err(NoVarint::Short));
        assert_eq!(split(&[0x80]), Err(NoVarint::Short));
        assert_eq!(split(&[0x80, 0]), Err(NoVarint::Spelling));
        assert_eq!(split(&[0xff; 11]), Err(NoVarint::Spelling));
        let mut large = [0xff; 10];
        large[9] = 1;
        assert_eq!(split(&large), Ok((u64::MAX, &[][..])));
        large[9] = 2;
        assert_eq!(split(&large), Err(NoVarint::Spelling));
    }
}
