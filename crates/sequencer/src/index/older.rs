//! Whether a leaf is among those that are older than what a writer holds: by the index.
//!
//! Of a large run a writer holds filters, which say of most new leaves that they are not in it. They are private and derived: a wrong one costs a
//! duplicate entry, or a request, and never a wrong proof. What they let through, and the first leaves before they are loaded, is looked up in
//! the runs themselves, and what is found there is confirmed by the log's own tiles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tegula_index::{IndexPath, Key, Lookup, Run, Shard, State, covered};
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{Hash, LeafIndex, TilePath, VerifiedTiles, VerifierKey};
use tracing::warn;

use super::merges::{FILTERED_LEVEL, filter_path, shards_of};
use super::publish::{read_index_checkpoint, read_state};
use super::{made, object, unavailable};
use crate::error::Error;
use crate::{Published, read};

/// The leaves that the index covers.
#[derive(Debug)]
pub(crate) struct Older {
    state: State,
    /// Of runs of which they were loaded: one that is absent or damaged lets everything through.
    filters: HashMap<Run, Vec<Option<Shard>>>,
    /// Leaves that were looked up without filters.
    without: usize,
    /// Objects that were read.
    pub(crate) requests: u64,
}

impl Older {
    /// What the published index covers; `None` if there is no index. Filters that `before` has loaded are kept.
    pub(crate) async fn read(
        store: &dyn Store,
        keys: &[VerifierKey],
        log: &Published,
        before: Option<Self>,
    ) -> Result<Option<Self>, Error> {
        let Some(published) = read_index_checkpoint(store, keys).await? else {
            return Ok(None);
        };
        // A checkpoint of the log that others published, and this writer has not read.
        if covered(published.size).is_none_or(|covered| covered > log.size) {
            return Err(unavailable(format!(
                "it covers more than the checkpoint of size {} that this writer has read",
                log.size
            )));
        }
        let mut verified = VerifiedTiles::new(log.size, log.root);
        let state = read_state(store, &published, log, &mut verified).await?;
        let is_live = |run: &Run| state.runs().iter().any(|(live, _)| live == run);
        let (mut filters, without, requests) = match before {
            Some(before) => (before.filters, before.without, before.requests),
            None => Default::default(),
        };
        filters.retain(|run, _| is_live(run));
        Ok(Some(Self {
            state,
            filters,
            without,
            requests: requests + 2,
        }))
    }

    /// How many leaves it covers.
    pub(crate) fn covered(&self) -> u64 {
        self.state.covered().get()
    }

    /// Bytes of the filters that are held.
    pub(crate) fn heap_bytes(&self) -> usize {
        let shards = self.filters.values().flatten().flatten();
        shards.map(Shard::heap_bytes).sum()
    }

    /// The first places of those of the leaves that are in the log before `end`.
    pub(crate) async fn find(
        &mut self,
        store: &dyn Store,
        log: &Published,
        leaves: &[Hash],
        end: u64,
    ) -> Result<HashMap<Hash, u64>, Error> {
        self.without += leaves.len();
        if self.without > LOOKED_UP_FIRST {
            self.load_filters(store, end).await?;
        }
        let mut lookups = Vec::new();
        for leaf in leaves {
            let key = Key::leaf(leaf);
            let mut lookup = Lookup::new(&self.state, key);
            for (run, _) in self.state.runs() {
                if run.start() >= end || self.filters.get(run).is_some_and(|of| !may_hold(of, &key))
                {
                    lookup.leave_out(*run);
                }
            }
            if !lookup.needs().is_empty() {
                lookups.push((*leaf, lookup));
            }
        }
        self.look_up(store, &mut lookups).await?;
        let mut named = Vec::new();
        for (leaf, lookup) in lookups {
            let answer = made(lookup.answer(&[]))?;
            let mut first = answer.found.first().map(|index| LeafIndex::get(*index));
            // A leaf that is there a thousand times, in a log that did not look for duplicates.
            if let Some(list) = answer.lists.first() {
                let bytes = self.read_object(store, &list.path(0)).await?;
                let page = made(list.open(0, &bytes))?;
                let in_list = page.first().map(|index| LeafIndex::get(*index));
                first = [first, in_list].into_iter().flatten().min();
            }
            named.extend(first.map(|index| (leaf, index)));
        }
        confirmed(store, log, named).await
    }

