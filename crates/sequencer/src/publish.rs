//! The checkpoint: signed, and replaced if it is what was built on.

use tegula_storage::{ObjectPath, Replaced, Store, StoreError, Version};
use tegula_tlog::{Checkpoint, VerifierKey};

use crate::Published;
use crate::chain::Place;
use crate::error::Error;
use crate::read::MAX_READS;
use crate::writer::{Writer, backoff, cold};

impl Writer {
    /// Publishes the tip unless a published checkpoint covers these entries already.
    pub(crate) async fn publish_over(&mut self, places: &[Place]) -> Result<(), Error> {
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        let published = chain.published().size.get();
        if places.iter().all(|place| place.index.get() < published) {
            return Ok(());
        }
        self.publish().await
    }

    /// When it returns, a checkpoint is published that covers the tip as it was at the call.
    pub(crate) async fn publish(&mut self) -> Result<(), Error> {
        let begun = self.env.now_ms();
        let published = self.publish_tip().await;
        self.counters.publishing_ms += self.env.now_ms().saturating_sub(begun);
        published
    }

    async fn publish_tip(&mut self) -> Result<(), Error> {
        let goal = self.chain.as_ref().ok_or_else(cold)?.size();
        let mut last = String::new();
        for round in 0..MAX_ROUNDS {
            if round > 1 {
                self.env.sleep(backoff(round)).await;
            }
            let chain = self.chain.as_ref().ok_or_else(cold)?;
            if chain.published().size >= goal {
                self.strays = 0;
                return Ok(());
            }
            // Every object first: a signature promises that they can be read. Where others are about, the checkpoint that is to be
            // replaced is most likely theirs by now.
            if chain.follows_others() {
                let (integrated, observed) = {
                    let this = &*self;
                    futures::join!(this.write_owed(), this.read_checkpoint())
                };
                self.integrated(integrated?);
                let (published, version) = observed?;
                self.judge(published, version).await?;
                let chain = self.chain.as_ref().ok_or_else(cold)?;
                if chain.published().size >= goal {
                    self.strays = 0;
                    return Ok(());
                }
            }
            self.integrate().await?;
            match self.replace_checkpoint().await {
                Ok(()) => return Ok(()),
                Err(NotReplaced::Changed) => {}
                Err(NotReplaced::Failed(reason)) => last = reason,
                Err(NotReplaced::Error(error)) => return Err(error),
            }
            self.observe_checkpoint().await?;
        }
        Err(Error::Unavailable(format!(
            "the checkpoint could not be replaced: {last}"
        )))
    }

    /// Signs the tip over the published checkpoint, which is a boundary of the chain.
    async fn replace_checkpoint(&mut self) -> Result<(), NotReplaced> {
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        let (size, root) = (chain.size(), chain.root());
        let checkpoint = match self.config.signers.checkpoint(size, root).await {
            Err(Error::Unavailable(reason)) => return Err(NotReplaced::Failed(reason)),
            checkpoint => checkpoint?,
        };
        let path = checkpoint_path()?;
        let replaced = self
            .store
            .replace(&path, Some(chain.version()), checkpoint.clone())
            .await;
        match replaced {
            Ok(Replaced::Replaced(version)) => {
                self.counters.published += 1;
                self.strays = 0;
                let published = Published {
                    checkpoint,
                    size,
                    root,
                };
                self.accept(published, version);
                Ok(())
            }
            Ok(Replaced::Changed) => Err(NotReplaced::Changed),
            Err(error @ (StoreError::Refused(_) | StoreError::Unknown(_))) => {
                Err(NotReplaced::Failed(error.to_string()))
            }
            Err(error) => Err(NotReplaced::Error(error.into())),
        }
    }

    /// Reads the published checkpoint and accepts it if it is a boundary of the chain, for which
    /// the chain is followed as far as it goes. If it is not, all state is dropped and read anew;
    /// if that happens again the writer stops: somebody signs another history.
    async fn observe_checkpoint(&mut self) -> Result<(), Error> {
        let (published, version) = self.read_checkpoint().await?;
        self.judge(published, version).await
    }

    /// Accepts a checkpoint that was read, or starts cold, or stops.
    pub(crate) async fn judge(
        &mut self,
        published: Published,
        version: Version,
    ) -> Result<(), Error> {
        self.fold_up_to(Some(published.size)).await?;
        let chain = self.chain.as_ref().ok_or_else(cold)?;
        if chain.has_boundary(published.size, &published.root) {
            self.strays = 0;
            self.accept(published, version);
            return Ok(());
        }
        self.strays += 1;
        if self.strays > 1 {
            return Err(Error::Corrupt(format!(
                "the published checkpoint of size {} and root {} is not where a slot of this chain ends",
                published.size, published.root
            )));
        }
        Box::pin(self.cold_start()).await
    }

    pub(crate) async fn read_checkpoint(&self) -> Result<(Published, Version), Error> {
        read_checkpoint(self.store.as_ref(), &self.keys).await
    }

    fn accept(&mut self, published: Published, version: Version) {
        if let Some(chain) = &mut self.chain {
            chain.set_published(published, version);
        }
    }
}

/// Reads and verifies the published checkpoint.
pub(crate) async fn read_checkpoint(
    store: &dyn Store,
    keys: &[VerifierKey],
) -> Result<(Published, Version), Error> {
    let path = checkpoint_path()?;
    let mut problem = String::new();
    for _ in 0..MAX_READS {
        let Some(object) = store.read(&path).await? else {
            return Err(Error::Corrupt(
                "there is no checkpoint, which is never an empty log".to_owned(),
            ));
        };
        match Checkpoint::open(&object.bytes, keys) {
            Ok((checkpoint, _)) => {
                let published = Published {
                    checkpoint: object.bytes,
                    size: checkpoint.size,
                    root: checkpoint.root,
                };
                return Ok((published, object.version));
            }
            Err(error) => problem = error.to_string(),
        }
    }
    Err(Error::Corrupt(format!(
        "the published checkpoint: {problem}"
    )))
}

/// Where the checkpoint is.
pub(crate) fn checkpoint_path() -> Result<ObjectPath, Error> {
    ObjectPath::public("checkpoint").map_err(|error| Error::Corrupt(error.to_string()))
}

enum NotReplaced {
    Changed,
    Failed(String),
    Error(Error),
}

impl From<Error> for NotReplaced {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

const MAX_ROUNDS: u32 = 8;
