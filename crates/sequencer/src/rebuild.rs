//! After an unclean stop: objects that a power cut may have torn, made again from the slots.

use bytes::Bytes;
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{Checkpoint, TilePath, TreeSize, empty_root};

use crate::Config;
use crate::error::Error;
use crate::publish::checkpoint_path;
use crate::read;
use crate::slot::{Slot, SlotHeader};
use crate::tip::{FoldError, Tip};

/// What a rebuild found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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
}

/// Makes every object that the held slots cover as they say, from the size on up to which
/// all is known to be synced.
///
/// Only for a store that nobody else uses. The slots are read twice: first all of them are checked,
/// and that the published checkpoint is where one of them ends; only then is anything written.
pub async fn rebuild(
    store: &dyn Store,
    config: &Config,
    log_id: [u8; 32],
) -> Result<RebuildReport, Error> {
    let keys: Vec<_> = config.signers.iter().map(|key| key.verifier()).collect();
    let object = store.read(&checkpoint_path()?).await?;
    let object = object.ok_or_else(|| {
        Error::Corrupt("there is no checkpoint, which is never an empty log".to_owned())
    })?;
    let (published, _) = Checkpoint::open(&object.bytes, &keys)
        .map_err(|error| Error::Corrupt(format!("the published checkpoint: {error}")))?;
    let base = read_base(store).await?;
    let floor = store.floor().await?;
    let from = first_boundary(store, base.max(floor)).await?;
    let mut report = RebuildReport {
        from: from.unwrap_or_else(|| published.size.get()),
        to: published.size.get(),
        ..RebuildReport::default()
    };
    let Some(from) = from else {
        return Ok(report);
    };
    let start = start_of_chain(store, from).await?;

    let mut seen = from == published.size.get() && start.root() == published.root;
    let mut tip = start.clone();
    while let Some(slot) = read_slot(store, tip.size().get()).await? {
        tip = fold(&tip, &slot, &log_id)?.tip;
        report.slots += 1;
        seen |= tip.size() == published.size && tip.root() == published.root;
    }
    if !seen {
        return Err(Error::Corrupt(format!(
            "the published checkpoint of size {} is not where a slot ends, of those from {from} to {}",
            published.size,
            tip.size()
        )));
    }
    report.to = tip.size().get();

    let mut tip = start;
    put_right(store, &mut report, tip.partial_objects(), Absent::Skip).await?;
    while let Some(slot) = read_slot(store, tip.size().get()).await? {
        let step = fold(&tip, &slot, &log_id)?;
        tip = step.tip;
        // What is not published yet is for the writer to make, which can wait until there is room for it.
        let absent = if tip.size() <= published.size {
            Absent::Make
        } else {
            Absent::Skip
        };
        put_right(store, &mut report, step.objects, absent).await?;
        // Partial objects exist for those sizes only that were to be published.
        let absent = if tip.size() == published.size {
            Absent::Make
        } else {
            Absent::Skip
        };
        put_right(store, &mut report, tip.partial_objects(), absent).await?;
    }
    Ok(report)
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

fn fold(tip: &Tip, slot: &Slot, log_id: &[u8; 32]) -> Result<crate::tip::Step, Error> {
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
            Some(object) if object.bytes == bytes => report.sound += 1,
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
