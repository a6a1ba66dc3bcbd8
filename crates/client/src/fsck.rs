//! The whole log, hashed again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tegula_tlog::{Hash, TilePath, TreeSize};
use tokio::sync::Semaphore;

use crate::reader::{cut, max_len};
use crate::{FetchError, ReadError, Reader, VerifiedCheckpoint};

mod piece;
mod upper;

use piece::{Piece, Place};
use upper::Upper;

/// How a log is checked.
#[derive(Clone)]
pub struct FsckOptions {
    /// Threads that hash.
    pub threads: usize,
    /// The time since some instant; it never goes back.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl fmt::Debug for FsckOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsckOptions")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FsckReport {
    /// The size that was checked.
    pub size: TreeSize,
    /// The root that the log has to hash to.
    pub root: Hash,
    /// Entries that were hashed.
    pub entries: u64,
    /// Hash tiles that were read.
    pub tiles: u64,
    /// Bundles that were read.
    pub bundles: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The first hundred problems, each with the path that it is about.
    pub problems: Vec<String>,
    /// How many there are.
    pub problem_count: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The time that was spent hashing, of all threads together.
    pub hashing: Duration,
    /// The time that was spent waiting for the source, of all reads together.
    pub reading: Duration,
    /// Threads that hashed.
    pub threads: usize,
}

impl FsckReport {
    /// Whether more threads would have made it faster, rather than a faster source.
    #[must_use]
    pub fn bound_by_hashing(&self) -> bool {
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX);
        self.hashing.saturating_mul(2) >= self.elapsed.saturating_mul(threads)
    }

    /// Entries that were hashed in a second.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is shown with few digits"
    )]
    pub fn entries_per_second(&self) -> f64 {
        self.entries as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn problem(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

impl Reader {
    /// Hashes the whole log again, as of a checkpoint: each entry against its leaf hash, each tile against its parent, and the tiles of
    /// the right edge against the root. The cache is not used, and memory does not grow with the log.
    ///
    /// `progress` is told how many entries are done.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] if the log cannot be read. What is wrong with it is in the report.
    pub async fn fsck(
        &self,
        checkpoint: &VerifiedCheckpoint,
        options: FsckOptions,
        progress: impl Fn(u64) + Send,
    ) -> Result<FsckReport, ReadError> {
        let began = (options.elapsed)();
        let size = checkpoint.size();
        let threads = options.threads.max(1);
        let mut report = FsckReport {
            size,
            root: checkpoint.root(),
            entries: 0,
            tiles: 0,
            bundles: 0,
            bytes: 0,
            problems: Vec::new(),
            problem_count: 0,
            elapsed: Duration::ZERO,
            hashing: Duration::ZERO,
            reading: Duration::ZERO,
            threads,
        };
        let hashing = Arc::new(Semaphore::new(threads));
        let pieces = size.get().div_ceil(256);
        let mut groups = stream::iter((0..pieces).step_by(GROUP))
            .map(|first| {
                let range = first..pieces.min(first + GROUP as u64);
                self.check_group(size, range, &options, &hashing)
            })
            .buffered(2 * threads);
        let mut upper = Upper::new(size);
        while let Some(group) = groups.try_next().await? {
            report.reading += group.reading;
            report.hashing += group.hashing;
            for piece in group.pieces {
                report.entries += piece.entries;
                report.bytes += piece.bytes;
                report.tiles += u64::from(piece.has_tile);
                report.bundles += u64::from(piece.has_bundle);
                for problem in &piece.problems {
                    report.problem(problem.clone());
                }
                upper.push(self, &mut report, piece).await?;
            }
            progress(report.entries);
        }
        upper.finish(self, &mut report).await?;
        report.elapsed = (options.elapsed)().saturating_sub(began);
        Ok(report)
    }

    async fn check_group(
        &self,
        size: TreeSize,
        range: Range<u64>,
        options: &FsckOptions,
        hashing: &Semaphore,
    ) -> Result<Group, ReadError> {
        let began = (options.elapsed)();
        let places: Vec<Place> = range.filter_map(|n| Place::new(n, size)).collect();
        let wanted = places.iter().flat_map(|place| [place.tile, place.bundle]);
        let mut objects = self.read_all(wanted.collect()).await?.into_iter();
        let reading = (options.elapsed)().saturating_sub(began);

        // Never closed.
        let _permit = hashing.acquire().await;
        let elapsed = Arc::clone(&options.elapsed);
        let work = move || {
            let began = elapsed();
            let pieces = places
                .into_iter()
                .filter_map(|place| Some(Piece::check(place, objects.next()?, objects.next()?)))
                .collect();
            (pieces, elapsed().saturating_sub(began))
        };
        let (pieces, hashing) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ReadError::Io(error.to_string()))?;
        Ok(Group {
            pieces,
            reading,
            hashing,
        })
    }

    /// Objects of exactly these widths, where need be from the full ones.
    async fn read_all(&self, paths: Vec<TilePath>) -> Result<Vec<Object>, ReadError> {
        let wanted = |path: &TilePath| (path.to_string(), max_len(path));
        let fetched = self
            .source()
            .fetch_many(paths.iter().map(wanted).collect())
            .await;
        let mut objects = Vec::with_capacity(paths.len());
        for (path, fetched) in paths.into_iter().zip(fetched) {
            objects.push(match fetched {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) if !path.is_full() => self.read_wider(&path).await?,
                Ok(None) => Err("is missing".to_owned()),
                Err(error) => too_long(error)?,
            });
        }
        Ok(objects)
    }

    async fn read_wider(&self, path: &TilePath) -> Result<Object, ReadError> {
        let full = path.full();
        match self.source().fetch(&full.to_string(), max_len(&full)).await {
            Ok(Some(bytes)) => Ok(cut(path, &full, bytes)),
            Ok(None) => Ok(Err("is missing".to_owned())),
            Err(error) => too_long(error),
        }
    }
}

/// The bytes of an object, or what is wrong with it.
type Object = Result<Bytes, String>;

struct Group {
    pieces: Vec<Piece>,
    reading: Duration,
    hashing: Duration,
}

fn too_long(error: FetchError) -> Result<Object, ReadError> {
    match error {
        FetchError::TooLong { max_len, .. } => Ok(Err(format!("is longer than {max_len} bytes"))),
        error => Err(error.into()),
    }
}

/// Level 0 tiles that are read and hashed together: at most 67 MB of entries, and 2 MB of usual ones.
const GROUP: usize = 4;
const MAX_PROBLEMS: usize = 100;

#[cfg(test)]
mod tests;
