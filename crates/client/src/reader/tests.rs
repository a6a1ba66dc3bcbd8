use std::path::Path;

use futures::TryStreamExt;
use tegula_tlog::{SigningKey, leaf_hash, verify_consistency, verify_inclusion};

use super::*;
use crate::fake::{Log, entries, signer};

mod cached;
mod checkpoints;

fn reader(log: &Log, memory: &CheckpointMemory, cache: Option<&Path>) -> Reader {
    reader_by(&signer(1), log, memory, cache)
}

fn reader_by(
    key: &SigningKey,
    log: &Log,
    memory: &CheckpointMemory,
    cache: Option<&Path>,
) -> Reader {
    let policy = Policy::from_log_keys(vec![key.verifier()]);
    Reader::new(
        Arc::new(log.clone()),
        policy,
        cache.map(Cache::new),
        memory.clone(),
    )
}

fn fresh(log: &Log) -> Reader {
    reader(log, &CheckpointMemory::in_process(), None)
}

fn index(n: usize) -> LeafIndex {
    LeafIndex::new(n as u64).unwrap()
}

fn size(n: usize) -> TreeSize {
    TreeSize::new(n as u64).unwrap()
}

/// Around every width and level that a tree of some thousand entries has.
const SIZES: [usize; 12] = [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 65_536, 65_793];

