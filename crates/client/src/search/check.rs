//! The whole index, read again: whether all that its checkpoint commits to is there and sound.

use futures::{StreamExt, stream};
use tegula_index::{IndexPath, Run, RunCheck};

use super::LogIndex;
use crate::fsck::{FsckOptions, FsckReport};
use crate::source::AT_ONCE;
use crate::{ReadError, Reader};

/// What was found of an index.
#[derive(Clone, Debug)]
pub struct IndexReport {
    /// The index log, hashed again as any log is.
    pub log: FsckReport,
    /// Live runs that were read.
    pub runs: u64,
    /// Their objects.
    pub objects: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// The first hundred problems, each with the path that it is about.
    pub problems: Vec<String>,
    /// How many there are.
    pub problem_count: u64,
}

impl IndexReport {
    fn problem(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

impl Reader {
    /// Reads every object of the index as of its checkpoint, and of its log: that they are there, and lead to what is committed to. Whether runs are
    /// what the log's entries make is for [`Reader::audit_run`]. The cache is not used.
    ///
    /// `progress` is told how many leaves of the log the runs cover that are done.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] if the log cannot be read. What is wrong with it is in the report.
    pub async fn check_index(
        &self,
        index: &LogIndex,
        options: FsckOptions,
        progress: impl Fn(u64) + Send,
    ) -> Result<IndexReport, ReadError> {
        let log = self.of_index()?;
        let log = log.fsck(&index.checkpoint, options, |_| ()).await?;
        let mut report = IndexReport {
            problems: log.problems.clone(),
            problem_count: log.problem_count,
            log,
            runs: 0,
            objects: 0,
            bytes: 0,
        };
        let mut done = 0;
        for (run, record) in index.state().runs() {
            let check = RunCheck::new(*run, *record);
            self.check_run(*run, check, &mut report).await?;
            report.runs += 1;
            done += run.leaves();
            progress(done);
        }
        Ok(report)
    }

    async fn check_run(
        &self,
        run: Run,
        mut check: RunCheck,
        report: &mut IndexReport,
    ) -> Result<(), ReadError> {
        loop {
            let next = std::iter::from_fn(|| check.next_path());
            let paths: Vec<IndexPath> = next.take(READ_TOGETHER).collect();
            if paths.is_empty() {
                break;
            }
            let mut fetched = stream::iter(paths)
                .map(|path| async move {
                    let place = path.to_string();
                    (path, self.source.fetch(&place, path.max_len()).await)
                })
                .buffered(AT_ONCE);
            while let Some((path, fetched)) = fetched.next().await {
                match fetched {
                    Ok(Some(bytes)) => {
                        report.objects += 1;
                        report.bytes += bytes.len() as u64;
                        if let Err(error) = check.take(path, &bytes) {
                            report.problem(error.to_string());
                        }
                    }
                    Ok(None) => {
                        check.leave_out(path);
                        report.problem(format!("{path} is missing"));
                    }
                    Err(error) => match ReadError::from(error) {
                        ReadError::Verification(reason) => {
                            check.leave_out(path);
                            report.problem(reason);
                        }
                        error => return Err(error),
                    },
                }
            }
        }
        if !check.is_done() {
            report.problem(format!("the run {run} was not read to its end"));
        }
        Ok(())
    }
}

/// Objects that are asked for together.
const READ_TOGETHER: usize = 64;
const MAX_PROBLEMS: usize = 100;
