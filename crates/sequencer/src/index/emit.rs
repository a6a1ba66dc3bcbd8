//! Base runs, beside the bundles that a writer completes: whoever builds the index finds them there.
//!
//! Nothing here is in the way of an upload. What fails, or differs from what is there, is told, and left to those who build the index and
//! check the log; what a crash leaves out, they make.

use bytes::Bytes;
use tegula_index::{Built, Run, build};
use tegula_storage::{Created, ObjectPath, Store};
use tegula_tlog::{TilePath, parse_bundle};
use tracing::warn;

use super::{Extract, full, made, object};
use crate::error::Error;

/// Writes the base run of each full bundle among these objects.
pub(crate) async fn emit(store: &dyn Store, extract: &Extract, objects: &[(TilePath, Bytes)]) {
    let mut of_runs = Vec::new();
    for (path, bytes) in objects {
        if path.level().is_some() || path.width() != 256 {
            continue;
        }
        match base_objects(extract, path, bytes) {
            Ok(objects) => of_runs.extend(objects),
            Err(reason) => warn!(%path, %reason, "a base run of the index was not made"),
        }
    }
    let outcomes = store.create_many(of_runs.clone()).await;
    for ((path, bytes), outcome) in of_runs.into_iter().zip(outcomes) {
        match outcome {
            Ok(Created::Created) => {}
            Ok(Created::Exists) => match store.read(&path).await {
                Ok(Some(object)) if object.bytes == bytes => {}
                found => {
                    let found = found.map(|object| object.map(|object| object.bytes.len()));
                    warn!(%path, ?found, "an object of the index is not what belongs there");
                }
            },
            Err(reason) => warn!(%path, %reason, "an object of the index was not written"),
        }
    }
}

fn base_objects(
    extract: &Extract,
    path: &TilePath,
    bundle: &[u8],
) -> Result<Vec<(ObjectPath, Bytes)>, Error> {
    let run = Run::new(0, path.index()).ok_or_else(full)?;
    let built = base_run(extract, run, bundle, 256)?;
    let objects = built.objects.into_iter();
    objects
        .map(|(path, bytes)| Ok((object(&path)?, bytes.into())))
        .collect()
}

/// A base run, of the entries of its bundle.
pub(super) fn base_run(
    extract: &Extract,
    run: Run,
    bundle: &[u8],
    width: usize,
) -> Result<Built, Error> {
    let entries = parse_bundle(bundle, width).map_err(|error| Error::Corrupt(error.to_string()))?;
    let keys: Vec<_> = entries.iter().map(|entry| extract(entry)).collect();
    made(build(run, &keys))
}
