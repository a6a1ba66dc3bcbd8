//! The part of DER that a public key needs: definite lengths in their shortest form.

/// Reads one value after another.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The contents of the next value, if it has this tag.
    pub(crate) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        if *first != tag {
            return None;
        }
        let (len, rest) = length(rest)?;
        let (contents, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(contents)
    }

    /// The bytes of the next value, a positive integer in its shortest form, without a leading zero byte.
    pub(crate) fn positive_integer(&mut self) -> Option<&'a [u8]> {
        match self.value(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            contents @ [1..=0x7f, ..] => Some(contents),
            _ => None,
        }
    }

    /// The bytes of the next value, a bit string of whole bytes.
    pub(crate) fn octets_in_bit_string(&mut self) -> Option<&'a [u8]> {
        match self.value(BIT_STRING)? {
            [0, octets @ ..] => Some(octets),
            _ => None,
        }
    }

    /// Nothing may be left over.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [len @ ..=0x7f, rest @ ..] => Some((usize::from(*len), rest)),
        [0x81, len @ 0x80..=0xff, rest @ ..] => Some((usize::from(*len), rest)),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            Some((usize::from(u16::from_be_bytes([*high, *low])), rest))
        }
        _ => None,
    }
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_one_spelling() {
        let sized = |head: &[u8], len: usize| {
            let mut bytes = vec![SEQUENCE];
            bytes.extend(head);
            bytes.resize(bytes.len() + len, 7);
            Reader::new(&bytes).value(SEQUENCE).map(<[u8]>::len)
        };
        assert_eq!(sized(&[0], 0), Some(0));
        assert_eq!(sized(&[0x7f], 0x7f), Some(0x7f));
        assert_eq!(sized(&[0x81, 0x80], 0x80), Some(0x80));
        assert_eq!(sized(&[0x81, 0xff], 0xff), Some(0xff));
        assert_eq!(sized(&[0x82, 1, 0], 0x100), Some(0x100));
        assert_eq!(sized(&[0x82, 0xff, 0xff], 0xffff), Some(0xffff));
        for longer in [
            &[0x81, 0x7f][..],
            &[0x82, 0, 0xff],
            &[0x83, 0, 1, 0],
            &[0x80],
        ] {
            assert_eq!(sized(longer, 0x100), None, "{longer:?}");
        }
        assert_eq!(sized(&[5], 4), None);
        assert_eq!(sized(&[], 0), None);
    }

    #[test]
    fn an_integer_has_one_spelling() {
        let read = |contents: &[u8]| {
            let mut bytes = vec![INTEGER, u8::try_from(contents.len()).unwrap()];
            bytes.extend(contents);
            Reader::new(&bytes).positive_integer().map(<[u8]>::to_vec)
        };
        assert_eq!(read(&[1]), Some(vec![1]));
        assert_eq!(read(&[0x7f, 0]), Some(vec![0x7f, 0]));
        assert_eq!(read(&[0, 0x80]), Some(vec![0x80]));
        for bad in [&[][..], &[0], &[0x80], &[0, 1], &[0, 0x7f], &[0, 0, 0x80]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