    async fn look_up(
        &mut self,
        store: &dyn Store,
        lookups: &mut [(Hash, Lookup)],
    ) -> Result<(), Error> {
        loop {
            let mut needs: BTreeMap<IndexPath, Vec<usize>> = BTreeMap::new();
            for (n, (_, lookup)) in lookups.iter().enumerate() {
                for path in lookup.needs() {
                    needs.entry(path).or_default().push(n);
                }
            }
            if needs.is_empty() {
                return Ok(());
            }
            let needs: Vec<_> = needs.into_iter().collect();
            for needs in needs.chunks(READ_TOGETHER) {
                let places = needs.iter().map(|(path, _)| object(path));
                let places = places.collect::<Result<Vec<_>, _>>()?;
                self.requests += places.len() as u64;
                for ((path, of), found) in needs.iter().zip(store.read_many(&places).await) {
                    let found = found?.ok_or_else(|| unavailable(format!("{path} is missing")))?;
                    for n in of {
                        if let Some((_, lookup)) = lookups.get_mut(*n) {
                            made(lookup.take(*path, &found.bytes))?;
                        }
                    }
                }
            }
        }
    }

    async fn read_object(
        &mut self,
        store: &dyn Store,
        path: &IndexPath,
    ) -> Result<bytes::Bytes, Error> {
        self.requests += 1;
        let found = store.read(&object(path)?).await?;
        let found = found.ok_or_else(|| unavailable(format!("{path} is missing")))?;
        Ok(found.bytes)
    }

    /// Loads the filters of all large runs that begin before `end` and of which there are none yet.
    async fn load_filters(&mut self, store: &dyn Store, end: u64) -> Result<(), Error> {
        let mut wanted: Vec<(Run, ObjectPath)> = Vec::new();
        for (run, record) in self.state.runs() {
            let is_large = run.level() >= FILTERED_LEVEL && run.start() < end;
            if is_large && !self.filters.contains_key(run) {
                for shard in 0..shards_of(record) {
                    wanted.push((*run, filter_path(*run, shard)?));
                }
            }
        }
        // Whoever drops this in the middle must not be left with some shards of a run.
        let mut loaded: HashMap<Run, Vec<Option<Shard>>> = HashMap::new();
        let mut bytes = self.heap_bytes();
        for wanted in wanted.chunks(SHARDS_TOGETHER) {
            // What is not loaded is looked up.
            if bytes > MAX_FILTER_BYTES {
                break;
            }
            let places: Vec<_> = wanted.iter().map(|(_, path)| path.clone()).collect();
            self.requests += places.len() as u64;
            for ((run, path), found) in wanted.iter().zip(store.read_many(&places).await) {
                let shard = found?.map(|object| Shard::from_bytes(&object.bytes));
                let shard = match shard.transpose() {
                    Ok(shard) => shard,
                    Err(error) => {
                        warn!(%error, path = path.as_str(), "a filter is damaged, what it would rule out is looked up");
                        None
                    }
                };
                bytes += shard.as_ref().map_or(0, Shard::heap_bytes);
                loaded.entry(*run).or_default().push(shard);
            }
        }
        let whole = |run: &Run, shards: &Vec<_>| {
            let record = self.state.runs().iter().find(|(live, _)| live == run);
            record.is_some_and(|(_, record)| shards.len() as u64 == shards_of(record))
        };
        loaded.retain(|run, shards| whole(run, shards));
        self.filters.extend(loaded);
        Ok(())
    }
}

/// Whether a run may hold the key, by its filters. Where one is missing, it may.
fn may_hold(shards: &[Option<Shard>], key: &Key) -> bool {
    shards
        .iter()
        .any(|shard| shard.as_ref().is_none_or(|shard| shard.may_hold(key)))
}

/// Those of the leaves that the log's tree has where they are said to be: a key is only a part of a hash.
async fn confirmed(
    store: &dyn Store,
    log: &Published,
    named: Vec<(Hash, u64)>,
) -> Result<HashMap<Hash, u64>, Error> {
    let mut verified = VerifiedTiles::new(log.size, log.root);
    let mut found = HashMap::new();
    for named in named.chunks(TILES_TOGETHER) {
        let tile = |index: u64| TilePath::hashes_at(0, index / 256, log.size);
        let tiles: BTreeSet<_> = named.iter().filter_map(|(_, index)| tile(*index)).collect();
        let tiles: Vec<_> = tiles.into_iter().collect();
        read::verify_tiles(store, &mut verified, &tiles).await?;
        for (leaf, index) in named {
            let at = usize::try_from(index % 256).unwrap_or(usize::MAX);
            let there = tile(*index).and_then(|tile| verified.hashes(&tile)?.nth(at));
            if there == Some(*leaf) {
                found.insert(*leaf, *index);
            }
        }
        verified.forget_level(0);
    }
    Ok(found)
}

/// Leaves that are looked up before filters are loaded: whoever logs a few entries and ends reads less without.
const LOOKED_UP_FIRST: usize = 4;
/// Partitions that are read together.
const READ_TOGETHER: usize = 64;
/// Leaves whose tiles are read together: half a megabyte.
const TILES_TOGETHER: usize = 64;
/// Filters that are held, of some fifty million leaves: of what is beyond, the runs are looked up.
const MAX_FILTER_BYTES: usize = 64 << 20;
/// Shards that are read together: of some four megabytes each, at most.
const SHARDS_TOGETHER: usize = 4;
