//! Concurrent submissions share a batch: whatever arrives while one is committed is the next.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tegula_storage::{Condition, Store};
use tegula_tlog::{MAX_ENTRY_LEN, VerifierKey};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::answer::{Receipt, Round};
use crate::error::Error;
use crate::rebuild::rebuild;
use crate::signers::Signers;
use crate::tidy::{Tidy, TidyOptions, TidyReport};
use crate::writer::{Counters, Pending, Writer, cold};
use crate::{Config, Env, Published};

/// A log that takes entries. Clones are the same log.
///
/// One task commits, and no request owns it: a submission that is dropped is committed all the
/// same.
#[derive(Clone, Debug)]
pub struct Sequencer {
    shared: Arc<Shared>,
}

/// What a sequencer is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// The newest checkpoint that this process published or read.
    pub published: Published,
    /// Slots that are ordered and not published.
    pub unpublished_slots: u64,
    /// Entries that wait for a batch.
    pub pending_entries: usize,
    /// What its writer did.
    pub counters: Counters,
    /// Why it takes no more entries, if it has stopped for good.
    pub stopped: Option<Error>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    queue: Mutex<Queue>,
    /// Rung when the queue has something, and when it closes.
    bell: Notify,
    /// Rung when nothing is under way any more.
    rest: Notify,
    state: Mutex<State>,
    task: Mutex<Option<JoinHandle<()>>>,
    tidy: tokio::sync::Mutex<Tidy>,
    store: Arc<dyn Store>,
    keys: Vec<VerifierKey>,
    /// Held by whoever searches for a leaf.
    search: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    groups: VecDeque<Group>,
    entries: usize,
    bytes: usize,
    /// Whether what is ordered and not published is to be published when nothing else is to be done.
    settle: bool,
    closed: bool,
    /// Whether something is being committed or published.
    busy: bool,
}

/// Entries that were handed in together and go into one slot.
#[derive(Debug)]
struct Group {
    pending: Vec<Pending>,
    bytes: usize,
    answer: oneshot::Sender<Result<(Arc<Round>, usize), Error>>,
}

#[derive(Debug)]
struct State {
    published: Published,
    unpublished_slots: u64,
    counters: Counters,
    stopped: Option<Error>,
}

