//! After an unclean stop: objects that a power cut may have torn, made again from the slots.

use bytes::Bytes;
use tegula_storage::{Condition, ObjectPath, Store};
use tegula_tlog::{Checkpoint, TilePath, TreeSize, empty_root};
use tracing::warn;

mod sound;

use crate::error::Error;
use crate::import::put;
use crate::index::forget_unpublished;
use crate::init::description_path;
use crate::publish::checkpoint_path;
use crate::recover::slot_ending_at;
use crate::slot::{Slot, SlotHeader};
use crate::tip::{FoldError, Step, Tip};
use crate::{Config, Published, read};
use sound::{all_sound, keep_sound};

/// What a rebuild found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RebuildReport {
    /// Where it began.
    pub from: u64,
    /// The end of the chain of slots.
    pub to: u64,
    /// Slots that were read.
    pub slots: u64,
    /// Objects that were as the slots say.
    pub sound: u64,
    /// Objects that were not there.
    pub missing: u64,
    /// Objects that differed.
    pub torn: u64,
    /// Objects of the search index that were removed, to be made again: nothing that is published refers to them.
    pub index_forgotten: u64,
    /// Slots that are damaged, though the entries of this one and of those after it are sound up to the published size.
    pub damaged: Vec<String>,
}

/// Makes every object that the held slots cover as they say, from the size on up to which
/// all is known to be synced.
///
/// Only for a store that nobody else uses. The slots are read twice: first all of them are checked,
/// and that the published checkpoint is where one of them ends; only then is anything written.
/// From a damaged slot on tiles and bundles have to be right already, as the published root says they are.
pub async fn rebuild(
    store: &dyn Store,
    config: &Config,
    log_id: [u8; 32],
) -> Result<RebuildReport, Error> {
    let published = published(store, config).await?;
    let floor = store.floor().await?;
    if store.condition() == Condition::Suspect {
        // A sync failed, so nothing that rests on syncs is known; and tiles that are written again now are not synced.
        let base = read_base(store).await?.min(floor);
        put(store, &base_path()?, format!("{base}\n").into()).await?;
        put_again(store, &description_path()?).await?;
        put_again(store, &checkpoint_path()?).await?;
    }
    let base = read_base(store).await?;
    let from = if store.keeps_slots() {
        first_whole(store).await?
    } else {
        first_boundary(store, base.max(floor)).await?
    };
    let mut report = RebuildReport {
        from: from.unwrap_or_else(|| published.size.get()),
        to: published.size.get(),
        ..RebuildReport::default()
    };
    if !store.keeps_slots() {
        let index = config.signers.of_index()?;
        // The log does not stand still for its index.
        match forget_unpublished(store, index.verifiers()).await {
            Ok(forgotten) => report.index_forgotten = forgotten,
            Err(fatal @ Error::Fatal(_)) => return Err(fatal),
            Err(reason) => warn!(%reason, "what a power cut left of the search index stays"),
        }
    }
    let Some(from) = from else {
        return Ok(report);
    };
    let Plan { parts, to } = plan(store, &published, &log_id, from, &mut report).await?;
    report.to = to;
    for part in parts {
        match part {
            Part::Slots { tip, end } => {
                from_slots(store, tip, end, &published, &log_id, &mut report).await?;
            }
            Part::Sound { from } => keep_sound(store, from, &published, &mut report).await?,
        }
    }
    Ok(report)
}

/// Lets a log go on whose slot before the published checkpoint is damaged or lost, if all its tiles and bundles are sound:
/// the floor is raised to the published size, as in a log that was imported. Slots below it, the log's backup, are given up.
///
/// Only for a store that nobody else uses, after [`rebuild`]. Whether it had to.
pub async fn give_up_slots(store: &dyn Store, config: &Config) -> Result<bool, Error> {
    let published = published(store, config).await?;
    match slot_ending_at(store, &published).await {
        Err(Error::Corrupt(_)) => {}
        found => return found.map(|_| false),
    }
    all_sound(store, 0, &published).await?;
    store.sync_all().await?;
    let size = published.size.get();
    put(store, &base_path()?, format!("{size}\n").into()).await?;
    store.raise_floor(size).await?;
    Ok(true)
}

async fn published(store: &dyn Store, config: &Config) -> Result<Published, Error> {
    let keys = config.signers.verifiers();
    let object = store.read(&checkpoint_path()?).await?;
    let object = object.ok_or_else(|| {
        Error::Corrupt("there is no checkpoint, which is never an empty log".to_owned())
    })?;
    let (checkpoint, _) = Checkpoint::open(&object.bytes, keys)
        .map_err(|error| Error::Corrupt(format!("the published checkpoint: {error}")))?;
    Ok(Published {
        checkpoint: object.bytes,
        size: checkpoint.size,
        root: checkpoint.root,
    })
}

