//! A slot has one encoding, and its numbers keep to their limits. Its checksum is made right: otherwise the fuzzer would have to
//! find a hash.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use tegula_sequencer::Slot;

fuzz_target!(|bytes: &[u8]| {
    check(Bytes::copy_from_slice(bytes));
    if let Some(right) = with_checksum(bytes) {
        check(right.into());
    }
});

fn check(bytes: Bytes) {
    let Some(start) = bytes.get(60..68) else {
        assert!(Slot::parse(0, &bytes).is_err());
        return;
    };
    let start = u64::from_be_bytes(start.try_into().unwrap());
    let Ok(slot) = Slot::parse(start, &bytes) else {
        return;
    };
    let header = &slot.header;
    let entries = slot.entries.clone().unwrap_or_default();
    assert_eq!(header.encode(&entries), bytes);
    assert_eq!(Slot::parse_head(start, &bytes).unwrap(), *header);
    assert!(Slot::parse(start ^ 1, &bytes).is_err());
    assert!((1..=16_384).contains(&header.count()));
    assert!((1..=16_384).contains(&header.batches.len()));
    let indexes = header.batches.iter().flat_map(|batch| batch.indexes());
    assert!(
        indexes
            .take(32_769)
            .all(|index| index < header.new_size.get())
    );
    let listed = header
        .batches
        .iter()
        .flat_map(|batch| batch.indexes())
        .count();
    assert!(listed <= 32_768);
    if let Some(Ok(entries)) = slot.entries() {
        assert_eq!(entries.len() as u64, header.count());
    }
}

fn with_checksum(bytes: &[u8]) -> Option<Vec<u8>> {
    let len = u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
    let len = usize::try_from(len).ok()?;
    let mut right = bytes.to_vec();
    let header = right.get_mut(..len)?;
    let (body, checksum) = header.split_last_chunk_mut::<32>()?;
    *checksum = Sha256::digest(body).into();
    Some(right)
}
