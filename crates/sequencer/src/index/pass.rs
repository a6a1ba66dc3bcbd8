//! One pass of a merge, which asks for objects as it comes to them, and a store, which is asked without waiting.
//!
//! The pass runs on a thread of its own, and the task waits for it between two of its questions: it is never at work while it is answered.
//! So there is one order of things, and a simulation sees the same one again.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use bytes::Bytes;
use tegula_index::{IndexPath, MAX_LIST_PAGE};
use tegula_storage::{ObjectPath, Store};

use super::{Indexer, object, unavailable};
use crate::error::Error;

/// What a pass is given to read and write with.
pub(super) struct Hands {
    fetched: HashMap<IndexPath, Bytes>,
    asks: SyncSender<Asked>,
    answers: Receiver<Option<Bytes>>,
}

/// What a pass is stopped by: nobody listens any more, or an object is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stopped(String);

enum Asked {
    Read(IndexPath),
    Write(IndexPath, Vec<u8>),
}

impl Hands {
    pub(super) fn read(&mut self, path: IndexPath) -> Result<Vec<u8>, Stopped> {
        if let Some(bytes) = self.fetched.remove(&path) {
            return Ok(bytes.to_vec());
        }
        self.ask(Asked::Read(path))?;
        let answer = self.answers.recv().map_err(|_gone| gone())?;
        let bytes = answer.ok_or_else(|| Stopped(format!("{path} is missing")))?;
        Ok(bytes.to_vec())
    }

    pub(super) fn write(&self, path: IndexPath, bytes: Vec<u8>) -> Result<(), Stopped> {
        self.ask(Asked::Write(path, bytes))
    }

    fn ask(&self, asked: Asked) -> Result<(), Stopped> {
        self.asks.send(asked).map_err(|_gone| gone())
    }
}

fn gone() -> Stopped {
    Stopped("the merge was given up".to_owned())
}

impl Indexer {
    /// Runs a pass to its end. `first` is read beforehand, all together.
    pub(super) async fn pass<T: Send + 'static>(
        &mut self,
        first: Vec<IndexPath>,
        pass: impl FnOnce(&mut Hands) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let fetched = self.fetch(first).await?;
        let (asks, asked) = sync_channel(0);
        let (answer, answers) = channel();
        let mut hands = Hands {
            fetched,
            asks,
            answers,
        };
        let thread = std::thread::Builder::new()
            .name("merge".to_owned())
            .spawn(move || pass(&mut hands))
            .map_err(|error| unavailable(format!("no thread for a merge: {error}")))?;
        let served = self.serve(asked, &answer).await;
        // Whoever still asks is told that nobody listens.
        drop(answer);
        let done = thread.join();
        served?;
        done.map_err(|_panic| unavailable("a merge panicked".to_owned()))
    }

    async fn serve(
        &mut self,
        asked: Receiver<Asked>,
        answer: &Sender<Option<Bytes>>,
    ) -> Result<(), Error> {
        let mut ahead: HashMap<IndexPath, Bytes> = HashMap::new();
        let (mut parts, mut partitions) = (Vec::new(), Vec::new());
        while let Ok(asked) = asked.recv() {
            match asked {
                Asked::Read(path) => {
                    if !ahead.contains_key(&path) {
                        ahead = self.fetch(and_those_after(path)).await?;
                    }
                    // If it has gone, the next question says so.
                    answer.send(ahead.remove(&path)).unwrap_or_default();
                }
                Asked::Write(path, bytes) => {
                    let is_partition = matches!(path, IndexPath::Partition { .. });
                    let to = if is_partition {
                        &mut partitions
                    } else {
                        &mut parts
                    };
                    to.push((path, bytes));
                    if parts.len() + partitions.len() >= WRITTEN_TOGETHER {
                        self.put(&mut parts, &mut partitions).await?;
                    }
                }
            }
        }
        self.put(&mut parts, &mut partitions).await
    }

    /// Pages and lists, and then the partitions that lead to them.
    async fn put(&mut self, parts: &mut Objects, partitions: &mut Objects) -> Result<(), Error> {
        self.keep(std::mem::take(parts)).await?;
        self.keep(std::mem::take(partitions)).await
    }

    /// Those of the objects that are there, unchecked: whoever merges checks them.
    async fn fetch(&self, paths: Vec<IndexPath>) -> Result<HashMap<IndexPath, Bytes>, Error> {
        let fresh = self.known.as_ref().map(|known| &known.fresh);
        let mut found = HashMap::new();
        let mut asked = Vec::new();
        for path in paths {
            match fresh.and_then(|fresh| fresh.get(&path)) {
                Some(bytes) => drop(found.insert(path, bytes.clone())),
                None => asked.push(path),
            }
        }
        let places = asked.iter().map(object).collect::<Result<Vec<_>, _>>()?;
        let objects = read_in_groups(self.store.as_ref(), &places).await?;
        for (path, object) in asked.into_iter().zip(objects) {
            found.extend(object.map(|bytes| (path, bytes)));
        }
        Ok(found)
    }
}

async fn read_in_groups(
    store: &dyn Store,
    places: &[ObjectPath],
) -> Result<Vec<Option<Bytes>>, Error> {
    let mut objects = Vec::with_capacity(places.len());
    for places in places.chunks(READ_TOGETHER) {
        for object in store.read_many(places).await {
            objects.push(object?.map(|object| object.bytes));
        }
    }
    Ok(objects)
}

/// A list is read from its beginning to its end: some pages of it are fetched together.
fn and_those_after(path: IndexPath) -> Vec<IndexPath> {
    match path {
        IndexPath::List { run, key, page } => {
            let pages = run.leaves().div_ceil(MAX_LIST_PAGE);
            let last = pages.min(page + LIST_PAGES_TOGETHER);
            let pages = page..last.max(page + 1);
            pages
                .map(|page| IndexPath::List { run, key, page })
                .collect()
        }
        path => vec![path],
    }
}

type Objects = Vec<(IndexPath, Vec<u8>)>;

/// Objects that are written together: of a unit of 64 partitions all.
const WRITTEN_TOGETHER: usize = 64;
/// Objects that are read together.
const READ_TOGETHER: usize = 64;
/// Pages of a list that are read together: about 256 KiB.
const LIST_PAGES_TOGETHER: u64 = 8;
