//! A log in memory, its builders, and a search that looks at everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_index::{Answer, Key, Lookup, State, covered};
use tegula_sequencer::{
    Config, Env, Error, Extract, IndexOptions, IndexReport, Indexer, Pending, Signers, Writer, init,
};
use tegula_storage::{Fate, Faulty, Memory, ObjectPath, OperationKind, Script, Store};
use tegula_tlog::{
    Checkpoint, Edge, Hash, LeafIndex, Limits, LogDescription, SigningKey, TreeSize, leaf_hash,
};

/// A log whose entries are words: the first is a number that makes them unlike each other, by each of the others it can be found.
pub(crate) struct World {
    pub(crate) memory: Memory,
    pub(crate) entries: Vec<String>,
    writer: Writer,
}

pub(crate) fn key() -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap()
}

pub(crate) fn signers() -> Signers {
    vec![key()].into()
}

pub(crate) fn word(word: &str) -> Key {
    Key::new(5, word.as_bytes())
}

pub(crate) fn extract() -> Extract {
    Arc::new(|entry| {
        let text = String::from_utf8_lossy(entry);
        let mut keys = vec![Key::leaf(&leaf_hash(entry))];
        keys.extend(text.split(' ').skip(1).map(word));
        // A key of another entry's, as two leaves may have one.
        let claims = text
            .split(' ')
            .filter_map(|word| word.strip_prefix("claims:"));
        keys.extend(claims.map(|entry| Key::leaf(&leaf_hash(entry.as_bytes()))));
        keys
    })
}

impl World {
    pub(crate) async fn new() -> Self {
        let description = LogDescription {
            format: LogDescription::FORMAT,
            origin: "log.example".to_owned(),
            keys: vec![key().verifier().to_string()],
            slot_format: 1,
            entries: vec!["raw".to_owned()],
            apis: vec!["add".to_owned()],
            limits: Limits {
                entry_bytes: 65_535,
                batch_entries: 1000,
                batch_bytes: 4 << 20,
                attestation_bytes: None,
            },
        };
        let memory = Memory::new();
        init(&memory, &signers(), &description).await.unwrap();
        let mut config = Config::new(signers());
        config.dedup_window = 0;
        let writer = Writer::new(Arc::new(memory.clone()), env(0), config).unwrap();
        Self {
            memory,
            entries: Vec::new(),
            writer,
        }
    }

    /// The same log in a store of its own.
    pub(crate) async fn fork(&self) -> Self {
        let fork = Self::new().await;
        for (path, bytes) in self.memory.listing() {
            let place = match path.split_once('/') {
                Some(("public", path)) => ObjectPath::public(path),
                Some(("private", path)) if path.starts_with("index-work/") => {
                    ObjectPath::private(path)
                }
                _ => continue,
            };
            fork.memory.tamper(&place.unwrap(), Some(bytes));
        }
        Self {
            entries: self.entries.clone(),
            ..fork
        }
    }

    /// Logs entries until there are so many; `words` says by what the one with an index can be found.
    pub(crate) async fn grow(&mut self, size: usize, words: impl Fn(usize) -> String) {
        while self.entries.len() < size {
            let at = self.entries.len();
            let new: Vec<_> = (at..size.min(at + 10_000))
                .map(|index| format!("{index} {}", words(index)))
                .collect();
            let pending: Vec<_> = new
                .iter()
                .map(|e| Pending::new(Bytes::from(e.clone())))
                .collect();
            self.writer.commit(&pending).await.unwrap();
            self.entries.extend(new);
        }
    }

    /// The store, for a builder that is cut off where it would sync what it made, or where it would publish.
    pub(crate) fn cut_off_at(&self, kind: OperationKind, part: &str) -> Faulty<Memory> {
        let script = Arc::new(Script::new());
        for _ in 0..8 {
            script.add_at(kind, part, 0, Fate::Refuse);
        }
        Faulty::new(Arc::new(self.memory.clone()), script)
    }

    pub(crate) fn builder(&self, store: Arc<dyn Store>, seed: u64) -> Indexer {
        Indexer::new(store, env(seed), &signers(), extract()).unwrap()
    }

    /// All that there is to index, by a builder without faults.
    pub(crate) async fn index(&self) -> IndexReport {
        let mut builder = self.builder(Arc::new(self.memory.clone()), 1);
        builder.round(IndexOptions::default()).await.unwrap()
    }

    /// The size of the published index; 0 if there is none.
    pub(crate) async fn index_size(&self) -> u64 {
        published(&self.memory)
            .await
            .map_or(0, |(size, _)| size.get())
    }

