//! A new log whose entries have their places already: a copy of another one.
//!
//! No slot takes part: what orders the entries is wherever they come from, and one process writes. So tiles and bundles are
//! written at once, and the checkpoint, which alone makes a log of them, last of all.

use std::sync::Arc;

use bytes::Bytes;
use tegula_storage::{Condition, ObjectPath, Replaced, Root, SlotCreated, Store};
use tegula_tlog::{
    Edge, Hash, LogDescription, TilePath, TreeSize, VerifiedTiles, empty_root, parse_bundle,
};

use crate::error::Error;
use crate::init::description_path;
use crate::integrate::write_tiles;
use crate::publish::checkpoint_path;
use crate::rebuild::base_path;
use crate::signers::Signers;
use crate::slot::{Batch, MAX_HEADER_LEN, Slot, SlotHeader};
use crate::tip::{BundleTail, Tip};
use crate::writer::Pending;
use crate::writer::checked_time;
use crate::{Env, Published, read};

/// A log in the making. Entries go in in order; until [`Import::finish`] there is no log.
///
/// One process at a time may import into a store: whoever calls this sees to it. An import that was cut off is begun again from
/// the first entry; what is there already is compared, and after an unclean stop put right.
#[derive(Debug)]
pub struct Import {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    tip: Tip,
}

impl Import {
    /// Begins, in a store without a checkpoint and without slots.
    pub async fn begin(store: Arc<dyn Store>, env: Arc<dyn Env>) -> Result<Self, Error> {
        let checkpoint = store.read(&checkpoint_path()?).await?;
        // Where slots stay, an import that was cut off may have left its one slot: whether it is that is seen at the end.
        let slots = usize::from(store.keeps_slots());
        if checkpoint.is_some() || store.slots(0, 2).await?.len() > slots {
            return Err(Error::Rejected(
                "there is a log already, expected an empty store".to_owned(),
            ));
        }
        Ok(Self {
            store,
            env,
            tip: Tip::new(Edge::empty(), BundleTail::default(), 0),
        })
    }

    /// How many entries are in.
    pub fn size(&self) -> TreeSize {
        self.tip.size()
    }

    /// The root of these.
    pub fn root(&self) -> Hash {
        self.tip.root()
    }

    /// Appends entries, as they are: equal ones stay where they are.
    ///
    /// Only full tiles and bundles are written: which partial ones there are is decided by the size at the end.
    pub async fn append(&mut self, entries: &[Pending]) -> Result<(), Error> {
        let leaves: Vec<_> = entries.iter().map(|pending| pending.leaf).collect();
        let bytes: Vec<&[u8]> = entries.iter().map(|pending| &pending.entry[..]).collect();
        let mut edge = self.tip.edge.clone();
        let growth = edge
            .grow(&leaves)
            .map_err(|error| Error::Rejected(error.to_string()))?;
        let step = self.tip.step(edge, growth, leaves, &bytes, 0)?;
        write_tiles(self.store.as_ref(), self.env.as_ref(), step.objects).await?;
        self.tip = step.tip;
        Ok(())
    }

    /// Makes the log: if the entries have this root, where one is expected, they get a signed checkpoint.
    ///
    /// A crash before the last write leaves objects without a checkpoint, and this may be called again.
    pub async fn finish(
        self,
        signers: &Signers,
        description: &LogDescription,
        expected: Option<Hash>,
    ) -> Result<Published, Error> {
        let (size, root) = (self.size(), self.root());
        if let Some(expected) = expected.filter(|expected| *expected != root) {
            return Err(Error::Rejected(format!(
                "the {size} entries have the root {root}, expected {expected}"
            )));
        }
        let store = self.store.as_ref();
        if store.floor().await? > size.get() {
            return Err(Error::Rejected(format!(
                "an import of more than {size} entries was cut off here"
            )));
        }
        // Before there is a checkpoint: what another import left would be in this log's way when it reaches that size.
        remove_foreign(store, size).await?;
        write_tiles(store, self.env.as_ref(), self.tip.partial_objects()).await?;
        if store.condition() != Condition::Clean {
            store.recovered().await?;
        }
        store.sync_all().await?;
        // As the log's writer will read them.
        let edge = read::edge(store, size, &root).await?;
        read::tail(store, &edge).await?;

        // Before anything that cannot be taken back: the key may not be there, or may not sign.
        let checkpoint = signers.checkpoint(size, root).await?;
        // No slot holds these entries, so none is needed: rebuilding begins after them, and there the floor stands.
        put(store, &base_path()?, format!("{size}\n").into()).await?;
        if store.keeps_slots() {
            self.put_last_slot(signers).await?;
        } else {
            store.raise_floor(size.get()).await?;
        }
        put(store, &description_path()?, description.to_json().into()).await?;
        put(store, &checkpoint_path()?, checkpoint.clone()).await?;
        Ok(Published {
            checkpoint,
            size,
            root,
        })
    }
}

