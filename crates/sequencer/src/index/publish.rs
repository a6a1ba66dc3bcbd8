//! The index log's checkpoint: what was published, and what is.

use std::collections::BTreeMap;

use bytes::Bytes;
use tegula_index::{IndexError, IndexPath, State, covered};
use tegula_storage::{ObjectPath, Replaced, Store, Version};
use tegula_tlog::{
    Checkpoint, Edge, Hash, TilePath, TileSet, TreeSize, VerifiedTiles, VerifierKey, root_of,
    root_tiles,
};

use super::{Indexer, Known, Unsynced, in_order, index_tile, log_edge, made, object, unavailable};
use crate::Published;
use crate::error::Error;
use crate::read::{self, MAX_READS};
use crate::tip::BundleTail;

/// The published checkpoint of an index.
#[derive(Clone, Debug)]
pub(crate) struct PublishedIndex {
    pub(crate) size: TreeSize,
    pub(crate) root: Hash,
    version: Version,
}

impl Indexer {
    /// Knows the index as it is published, or as it would be.
    pub(super) async fn know(
        &mut self,
        log: &Published,
        verified: &mut VerifiedTiles,
    ) -> Result<(), Error> {
        let store = self.store.as_ref();
        let found = read_index_checkpoint(store, self.signers.verifiers()).await?;
        if let Some(known) = &self.known {
            let same = match (&known.published, &found) {
                (None, None) => true,
                (Some(known), Some(found)) => known.version == found.version,
                _ => false,
            };
            if same {
                return Ok(());
            }
        }
        let known = match found {
            None => Known {
                published: None,
                edge: Edge::empty(),
                tail: BundleTail::default(),
                owed: Vec::new(),
                records: BTreeMap::new(),
                log: Edge::empty(),
                last: None,
                fresh: Default::default(),
                fresh_bytes: 0,
            },
            Some(published) => read_known(store, published, log, verified).await?,
        };
        self.known = Some(known);
        Ok(())
    }

    /// Publishes what is known beyond what is published. All that it refers to is durable before.
    pub(super) async fn publish(&mut self, verified: &mut VerifiedTiles) -> Result<(), Error> {
        let known = self.known()?;
        let size = known.edge.size();
        let published = known.published.as_ref();
        let (Some((leaf, proof)), true) = (
            &known.last,
            published.is_none_or(|published| published.size < size),
        ) else {
            return Ok(());
        };
        let version = published.map(|published| published.version.clone());
        // What is signed stays for ever: whatever went wrong before, it is of this log, and of this size.
        let log_size = covered(size).ok_or_else(super::full)?;
        let store = self.store.as_ref();
        if leaf.log_size != log_size
            || leaf.log_root != log_edge(store, log_size, verified).await?.root()
        {
            return Err(unavailable(format!(
                "the leaf for size {log_size} is not of this log, and is made again"
            )));
        }
        let state = State::encode(leaf, &in_order(&known.records), proof);
        let root = known.edge.root();
        let mut objects = Vec::new();
        for (path, bytes) in &known.owed {
            objects.push((index_tile(path)?, bytes.clone()));
        }
        let tiles = known.edge.partial_tiles().into_iter();
        let partials = tiles.map(|(path, bytes)| (path, Bytes::from(bytes)));
        for (path, bytes) in partials.chain(known.tail.partial(size)) {
            objects.push((index_tile(&path)?, bytes));
        }
        objects.push((object(&IndexPath::State(size))?, state.into()));
        self.write(objects).await?;
        self.sync().await?;
        let note = self.signers.checkpoint(size, root).await?;
        let path = index_checkpoint_path()?;
        match self.store.replace(&path, version.as_ref(), note).await? {
            Replaced::Replaced(version) => {
                self.store.sync(std::slice::from_ref(&path)).await?;
                let known = self.known_mut()?;
                known.owed.clear();
                known.published = Some(PublishedIndex {
                    size,
                    root,
                    version,
                });
                self.clean_up(size).await
            }
            // Another builder was here, and came to the same as far as it came.
            Replaced::Changed => Err(unavailable("another process publishes it".to_owned())),
        }
    }

