//! A cache is as little trusted as the log, and only saves requests.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::cache::key_name;

/// Runs, several partitions, lists, and a directory.
fn world() -> World {
    World::indexed(COUNT, 17, |index| {
        let mut words = vec!["all".to_owned()];
        let ground = (index >= 16 * 256).then_some(index * 20);
        words.extend(
            ground
                .into_iter()
                .flat_map(|n| (n..n + 20).map(|n| format!("=1{n:031x}"))),
        );
        words.join(" ")
    })
}

const COUNT: usize = 17 * 256 + 300;

fn keys() -> Vec<Key> {
    let ground = |n: usize| word(&format!("=1{n:031x}"));
    vec![
        word("all"),
        word("nowhere"),
        ground(16 * 256 * 20),
        ground(17 * 256 * 20 - 1),
    ]
}

/// Asks with a cache: what is answered is right.
async fn ask_cached(log: &Log, cache: &Path, memory: &CheckpointMemory) -> Result<(), ReadError> {
    let reader = cached_reader(log.clone(), memory, Some(cache));
    let told = ask(&reader, &keys()).await?;
    let everywhere: Vec<_> = (0..COUNT as u64).collect();
    let found = [everywhere, vec![], vec![16 * 256], vec![17 * 256 - 1]];
    assert_eq!(told.found, found);
    Ok(())
}

/// The files of a cache, and where in the log each is from.
fn cached(cache: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for (key, place) in [
        (signer(1).verifier(), ""),
        (index_signer(1).verifier(), "index/v1/"),
    ] {
        let root = cache.join(key_name(&key));
        for file in files(&root) {
            let path = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let place = if path.starts_with("tile/") { place } else { "" };
            all.push((file, format!("{place}{path}")));
        }
    }
    all
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    };
    paths.flat_map(below).collect()
}

/// A cache of all that a search reads, also of what was there before the index grew.
async fn filled(world: &World, cache: &Path, memory: &CheckpointMemory) {
    world.index.publish(&world.log, &index_signer(1), 16);
    ask_cached(&world.log, cache, memory).await.unwrap();
    world.index.publish(&world.log, &index_signer(1), 17);
    ask_cached(&world.log, cache, memory).await.unwrap();
}

#[tokio::test]
async fn what_is_damaged_in_the_cache_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let (world, memory) = (world(), CheckpointMemory::in_process());
    filled(&world, dir.path(), &memory).await;
    world.log.take_fetched();
    let files = cached(dir.path());
    let mut asked = 0;
    for (file, path) in &files {
        let good = std::fs::read(file).unwrap();
        assert_eq!(good, world.log.object(path), "{path}");
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [
            Vec::new(),
            good[1..].to_vec(),
            flipped,
            [&good[..], b"x"].concat(),
        ] {
            std::fs::write(file, &bad).unwrap();
            ask_cached(&world.log, dir.path(), &memory).await.unwrap();
            let fetched = world.log.take_fetched();
            let fetched: Vec<_> = fetched
                .iter()
                .filter(|path| !path.ends_with("checkpoint"))
                .collect();
            // What only the index of before needed is not looked at.
            if fetched.is_empty() {
                assert_eq!(std::fs::read(file).unwrap(), bad);
                std::fs::write(file, &good).unwrap();
                continue;
            }
            asked += 1;
            assert_eq!(std::fs::read(file).unwrap(), good, "{path} is put right");
        }
    }
    // The state, five partitions and a list, a directory and its two pages, beside tiles and bundles.
    assert!(asked > 4 * 10, "{asked} of {files:?}");
}

/// Neither the cache nor the log has it right: then nothing is answered, and the cache has it no more.
#[tokio::test]
async fn what_is_damaged_in_both_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (world, memory) = (world(), CheckpointMemory::in_process());
    ask_cached(&world.log, dir.path(), &memory).await.unwrap();
    let of_index = cached(dir.path()).into_iter();
    let of_index = of_index.filter(|(_, path)| path.starts_with("index/"));
    for (file, path) in of_index {
        let good = std::fs::read(&file).unwrap();
        let log = world.log.copy();
        for missing in [false, true] {
            let mut bad = good.clone();
            bad[good.len() / 2] ^= 1;
            std::fs::write(&file, &bad).unwrap();
            if missing {
                log.remove(&path);
            } else {
                log.put(&path, bad);
            }
            let error = ask_cached(&log, dir.path(), &memory).await.unwrap_err();
            let is_right_kind = match error {
                ReadError::Io(_) => missing,
                ReadError::Verification(_) => !missing,
                _ => false,
            };
            assert!(is_right_kind, "{path}: {error}");
            assert!(!file.exists(), "{path}");
        }
        ask_cached(&world.log, dir.path(), &memory).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_kept_that_was_not_verified() {
    let world = world();
    let memory = CheckpointMemory::in_process();
    let dir = tempfile::tempdir().unwrap();
    world.log.take_fetched();
    ask_cached(&world.log, dir.path(), &memory).await.unwrap();
    let mut needed = world.log.take_fetched();
    needed.sort();
    needed.dedup();
    for path in needed {
        let len = world.log.object(&path).len();
        for at in [8.min(len - 1), len / 2, len - 1] {
            let dir = tempfile::tempdir().unwrap();
            let log = world.log.copy();
            log.tamper(&path, at);
            ask_cached(&log, dir.path(), &CheckpointMemory::in_process())
                .await
                .unwrap_err();
            for (file, of) in cached(dir.path()) {
                assert_ne!(of, path);
                assert_eq!(std::fs::read(file).unwrap(), world.log.object(&of), "{of}");
            }
        }
    }
}

/// A search whose objects are all in the cache writes none.
#[tokio::test]
async fn what_is_kept_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (world, memory) = (world(), CheckpointMemory::in_process());
    ask_cached(&world.log, dir.path(), &memory).await.unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let files = cached(dir.path());
    for (file, _) in &files {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    ask_cached(&world.log, dir.path(), &memory).await.unwrap();
    for (file, path) in files {
        let modified = std::fs::metadata(file).unwrap().modified().unwrap();
        assert_eq!(modified, long_ago, "{path}");
    }
}
