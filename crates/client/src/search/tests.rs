use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tegula_index::{Run, live_runs};
use tegula_tlog::Policy;

use super::*;
use crate::fake::{Index, Log, index_signer, signer};
use crate::{Cache, CheckpointMemory};

mod adversary;
mod audits;
mod cached;
mod properties;
mod requests;

/// A log whose entries are words: the first makes an entry unlike the others, by each of the others it can be found.
struct World {
    entries: Vec<Vec<u8>>,
    index: Index,
    log: Log,
}

impl World {
    /// A log without an index. `words` says by what the entry with an index can be found.
    fn new(size: usize, words: impl Fn(usize) -> String) -> Self {
        let entry = |index| format!("{index} {}", words(index)).into_bytes();
        let entries: Vec<_> = (0..size).map(entry).collect();
        Self {
            index: Index::new(&entries, &all_keys(&entries)),
            log: Log::new(&entries, &[size]),
            entries,
        }
    }

    /// A log with an index that covers so many bundles.
    fn indexed(size: usize, bundles: usize, words: impl Fn(usize) -> String) -> Self {
        let world = Self::new(size, words);
        world.index.publish(&world.log, &index_signer(1), bundles);
        world
    }

    /// The first entries that have a key, by looking at each of them.
    fn naive(&self, key: Key, size: TreeSize) -> Vec<u64> {
        let entries = (0..size.get()).zip(&self.entries);
        let entries = entries.filter(|(_, entry)| keys_of(entry).contains(&key));
        entries.map(|(index, _)| index).collect()
    }

    /// What there is to find, by looking at each entry.
    fn told(&self, keys: &[Key], size: TreeSize) -> Told {
        Told {
            proven: size,
            found: keys.iter().map(|key| self.naive(*key, size)).collect(),
        }
    }

    /// That answers are what looking at each entry finds, whole and from the end.
    async fn check(&self, reader: &Reader, keys: &[Key], searched: &Searched) {
        assert_eq!(searched.answers.len(), keys.len());
        for (key, answer) in keys.iter().zip(&searched.answers) {
            let expected = self.naive(*key, searched.proven);
            assert_eq!(answer.size, searched.proven);
            assert_eq!(answer.count(), expected.len() as u64, "{key}");
            assert_eq!(answer.is_absence(), expected.is_empty());
            let found = pages_and_found(reader, searched, answer).await.unwrap();
            assert_eq!(found, expected, "{key}");
            for limit in [0, 1, 2, 100, 1024, 1025, 4000, usize::MAX] {
                let newest = reader.newest(searched, answer, limit).await.unwrap();
                let newest = newest.iter().map(|index| index.get());
                let expected = expected.iter().rev().take(limit).copied();
                assert!(newest.eq(expected), "the newest {limit} of {key}");
            }
        }
    }
}

/// All that a log answered, for its size.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    proven: TreeSize,
    found: Vec<Vec<u64>>,
}

async fn ask(reader: &Reader, keys: &[Key]) -> Result<Told, ReadError> {
    let searched = reader.search(keys, EVERYTHING).await?;
    let mut found = Vec::new();
    for answer in &searched.answers {
        let all = pages_and_found(reader, &searched, answer).await?;
        let newest = reader.newest(&searched, answer, usize::MAX).await?;
        assert!(newest.iter().rev().map(|index| index.get()).eq(all.clone()));
        assert_eq!(answer.count(), all.len() as u64);
        found.push(all);
    }
    assert!(searched.is_complete());
    Ok(Told {
        proven: searched.proven,
        found,
    })
}

