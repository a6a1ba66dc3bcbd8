//! A cold start: how a writer gets to know the log. Recovery is nothing else.

use tegula_storage::Store;
use tegula_tlog::{TilePath, VerifiedTiles};
use tracing::info;

use crate::Published;
use crate::chain::Chain;
use crate::dedup::Recent;
use crate::error::Error;
use crate::read::{self, MAX_READS};
use crate::slot::{MAX_HEADER_LEN, MAX_SLOT_ENTRIES, Slot, SlotHeader};
use crate::tip::Tip;
use crate::writer::{Writer, cold};

impl Writer {
    /// Reads the log from the store: the published checkpoint, the right edge that it commits to,
    /// and all slots beyond it. Nothing is believed that does not lead to the checkpoint's root.
    pub(crate) async fn cold_start(&mut self) -> Result<(), Error> {
        self.chain = None;
        if let Some(watch) = &mut self.watch {
            watch.interrupted();
        }
        self.counters.cold_starts += 1;
        let (published, version) = self.read_checkpoint().await?;
        let store = self.store.as_ref();
        let edge = read::edge(store, published.size, &published.root).await?;
        let tail = read::tail(store, &edge).await?;
        let last = match slot_ending_at(store, &published).await {
            // Housekeeping may have let the slot go, if the log has grown since the checkpoint was read.
            Err(Error::Corrupt(_)) if self.read_checkpoint().await?.0.size > published.size => {
                return Err(Error::Unavailable(
                    "the log grew while it was read".to_owned(),
                ));
            }
            last => last?,
        };
        let recent = recent(store, &published, self.config.dedup_window).await?;
        let tip = Tip::new(edge, tail, last.map_or(0, |header| header.time_ms));
        self.chain = Some(Chain::new(tip, recent, published, version));

        // What is unpublished.
        self.fold_up_to(None).await?;
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        info!(
            published = chain.published().size.get(),
            ordered = chain.size().get(),
            "cold start"
        );
        Ok(())
    }
}

/// The slot that ends at the checkpoint's size. It has to be there: otherwise slots were lost, or
/// this is not the directory or bucket that the log was written to.
pub(crate) async fn slot_ending_at(
    store: &dyn Store,
    published: &Published,
) -> Result<Option<SlotHeader>, Error> {
    let size = published.size.get();
    if size == 0 {
        return Ok(None);
    }
    let from = size.saturating_sub(MAX_SLOT_ENTRIES);
    let limit = usize::try_from(MAX_SLOT_ENTRIES).unwrap_or(usize::MAX);
    let starts = store.slots(from, limit).await?;
    if let Some(start) = starts.into_iter().rfind(|start| *start < size) {
        for _ in 0..MAX_READS {
            let head = store.read_slot_head(start, MAX_HEADER_LEN).await?;
            let Some(bytes) = head else { break };
            match Slot::parse_head(start, &bytes).map_err(Error::from) {
                Ok(head) if head.new_size.get() == size && head.new_root == published.root => {
                    return Ok(Some(head));
                }
                Ok(_) | Err(Error::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if store.floor().await? == size {
        return Ok(None);
    }
    Err(Error::Corrupt(format!(
        "no slot ends at the published size {size}: slots are missing or damaged, or are \
         another log's; if all else is sound, `tegula fsck --repair` goes on without them"
    )))
}

/// The last leaf hashes, from tiles that are verified against the published root.
async fn recent(store: &dyn Store, published: &Published, window: u64) -> Result<Recent, Error> {
    let size = published.size;
    let first = size.get().saturating_sub(window);
    let mut recent = Recent::new(window, first);
    let mut verified = VerifiedTiles::new(size, published.root);
    let mut at = first / 256;
    while window > 0 && at * 256 < size.get() {
        let end = (at + TILES_AT_ONCE).min(size.get().div_ceil(256));
        let paths: Vec<_> = (at..end)
            .filter_map(|n| TilePath::hashes_at(0, n, size))
            .collect();
        read::verify_tiles(store, &mut verified, &paths).await?;
        for path in &paths {
            let hashes = verified.hashes(path).ok_or_else(|| read::missing(path))?;
            for (index, leaf) in (path.index() * 256..).zip(hashes) {
                if index >= first {
                    recent.push(leaf);
                }
            }
        }
        verified.forget_level(0);
        at = end;
    }
    Ok(recent)
}

/// Level 0 tiles read together: 4 MiB.
const TILES_AT_ONCE: u64 = 512;
