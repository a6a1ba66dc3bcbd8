//! Slots: one ordered batch each, `wal/<start>` (tiles-format.md section 9).

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tegula_tlog::{Hash, TreeSize, parse_bundle};

/// The format version that this code writes, and the only one that it reads.
pub const SLOT_VERSION: u8 = 1;
/// New entries in one slot, at most.
pub const MAX_SLOT_ENTRIES: u64 = 16_384;
/// Encoded entries in one slot, at most, in bytes.
pub const MAX_SLOT_BYTES: usize = 8 << 20;
/// The longest header, in bytes. 16,384 batches of two entries that share no run take
/// 160 + 16,384 · (20 + 2 · 12) + 32 bytes, which is less.
pub const MAX_HEADER_LEN: usize = 1 << 20;

/// A parsed slot. Its numbers are in range and its checksum holds; that it follows the slot before
/// it, and that its entries lead to `new_root`, is for whoever folds it to check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slot {
    /// What the header says.
    pub header: SlotHeader,
    /// The entries in bundle encoding; `None` where the slot was cut to its header.
    pub entries: Option<Bytes>,
}

/// The header of a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotHeader {
    /// The log's un-truncated key id.
    pub log_id: [u8; 32],
    /// Random, new for each attempt to take a slot: how a writer tells its own slot.
    pub attempt: [u8; 16],
    /// The tree before the batch.
    pub prev_size: TreeSize,
    /// The root of the tree before the batch.
    pub prev_root: Hash,
    /// The tree after it, larger by 1 to 16,384.
    pub new_size: TreeSize,
    /// The root of the tree after it.
    pub new_root: Hash,
    /// Milliseconds since 1970-01-01 UTC, never less than the slot's before it.
    pub time_ms: u64,
    /// Length of the encoded entries in bytes, also when they have been cut off.
    pub entries_len: u64,
    /// The batches that were folded in, at least one.
    pub batches: Vec<Batch>,
}

/// A batch in a slot: where each of its entries is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// Random, chosen by the batch's author.
    pub id: [u8; 16],
    /// The entries' indexes in the order in which they were handed in, as runs.
    pub runs: Vec<Run>,
}

/// Neighbouring indexes: `first`, `first + 1`, and so on, `count` of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// The first index.
    pub first: u64,
    /// How many there are, at least 1.
    pub count: u32,
}

/// Why bytes are not a slot.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SlotError {
    /// The format is of another version: write nothing, never guess.
    #[error("slot {start} has format version {version}, expected {SLOT_VERSION}")]
    Version {
        /// The slot's name.
        start: u64,
        /// What it says.
        version: u8,
    },
    /// The bytes break the format.
    #[error("slot {start}: {reason}")]
    Malformed {
        /// The slot's name.
        start: u64,
        /// What is wrong.
        reason: String,
    },
}

impl Batch {
    /// A batch of the given indexes, in order. `None` where there are none.
    pub fn new(id: [u8; 16], indexes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut runs: Vec<Run> = Vec::new();
        for index in indexes {
            match runs.last_mut() {
                Some(run) if run.first + u64::from(run.count) == index => run.count += 1,
                _ => runs.push(Run {
                    first: index,
                    count: 1,
                }),
            }
        }
        (!runs.is_empty()).then_some(Self { id, runs })
    }

    /// The index of each entry, in the order in which they were handed in.
    pub fn indexes(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs
            .iter()
            .flat_map(|run| (0..u64::from(run.count)).map(|i| run.first + i))
    }
}

