//! A log in memory, that can be made to lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tegula_tlog::{Checkpoint, Edge, SigningKey, TilePath, append_entry, leaf_hash};

use crate::{FetchError, Source};

/// Objects by path, and what was fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    fetched: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// A log that has published each of `sizes`, with all their tiles, by the key of [`signer`].
    pub(crate) fn new(entries: &[Vec<u8>], sizes: &[usize]) -> Self {
        Self::signed(&signer(1), entries, sizes)
    }

    pub(crate) fn signed(key: &SigningKey, entries: &[Vec<u8>], sizes: &[usize]) -> Self {
        let log = Self::default();
        for size in sizes {
            log.publish(key, &entries[..*size]);
        }
        log
    }

    /// Everything that a checkpoint over these entries needs, and the checkpoint.
    pub(crate) fn publish(&self, key: &SigningKey, entries: &[Vec<u8>]) {
        self.publish_below("", key, entries);
    }

    /// The same for a log that is a part of this one, at the paths that begin so. Its origin is the key's name.
    pub(super) fn publish_below(&self, place: &str, key: &SigningKey, entries: &[Vec<u8>]) {
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut edge = Edge::empty();
        let growth = edge.grow(&leaves).unwrap();
        let tiles = growth
            .full_tiles()
            .iter()
            .cloned()
            .chain(edge.partial_tiles());
        for (path, bytes) in tiles {
            self.put(&format!("{place}{path}"), bytes);
        }
        for (n, chunk) in (0..).zip(entries.chunks(256)) {
            let mut bundle = Vec::new();
            for entry in chunk {
                append_entry(&mut bundle, entry).unwrap();
            }
            let width = u16::try_from(chunk.len()).unwrap();
            let path = TilePath::entries(n, width).unwrap();
            self.put(&format!("{place}{path}"), bundle);
        }
        let checkpoint = Checkpoint {
            origin: key.verifier().name().to_owned(),
            size: edge.size(),
            root: edge.root(),
            extensions: Vec::new(),
        };
        let note = checkpoint.sign(&[key]).unwrap().to_bytes();
        self.put(&format!("{place}checkpoint"), note);
    }

    /// An index log without a leaf.
    pub(crate) fn publish_index_of_nothing(&self, key: &SigningKey) {
        self.publish_below("index/v1/", key, &[]);
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.objects
            .lock()
            .unwrap()
            .insert(path.to_owned(), bytes.into());
    }

    pub(crate) fn object(&self, path: &str) -> Bytes {
        self.objects.lock().unwrap()[path].clone()
    }

    /// Another log with the same objects.
    pub(crate) fn copy(&self) -> Self {
        let objects = self.objects.lock().unwrap().clone();
        Self {
            objects: Arc::new(Mutex::new(objects)),
            fetched: Arc::default(),
        }
    }

    /// Takes the objects from another log whose paths begin so.
    pub(crate) fn take_from(&self, other: &Self, place: &str) {
        let others = other.objects.lock().unwrap().clone();
        let taken = others
            .into_iter()
            .filter(|(path, _)| path.starts_with(place));
        self.objects.lock().unwrap().extend(taken);
    }

    pub(crate) fn remove(&self, path: &str) {
        assert!(
            self.objects.lock().unwrap().remove(path).is_some(),
            "{path}"
        );
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Flips the lowest bit of the byte at `at`.
    pub(crate) fn tamper(&self, path: &str, at: usize) {
        let mut bytes = self.object(path).to_vec();
        bytes[at] ^= 1;
        self.put(path, bytes);
    }

    /// What was fetched since this was asked last.
    pub(crate) fn take_fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.fetched.lock().unwrap())
    }
}

#[async_trait]
impl Source for Log {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        self.fetched.lock().unwrap().push(path.to_owned());
        let bytes = self.objects.lock().unwrap().get(path).cloned();
        match bytes {
            Some(bytes) if bytes.len() > max_len => Err(FetchError::TooLong {
                place: path.to_owned(),
                max_len,
            }),
            bytes => Ok(bytes),
        }
    }

    fn name(&self) -> String {
        "a log in memory".to_owned()
    }
}

/// Keys of one name: two of them are two logs that call themselves the same.
pub(crate) fn signer(n: u8) -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[n; 32]).unwrap()
}

/// So many entries, each unlike the others, of lengths from 0 on.
pub(crate) fn entries(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| {
            let mut entry = n.to_string().repeat(n % 5).into_bytes();
            if n > 0 {
                entry.extend(format!("#{n}").bytes());
            }
            entry
        })
        .collect()
}
