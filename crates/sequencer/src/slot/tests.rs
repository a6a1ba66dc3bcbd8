use super::*;
use tegula_tlog::append_entry;

fn example() -> (SlotHeader, Vec<u8>) {
    let mut entries = Vec::new();
    for entry in [&b"alpha"[..], b"", b"gamma"] {
        append_entry(&mut entries, entry).unwrap();
    }
    let header = SlotHeader {
        log_id: [1; 32],
        attempt: [2; 16],
        prev_size: TreeSize::new(300).unwrap(),
        prev_root: Hash([3; 32]),
        new_size: TreeSize::new(303).unwrap(),
        new_root: Hash([4; 32]),
        time_ms: 1_767_225_600_000,
        entries_len: entries.len() as u64,
        batches: vec![
            Batch::new([5; 16], [300, 301, 17, 302]).unwrap(),
            Batch::new([6; 16], [4]).unwrap(),
        ],
    };
    (header, entries)
}

/// The example with one change, and its checksum made right again.
fn changed(change: impl FnOnce(&mut SlotHeader)) -> Bytes {
    let (mut header, entries) = example();
    change(&mut header);
    header.encode(&entries)
}

#[test]
fn a_slot_comes_back_as_it_was() {
    let (header, entries) = example();
    let bytes = header.encode(&entries);
    let slot = Slot::parse(300, &bytes).unwrap();
    assert_eq!(slot.header, header);
    assert_eq!(
        slot.entries().unwrap().unwrap(),
        [&b"alpha"[..], b"", b"gamma"]
    );
    assert_eq!(
        slot.header.batches[0].indexes().collect::<Vec<_>>(),
        [300, 301, 17, 302]
    );
    assert_eq!(slot.header.batches[0].runs.len(), 3);
    assert_eq!(Slot::parse_head(300, &bytes).unwrap(), header);
}

#[test]
fn a_header_alone_is_a_slot_without_entries() {
    let (header, _) = example();
    let slot = Slot::parse(300, &header.encode(&[])).unwrap();
    assert_eq!(slot.header, header);
    assert!(slot.entries.is_none() && slot.entries().is_none());
}

#[test]
fn every_truncation_is_refused_but_that_to_the_header() {
    let (header, entries) = example();
    let bytes = header.encode(&entries);
    let header_len = bytes.len() - entries.len();
    for len in 0..bytes.len() {
        let parsed = Slot::parse(300, &bytes.slice(..len));
        assert_eq!(parsed.is_ok(), len == header_len, "{len} bytes");
        let head = Slot::parse_head(300, &bytes.slice(..len));
        assert_eq!(head.is_ok(), len >= header_len, "{len} bytes");
    }
}

#[test]
fn every_flipped_bit_is_refused_in_the_header_and_seen_in_the_entries() {
    let (header, entries) = example();
    let bytes = header.encode(&entries);
    let header_len = bytes.len() - entries.len();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            match Slot::parse(300, &Bytes::from(flipped)) {
                Err(_) => assert!(at < header_len),
                Ok(slot) => {
                    assert!(at >= header_len);
                    let read = slot.entries().unwrap();
                    assert_ne!(read.ok(), Some(vec![&b"alpha"[..], b"", b"gamma"]));
                }
            }
        }
    }
}

/// As a forger would, who knows the format: what is parsed is what is written.
#[test]
fn with_its_checksum_made_right_a_flipped_bit_is_refused_or_another_slot() {
    let (header, entries) = example();
    let bytes = header.encode(&entries);
    let body_len = bytes.len() - entries.len() - CHECKSUM_LEN;
    for n in 0..8 * body_len {
        let mut flipped = bytes.to_vec();
        flipped[n / 8] ^= 1 << (n % 8);
        let checksum = Sha256::digest(&flipped[..body_len]);
        flipped[body_len..body_len + CHECKSUM_LEN].copy_from_slice(&checksum);
        let flipped = Bytes::from(flipped);
        if let Ok(slot) = Slot::parse(300, &flipped) {
            assert_eq!(slot.header.encode(&entries), flipped);
            assert!((1..=MAX_SLOT_ENTRIES).contains(&slot.header.count()));
        }
    }
}

#[test]
fn bytes_between_the_last_batch_and_the_checksum_are_refused() {
    let (header, _) = example();
    let bytes = header.encode(&[]);
    let mut longer = bytes[..bytes.len() - CHECKSUM_LEN].to_vec();
    longer.extend([0; 4]);
    let len = u32::try_from(longer.len() + CHECKSUM_LEN).unwrap();
    longer[8..12].copy_from_slice(&len.to_be_bytes());
    longer.extend(Sha256::digest(&longer));
    let error = Slot::parse(300, &Bytes::from(longer)).unwrap_err();
    assert_eq!(error.to_string(), "slot 300: header has 4 bytes too many");
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refused = |bytes: Bytes, reason: &str| {
        let error = Slot::parse(300, &bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refused(
        changed(|h| h.new_size = h.prev_size),
        "from size 300 to 300, expected 1 to 16384",
    );
    refused(
        changed(|h| h.new_size = TreeSize::new(300 + 16_385).unwrap()),
        "from size 300 to 16685",
    );
    refused(changed(|h| h.entries_len = 5), "says 5 bytes of entries");
    refused(
        changed(|h| h.entries_len += 1),
        "holds 16 bytes of entries, its header says 17",
    );
    refused(
        changed(|h| h.batches.clear()),
        "lists 0 batches, expected 1 to 16384",
    );
    let many = |count| Batch::new([5; 16], [17]).map(|batch| vec![batch; count]);
    Slot::parse(300, &changed(|h| h.batches = many(16_384).unwrap())).unwrap();
    refused(
        changed(|h| h.batches = many(16_385).unwrap()),
        "lists 16385 batches, expected 1 to 16384",
    );
    let long = |count| Run { first: 0, count };
    let alternating = |counts: [u32; 3]| {
        vec![Batch {
            id: [5; 16],
            runs: counts.map(long).into(),
        }]
    };
    refused(
        changed(|h| h.batches = alternating([303, u32::MAX, 1])),
        "lists 4294967295 entries from index 0",
    );
    let listed = |last| {
        vec![Batch {
            id: [5; 16],
            runs: [vec![long(303); 108], vec![long(last)]].concat(),
        }]
    };
    Slot::parse(300, &changed(|h| h.batches = listed(44))).unwrap();
    refused(
        changed(|h| h.batches = listed(45)),
        "lists 32769 entries in its batches, expected at most 32768",
    );
    refused(
        changed(|h| h.batches[1].runs[0].count = 0),
        "lists 0 entries from index 4",
    );
    refused(
        changed(|h| h.batches[1].runs[0].first = 303),
        "from index 303, expected at least one, below 303",
    );
    refused(
        changed(|h| h.batches[1].runs[0].first = u64::MAX),
        "expected at least one",
    );
    refused(
        changed(|h| h.batches[1].runs.clear()),
        "lists a batch without entries",
    );
    refused(
        changed(|h| {
            h.batches[1].runs = vec![Run { first: 4, count: 1 }, Run { first: 5, count: 1 }];
        }),
        "begins a run at index 5",
    );
    let (header, entries) = example();
    let error = Slot::parse(299, &header.encode(&entries)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "slot 299: its prev_size is 300, expected its name"
    );
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let (header, entries) = example();
    let mut bytes = header.encode(&entries).to_vec();
    bytes[7] = 2;
    assert_eq!(
        Slot::parse(300, &Bytes::from(bytes)),
        Err(SlotError::Version {
            start: 300,
            version: 2
        })
    );
}
