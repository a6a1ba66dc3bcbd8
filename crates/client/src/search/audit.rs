//! Whether runs are what the log says that they are: made again, and compared.

use futures::TryStreamExt;
use tegula_index::{IndexPath, Key, Record, Run, build};

use super::LogIndex;
use crate::{FetchError, ReadError, Reader, VerifiedCheckpoint};

/// A run that was made again from the log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The run.
    pub run: Run,
    /// What the index log says of it.
    pub committed: Record,
    /// What it is, from the log's entries.
    pub made: Record,
    /// Where the two differ; empty if they do not.
    pub differences: Vec<Difference>,
}

/// An object that is not what the log's entries make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The index log commits to another record.
    Record,
    /// An object of the run has other bytes.
    Object {
        /// Where it is.
        path: IndexPath,
        /// The first byte that differs. Of an object that is longer than any can be, the one after the last.
        at: usize,
    },
    /// An object of the run is not there.
    Missing {
        /// Where it should be.
        path: IndexPath,
    },
}

impl Audit {
    /// Whether the run is what the log says.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Reader {
    /// Makes a live run again from the log's entries and compares every object of it.
    ///
    /// It takes the keys of all its entries into memory: some 50 bytes each.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotFound`] if it is no live run of the index; else why the log could not be read.
    pub async fn audit_run(
        &self,
        checkpoint: &VerifiedCheckpoint,
        index: &LogIndex,
        run: Run,
    ) -> Result<Audit, ReadError> {
        let live = index.state().runs().iter().find(|(live, _)| *live == run);
        let Some((_, committed)) = live else {
            return Err(ReadError::NotFound(format!(
                "the run {run} is not live in the index of {} entries",
                index.covered()
            )));
        };
        let range = run.start()..run.start().saturating_add(run.leaves());
        let keys: Vec<Vec<Key>> = self
            .entries(checkpoint, range)
            .map_ok(|(_, entry)| (self.keys_of)(&entry))
            .try_collect()
            .await?;
        let made = build(run, &keys).map_err(|error| ReadError::Verification(error.to_string()))?;
        drop(keys);
        let mut differences = Vec::new();
        if made.record != *committed {
            differences.push(Difference::Record);
        }
        for (path, expected) in made.objects {
            let place = path.to_string();
            match self.source.fetch(&place, path.max_len()).await {
                Ok(Some(bytes)) if bytes == expected => {}
                Ok(Some(bytes)) => {
                    let same = bytes.iter().zip(&expected).take_while(|(a, b)| a == b);
                    let at = same.count();
                    differences.push(Difference::Object { path, at });
                }
                Ok(None) => differences.push(Difference::Missing { path }),
                Err(FetchError::TooLong { .. }) => {
                    let at = expected.len();
                    differences.push(Difference::Object { path, at });
                }
                Err(error) => return Err(error.into()),
            }
            if differences.len() >= MAX_DIFFERENCES {
                break;
            }
        }
        Ok(Audit {
            run,
            committed: *committed,
            made: made.record,
            differences,
        })
    }
}

/// Enough to show that a run is wrong.
const MAX_DIFFERENCES: usize = 100;
