//! A tree and the batch ids of a slot, each in one integer.

use std::fmt;

/// A tree is its leaves, so the root of a size is a prefix. Up to eight leaves, numbered from 1, in a nibble each.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Tree(u32);

impl Tree {
    pub(crate) fn len(self) -> u8 {
        u8::try_from((32 - self.0.leading_zeros()).div_ceil(4)).unwrap()
    }

    pub(crate) fn leaves(self) -> impl Iterator<Item = u8> {
        self.0
            .to_le_bytes()
            .into_iter()
            .flat_map(|two| [two & 15, two >> 4])
            .take(usize::from(self.len()))
    }

    pub(crate) fn find(self, leaf: u8) -> Option<u8> {
        (0..)
            .zip(self.leaves())
            .find(|(_, at)| *at == leaf)
            .map(|(index, _)| index)
    }

    pub(crate) fn push(&mut self, leaf: u8) {
        self.0 |= u32::from(leaf) << (4 * self.len());
    }

    pub(crate) fn prefix(self, len: u8) -> Self {
        Self(if len >= 8 {
            self.0
        } else {
            self.0 & ((1 << (4 * len)) - 1)
        })
    }

    pub(crate) fn starts_with(self, other: Self) -> bool {
        self.prefix(other.len()) == other
    }

    pub(crate) fn agrees_with(self, other: Self) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }

    pub(crate) fn repeats_a_leaf(self) -> bool {
        (0..)
            .zip(self.leaves())
            .any(|(index, leaf)| self.find(leaf) != Some(index))
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.leaves()
            .try_for_each(|leaf| write!(f, "{}", char::from(b'`' + leaf)))?;
        write!(f, "|")
    }
}

/// For each of up to four batches the index of its first entry, if it is listed.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ids(u16);

impl Ids {
    pub(crate) fn get(self, batch: u8) -> Option<u8> {
        u8::try_from((self.0 >> (4 * batch)) & 15)
            .unwrap()
            .checked_sub(1)
    }

    pub(crate) fn insert(&mut self, batch: u8, index: u8) {
        self.0 |= u16::from(index + 1) << (4 * batch);
    }

    /// Where both list a batch the later index is of no interest: the log holds it twice.
    pub(crate) fn add(&mut self, other: Self) {
        for batch in 0..4 {
            if let (None, Some(index)) = (self.get(batch), other.get(batch)) {
                self.insert(batch, index);
            }
        }
    }

    pub(crate) fn batches(self) -> impl Iterator<Item = u8> {
        (0..4).filter(move |batch| self.get(*batch).is_some())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.batches()).finish()
    }
}