impl SlotHeader {
    /// The object's bytes, header and entries.
    pub fn encode(&self, entries: &[u8]) -> Bytes {
        let batches: usize = self
            .batches
            .iter()
            .map(|b| BATCH_LEN + b.runs.len() * RUN_LEN)
            .sum();
        let header_len = FIXED_LEN + batches + CHECKSUM_LEN;
        let mut out = BytesMut::with_capacity(header_len + entries.len());
        out.put_slice(MAGIC);
        out.put_u8(SLOT_VERSION);
        out.put_u32(u32::try_from(header_len).unwrap_or(u32::MAX));
        out.put_slice(&self.log_id);
        out.put_slice(&self.attempt);
        out.put_u64(self.prev_size.get());
        out.put_slice(&self.prev_root.0);
        out.put_u64(self.new_size.get());
        out.put_slice(&self.new_root.0);
        out.put_u64(self.time_ms);
        out.put_u64(self.entries_len);
        out.put_u32(u32::try_from(self.batches.len()).unwrap_or(u32::MAX));
        for batch in &self.batches {
            out.put_slice(&batch.id);
            out.put_u32(u32::try_from(batch.runs.len()).unwrap_or(u32::MAX));
            for run in &batch.runs {
                out.put_u64(run.first);
                out.put_u32(run.count);
            }
        }
        let checksum = Sha256::digest(&out);
        out.put_slice(&checksum);
        out.put_slice(entries);
        out.freeze()
    }

    /// How many new entries the slot holds.
    pub fn count(&self) -> u64 {
        self.new_size.get() - self.prev_size.get()
    }
}

impl Slot {
    /// Parses the object `wal/<start>`.
    pub fn parse(start: u64, bytes: &Bytes) -> Result<Self, SlotError> {
        let malformed = |reason: String| SlotError::Malformed { start, reason };
        let header_len = header_len(start, bytes)?;
        let header_bytes = bytes.get(..header_len).ok_or_else(|| {
            malformed(format!(
                "ends after {} bytes, its header alone has {header_len}",
                bytes.len()
            ))
        })?;
        let header = parse_header(header_bytes).map_err(malformed)?;
        if header.prev_size.get() != start {
            return Err(malformed(format!(
                "its prev_size is {}, expected its name",
                header.prev_size
            )));
        }
        let entries = bytes.slice(header_len..);
        if entries.is_empty() {
            return Ok(Self {
                header,
                entries: None,
            });
        }
        if u64::try_from(entries.len()) != Ok(header.entries_len) {
            return Err(malformed(format!(
                "holds {} bytes of entries, its header says {}",
                entries.len(),
                header.entries_len
            )));
        }
        Ok(Self {
            header,
            entries: Some(entries),
        })
    }

    /// Parses only the header of the object `wal/<start>`; `bytes` may end anywhere after it.
    pub fn parse_head(start: u64, bytes: &Bytes) -> Result<SlotHeader, SlotError> {
        let header_len = header_len(start, bytes)?;
        Self::parse(start, &bytes.slice(..header_len.min(bytes.len()))).map(|slot| slot.header)
    }

    /// The entries one by one; `None` where the slot was cut to its header, an error where the
    /// bytes are not as many entries as the header says.
    pub fn entries(&self) -> Option<Result<Vec<&[u8]>, SlotError>> {
        let bytes = self.entries.as_ref()?;
        let count = usize::try_from(self.header.count()).unwrap_or(usize::MAX);
        Some(
            parse_bundle(bytes, count).map_err(|error| SlotError::Malformed {
                start: self.header.prev_size.get(),
                reason: format!("entries: {error}"),
            }),
        )
    }
}

const MAGIC: &[u8; 7] = b"tegulas";
const FIXED_LEN: usize = 160;
const CHECKSUM_LEN: usize = 32;
const BATCH_LEN: usize = 20;
const RUN_LEN: usize = 12;
/// Entries of all batches together: new ones and duplicates.
const MAX_BATCH_ENTRIES: u64 = 2 * MAX_SLOT_ENTRIES;

/// Reads magic, version and the header's length.
fn header_len(start: u64, bytes: &Bytes) -> Result<usize, SlotError> {
    let malformed = |reason: String| SlotError::Malformed { start, reason };
    let mut fields = Fields(bytes);
    if fields.take::<7>() != Some(*MAGIC) {
        return Err(malformed("does not begin with `tegulas`".to_owned()));
    }
    let Some([version]) = fields.take::<1>() else {
        return Err(malformed("ends before its version".to_owned()));
    };
    if version != SLOT_VERSION {
        return Err(SlotError::Version { start, version });
    }
    let len = fields
        .u32()
        .ok_or_else(|| malformed("ends before the length of its header".to_owned()))?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if !(FIXED_LEN + CHECKSUM_LEN..=MAX_HEADER_LEN).contains(&len) {
        return Err(malformed(format!(
            "header length {len} is not between {} and {MAX_HEADER_LEN}",
            FIXED_LEN + CHECKSUM_LEN
        )));
    }
    Ok(len)
}

