//! Objects that are right, though the slots that they were made of are not: what the published root commits to.

use bytes::Bytes;
use tegula_storage::{Root, Store};
use tegula_tlog::{TileKind, TilePath, TreeSize, VerifiedTiles, tiles_between};

use super::{Absent, RebuildReport, put_right};
use crate::error::Error;
use crate::{Published, read};

/// Reads all bundles from the size `from` to the published one, and all tiles that lead from them to the published root.
/// An error if one of them is not as it should be.
pub(super) async fn all_sound(
    store: &dyn Store,
    from: u64,
    published: &Published,
) -> Result<(), Error> {
    let mut verified = VerifiedTiles::new(published.size, published.root);
    for n in from / 256..published.size.get().div_ceil(256) {
        if n.is_multiple_of(TILES_HELD) {
            verified.forget_level(0);
        }
        match read::checked_bundle(store, n, published.size, &mut verified).await? {
            Ok(_) => {}
            Err(damage) => return Err(Error::Corrupt(damage)),
        }
    }
    Ok(())
}

/// What was verified is left as it is, but for two things: partial objects of smaller sizes, which have to agree with it,
/// and, where syncs failed, everything, which is written again.
pub(super) async fn keep_sound(
    store: &dyn Store,
    from: u64,
    published: &Published,
    report: &mut RebuildReport,
) -> Result<(), Error> {
    let mut verified = VerifiedTiles::new(published.size, published.root);
    let from = TreeSize::new(from).unwrap_or(published.size);
    for path in tiles_between(from, published.size) {
        let whole = match path.kind() {
            TileKind::Entries => {
                verified.forget_level(0);
                let bundle =
                    read::checked_bundle(store, path.index(), published.size, &mut verified);
                bundle.await?.map_err(Error::Corrupt)?.bytes
            }
            TileKind::Hashes { .. } => {
                read::verify_tiles(store, &mut verified, &[path]).await?;
                let hashes = verified.hashes(&path).into_iter().flatten();
                hashes.flat_map(|hash| hash.0).collect()
            }
        };
        // The bytes that were read may be those of the full object, which serves where a partial one is gone.
        let objects = vec![(path, first(&path, &whole))];
        put_right(store, report, objects, Absent::Skip).await?;
        let mut partials = Vec::new();
        for name in store
            .list(Root::Public, &format!("{}.p/", path.full()), None, 256)
            .await?
        {
            let partial = name.parse::<TilePath>().ok();
            let Some(partial) = partial.filter(|partial| partial.width() < path.width()) else {
                continue;
            };
            partials.push((partial, first(&partial, &whole)));
        }
        put_right(store, report, partials, Absent::Skip).await?;
    }
    Ok(())
}

/// The first hashes or entries of a tile or bundle, which has as many: as the narrower one of its place, `path`.
fn first(path: &TilePath, whole: &Bytes) -> Bytes {
    let len = match path.kind() {
        TileKind::Hashes { .. } => 32 * usize::from(path.width()),
        TileKind::Entries => (0..path.width()).fold(0, |at, _| {
            let len = whole.get(at..at + 2).and_then(|len| len.try_into().ok());
            at + 2 + usize::from(len.map_or(0, u16::from_be_bytes))
        }),
    };
    whole.slice(..len.min(whole.len()))
}

/// Level 0 tiles that are held at a time: 4 MiB.
const TILES_HELD: u64 = 512;
