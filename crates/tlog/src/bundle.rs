//! Entry bundles: tiles-format.md, section 4.

/// The longest entry, in bytes.
pub const MAX_ENTRY_LEN: usize = 65_535;

/// An entry that does not fit into a bundle.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an entry of {len} bytes, expected at most {MAX_ENTRY_LEN}")]
pub struct EntryTooLong {
    /// Its length in bytes.
    pub len: usize,
}

/// Appends an entry to the bytes of a bundle: its length in two bytes, and itself.
///
/// # Errors
///
/// [`EntryTooLong`] above 65,535 bytes; then the bundle is as it was.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let len = u16::try_from(entry.len()).ok();
    let len = len.ok_or(EntryTooLong { len: entry.len() })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Why bytes are not a bundle.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end within an entry or before the last one.
    #[error("the bundle ends within entry {entry} of {count}")]
    Short {
        /// The entry, from 0.
        entry: usize,
        /// How many there should be.
        count: usize,
    },
    /// There are bytes after the last entry.
    #[error("the bundle has {extra} bytes after its {count} entries")]
    Long {
        /// How many there should be.
        count: usize,
        /// How many bytes too many.
        extra: usize,
    },
}

/// The `count` entries of a bundle, in order. All bytes must belong to them.
///
/// # Errors
///
/// [`BundleError`] if the bytes are fewer or more than those of `count` entries.
pub fn parse_bundle(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>, BundleError> {
    // An entry takes two bytes at least: a wrong count cannot make this large.
    let mut entries = Vec::with_capacity(count.min(bytes.len() / 2));
    let mut rest = bytes;
    for entry in 0..count {
        let short = BundleError::Short { entry, count };
        let (len, after) = rest.split_first_chunk::<2>().ok_or(short)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (bytes, after) = after.split_at_checked(len).ok_or(short)?;
        entries.push(bytes);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(BundleError::Long {
            count,
            extra: rest.len(),
        })
    }
}