/// Parses exactly the header's bytes.
fn parse_header(bytes: &[u8]) -> Result<SlotHeader, String> {
    let (body, checksum) = bytes
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or("header is too short")?;
    // First of all: with a wrong checksum no field means anything.
    if Sha256::digest(body).as_slice() != checksum {
        return Err("header does not match its checksum".to_owned());
    }
    let short = "header ends within a field";
    let mut fields = Fields(body);
    fields.take::<12>().ok_or(short)?;
    let log_id = fields.take().ok_or(short)?;
    let attempt = fields.take().ok_or(short)?;
    let prev_size = fields.size()?;
    let prev_root = Hash(fields.take().ok_or(short)?);
    let new_size = fields.size()?;
    let new_root = Hash(fields.take().ok_or(short)?);
    let time_ms = fields.u64().ok_or(short)?;
    let entries_len = fields.u64().ok_or(short)?;
    let batch_count = fields.u32().ok_or(short)?;
    let count = new_size.get().saturating_sub(prev_size.get());
    if !(1..=MAX_SLOT_ENTRIES).contains(&count) {
        return Err(format!(
            "goes from size {prev_size} to {new_size}, expected 1 to {MAX_SLOT_ENTRIES} new entries"
        ));
    }
    if entries_len < 2 * count || entries_len > MAX_SLOT_BYTES as u64 {
        return Err(format!(
            "says {entries_len} bytes of entries, expected {} to {MAX_SLOT_BYTES}",
            2 * count
        ));
    }
    if batch_count == 0 || u64::from(batch_count) > MAX_SLOT_ENTRIES {
        return Err(format!(
            "lists {batch_count} batches, expected 1 to {MAX_SLOT_ENTRIES}"
        ));
    }
    let mut batches = Vec::new();
    let mut listed: u64 = 0;
    for _ in 0..batch_count {
        let id = fields.take().ok_or(short)?;
        let run_count = fields.u32().ok_or(short)?;
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..run_count {
            let run = Run {
                first: fields.u64().ok_or(short)?,
                count: fields.u32().ok_or(short)?,
            };
            listed += u64::from(run.count);
            let end = run.first.checked_add(u64::from(run.count));
            if run.count == 0 || end.is_none_or(|end| end > new_size.get()) {
                return Err(format!(
                    "lists {} entries from index {}, expected at least one, below {new_size}",
                    run.count, run.first
                ));
            }
            if runs
                .last()
                .is_some_and(|last| last.first + u64::from(last.count) == run.first)
            {
                return Err(format!(
                    "begins a run at index {} which the run before it should hold",
                    run.first
                ));
            }
            runs.push(run);
        }
        if runs.is_empty() {
            return Err("lists a batch without entries".to_owned());
        }
        batches.push(Batch { id, runs });
    }
    if listed > MAX_BATCH_ENTRIES {
        return Err(format!(
            "lists {listed} entries in its batches, expected at most {MAX_BATCH_ENTRIES}"
        ));
    }
    if !fields.0.is_empty() {
        return Err(format!("header has {} bytes too many", fields.0.len()));
    }
    Ok(SlotHeader {
        log_id,
        attempt,
        prev_size,
        prev_root,
        new_size,
        new_root,
        time_ms,
        entries_len,
        batches,
    })
}

/// Bytes not yet parsed.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn size(&mut self) -> Result<TreeSize, String> {
        let size = self.u64().ok_or("header ends within a size")?;
        TreeSize::new(size).ok_or_else(|| format!("size {size} is above 2^63-1"))
    }
}

#[cfg(test)]
mod tests;