    /// Where a power cut tears what is not synced, nothing may refer to that.
    async fn sync(&mut self) -> Result<(), Error> {
        let store = self.store.as_ref();
        match &self.unsynced {
            Unsynced::These(paths) if paths.len() <= MAX_SYNCED_SINGLY => store.sync(paths).await?,
            _ => store.sync_all().await?,
        }
        self.unsynced = Unsynced::These(Vec::new());
        Ok(())
    }
}

/// The published checkpoint of the index, verified; `None` if there is none yet.
pub(crate) async fn read_index_checkpoint(
    store: &dyn Store,
    keys: &[VerifierKey],
) -> Result<Option<PublishedIndex>, Error> {
    let path = index_checkpoint_path()?;
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        let Some(object) = store.read(&path).await? else {
            return Ok(None);
        };
        match Checkpoint::open(&object.bytes, keys) {
            Ok((checkpoint, _)) => {
                return Ok(Some(PublishedIndex {
                    size: checkpoint.size,
                    root: checkpoint.root,
                    version: object.version,
                }));
            }
            Err(error) => problem = error.to_string(),
        }
    }
    Err(Error::Corrupt(format!("{}: {problem}", path.as_str())))
}

/// The state at a published size, tied to the log.
pub(crate) async fn read_state(
    store: &dyn Store,
    published: &PublishedIndex,
    log: &Published,
    verified: &mut VerifiedTiles,
) -> Result<State, Error> {
    let size = published.size;
    let log_size = covered(size).filter(|covered| *covered <= log.size);
    let log_size = log_size.ok_or_else(|| {
        unavailable(format!(
            "it is of {size} bundles, and the log has size {}",
            log.size
        ))
    })?;
    read::verify_tiles(store, verified, &root_tiles(log_size)).await?;
    let log_root = made(root_of(log_size, verified.tiles()))?;
    let path = object(&IndexPath::State(size))?;
    let mut problem = None;
    for _ in 0..MAX_READS {
        let Some(bytes) = store.read(&path).await? else {
            return Err(unavailable(format!("{} is missing", path.as_str())));
        };
        match State::open(&bytes.bytes, size, &published.root, &log_root) {
            Ok(state) => return Ok(state),
            Err(error @ IndexError::OtherLog { .. }) => {
                return Err(Error::Corrupt(error.to_string()));
            }
            Err(error) => problem = Some(error),
        }
    }
    made(Err(
        problem.map_or_else(String::new, |error| error.to_string())
    ))
}

/// All that has to be known to go on where an index ends.
async fn read_known(
    store: &dyn Store,
    published: PublishedIndex,
    log: &Published,
    verified: &mut VerifiedTiles,
) -> Result<Known, Error> {
    let state = read_state(store, &published, log, verified).await?;
    let size = published.size;
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        let mut tiles = TileSet::new();
        for path in Edge::tiles_needed(size) {
            made(tiles.insert(path, read_tile(store, &path).await?.to_vec()))?;
        }
        let edge = match Edge::from_tiles(size, &published.root, &tiles) {
            Ok(edge) => edge,
            Err(error) => {
                problem = error.to_string();
                continue;
            }
        };
        let tail = match TilePath::entries_at(size.get() / 256, size) {
            None => BundleTail::default(),
            Some(path) => {
                let bundle = read_tile(store, &path).await?;
                match read::checked_tail(&bundle, edge.last_leaves()) {
                    Some(tail) => tail,
                    None => {
                        problem = format!("{path} does not hold the leaves of the tree");
                        continue;
                    }
                }
            }
        };
        let records = state.runs().iter().copied().collect();
        return Ok(Known {
            edge,
            tail,
            owed: Vec::new(),
            records,
            log: log_edge(store, state.covered(), verified).await?,
            last: None,
            fresh: Default::default(),
            fresh_bytes: 0,
            published: Some(published),
        });
    }
    made(Err(problem))
}

async fn read_tile(store: &dyn Store, path: &TilePath) -> Result<Bytes, Error> {
    let place = index_tile(path)?;
    let object = store.read(&place).await?;
    let missing = || unavailable(format!("{} is missing", place.as_str()));
    Ok(object.ok_or_else(missing)?.bytes)
}

pub(crate) fn index_checkpoint_path() -> Result<ObjectPath, Error> {
    ObjectPath::public("index/v1/checkpoint").map_err(|error| Error::Corrupt(error.to_string()))
}

/// Of more the whole file system is synced.
const MAX_SYNCED_SINGLY: usize = 1_024;
