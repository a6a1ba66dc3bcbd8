use std::path::PathBuf;

use super::*;

async fn read_all(log: &Log, cache: &Path) -> Vec<Bytes> {
    let reader = reader(log, &CheckpointMemory::in_process(), Some(cache));
    let checkpoint = reader.checkpoint().await.unwrap();
    let end = checkpoint.size().get();
    let all: Vec<_> = reader
        .entries(&checkpoint, 0..end)
        .try_collect()
        .await
        .unwrap();
    all.into_iter().map(|(_, entry)| entry).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn what_was_verified_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let entries = entries(600);
    let log = Log::new(&entries, &[600]);
    assert_eq!(read_all(&log, dir.path()).await, entries);
    log.take_fetched();
    assert_eq!(read_all(&log, dir.path()).await, entries);
    assert_eq!(log.take_fetched(), ["checkpoint"]);
    assert_eq!(files(dir.path()).len(), 3 + 3 + 1);
}

#[tokio::test]
async fn a_corrupted_cache_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let entries = entries(600);
    let log = Log::new(&entries, &[600]);
    read_all(&log, dir.path()).await;
    for file in files(dir.path()) {
        let good = std::fs::read(&file).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [
            Vec::new(),
            good[1..].to_vec(),
            flipped,
            [&good[..], b"x"].concat(),
        ] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(read_all(&log, dir.path()).await, entries, "{file:?}");
            assert_eq!(std::fs::read(&file).unwrap(), good, "{file:?} is put right");
        }
    }
}

#[tokio::test]
async fn nothing_unverified_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let entries = entries(600);
    let log = Log::new(&entries, &[600]);
    for path in log.paths().into_iter().filter(|path| path != "checkpoint") {
        log.tamper(&path, 7);
    }
    let reader = reader(&log, &CheckpointMemory::in_process(), Some(dir.path()));
    let checkpoint = reader.checkpoint().await.unwrap();
    for n in [0, 300, 599] {
        reader.entry(&checkpoint, index(n)).await.unwrap_err();
    }
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn partial_tiles_give_way_to_wider_ones() {
    let dir = tempfile::tempdir().unwrap();
    let entries = entries(513);
    let log = Log::new(&[], &[0]);
    for count in [1, 200, 255, 256, 300, 512, 513] {
        log.publish(&signer(1), &entries[..count]);
        assert_eq!(read_all(&log, dir.path()).await, entries[..count]);
        let bundles = files(dir.path())
            .into_iter()
            .filter(|file| file.to_str().unwrap().contains("/entries/"));
        assert_eq!(bundles.count(), count.div_ceil(256), "{count}");
    }
    // What is wider than an older checkpoint serves it too.
    let old = Log::new(&entries, &[300]);
    old.take_fetched();
    assert_eq!(read_all(&old, dir.path()).await, entries[..300]);
    let fetched = old.take_fetched();
    assert!(
        !fetched.iter().any(|path| path.contains("001")),
        "{fetched:?}"
    );
}

#[tokio::test]
async fn logs_do_not_share_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(900);
    let (one, two) = (&all[..300], &all[300..]);
    for _ in 0..2 {
        for (n, entries) in [(1, one), (2, two)] {
            let log = Log::signed(&signer(n), entries, &[entries.len()]);
            let memory = CheckpointMemory::in_process();
            let reader = reader_by(&signer(n), &log, &memory, Some(dir.path()));
            let checkpoint = reader.checkpoint().await.unwrap();
            for at in [0, 299] {
                assert_eq!(
                    reader.entry(&checkpoint, index(at)).await.unwrap(),
                    entries[at]
                );
            }
        }
    }
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let entries = entries(300);
    let log = Log::new(&entries, &[300]);
    assert_eq!(read_all(&log, &file).await, entries);
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
}
