//! What cannot be right stops a writer: it signs nothing, and puts nothing right by itself.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{Error, Pending, Slot, SlotHeader, Writer};
use tegula_storage::{Memory, ObjectPath, Store};
use tegula_tlog::{Checkpoint, Hash, TreeSize, leaf_hash};

use crate::faults::{batch, small_log};
use crate::world::{World, now_or_never, signer};

#[test]
fn a_tile_that_differs_from_the_slots_is_not_overwritten() {
    for path in ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"] {
        let world = small_log();
        let path = ObjectPath::public(path).unwrap();
        let wrong = Bytes::from_static(b"wrong");
        world.memory.tamper(&path, Some(wrong.clone()));
        let mut writer = started(&world).unwrap();
        stops(&world, &submit(&mut writer));
        // Once stopped it stays so; and a new one, which finds the slot, stops as well.
        stops(&world, &submit(&mut writer));
        stops(&world, &started(&world).map(drop));
        let found = now_or_never(world.memory.read(&path)).unwrap().unwrap();
        assert_eq!(found.bytes, wrong, "{path}");
    }
}

/// Signed by the log's own key, and not where a slot ends: somebody else writes another history with it.
#[test]
fn no_checkpoint_is_signed_over_one_that_is_not_of_this_chain() {
    let other = leaf_hash(b"other");
    for (size, root) in [(100, other), (250, other), (255, other), (300, other)] {
        let world = small_log();
        let mut writer = started(&world).unwrap();
        submit(&mut writer).unwrap();
        let foreign = sign(size, root);
        world.memory.tamper(&checkpoint(), Some(foreign.clone()));
        let pending = [Pending::new(Bytes::from("one more"))];
        for _ in 0..3 {
            // Where its tiles are not there yet they may come; else the writer stops.
            match now_or_never(writer.commit(&pending)).map(drop) {
                Err(Error::Unavailable(_)) => assert_eq!(size, 300),
                stopped => assert!(matches!(stopped, Err(Error::Corrupt(_))), "{size}"),
            }
        }
        let now = now_or_never(world.memory.read(&checkpoint())).unwrap();
        assert_eq!(now.unwrap().bytes, foreign, "{size}");
    }
}

/// An older checkpoint of this very log, put back, is a boundary no more to a writer that is past it.
#[test]
fn a_checkpoint_that_went_back_is_not_signed_over_unread() {
    let world = small_log();
    let old = now_or_never(world.memory.read(&checkpoint())).unwrap();
    let mut writer = started(&world).unwrap();
    submit(&mut writer).unwrap();
    world.memory.tamper(&checkpoint(), Some(old.unwrap().bytes));
    // It starts cold, finds its slot beyond the checkpoint, and publishes it again.
    let pending = [Pending::new(Bytes::from("one more"))];
    let round = now_or_never(writer.commit(&pending)).unwrap();
    assert_eq!(round.receipt(0).unwrap().index.get(), 270);
    assert!(writer.counters().cold_starts > 1);
}

#[test]
fn absence_is_never_an_empty_log() {
    let world = small_log();
    world.memory.tamper(&checkpoint(), None);
    let absent = started(&world).map(drop);
    assert!(matches!(absent, Err(Error::Corrupt(_))), "{absent:?}");
    assert_eq!(
        now_or_never(world.memory.read(&checkpoint())).unwrap(),
        None
    );
}

#[test]
fn the_slot_that_ends_at_the_checkpoint_has_to_be_there() {
    let world = small_log();
    world.memory.tamper_slot(0, None);
    stops(&world, &started(&world).map(drop));
}

/// Each with a checksum that holds.
#[test]
fn a_slot_that_does_not_follow_is_not_built_on() {
    let changes: [(&str, Change); 5] = [
        ("of another log", |header| header.log_id[0] ^= 1),
        ("after another root", |header| header.prev_root.0[0] ^= 1),
        ("to another root", |header| header.new_root.0[0] ^= 1),
        ("of an earlier time", |header| header.time_ms = 1),
        ("of more entries than it holds", |header| {
            header.new_size = TreeSize::new(header.new_size.get() + 1).unwrap();
        }),
    ];
    for (name, change) in changes {
        let world = small_log();
        let mut slot = next_slot();
        change(&mut slot.header);
        let bytes = slot.header.encode(&slot.entries.unwrap());
        world.memory.tamper_slot(250, Some(bytes));
        let stopped = started(&world).map(drop);
        assert!(
            matches!(stopped, Err(Error::Corrupt(_))),
            "{name}: {stopped:?}"
        );
        stops(&world, &stopped);
    }
}

/// Another version of the software may know it.
#[test]
fn a_slot_of_an_unknown_version_is_left_to_others() {
    let world = small_log();
    let slot = next_slot();
    let mut bytes = slot.header.encode(&slot.entries.unwrap()).to_vec();
    bytes[7] = 2;
    world.memory.tamper_slot(250, Some(Bytes::from(bytes)));
    let unknown = started(&world).map(drop);
    assert!(matches!(unknown, Err(Error::Unavailable(_))), "{unknown:?}");
    assert_eq!(published(&world), 250);
}

type Change = fn(&mut SlotHeader);

/// The slot that a writer would make next.
fn next_slot() -> Slot {
    let twin = small_log();
    submit(&mut started(&twin).unwrap()).unwrap();
    let bytes = now_or_never(twin.memory.read_slot(250)).unwrap().unwrap();
    Slot::parse(250, &bytes).unwrap()
}

fn started(world: &World) -> Result<Writer, Error> {
    // The store alone: the oracle would see what was tampered with.
    let store: Arc<Memory> = Arc::new(world.memory.clone());
    let mut writer = Writer::new(store, world.env(0), world.config.clone())?;
    now_or_never(writer.start())?;
    Ok(writer)
}

fn submit(writer: &mut Writer) -> Result<(), Error> {
    let pending: Vec<_> = batch("more", 20).into_iter().map(Pending::new).collect();
    now_or_never(writer.commit(&pending)).map(drop)
}

#[track_caller]
fn stops(world: &World, outcome: &Result<(), Error>) {
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
    assert_eq!(published(world), 250, "nothing is signed any more");
}

fn published(world: &World) -> u64 {
    let object = now_or_never(world.memory.read(&checkpoint())).unwrap();
    let keys = world.config.signers.verifiers();
    let (checkpoint, _) = Checkpoint::open(&object.unwrap().bytes, keys).unwrap();
    checkpoint.size.get()
}

fn sign(size: u64, root: Hash) -> Bytes {
    let checkpoint = Checkpoint {
        origin: "log.example".to_owned(),
        size: TreeSize::new(size).unwrap(),
        root,
        extensions: Vec::new(),
    };
    Bytes::from(checkpoint.sign(&[&signer()]).unwrap().to_bytes())
}

fn checkpoint() -> ObjectPath {
    ObjectPath::public("checkpoint").unwrap()
}
