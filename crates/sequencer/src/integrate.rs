//! Tiles and bundles: a pure function of the slots, which any writer may write, at any time, again.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use tegula_storage::{Condition, Created, ObjectPath, Store, StoreError};
use tegula_tlog::{TilePath, TreeSize};
use tracing::warn;

use crate::Env;
use crate::error::Error;
use crate::index::emit;
use crate::read::{self, MAX_READS};
use crate::writer::{Writer, backoff, cold};

impl Writer {
    /// Writes everything that the tip's checkpoint needs. When it returns all of it can be read.
    ///
    /// A crash in the middle leaves objects that are right and that nobody refers to yet.
    pub(crate) async fn integrate(&mut self) -> Result<(), Error> {
        let size = self.write_owed().await?;
        self.integrated(size);
        Ok(())
    }

    /// The same, for a size that is answered: [`Writer::integrated`] is to be told.
    pub(crate) async fn write_owed(&self) -> Result<TreeSize, Error> {
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        let size = chain.size();
        if !chain.is_integrated() {
            let [own, others] = chain.objects_owed();
            let completed = own.clone();
            let others = async {
                // One request less where they are there, as they mostly are.
                let missing = self.missing(others).await?;
                self.write_objects(missing).await
            };
            let (own, others, ()) =
                futures::join!(self.write_objects(own), others, self.emit(&completed));
            own.and(others)?;
        }
        Ok(size)
    }

    /// Base runs of the index beside the bundles that slots of this writer's completed. They do not keep the log waiting, whatever
    /// becomes of them.
    async fn emit(&self, completed: &[(TilePath, Bytes)]) {
        let Some(extract) = &self.config.index else {
            return;
        };
        let emitting = pin!(emit(self.store.as_ref(), extract, completed));
        if let Either::Right(_) = select(emitting, self.env.sleep(MAX_EMIT)).await {
            warn!("base runs of the index take too long to write, they are left to its builder");
        }
    }

    /// All objects of this size are in the store.
    pub(crate) fn integrated(&mut self, size: TreeSize) {
        if let Some(chain) = &mut self.chain {
            chain.settle(size);
        }
    }

    /// Writes the full objects that slots completed so far, so that they need not be held.
    pub(crate) async fn integrate_full(&mut self) -> Result<(), Error> {
        let objects = self.chain.as_ref().ok_or_else(cold)?.full_objects_owed();
        self.write_objects(objects).await?;
        if let Some(chain) = &mut self.chain {
            chain.settle_full_objects();
        }
        Ok(())
    }

    /// Those of the objects that cannot be read as they should be, for whatever reason.
    async fn missing(
        &self,
        objects: Vec<(TilePath, Bytes)>,
    ) -> Result<Vec<(TilePath, Bytes)>, Error> {
        let paths = objects.iter().map(|(path, _)| read::tile(path));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let found = self.store.read_many(&paths).await;
        let missing = objects.into_iter().zip(found).filter(
            |((_, bytes), found)| !matches!(found, Ok(Some(object)) if object.bytes == *bytes),
        );
        Ok(missing.map(|(object, _)| object).collect())
    }

    async fn write_objects(&self, tiles: Vec<(TilePath, Bytes)>) -> Result<(), Error> {
        write_tiles(self.store.as_ref(), self.env.as_ref(), tiles).await
    }
}

/// Writes tiles and bundles, as [`write_objects`] does.
pub(crate) async fn write_tiles(
    store: &dyn Store,
    env: &dyn Env,
    tiles: Vec<(TilePath, Bytes)>,
) -> Result<(), Error> {
    let tiles = tiles.into_iter();
    let objects = tiles.map(|(path, bytes)| Ok((read::tile(&path)?, bytes)));
    write_objects(store, env, objects.collect::<Result<_, Error>>()?).await
}

/// Writes objects, again where that is refused. When it returns all of them can be read.
pub(crate) async fn write_objects(
    store: &dyn Store,
    env: &dyn Env,
    objects: Vec<(ObjectPath, Bytes)>,
) -> Result<(), Error> {
    let mut missing = objects;
    let mut last = String::new();
    for round in 0..MAX_ROUNDS {
        if round > 0 {
            env.sleep(backoff(round)).await;
        }
        let outcomes = store.create_many(missing.clone()).await;
        let mut again = Vec::new();
        for ((path, bytes), outcome) in missing.into_iter().zip(outcomes) {
            match outcome {
                Ok(Created::Created) => {}
                Ok(Created::Exists) => compare(store, &path, &bytes).await?,
                // Creating the same bytes again is harmless, whatever became of the first.
                Err(error @ (StoreError::Refused(_) | StoreError::Unknown(_))) => {
                    last = format!("{path}: {error}");
                    again.push((path, bytes));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        missing = again;
    }
    Err(Error::Unavailable(last))
}

/// Where an object exists its bytes have to be these. A difference is corruption, but one
/// bad read is not; and what a power cut may have torn is put right.
async fn compare(store: &dyn Store, path: &ObjectPath, bytes: &Bytes) -> Result<(), Error> {
    for _ in 0..MAX_READS {
        match store.read(path).await? {
            Some(object) if object.bytes == *bytes => return Ok(()),
            Some(_) if store.condition() != Condition::Clean => {
                return Ok(store.rebuild(path, bytes.clone()).await?);
            }
            Some(_) => {}
            None => {
                return Err(Error::Unavailable(format!(
                    "{path} exists and cannot be read"
                )));
            }
        }
    }
    Err(Error::Corrupt(format!(
        "{path} differs from what belongs there"
    )))
}

const MAX_ROUNDS: u32 = 4;
/// Objects of the index that are slower than this are given up: the log waits for them no longer.
const MAX_EMIT: Duration = Duration::from_secs(1);