impl Import {
    /// Where there is no floor: a slot of the last entry alone, cut to its header, says where the log begins.
    async fn put_last_slot(&self, signers: &Signers) -> Result<(), Error> {
        let store = self.store.as_ref();
        let (size, root) = (self.size(), self.root());
        let other = || {
            Error::Rejected(
                "an import of other entries was cut off here, expected an empty store".to_owned(),
            )
        };
        let slots = store.slots(0, 2).await?;
        let Some(prev_size) = size.get().checked_sub(1).and_then(TreeSize::new) else {
            return slots.is_empty().then_some(()).ok_or_else(other);
        };
        // Its name is taken for ever, and the log would come to it.
        if slots.iter().any(|start| *start != prev_size.get()) {
            return Err(other());
        }
        let (start, published) = (
            prev_size.get(),
            Published {
                checkpoint: Bytes::new(),
                size,
                root,
            },
        );
        let mut verified = VerifiedTiles::new(size, root);
        let bundle = read::checked_bundle(store, start / 256, size, &mut verified).await?;
        let bundle = bundle.map_err(Error::Corrupt)?;
        let entries = parse_bundle(&bundle.bytes, bundle.leaves.len());
        let last = entries
            .unwrap_or_default()
            .last()
            .map_or(0, |last| last.len());
        let batch = Batch::new(self.env.random(), [start]);
        let header = SlotHeader {
            log_id: signers.first()?.full_key_id(),
            attempt: self.env.random(),
            prev_size,
            prev_root: match start {
                0 => empty_root(),
                _ => read::root_at(store, prev_size, &published).await?,
            },
            new_size: size,
            new_root: root,
            time_ms: checked_time(store, self.env.as_ref()).await?,
            entries_len: last as u64 + 2,
            batches: batch.into_iter().collect(),
        };
        if store.create_slot(start, header.encode(&[])).await? == SlotCreated::Created {
            return Ok(());
        }
        // Left by this import, when it was cut off; or by another one.
        let left = store.read_slot_head(start, MAX_HEADER_LEN).await?;
        let left = Slot::parse_head(start, &left.unwrap_or_default())?;
        let own = SlotHeader {
            attempt: left.attempt,
            time_ms: left.time_ms,
            batches: left.batches.clone(),
            ..header
        };
        if left == own {
            return Ok(());
        }
        Err(other())
    }
}

/// Removes tiles and bundles that a tree of this size does not have.
async fn remove_foreign(store: &dyn Store, size: TreeSize) -> Result<(), Error> {
    let mut after: Option<String> = None;
    loop {
        let page = store
            .list(Root::Public, "tile/", after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last().cloned() else {
            return Ok(());
        };
        for name in page {
            let Ok(tile) = name.parse::<TilePath>() else {
                continue;
            };
            let own = match tile.level() {
                Some(level) => TilePath::hashes_at(level, tile.index(), size),
                None => TilePath::entries_at(tile.index(), size),
            };
            if own != Some(tile) {
                store.remove(&read::tile(&tile)?).await?;
            }
        }
        after = Some(last);
    }
}

/// Paths that are listed together.
const PAGE: usize = 4_096;

/// Puts an object in the place of what was there, durably.
pub(crate) async fn put(store: &dyn Store, path: &ObjectPath, bytes: Bytes) -> Result<(), Error> {
    let found = store.read(path).await?;
    let version = found.as_ref().map(|object| &object.version);
    if store.replace(path, version, bytes).await? == Replaced::Changed {
        return Err(Error::Rejected(
            "another process is making a log here".to_owned(),
        ));
    }
    Ok(store.sync(std::slice::from_ref(path)).await?)
}