#[tokio::test]
async fn every_entry_is_read_and_proven() {
    let entries = entries(65_793);
    for count in SIZES {
        let log = Log::new(&entries, &[count]);
        let reader = fresh(&log);
        let checkpoint = reader.checkpoint().await.unwrap();
        assert_eq!(checkpoint.size(), size(count));
        for n in [0, 1, 254, 255, 256, 511, 512, count / 2, count - 1] {
            if n >= count {
                let error = reader.entry(&checkpoint, index(n)).await.unwrap_err();
                let expected = format!("there is no entry {n}, the log has {count}");
                assert_eq!(error.to_string(), expected);
                assert!(matches!(error, ReadError::NotFound(_)));
                let error = reader
                    .inclusion_proof(&checkpoint, index(n))
                    .await
                    .unwrap_err();
                assert!(matches!(error, ReadError::NotFound(_)));
                continue;
            }
            assert_eq!(
                reader.entry(&checkpoint, index(n)).await.unwrap(),
                entries[n]
            );
            let proof = reader.inclusion_proof(&checkpoint, index(n)).await.unwrap();
            let leaf = leaf_hash(&entries[n]);
            verify_inclusion(index(n), size(count), &leaf, &proof, &checkpoint.root()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_empty_log_has_nothing() {
    let log = Log::new(&[], &[0]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    assert_eq!(checkpoint.size(), TreeSize::ZERO);
    assert!(matches!(
        reader.entry(&checkpoint, index(0)).await,
        Err(ReadError::NotFound(_))
    ));
    let all: Vec<_> = reader
        .entries(&checkpoint, 0..9)
        .try_collect()
        .await
        .unwrap();
    assert!(all.is_empty());
    let leaf = leaf_hash(b"");
    assert_eq!(
        reader.find_leaf_hash(&checkpoint, leaf).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn ranges_come_in_order() {
    let entries = entries(700);
    let log = Log::new(&entries, &[700]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    for range in [
        0..700,
        0..0,
        5..5,
        255..257,
        256..512,
        1..699,
        650..9999,
        700..701,
    ] {
        let read: Vec<_> = reader
            .entries(&checkpoint, range.clone())
            .try_collect()
            .await
            .unwrap();
        let end = range.end.min(700);
        let expected: Vec<_> = (range.start..end)
            .map(|n| {
                (
                    LeafIndex::new(n).unwrap(),
                    Bytes::from(entries[usize::try_from(n).unwrap()].clone()),
                )
            })
            .collect();
        assert_eq!(read, expected, "{range:?}");
    }
}

#[tokio::test]
async fn leaves_are_found_where_they_are_first() {
    let mut entries = entries(600);
    entries[400] = entries[20].clone();
    let log = Log::new(&entries, &[600]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    for n in [0, 20, 255, 256, 599] {
        let found = reader
            .find_leaf_hash(&checkpoint, leaf_hash(&entries[n]))
            .await;
        assert_eq!(found.unwrap(), Some(index(n)));
    }
    let found = reader
        .find_leaf_hash(&checkpoint, leaf_hash(&entries[400]))
        .await;
    assert_eq!(found.unwrap(), Some(index(20)));
    let absent = leaf_hash(b"never logged");
    assert_eq!(
        reader.find_leaf_hash(&checkpoint, absent).await.unwrap(),
        None
    );

    // Absent is said of the whole log only.
    log.remove("tile/0/001");
    let error = fresh(&log).find_leaf_hash(&checkpoint, absent).await;
    assert_eq!(error.unwrap(), None, "the tiles were verified before");
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    let error = reader
        .find_leaf_hash(&checkpoint, absent)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log has no tile/0/001, though its checkpoint needs it"
    );
    assert!(matches!(error, ReadError::Io(_)));
}

#[tokio::test]
async fn consistency_is_proven_between_any_sizes() {
    let entries = entries(1000);
    let log = Log::new(&entries, &[1000]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    for (old, new) in [
        (1, 1),
        (1, 1000),
        (255, 256),
        (256, 512),
        (300, 700),
        (999, 1000),
        (1000, 1000),
    ] {
        let proof = reader
            .consistency_proof(&checkpoint, size(old), size(new))
            .await
            .unwrap();
        for (count, root) in [(old, proof.old_root), (new, proof.new_root)] {
            let part = fresh(&Log::new(&entries, &[count]));
            assert_eq!(part.checkpoint().await.unwrap().root(), root);
        }
        let (old, new) = (size(old), size(new));
        verify_consistency(old, &proof.old_root, new, &proof.new_root, &proof.hashes).unwrap();
    }
    for (old, new) in [(0, 5), (6, 5), (5, 1001)] {
        let error = reader
            .consistency_proof(&checkpoint, size(old), size(new))
            .await
            .unwrap_err();
        assert!(matches!(error, ReadError::NotFound(_)), "{error}");
    }
}

/// Whatever single object is tampered with, no question is answered wrongly.
#[tokio::test]
async fn nothing_tampered_is_believed() {
    let entries = entries(600);
    let pristine = Log::new(&entries, &[600]);
    for path in pristine.paths() {
        let len = pristine.object(&path).len();
        for at in [0, len / 2, len - 1] {
            let log = Log::new(&entries, &[600]);
            log.tamper(&path, at);
            let mut refused = 0;
            let reader = fresh(&log);
            let checkpoint = match reader.checkpoint().await {
                Ok(checkpoint) => checkpoint,
                Err(error) => {
                    assert_eq!(path, "checkpoint");
                    assert!(matches!(error, ReadError::Verification(_)), "{error}");
                    continue;
                }
            };
            for n in [0, 255, 256, 511, 512, 599] {
                match reader.entry(&checkpoint, index(n)).await {
                    Ok(entry) => assert_eq!(entry, entries[n]),
                    Err(error) => {
                        assert!(matches!(error, ReadError::Verification(_)), "{error}");
                        refused += 1;
                    }
                }
            }
            assert!(refused > 0, "byte {at} of {path}");
        }
    }
}

#[tokio::test]
async fn objects_of_wrong_lengths_are_refused() {
    let entries = entries(600);
    let pristine = Log::new(&entries, &[600]);
    for path in pristine.paths() {
        let bytes = pristine.object(&path);
        let longer = [&bytes[..], &[0]].concat();
        for wrong in [
            Bytes::new(),
            bytes.slice(..bytes.len() - 1),
            longer.into(),
            vec![0; 20 << 20].into(),
        ] {
            let log = Log::new(&entries, &[600]);
            log.put(&path, wrong);
            let reader = fresh(&log);
            let outcome = match reader.checkpoint().await {
                Ok(checkpoint) => {
                    let all = reader.entries(&checkpoint, 0..600);
                    all.try_collect::<Vec<_>>().await.map(drop)
                }
                Err(error) => Err(error),
            };
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, ReadError::Verification(_)),
                "{path}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn the_full_tile_serves_for_a_partial_one() {
    let entries = entries(600);
    let log = Log::new(&entries, &[300, 600]);
    let old = Log::new(&entries, &[300]);
    log.put("checkpoint", old.object("checkpoint"));
    for path in ["tile/0/001.p/44", "tile/entries/001.p/44"] {
        log.remove(path);
    }
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    for n in [0, 256, 299] {
        assert_eq!(
            reader.entry(&checkpoint, index(n)).await.unwrap(),
            entries[n]
        );
        reader.inclusion_proof(&checkpoint, index(n)).await.unwrap();
    }
    // Only what this checkpoint covers.
    let error = reader.entry(&checkpoint, index(300)).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound(_)));
}

#[tokio::test]
async fn a_newer_partial_tile_serves_for_an_older_one() {
    let entries = entries(400);
    let log = Log::new(&entries, &[300]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    log.publish(&signer(1), &entries);
    for path in ["tile/0/001.p/44", "tile/entries/001.p/44"] {
        log.remove(path);
    }
    assert_eq!(
        reader.entry(&checkpoint, index(299)).await.unwrap(),
        entries[299]
    );
    log.remove("tile/entries/001.p/144");
    let error = reader.entry(&checkpoint, index(299)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log has no tile/entries/001.p/44, though its checkpoint needs it"
    );
}

#[tokio::test]
async fn each_tile_is_fetched_once_for_many_questions() {
    let entries = entries(3000);
    let log = Log::new(&entries, &[3000]);
    let reader = fresh(&log);
    let checkpoint = reader.checkpoint().await.unwrap();
    log.take_fetched();
    let all: Vec<_> = reader
        .entries(&checkpoint, 0..3000)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 3000);
    let mut fetched = log.take_fetched();
    let count = fetched.len();
    fetched.sort();
    fetched.dedup();
    assert_eq!(fetched.len(), count, "{fetched:?}");
    assert_eq!(count, 12 + 12 + 1);
}