/// What is to be put right, and how.
struct Plan {
    parts: Vec<Part>,
    /// Where the chain of slots ends.
    to: u64,
}

enum Part {
    /// By the slots from this tip on, up to this size.
    Slots { tip: Tip, end: TreeSize },
    /// Objects that are verified already, from here to the published size.
    Sound { from: u64 },
}

/// Reads and checks everything, and writes nothing.
async fn plan(
    store: &dyn Store,
    published: &Published,
    log_id: &[u8; 32],
    from: u64,
    report: &mut RebuildReport,
) -> Result<Plan, Error> {
    let mut parts = Vec::new();
    let walked = match start_of_chain(store, from).await {
        Ok(tip) => walk(store, tip, published, log_id, report).await,
        Err(error) => Walked {
            parts,
            seen: false,
            to: from,
            stopped: Some(error),
        },
    };
    parts = walked.parts;
    let (mut seen, mut to) = (walked.seen, walked.to);
    match walked.stopped {
        Some(Error::Corrupt(reason)) if to < published.size.get() => {
            if let Err(tiles) = all_sound(store, to, published).await {
                return Err(Error::Corrupt(format!(
                    "{reason}; nor is all else sound: {tiles}"
                )));
            }
            report.damaged.push(reason);
            parts.push(Part::Sound { from: to });
            let edge = read::edge(store, published.size, &published.root).await?;
            let tail = read::tail(store, &edge).await?;
            let after = walk(store, Tip::new(edge, tail, 0), published, log_id, report).await;
            if let Some(error) = after.stopped {
                return Err(error);
            }
            parts.extend(after.parts);
            (seen, to) = (true, after.to);
        }
        Some(error) => return Err(error),
        None => {}
    }
    if !seen {
        return Err(Error::Corrupt(format!(
            "the published checkpoint of size {} is not where a slot ends, of those from {from} to {to}",
            published.size,
        )));
    }
    Ok(Plan { parts, to })
}

/// A chain of slots, as far as they follow each other.
struct Walked {
    parts: Vec<Part>,
    /// Whether the published checkpoint is where one of them ends, or begins.
    seen: bool,
    to: u64,
    stopped: Option<Error>,
}

async fn walk(
    store: &dyn Store,
    start: Tip,
    published: &Published,
    log_id: &[u8; 32],
    report: &mut RebuildReport,
) -> Walked {
    let is_published = |tip: &Tip| tip.size() == published.size && tip.root() == published.root;
    let mut seen = is_published(&start);
    let mut tip = start.clone();
    let stopped = loop {
        match read_slot(store, tip.size().get()).await {
            Ok(None) => break None,
            Ok(Some(slot)) => match fold(&tip, &slot, log_id) {
                Ok(step) => tip = step.tip,
                Err(error) => break Some(error),
            },
            Err(error) => break Some(error),
        }
        report.slots += 1;
        seen |= is_published(&tip);
    };
    let end = tip.size();
    Walked {
        parts: vec![Part::Slots { tip: start, end }],
        seen,
        to: end.get(),
        stopped,
    }
}

async fn from_slots(
    store: &dyn Store,
    mut tip: Tip,
    end: TreeSize,
    published: &Published,
    log_id: &[u8; 32],
    report: &mut RebuildReport,
) -> Result<(), Error> {
    put_right(store, report, tip.partial_objects(), Absent::Skip).await?;
    while tip.size() < end {
        let Some(slot) = read_slot(store, tip.size().get()).await? else {
            return Err(Error::Unavailable(format!("slot {} vanished", tip.size())));
        };
        let step = fold(&tip, &slot, log_id)?;
        tip = step.tip;
        // What is not published yet is for the writer to make, which can wait until there is room for it.
        let absent = if tip.size() <= published.size {
            Absent::Make
        } else {
            Absent::Skip
        };
        put_right(store, report, step.objects, absent).await?;
        // Partial objects exist for those sizes only that were to be published.
        let absent = if tip.size() == published.size {
            Absent::Make
        } else {
            Absent::Skip
        };
        put_right(store, report, tip.partial_objects(), absent).await?;
    }
    Ok(())
}

/// The size up to which every object is known to be synced.
pub(crate) async fn read_base(store: &dyn Store) -> Result<u64, Error> {
    let Some(object) = store.read(&base_path()?).await? else {
        return Ok(0);
    };
    let text = std::str::from_utf8(&object.bytes).unwrap_or_default();
    let size = text
        .strip_suffix('\n')
        .and_then(|text| text.parse::<TreeSize>().ok());
    size.map(TreeSize::get).ok_or_else(|| {
        Error::Corrupt(format!(
            "the file base is {text:?}, expected a size and a newline"
        ))
    })
}

