//! The store, the writers and the requests that are still on their way. Small and `Copy`: there are millions.

use std::fmt;

use crate::tree::{Ids, Tree};

/// Everything. Fields below `net` are history: no writer reads them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct State {
    /// By start.
    pub(crate) slots: [Option<Slot>; MAX_SIZE],
    /// On a directory: nothing may be created below it.
    pub(crate) floor: u8,
    /// By batch: its item's `seen`.
    pub(crate) inbox: [Option<u8>; MAX_BATCHES],
    /// By size, all objects that the size needs.
    pub(crate) tiles: [Option<Tree>; MAX_SIZE + 1],
    /// Its content is also its version: the S3 store compares hashes of contents.
    pub(crate) checkpoint: Tree,
    pub(crate) writers: [Writer; MAX_WRITERS],
    /// Requests that may still happen, sorted.
    pub(crate) net: [Option<Request>; MAX_NET],
    pub(crate) faults_left: u8,
    pub(crate) crashes_left: u8,

    /// The largest tree that was signed.
    pub(crate) signed: Tree,
    /// By batch: the index that was answered.
    pub(crate) answered: [Option<u8>; MAX_BATCHES],
    /// Batches nobody waits for any more, as bits.
    pub(crate) dead: u8,
    /// Starts whose slot was removed, as bits.
    pub(crate) removed: u8,
    /// Steps that broke an invariant.
    pub(crate) broken: Broken,
}

/// What only a step can show.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Broken {
    pub(crate) order: bool,
    pub(crate) immutability: bool,
    pub(crate) growth: bool,
    pub(crate) signature: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Slot {
    pub(crate) start: u8,
    /// The writer and its attempt.
    pub(crate) attempt: (u8, u8),
    pub(crate) ids: Ids,
    /// The tree after it; the one before it is a prefix.
    pub(crate) new: Tree,
    pub(crate) header_only: bool,
}

/// A write that can be lost, late or doubled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Request {
    Slot(Slot),
    Item { batch: u8, seen: u8 },
    Delete { batch: u8 },
    Tiles(Tree),
    Checkpoint { old: Tree, new: Tree },
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Writer {
    /// The store access that comes next.
    pub(crate) at: At,
    pub(crate) mode: Mode,
    /// The batch in hand.
    pub(crate) batch: u8,
    pub(crate) chain: Tree,
    /// Sizes at which slots of the chain end, from `published` on, as bits.
    pub(crate) ends: u8,
    /// The slots from this size on were read, and list `ids`.
    pub(crate) from: u8,
    pub(crate) ids: Ids,
    /// The newest checkpoint that it knows.
    pub(crate) published: Tree,
    /// Whether the version of `published` is known.
    pub(crate) version: bool,
    /// A checkpoint that was read and not yet found in the chain.
    pub(crate) observed: Tree,
    /// The slot that was sent, or will be, and whose fate is not known.
    pub(crate) sent: Option<Slot>,
    /// Where its item in the inbox says it stood.
    pub(crate) seen: u8,
    /// Where its batch is.
    pub(crate) place: Option<u8>,
    /// The size that has to be published.
    pub(crate) goal: u8,
    /// What is ordered is published first: it started cold.
    pub(crate) cold: bool,
    pub(crate) strayed: bool,
}

/// The store access that a writer makes next.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum At {
    /// Cold: reads the checkpoint.
    #[default]
    Cold,
    /// Looks for the slot that ends at the checkpoint.
    Last,
    /// It is not there: reads the floor.
    LastFloor,
    /// It was not expired: reads the checkpoint again.
    LastCheckpoint,
    /// Reads the slot at its tip.
    Fold,
    /// At the tip, and it has sent a slot further on: reads the floor.
    Short,
    /// Folded a slot that it lost to: reads the floor.
    Floor,
    /// At the tip: lists the inbox, reads older slots, or polls for the next slot.
    Tip,
    /// Creates a slot.
    Send,
    /// The name was held: reads the slot.
    Refused,
    /// No answer: reads the slot.
    Unanswered,
    /// Puts its batch into the inbox.
    Put,
    /// Writes what the tip's checkpoint needs.
    Integrate,
    /// Replaces the checkpoint.
    Replace,
    /// Reads the checkpoint that was not replaced.
    Observe,
    /// Reads slots up to the checkpoint that it observed.
    Follow,
    /// Deletes items that are logged.
    Clean,
    Done,
    /// Stopped for good.
    Stopped,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Mode {
    /// Takes a slot for its batch.
    #[default]
    Slot,
    /// Its batch is in the inbox.
    Inbox,
    /// Has no batch: restarted after a crash, like `maintain`.
    Sweep,
}

impl State {
    /// One more request that may still happen.
    pub(crate) fn fly(&mut self, request: Request) {
        *self.net.iter_mut().find(|place| place.is_none()).unwrap() = Some(request);
        self.net.sort_unstable();
    }

    pub(crate) fn slot(&self, start: u8) -> Option<Slot> {
        self.slots.get(usize::from(start)).copied().flatten()
    }
}

impl Slot {
    pub(crate) fn follows(&self, chain: Tree) -> bool {
        self.start == chain.len() && self.new.starts_with(chain)
    }
}

/// What a trace shows of a state.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint {:?} slots", self.checkpoint)?;
        for slot in self.slots.iter().flatten() {
            let cut = if slot.header_only { " (header)" } else { "" };
            write!(f, " {}:{:?}{cut}", slot.start, slot.new)?;
        }
        if self.floor > 0 {
            write!(f, " floor {}", self.floor)?;
        }
        Ok(())
    }
}

pub(crate) const MAX_WRITERS: usize = 3;
pub(crate) const MAX_BATCHES: usize = 4;
/// A tree of five leaves, and a batch too many.
pub(crate) const MAX_SIZE: usize = 7;
/// One for each fault and each crash.
const MAX_NET: usize = 4;

const _: () = assert!(MAX_SIZE <= 8, "a size is a bit of a byte");