impl Sequencer {
    /// Opens a log: after an unclean stop rebuilds what a power cut may have torn, publishes what
    /// is ordered, and begins to take entries.
    pub async fn open(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        config: Config,
    ) -> Result<Self, Error> {
        if store.condition() != Condition::Clean {
            let log_id = config.signers.first()?.full_key_id();
            let report = rebuild(store.as_ref(), &config, log_id).await?;
            for slot in &report.damaged {
                warn!(slot, "a slot is damaged, what it holds is sound");
            }
            info!(?report, "rebuilt after an unclean stop");
            store.recovered().await?;
        }
        let mut writer = Writer::new(Arc::clone(&store), Arc::clone(&env), config.clone())?;
        match writer.start().await {
            // A full disk, for one: what is published can be served, and the next batch publishes the rest.
            Err(Error::Unavailable(reason)) => {
                warn!(reason, "what is ordered cannot be published yet");
                writer.cold_start().await?;
            }
            started => started?,
        }
        let published = writer.published().cloned().ok_or_else(cold)?;
        let keys = writer.keys.clone();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            bell: Notify::new(),
            rest: Notify::new(),
            state: Mutex::new(State {
                published,
                unpublished_slots: writer.unpublished_slots(),
                counters: writer.counters(),
                stopped: None,
            }),
            task: Mutex::new(None),
            tidy: tokio::sync::Mutex::new(Tidy::new(Arc::clone(&store), env, keys.clone())),
            store,
            keys,
            search: tokio::sync::Mutex::default(),
            config,
        });
        let task = tokio::spawn(commit_to_the_end(writer, Arc::clone(&shared)));
        *lock(&shared.task) = Some(task);
        Ok(Self { shared })
    }

    /// Logs one entry; answers when a published checkpoint covers it.
    pub async fn submit(&self, entry: Bytes) -> Result<Receipt, Error> {
        let (round, first) = self.enqueue(vec![entry]).await?;
        round.receipt(first)
    }

    /// Logs entries together, in one slot and in order; all receipts are of one checkpoint.
    pub async fn submit_batch(&self, entries: Vec<Bytes>) -> Result<Vec<Receipt>, Error> {
        let count = entries.len();
        let (round, first) = self.enqueue(entries).await?;
        (first..first + count).map(|n| round.receipt(n)).collect()
    }

    /// The newest checkpoint that this process published or read.
    pub fn published(&self) -> Published {
        lock(&self.shared.state).published.clone()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        let pending_entries = lock(&self.shared.queue).entries;
        let state = lock(&self.shared.state);
        Status {
            published: state.published.clone(),
            unpublished_slots: state.unpublished_slots,
            pending_entries,
            counters: state.counters,
            stopped: state.stopped.clone(),
        }
    }

    /// One round of housekeeping. Rounds do not overlap, and do not stop submissions.
    ///
    /// What is ordered and not published, by whomever, is published too, between batches.
    pub async fn tidy(&self, options: TidyOptions) -> Result<TidyReport, Error> {
        lock(&self.shared.queue).settle = true;
        self.shared.bell.notify_one();
        let report = self.shared.tidy.lock().await.round(options).await;
        if let Err(fatal @ Error::Fatal(_)) = &report {
            lock(&self.shared.state).stopped = Some(fatal.clone());
        }
        report
    }

    /// Returns when nothing waits and nothing is under way: what a process that may be stopped has to wait for.
    pub async fn rest(&self) {
        loop {
            let rest = self.shared.rest.notified();
            {
                let queue = lock(&self.shared.queue);
                if !queue.busy && !queue.settle && queue.groups.is_empty() || self.has_ended() {
                    return;
                }
            }
            rest.await;
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    pub(crate) fn keys(&self) -> &[VerifierKey] {
        &self.shared.keys
    }

    pub(crate) fn signers(&self) -> &Signers {
        &self.shared.config.signers
    }

    pub(crate) fn dedup_window(&self) -> u64 {
        self.shared.config.dedup_window
    }

    pub(crate) fn search(&self) -> &tokio::sync::Mutex<()> {
        &self.shared.search
    }

    fn has_ended(&self) -> bool {
        let task = lock(&self.shared.task);
        task.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes no more entries, and returns when those that wait are answered.
    pub async fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.bell.notify_one();
        let task = lock(&self.shared.task).take();
        if let Some(task) = task
            && let Err(panic) = task.await
        {
            error!(%panic, "the commit task failed");
        }
    }

    async fn enqueue(&self, entries: Vec<Bytes>) -> Result<(Arc<Round>, usize), Error> {
        let config = &self.shared.config;
        if entries.is_empty() || entries.len() > config.max_batch_entries {
            return Err(Error::Rejected(format!(
                "a batch of {} entries, expected 1 to {}",
                entries.len(),
                config.max_batch_entries
            )));
        }
        if let Some(long) = entries.iter().find(|entry| entry.len() > MAX_ENTRY_LEN) {
            return Err(Error::Rejected(format!(
                "an entry of {} bytes, expected at most {MAX_ENTRY_LEN}",
                long.len()
            )));
        }
        let bytes = entries.iter().map(Bytes::len).sum();
        if bytes > config.max_batch_bytes {
            return Err(Error::Rejected(format!(
                "a batch of {bytes} bytes, expected at most {}",
                config.max_batch_bytes
            )));
        }
        // Hashed here, in the submitter's task, and not in the one task that commits.
        let pending: Vec<_> = entries.into_iter().map(Pending::new).collect();
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = lock(&self.shared.queue);
            if let Some(reason) = lock(&self.shared.state).stopped.clone() {
                return Err(reason);
            }
            if queue.closed {
                return Err(Error::Unavailable("it is shutting down".to_owned()));
            }
            if queue.entries + pending.len() > config.max_pending_entries
                || queue.bytes + bytes > config.max_pending_bytes
            {
                return Err(Error::Overloaded {
                    retry_after: RETRY_AFTER,
                });
            }
            queue.entries += pending.len();
            queue.bytes += bytes;
            queue.groups.push_back(Group {
                pending,
                bytes,
                answer,
            });
        }
        self.shared.bell.notify_one();
        answered.await.unwrap_or_else(|_ended| {
            let stopped = lock(&self.shared.state).stopped.clone();
            Err(stopped.unwrap_or_else(|| Error::Unavailable("the commit task ended".to_owned())))
        })
    }
}