async fn put_again(store: &dyn Store, path: &ObjectPath) -> Result<(), Error> {
    match store.read(path).await? {
        Some(object) => put(store, path, object.bytes).await,
        None => Ok(()),
    }
}

/// Where the size up to which all is synced is kept.
pub(crate) fn base_path() -> Result<ObjectPath, Error> {
    ObjectPath::private("base").map_err(|error| Error::Corrupt(error.to_string()))
}

enum Absent {
    Make,
    Skip,
}

/// The slot that begins at this size, to which all is synced, or `None` at the end of the chain.
async fn first_boundary(store: &dyn Store, size: u64) -> Result<Option<u64>, Error> {
    match store.slots(size, 1).await?.first() {
        None => Ok(None),
        Some(start) if *start == size => Ok(Some(size)),
        Some(start) => Err(Error::Corrupt(format!(
            "slot {size} is missing, the next one is {start}"
        ))),
    }
}

/// Where slots stay, the first that has its entries: those before it were cut to their headers, or the log was imported.
async fn first_whole(store: &dyn Store) -> Result<Option<u64>, Error> {
    let mut at = read_cut(store).await?;
    let begin = at;
    loop {
        let Some(start) = store.slots(at, 1).await?.first().copied() else {
            return Ok(None);
        };
        let header = match read_slot(store, start).await {
            Ok(Some(slot)) if slot.entries.is_none() => slot.header,
            // One that is damaged is looked at like a whole one.
            Ok(_) | Err(Error::Corrupt(_)) if start == at => return Ok(Some(start)),
            Ok(_) | Err(Error::Corrupt(_)) => {
                return Err(Error::Corrupt(format!(
                    "slot {at} is missing, the next one is {start}"
                )));
            }
            Err(error) => return Err(error),
        };
        // An import begins where it ended.
        if start != at && at != begin {
            return Err(Error::Corrupt(format!(
                "slot {at} is missing, the next one is {start}"
            )));
        }
        at = header.new_size.get();
    }
}

/// Where slots stay: the size below which they were cut to their headers.
pub(crate) async fn read_cut(store: &dyn Store) -> Result<u64, Error> {
    let object = store.read(&cut_path()?).await?;
    let text = object.map(|object| String::from_utf8_lossy(&object.bytes).into_owned());
    Ok(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

pub(crate) fn cut_path() -> Result<ObjectPath, Error> {
    ObjectPath::private("cut").map_err(|error| Error::Corrupt(error.to_string()))
}

/// The tip before the slot at `from`; its tiles have to lead to that slot's `prev_root`.
async fn start_of_chain(store: &dyn Store, from: u64) -> Result<Tip, Error> {
    let slot = read_slot(store, from).await?;
    let header: SlotHeader = slot
        .map(|slot| slot.header)
        .ok_or_else(|| Error::Unavailable(format!("slot {from} vanished")))?;
    if from == 0 && header.prev_root != empty_root() {
        return Err(Error::Corrupt(
            "slot 0 does not begin with the empty tree".to_owned(),
        ));
    }
    let edge = read::edge(store, header.prev_size, &header.prev_root).await?;
    let tail = read::tail(store, &edge).await?;
    Ok(Tip::new(edge, tail, 0))
}

async fn read_slot(store: &dyn Store, start: u64) -> Result<Option<Slot>, Error> {
    let Some(bytes) = store.read_slot(start).await? else {
        return Ok(None);
    };
    Ok(Slot::parse(start, &bytes).map(Some)?)
}

fn fold(tip: &Tip, slot: &Slot, log_id: &[u8; 32]) -> Result<Step, Error> {
    tip.fold(slot, log_id).map_err(|error| match error {
        FoldError::HeaderOnly => Error::Corrupt(format!(
            "slot {} was cut to its header above the size that is synced",
            slot.header.prev_size
        )),
        FoldError::Mismatch(reason) => Error::Corrupt(reason),
    })
}

async fn put_right(
    store: &dyn Store,
    report: &mut RebuildReport,
    objects: Vec<(TilePath, Bytes)>,
    absent: Absent,
) -> Result<(), Error> {
    let paths: Vec<_> = objects
        .iter()
        .map(|(path, _)| read::tile(path))
        .collect::<Result<_, _>>()?;
    let found = store.read_many(&paths).await;
    for ((path, (_, bytes)), found) in paths.iter().zip(objects).zip(found) {
        match found? {
            Some(object) if object.bytes == bytes => {
                report.sound += 1;
                if store.condition() == Condition::Suspect {
                    store.rebuild(path, bytes).await?;
                }
            }
            Some(_) => {
                report.torn += 1;
                store.rebuild(path, bytes).await?;
            }
            None if matches!(absent, Absent::Skip) => {}
            None => {
                report.missing += 1;
                store.rebuild(path, bytes).await?;
            }
        }
    }
    Ok(())
}