    /// The answer of the published index, checked as a reader checks it, and the entries that come after it.
    pub(crate) async fn search(&self, key: Key) -> Answer {
        let (size, root) = published(&self.memory).await.unwrap();
        let log_size = covered(size).unwrap();
        let leaves: Vec<_> = self
            .entries
            .iter()
            .map(|entry| leaf_hash(entry.as_bytes()))
            .collect();
        let state = read(
            &self.memory,
            &tegula_index::IndexPath::State(size).to_string(),
        )
        .await;
        let end = usize::try_from(log_size.get()).unwrap();
        let state = State::open(&state, size, &root, &root_of(&leaves[..end])).unwrap();
        let mut lookup = Lookup::new(&state, key);
        for _ in 0..3 {
            for path in lookup.needs() {
                let bytes = read(&self.memory, &path.to_string()).await;
                lookup.take(path, &bytes).unwrap();
            }
        }
        let extract = extract();
        let tail: Vec<_> = self.entries[end..]
            .iter()
            .map(|entry| extract(entry.as_bytes()))
            .collect();
        lookup.answer(&tail).unwrap()
    }

    /// Every entry that an answer stands for: those of the lists too.
    pub(crate) async fn all(&self, key: Key) -> Vec<u64> {
        let answer = self.search(key).await;
        let mut found: Vec<_> = answer.found.iter().map(|index| index.get()).collect();
        for list in &answer.lists {
            let before = found.len();
            for page in 0..list.pages() {
                let bytes = read(&self.memory, &list.path(page).to_string()).await;
                found.extend(
                    list.open(page, &bytes)
                        .unwrap()
                        .iter()
                        .map(|index| LeafIndex::get(*index)),
                );
            }
            assert_eq!((found.len() - before) as u64, list.count());
        }
        found.sort_unstable();
        found
    }

    /// Compares the index with a search through all entries, for every word that there is and for one that there is not.
    pub(crate) async fn check(&self) {
        let mut by_word: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (index, entry) in (0..).zip(&self.entries) {
            for word in entry.split(' ').skip(1) {
                let found = by_word.entry(word).or_default();
                if found.last() != Some(&index) {
                    found.push(index);
                }
            }
        }
        by_word.insert("absent", Vec::new());
        for (text, expected) in by_word {
            assert_eq!(self.all(word(text)).await, expected, "{text}");
        }
    }

    /// Every object of the index, but for what changes: its checkpoint.
    pub(crate) async fn objects(&self) -> BTreeMap<String, Bytes> {
        let paths = self
            .memory
            .list(tegula_storage::Root::Public, "index/v1/", None, usize::MAX)
            .await
            .unwrap();
        let mut objects = BTreeMap::new();
        for path in paths
            .into_iter()
            .filter(|path| path != "index/v1/checkpoint")
        {
            let bytes = read(&self.memory, &path).await;
            objects.insert(path, bytes);
        }
        objects
    }
}

pub(crate) async fn read(store: &dyn Store, path: &str) -> Bytes {
    let object = store
        .read(&ObjectPath::public(path).unwrap())
        .await
        .unwrap();
    object.unwrap_or_else(|| panic!("{path} is missing")).bytes
}

async fn published(store: &dyn Store) -> Option<(TreeSize, Hash)> {
    let path = ObjectPath::public("index/v1/checkpoint").unwrap();
    let object = store.read(&path).await.unwrap()?;
    let key = key().verifier().named("log.example/index/v1").unwrap();
    let (checkpoint, _) = Checkpoint::open(&object.bytes, &[key]).unwrap();
    assert_eq!(checkpoint.origin, "log.example/index/v1");
    Some((checkpoint.size, checkpoint.root))
}

pub(crate) fn root_of(leaves: &[Hash]) -> Hash {
    let mut edge = Edge::empty();
    edge.grow(leaves).unwrap().root()
}

/// Whether a round that failed may have: what it was told failed, or another was faster.
pub(crate) fn may_fail(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_))
}

pub(crate) fn env(seed: u64) -> Arc<dyn Env> {
    Arc::new(Clock(AtomicU64::new(seed)))
}

#[derive(Debug)]
struct Clock(AtomicU64);

impl Env for Clock {
    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }

    fn random(&self) -> [u8; 16] {
        let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let hash = leaf_hash(&n.to_be_bytes());
        *hash.0.first_chunk().unwrap()
    }

    fn sleep(&self, _duration: Duration) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}
