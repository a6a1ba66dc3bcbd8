//! Which batches are in the last slots: what makes a batch from the inbox once.

use std::collections::{HashMap, VecDeque};

/// The ids in all slots from some start on, up to the tip.
#[derive(Debug)]
pub(crate) struct Ids {
    /// Every slot from here on was read.
    from: u64,
    /// Starts of slots, and the ids in them, ascending.
    slots: VecDeque<(u64, Vec<[u8; 16]>)>,
    /// And in which slot each is.
    ids: HashMap<[u8; 16], u64>,
}

impl Ids {
    /// Nothing read yet: the next slot begins here.
    pub(crate) fn from(size: u64) -> Self {
        Self {
            from: size,
            slots: VecDeque::new(),
            ids: HashMap::new(),
        }
    }

    /// The start from which on every slot was read.
    pub(crate) fn start(&self) -> u64 {
        self.from
    }

    pub(crate) fn contains(&self, id: &[u8; 16]) -> bool {
        self.ids.contains_key(id)
    }

    /// Whether it is in a slot that its author must have seen by now, if it is alive.
    pub(crate) fn contains_old(&self, id: &[u8; 16]) -> bool {
        let recent = self.slots.len().checked_sub(RECENT);
        let recent = recent.and_then(|at| self.slots.get(at));
        let recent = recent.map_or(0, |(start, _)| *start);
        self.ids.get(id).is_some_and(|start| *start < recent)
    }

    /// Takes the ids of the next slot; the oldest ones are forgotten.
    pub(crate) fn push(&mut self, start: u64, ids: Vec<[u8; 16]>) {
        self.ids.extend(ids.iter().map(|id| (*id, start)));
        self.slots.push_back((start, ids));
        // The last slot stays: its ids are few enough, and where it begins is known.
        while self.slots.len() > 1 && (self.slots.len() > MAX_SLOTS || self.ids.len() > MAX_IDS) {
            for id in self.slots.pop_front().into_iter().flat_map(|(_, ids)| ids) {
                self.ids.remove(&id);
            }
            self.from = self.slots.front().map_or(self.from, |(start, _)| *start);
        }
    }

    /// Takes the ids of slots from `from` up to those that are known.
    pub(crate) fn add_earlier(&mut self, from: u64, ids: impl IntoIterator<Item = [u8; 16]>) {
        if from < self.from {
            self.from = from;
            let ids: Vec<_> = ids.into_iter().collect();
            self.ids.extend(ids.iter().map(|id| (*id, from)));
            self.slots.push_front((from, ids));
        }
    }
}

/// Slots that an author may not have seen yet.
const RECENT: usize = 8;
/// Slots whose ids are known; an item that was handed over before them is not folded.
const MAX_SLOTS: usize = 256;
/// Ids that are held, but for those of one slot: 16 bytes each, twice.
const MAX_IDS: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_not_claimed_to_be_known() {
        let mut ids = Ids::from(10);
        let id = |n: u64| u128::from(n).to_be_bytes();
        for n in 0..300 {
            ids.push(10 + n, vec![id(n)]);
        }
        assert_eq!(ids.start(), 54);
        for n in 0..300 {
            assert_eq!(ids.contains(&id(n)), n >= 44, "{n}");
        }
        ids.add_earlier(60, [id(1)]);
        assert!(!ids.contains(&id(1)), "what is known is known");
        ids.add_earlier(20, [id(10), id(43)]);
        assert_eq!(ids.start(), 20);
        assert!(ids.contains(&id(10)) && ids.contains(&id(44)) && !ids.contains(&id(9)));
    }

    #[test]
    fn ids_are_bounded_too() {
        let mut ids = Ids::from(0);
        let many = |slot: u64| (0..50_000).map(move |n| u128::from(slot << 32 | n).to_be_bytes());
        for slot in 0..9 {
            ids.push(slot, many(slot).collect());
        }
        assert_eq!(ids.start(), 7);
        ids.push(9, (9..13).flat_map(many).collect());
        assert_eq!(ids.start(), 9);
    }
}