/// Every entry that an answer stands for, ascending.
async fn pages_and_found(
    reader: &Reader,
    searched: &Searched,
    answer: &Answer,
) -> Result<Vec<u64>, ReadError> {
    let mut found: Vec<_> = answer.found.iter().map(|index| index.get()).collect();
    for list in &answer.lists {
        for page in 0..list.pages() {
            let index = searched.index.as_ref().unwrap();
            let page = reader.list_page(index, list, page).await?;
            found.extend(page.iter().map(|index| index.get()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What an entry of words can be found by.
fn keys_of(entry: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(entry);
    let mut keys = entry_keys(entry, <[(u8, &str); 0]>::default());
    keys.extend(
        text.split(' ')
            .skip(1)
            .filter(|text| !text.is_empty())
            .map(word),
    );
    keys
}

fn all_keys(entries: &[Vec<u8>]) -> Vec<Vec<Key>> {
    entries.iter().map(|entry| keys_of(entry)).collect()
}

/// The key of a word. A word of `=` and hexadecimal digits is a key that someone ground.
fn word(word: &str) -> Key {
    match word.strip_prefix('=') {
        Some(key) => Key(u128::from_str_radix(key, 16).unwrap().to_be_bytes()),
        None => Key::new(5, word.as_bytes()),
    }
}

fn words_of(words: &[&str]) -> Vec<Key> {
    words.iter().map(|text| word(text)).collect()
}

fn reader(source: impl crate::Source + 'static, memory: &CheckpointMemory) -> Reader {
    cached_reader(source, memory, None)
}

fn cached_reader(
    source: impl crate::Source + 'static,
    memory: &CheckpointMemory,
    cache: Option<&Path>,
) -> Reader {
    let policy = Policy::from_log_keys(vec![signer(1).verifier()]);
    let cache = cache.map(Cache::new);
    let mut reader = Reader::new(Arc::new(source), policy, cache, memory.clone());
    reader.keys_of = keys_of;
    reader
}

fn fresh(log: &Log) -> Reader {
    reader(log.clone(), &CheckpointMemory::in_process())
}

fn size(n: usize) -> TreeSize {
    TreeSize::new(n as u64).unwrap()
}

fn scan_at_most(max_scanned: u64) -> SearchOptions {
    SearchOptions { max_scanned }
}

const EVERYTHING: SearchOptions = SearchOptions {
    max_scanned: u64::MAX,
};

/// The entries of Rekor's are found by what [`index_keys`] says, which no other test here asks.
#[tokio::test]
async fn entries_of_rekor_are_found() {
    let real = include_str!("../../../entries/tests/data/rekor-v1-27773186.json").trim_end();
    let digest = "40316e8c16f0d516b42c5646e1c608d7bf0e4a2287e6a7e2dcd006dcbf682a2f";
    assert!(real.contains(digest));
    let digest_of = |n: usize| format!("{n:064x}");
    let entries: Vec<_> = (0..300)
        .map(|n| real.replace(digest, &digest_of(n)).into_bytes())
        .collect();
    let keys: Vec<_> = entries.iter().map(|entry| index_keys(entry)).collect();
    let log = Log::new(&entries, &[300]);
    Index::new(&entries, &keys).publish(&log, &index_signer(1), 1);
    let policy = Policy::from_log_keys(vec![signer(1).verifier()]);
    let reader = Reader::new(Arc::new(log), policy, None, CheckpointMemory::in_process());
    let shared: Vec<_> = keys[0]
        .iter()
        .filter(|key| keys[299].contains(key))
        .copied()
        .collect();
    assert_eq!(shared.len(), 1, "they are signed by one key");
    let digest = |n: usize| Key::new(2, format!("sha256:{}", digest_of(n)).as_bytes());
    let wanted = [shared[0], digest(7), digest(299), digest(300), keys[8][0]];
    let searched = reader
        .search(&wanted, SearchOptions::default())
        .await
        .unwrap();
    assert!(searched.is_complete());
    let mut found = Vec::new();
    for answer in &searched.answers {
        found.push(pages_and_found(&reader, &searched, answer).await.unwrap());
    }
    let all = (0..300).collect();
    assert_eq!(found, [all, vec![7], vec![299], vec![], vec![8]]);
    let index = searched.index.as_ref().unwrap();
    let audit = reader
        .audit_run(&searched.checkpoint, index, Run::new(0, 0).unwrap())
        .await
        .unwrap();
    assert!(audit.is_right(), "{audit:?}");
}
