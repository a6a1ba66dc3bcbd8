//! Batches that were handed over to whoever orders the next slot: `inbox/<seen>-<id>` (tiles-format.md section 10).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tegula_tlog::{TreeSize, append_entry, parse_bundle};

use crate::slot::{Fields, MAX_SLOT_ENTRIES};
use crate::writer::Pending;

/// The format version that this code writes, and the only one that it reads.
pub const ITEM_VERSION: u8 = 1;

/// The name of an item, which says whose it is and where its author stood.
///
/// `inbox/00000000000000000003-c0c1c2c3c4c5c6c7c8c9cacbcccdcecf`
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ItemName {
    /// The size at which the author stood: it had read every slot below it, and none lists the id.
    pub seen: u64,
    /// The batch's id.
    pub id: [u8; 16],
}

/// A batch in the inbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// What it is called.
    pub name: ItemName,
    /// Its entries, at least one.
    pub entries: Vec<Bytes>,
}

/// Why an item is passed over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ItemError(String);

impl ItemName {
    /// Parses a path below the private root; one spelling is accepted.
    pub fn parse(path: &str) -> Option<Self> {
        let (seen, id) = path.strip_prefix(PREFIX)?.split_once('-')?;
        let seen: TreeSize = seen.trim_start_matches('0').parse().ok().or_else(|| {
            let zero = seen.bytes().all(|digit| digit == b'0');
            zero.then_some(TreeSize::ZERO)
        })?;
        let mut bytes = [0; 16];
        for (n, byte) in bytes.iter_mut().enumerate() {
            let digits = id.get(2 * n..2 * n + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        let name = Self {
            seen: seen.get(),
            id: bytes,
        };
        (name.to_string() == path).then_some(name)
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}{:020}-{:032x}",
            self.seen,
            u128::from_be_bytes(self.id)
        )
    }
}

impl Item {
    /// Whether a batch is short enough to be handed over.
    pub(crate) fn holds(batch: &[Pending]) -> bool {
        let bytes = batch.iter().map(|pending| pending.entry.len() + 2);
        bytes.sum::<usize>() <= MAX_ITEM_BYTES
    }

    /// The object's bytes; `None` where an entry is too long.
    pub fn encode<'a>(
        name: ItemName,
        log_id: &[u8; 32],
        entries: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Option<Bytes> {
        let mut head = BytesMut::with_capacity(HEAD_LEN);
        head.put_slice(MAGIC);
        head.put_u8(ITEM_VERSION);
        head.put_slice(log_id);
        head.put_slice(&name.id);
        head.put_u64(name.seen);
        head.put_u32(u32::try_from(entries.len()).ok()?);
        let mut encoded = Vec::new();
        for entry in entries {
            append_entry(&mut encoded, entry).ok()?;
        }
        let checksum = Sha256::new_with_prefix(&head)
            .chain_update(&encoded)
            .finalize();
        head.put_slice(&checksum);
        head.put_slice(&encoded);
        Some(head.freeze())
    }

    /// Parses the object of this name, of the log with this id.
    pub fn parse(name: ItemName, log_id: &[u8; 32], bytes: &Bytes) -> Result<Self, ItemError> {
        let refused = |reason: &str| ItemError(format!("{name}: {reason}"));
        let short = || refused("ends within its head");
        let (head, rest) = bytes.split_at_checked(HEAD_LEN).ok_or_else(short)?;
        let mut fields = Fields(head);
        if fields.take::<7>() != Some(*MAGIC) {
            return Err(refused("does not begin with `tegulai`"));
        }
        let [version] = fields.take::<1>().ok_or_else(short)?;
        if version != ITEM_VERSION {
            let reason = format!("has format version {version}, expected {ITEM_VERSION}");
            return Err(refused(&reason));
        }
        let (body, checksum) = head.split_last_chunk::<32>().ok_or_else(short)?;
        let right = Sha256::new_with_prefix(body).chain_update(rest).finalize();
        if right.as_slice() != checksum {
            return Err(refused("does not match its checksum"));
        }
        if fields.take().as_ref() != Some(log_id) {
            return Err(refused("is of another log"));
        }
        if fields.take() != Some(name.id) || fields.u64() != Some(name.seen) {
            return Err(refused("says that it has another name"));
        }
        let count = fields.u32().ok_or_else(short)?;
        if count == 0 || u64::from(count) > MAX_SLOT_ENTRIES {
            let reason = format!("has {count} entries, expected 1 to {MAX_SLOT_ENTRIES}");
            return Err(refused(&reason));
        }
        if rest.len() > MAX_ITEM_BYTES {
            let reason = format!(
                "has {} bytes of entries, expected at most {MAX_ITEM_BYTES}",
                rest.len()
            );
            return Err(refused(&reason));
        }
        let entries = parse_bundle(rest, usize::try_from(count).unwrap_or(usize::MAX))
            .map_err(|error| refused(&format!("entries: {error}")))?;
        let entries = entries.into_iter().map(|entry| bytes.slice_ref(entry));
        Ok(Self {
            name,
            entries: entries.collect(),
        })
    }
}

