//! What a configuration has, and the rules of the protocol.

/// A log, its writers, and what may go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The leaves of each batch. Batch `b` is of writer `b % writers`.
    pub(crate) batches: &'static [&'static [u8]],
    pub(crate) writers: u8,
    /// Whether a leaf that is in the log gets its first index.
    pub(crate) dedup: bool,
    pub(crate) inbox: bool,
    pub(crate) expiry: Expiry,
    /// Requests that may be lost, late or doubled.
    pub(crate) faults: u8,
    pub(crate) crashes: u8,
    /// Whether steps that commute with all others are taken alone.
    pub(crate) reduced: bool,
    /// Properties that may be violated.
    pub(crate) unchecked: &'static [&'static str],
    pub(crate) rules: Rules,
}

/// What becomes of slots that a checkpoint covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expiry {
    Never,
    /// On a directory: the floor is raised, then they are removed.
    Removed,
    /// On S3: they are replaced by their headers.
    HeaderOnly,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The rules that the protocol is made of (DESIGN section 4). Each can be left out.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Rules { $($(#[$doc])* pub(crate) $name: bool),* }

        impl Rules {
            pub(crate) const ALL: Self = Self { $($name: true),* };
        }
    };
}

rules! {
    /// After an unanswered create the same bytes are sent under the same attempt id.
    same_attempt,
    /// A slot stands only once its name was seen held by it.
    seen_held,
    /// A refusal may be one's own write arriving twice: the attempt id tells.
    own_attempt,
    /// An own slot that is covered, and gone or cut, is recognised by the log's root at its end.
    own_covered,
    /// An item is folded only by whoever read every slot from its `seen` on.
    read_from_seen,
    /// A batch that was attempted goes to the inbox only after that slot was seen to be another's.
    attempted_then_inbox,
    /// Whoever has an item in the inbox may take the next slot for it.
    author_leads,
    /// The checkpoint is replaced only if it is what was read.
    unchanged,
    /// The checkpoint is replaced only by a larger one.
    larger,
    /// A size is signed only over a checkpoint that is a boundary of the own chain.
    boundary,
    /// A slot holds at least one new entry.
    new_entry,
    /// A slot's name is never free again.
    names_once,
    /// Whoever folded another's slot reads the floor again.
    floor_again,
    /// A slot without entries is covered: start cold.
    header_covered,
    /// What a size needs is written before its checkpoint.
    tiles_first,
    /// Answers come after publication.
    publish_first,
}
