//! Which of the last leaves a leaf equals.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use tegula_tlog::Hash;

/// The leaf hashes of the end of the tree, searchable: exact, and bounded by a count of leaves.
///
/// A log that was written with a smaller window, or with none, may hold equal leaves. Then the first
/// one is found for as long as it is in the window, and none after that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    window: u64,
    /// The index of `hashes[0]`.
    first: u64,
    hashes: VecDeque<Hash>,
    /// Indexes, by leaf hash; of equal leaves the first in the window.
    table: HashTable<u64>,
    seed: DefaultHashBuilder,
}

impl Recent {
    /// Nothing seen yet of a tree whose next leaf is at `next`.
    pub(crate) fn new(window: u64, next: u64) -> Self {
        Self {
            window,
            first: next,
            ..Self::default()
        }
    }

    /// The first leaf in the window.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The first index at which the window holds this leaf.
    pub(crate) fn find(&self, leaf: &Hash) -> Option<u64> {
        self.table
            .find(self.seed.hash_one(leaf), |&index| {
                self.leaf(index) == Some(leaf)
            })
            .copied()
    }

    /// Takes the next leaf; the oldest leaves the window.
    pub(crate) fn push(&mut self, leaf: Hash) {
        if self.window == 0 {
            self.first += 1;
            return;
        }
        if self.hashes.len() as u64 >= self.window {
            self.drop_oldest();
        }
        let index = self.first + self.hashes.len() as u64;
        self.hashes.push_back(leaf);
        if self.find(&leaf).is_none() {
            let (hashes, first, seed) = (&self.hashes, self.first, &self.seed);
            self.table
                .insert_unique(seed.hash_one(leaf), index, |&index| {
                    let leaf = hashes.get(offset(first, index));
                    leaf.map_or(0, |leaf| seed.hash_one(leaf))
                });
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.hashes.front().copied() else {
            return;
        };
        let index = self.first;
        if let Ok(entry) = self
            .table
            .find_entry(self.seed.hash_one(oldest), |&at| at == index)
        {
            entry.remove();
        }
        self.hashes.pop_front();
        self.first += 1;
    }

    fn leaf(&self, index: u64) -> Option<&Hash> {
        self.hashes.get(offset(self.first, index))
    }
}

fn offset(first: u64, index: u64) -> usize {
    usize::try_from(index.wrapping_sub(first)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Hash {
        tegula_tlog::leaf_hash(&n.to_be_bytes())
    }

    #[test]
    fn the_window_is_exact_to_the_leaf() {
        let mut recent = Recent::new(100, 1000);
        for n in 0..250 {
            recent.push(leaf(n));
        }
        for n in 0..250 {
            let expected = (n >= 150).then_some(1000 + n);
            assert_eq!(recent.find(&leaf(n)), expected, "{n}");
        }
    }

    #[test]
    fn of_equal_leaves_the_first_is_found() {
        let mut recent = Recent::new(4, 0);
        for n in [7, 7, 8, 7] {
            recent.push(leaf(n));
        }
        assert_eq!(recent.find(&leaf(7)), Some(0));
        assert_eq!(recent.find(&leaf(8)), Some(2));
    }

    #[test]
    fn a_window_of_nothing_finds_nothing() {
        let mut recent = Recent::new(0, 0);
        recent.push(leaf(1));
        assert_eq!(recent.find(&leaf(1)), None);
    }
}