/// Bytes of an item's entries with their lengths, at most. A batch that is longer takes a slot by itself: whoever orders the next
/// slot holds many items at one time.
pub const MAX_ITEM_BYTES: usize = 128 << 10;
/// What the paths of all items begin with, below the private root.
pub(crate) const PREFIX: &str = "inbox/";
const MAGIC: &[u8; 7] = b"tegulai";
const HEAD_LEN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ItemName {
        let id = std::array::from_fn(|n| 0xc0 + u8::try_from(n).unwrap());
        ItemName { seen: 3, id }
    }

    fn log_id() -> [u8; 32] {
        let text = "e0b252d0cf120ac87f0139a13b7fd65a18f6bbaaa0713734bcb6233388a59e32";
        std::array::from_fn(|n| {
            u8::from_str_radix(text.get(2 * n..2 * n + 2).unwrap(), 16).unwrap()
        })
    }

    fn encode(entries: &[&[u8]]) -> Bytes {
        Item::encode(name(), &log_id(), entries.iter().copied()).unwrap()
    }

    /// The worked example of tiles-format.md.
    #[test]
    fn the_example_is_right() {
        let text = include_str!("../../../tiles-format.md");
        let bytes = encode(&[b"alpha"]);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: Vec<_> = (0..hex.len())
            .step_by(64)
            .map(|at| hex.get(at..hex.len().min(at + 64)).unwrap())
            .collect();
        let lines = lines.join("\n");
        assert!(text.contains(&lines), "{lines}");
        assert!(text.contains(&name().to_string()));
    }

    #[test]
    fn an_item_comes_back_as_it_was() {
        let entries = [&b"alpha"[..], b"", &[7; 65_535], &[8; 65_522]];
        let item = Item::parse(name(), &log_id(), &encode(&entries)).unwrap();
        assert_eq!(item.name, name());
        assert_eq!(item.entries, entries);
        assert_eq!(
            Item::encode(name(), &log_id(), [&[7; 65_536][..]].into_iter()),
            None
        );
    }

    #[test]
    fn names_have_one_spelling() {
        for seen in [0, 3, 10, u64::MAX >> 1] {
            let name = ItemName { seen, ..name() };
            assert_eq!(ItemName::parse(&name.to_string()), Some(name));
        }
        for bad in [
            "inbox/3-c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "inbox/00000000000000000003-C0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "inbox/00000000000000000003-c0c1c2c3c4c5c6c7c8c9cacbcccdce",
            "inbox/00000000000000000003-c0c1c2c3c4c5c6c7c8c9cacbcccdcecf0",
            "inbox/00000000000000000003-+0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "inbox/99999999999999999999-c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "inbox/0000000000000000000ü-c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
            "inbox/",
            "inbox/-",
            "wal/00000000000000000003",
        ] {
            assert_eq!(ItemName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_changed_or_cut_is_refused() {
        let bytes = encode(&[b"alpha", b"beta"]);
        for len in 0..bytes.len() {
            assert!(
                Item::parse(name(), &log_id(), &bytes.slice(..len)).is_err(),
                "{len}"
            );
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(
                Item::parse(name(), &log_id(), &changed.into()).is_err(),
                "{at}"
            );
        }
        let longer = Bytes::from([&bytes[..], b"x"].concat());
        assert!(Item::parse(name(), &log_id(), &longer).is_err());
        let other = ItemName { seen: 4, ..name() };
        let error = Item::parse(other, &log_id(), &bytes).unwrap_err();
        assert!(error.to_string().ends_with("another name"), "{error}");
        let error = Item::parse(name(), &[0; 32], &bytes).unwrap_err();
        assert!(error.to_string().ends_with("of another log"), "{error}");
        let error = Item::parse(name(), &log_id(), &encode(&[&[7; 65_535], &[8; 65_534]]));
        let error = error.unwrap_err();
        assert!(error.to_string().contains("131073 bytes"), "{error}");
        let error = Item::parse(name(), &log_id(), &encode(&[])).unwrap_err();
        assert!(error.to_string().contains("has 0 entries"), "{error}");
    }
}