/// Commits batches until the queue is closed and empty. If that panics, which no input may cause, nobody is left waiting.
async fn commit_to_the_end(writer: Writer, shared: Arc<Shared>) {
    let work = AssertUnwindSafe(commit_batches(writer, &shared));
    if work.catch_unwind().await.is_err() {
        let reason = Error::Fatal("the commit task panicked".to_owned());
        error!(%reason, "the writer stopped");
        let mut queue = lock(&shared.queue);
        lock(&shared.state).stopped = Some(reason);
        // Their submitters are told by it.
        queue.groups.clear();
        queue.busy = false;
        shared.rest.notify_waiters();
    }
}

async fn commit_batches(mut writer: Writer, shared: &Shared) {
    loop {
        let mut answers = Vec::new();
        let result = match next_work(shared) {
            Work::Batch(groups) => {
                let mut batch = Vec::with_capacity(groups.iter().map(|g| g.pending.len()).sum());
                for group in groups {
                    answers.push((batch.len(), group.answer));
                    batch.extend(group.pending);
                }
                writer
                    .commit(&batch)
                    .await
                    .map(|round| Some(Arc::new(round)))
            }
            Work::Settle => writer.settle().await.map(|()| None),
            Work::Wait => {
                shared.bell.notified().await;
                continue;
            }
            Work::End => return,
        };
        note(shared, &writer, result.as_ref().map(Option::as_deref));
        for (first, answer) in answers {
            let result = result.clone();
            // Nobody may be waiting any more; the entries are logged all the same.
            answer
                .send(result.and_then(|round| Ok((round.ok_or_else(cold)?, first))))
                .unwrap_or_default();
        }
    }
}

/// Says what a writer came to, before those are answered who handed in its work.
fn note(shared: &Shared, writer: &Writer, result: Result<Option<&Round>, &Error>) {
    let mut state = lock(&shared.state);
    let round = result.ok().flatten().map(|round| &round.published);
    if let Some(published) = round.or_else(|| writer.published())
        && published.size >= state.published.size
    {
        state.published = published.clone();
    }
    state.unpublished_slots = writer.unpublished_slots();
    state.counters = writer.counters();
    match result {
        Err(reason @ (Error::Corrupt(_) | Error::Fatal(_))) => {
            if state.stopped.is_none() {
                error!(%reason, "the writer stopped");
            }
            state.stopped = Some(reason.clone());
        }
        Err(reason) => warn!(%reason, "entries could not be logged, or not be published"),
        Ok(_) => {}
    }
}

/// What the commit task does next.
enum Work {
    Batch(Vec<Group>),
    Settle,
    Wait,
    End,
}

fn next_work(shared: &Shared) -> Work {
    let mut queue = lock(&shared.queue);
    let work = if let Some(groups) = next_batch(&mut queue, &shared.config) {
        Work::Batch(groups)
    } else if std::mem::take(&mut queue.settle) {
        Work::Settle
    } else if queue.closed {
        Work::End
    } else {
        Work::Wait
    };
    queue.busy = matches!(work, Work::Batch(_) | Work::Settle);
    if !queue.busy {
        shared.rest.notify_waiters();
    }
    work
}

/// As many groups as a slot takes, in the order in which they came.
fn next_batch(queue: &mut Queue, config: &Config) -> Option<Vec<Group>> {
    let (mut entries, mut bytes) = (0, 0);
    let mut groups = Vec::new();
    while let Some((more, len)) = queue.groups.front().map(|g| (g.pending.len(), g.bytes)) {
        entries += more;
        bytes += len;
        let fits = entries <= config.max_batch_entries && bytes <= config.max_batch_bytes;
        // A group alone always fits: `enqueue` saw to it.
        if !fits && !groups.is_empty() {
            break;
        }
        queue.entries -= more;
        queue.bytes -= len;
        groups.extend(queue.groups.pop_front());
    }
    (!groups.is_empty()).then_some(groups)
}

/// A poisoned lock is one whose holder panicked between two assignments of plain values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const RETRY_AFTER: Duration = Duration::from_secs(2);
