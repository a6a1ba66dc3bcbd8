//! The last checkpoint of each key, remembered.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tegula_tlog::{VerifierKey, leaf_hash};

use crate::cache::key_name;
use crate::directory::read_capped;
use crate::files::{Durable, write_whole};

/// What a reader has seen of each log key, so that a log cannot go back on what it signed.
///
/// Below its directory, `<key id>/checkpoint` is the largest checkpoint that was verified, and `<key id>/evidence/` holds pairs of
/// checkpoints that contradict each other. Several processes may use one directory.
#[derive(Clone, Debug)]
pub struct CheckpointMemory {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Process(Arc<Mutex<HashMap<String, Vec<u8>>>>),
    Directory(PathBuf),
}

impl CheckpointMemory {
    /// A memory that ends with the process.
    #[must_use]
    pub fn in_process() -> Self {
        Self {
            place: Place::Process(Arc::default()),
        }
    }

    /// A memory in a directory, which need not exist.
    pub fn directory(root: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Directory(root.into()),
        }
    }

    /// The checkpoint that is remembered for a key, as the log signed it.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn load(&self, key: &VerifierKey) -> io::Result<Option<Vec<u8>>> {
        match &self.place {
            Place::Process(map) => {
                let map = map.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(map.get(&key_name(key)).cloned())
            }
            Place::Directory(root) => {
                let path = root.join(key_name(key)).join("checkpoint");
                match read_capped(&path, MAX_REMEMBERED_LEN) {
                    Ok(Some(bytes)) => Ok(Some(bytes)),
                    Ok(None) => Err(io::Error::other(format!(
                        "{} is longer than any checkpoint",
                        path.display()
                    ))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Remembers a checkpoint in the place of the one that it was compared with. `false`: another process has remembered something
    /// else meanwhile, and nothing happened.
    pub(crate) fn replace(
        &self,
        key: &VerifierKey,
        compared_with: Option<&[u8]>,
        checkpoint: &[u8],
    ) -> io::Result<bool> {
        match &self.place {
            Place::Process(map) => {
                let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
                let name = key_name(key);
                if map.get(&name).map(Vec::as_slice) != compared_with {
                    return Ok(false);
                }
                map.insert(name, checkpoint.to_vec());
                Ok(true)
            }
            Place::Directory(root) => {
                let directory = root.join(key_name(key));
                fs::create_dir_all(&directory)?;
                // Held to the end of this block: two processes must not both replace what they compared with.
                let lock = File::create(directory.join("lock"))?;
                lock.lock()?;
                if self.load(key)?.as_deref() != compared_with {
                    return Ok(false);
                }
                write_whole(&directory.join("checkpoint"), checkpoint, Durable::Yes)?;
                Ok(true)
            }
        }
    }

    /// Keeps two checkpoints that contradict each other, and says where. A pair that is kept already is not kept twice.
    pub(crate) fn keep_evidence(
        &self,
        key: &VerifierKey,
        remembered: &[u8],
        presented: &[u8],
    ) -> io::Result<Vec<PathBuf>> {
        let Place::Directory(root) = &self.place else {
            return Ok(Vec::new());
        };
        let directory = root.join(key_name(key)).join("evidence");
        let pair = leaf_hash(&[remembered, presented].concat()).to_string();
        let name: String = pair.chars().take(16).collect();
        [("remembered", remembered), ("presented", presented)]
            .into_iter()
            .map(|(which, checkpoint)| {
                let path = directory.join(format!("{name}.{which}"));
                write_whole(&path, checkpoint, Durable::Yes).map(|()| path)
            })
            .collect()
    }

    /// Where a key's checkpoint is kept, for messages.
    #[must_use]
    pub fn describe(&self, key: &VerifierKey) -> String {
        match &self.place {
            Place::Process(_) => "the memory of this process".to_owned(),
            Place::Directory(root) => root.join(key_name(key)).display().to_string(),
        }
    }
}

/// As much as is taken from a log.
const MAX_REMEMBERED_LEN: usize = crate::MAX_CHECKPOINT_LEN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::signer;

    #[test]
    fn what_was_not_compared_with_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let key = signer(1).verifier();
        for memory in [
            CheckpointMemory::in_process(),
            CheckpointMemory::directory(dir.path().join("new")),
        ] {
            assert_eq!(memory.load(&key).unwrap(), None);
            assert!(!memory.replace(&key, Some(b"a"), b"b").unwrap());
            assert!(memory.replace(&key, None, b"a").unwrap());
            assert!(!memory.replace(&key, None, b"b").unwrap());
            assert!(!memory.replace(&key, Some(b"b"), b"c").unwrap());
            assert_eq!(memory.load(&key).unwrap().unwrap(), b"a");
            assert!(memory.replace(&key, Some(b"a"), b"b").unwrap());
            assert_eq!(memory.load(&key).unwrap().unwrap(), b"b");
            assert_eq!(memory.load(&signer(2).verifier()).unwrap(), None);
        }
    }

    #[test]
    fn of_many_who_replace_at_one_time_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let key = signer(1).verifier();
        let memory = CheckpointMemory::directory(dir.path());
        let replaced: usize = std::thread::scope(|scope| {
            let replace = |n: u8| {
                let (memory, key) = (memory.clone(), key.clone());
                scope.spawn(move || usize::from(memory.replace(&key, None, &[n]).unwrap()))
            };
            let threads: Vec<_> = (0..16).map(replace).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(replaced, 1);
    }
}
