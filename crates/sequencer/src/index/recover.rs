//! After an unclean stop of a directory.

use tegula_index::{IndexPath, Shard};
use tegula_storage::{ObjectPath, Root, Store};
use tegula_tlog::{TilePath, TreeSize, VerifierKey};
use tracing::warn;

use super::merges::{FILTERS, WORK};
use super::path_run;
use super::publish::{index_checkpoint_path, read_index_checkpoint};
use crate::error::Error;

/// Removes what the published index does not refer to: a power cut may have torn it, and what is there is compared, not replaced.
/// What it refers to was synced before it was published. All of what goes is made again, from the log.
///
/// Only for a store that nobody else uses, and that is not clean.
pub(crate) async fn forget_unpublished(
    store: &dyn Store,
    keys: &[VerifierKey],
) -> Result<u64, Error> {
    let published = match read_index_checkpoint(store, keys).await {
        // Nothing says what was synced: the whole index is made again.
        Err(Error::Corrupt(reason)) => {
            warn!(reason, "the search index has no checkpoint any more");
            store.remove(&index_checkpoint_path()?).await?;
            None
        }
        published => published?,
    };
    let size = published.map_or(TreeSize::ZERO, |published| published.size);
    let mut removed = 0;
    for (root, prefix) in [(Root::Public, "index/v1/"), (Root::Private, WORK)] {
        let mut after: Option<String> = None;
        loop {
            let page = store.list(root, prefix, after.as_deref(), PAGE).await?;
            let Some(last) = page.last().cloned() else {
                break;
            };
            for path in page {
                let is_filter = path.starts_with(FILTERS);
                let refers = root == Root::Public && is_referred_to(&path, size);
                let path = ObjectPath::new(root, path);
                let path = path.map_err(|error| Error::Corrupt(error.to_string()))?;
                let is_sound = is_filter && {
                    let filter = store.read(&path).await?;
                    filter.is_some_and(|filter| Shard::from_bytes(&filter.bytes).is_ok())
                };
                if refers || is_sound {
                    continue;
                }
                store.remove(&path).await?;
                removed += 1;
            }
            after = Some(last);
        }
    }
    Ok(removed)
}

/// Whether an index of this size refers to it, or was made of it.
fn is_referred_to(path: &str, size: TreeSize) -> bool {
    if path == "index/v1/checkpoint" {
        return true;
    }
    if let Some(tile) = path
        .strip_prefix("index/v1/")
        .and_then(|path| path.parse::<TilePath>().ok())
    {
        let at_size = match tile.level() {
            Some(level) => TilePath::hashes_at(level, tile.index(), size),
            None => TilePath::entries_at(tile.index(), size),
        };
        return at_size.is_some_and(|at_size| at_size.width() >= tile.width());
    }
    match path.parse::<IndexPath>() {
        Ok(IndexPath::State(at)) => at <= size,
        Ok(path) => path_run(&path).is_some_and(|run| run.live_from() <= size.get()),
        // Nobody's.
        Err(_) => true,
    }
}

const PAGE: usize = 1_024;
