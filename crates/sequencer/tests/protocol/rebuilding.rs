//! After an unclean stop: what is put right, what may stay, and what is not believed.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{
    Error, Keep, Pending, RebuildReport, Tidy, TidyOptions, Writer, give_up_slots, rebuild,
};
use tegula_storage::{Condition, ObjectPath, Store};

use crate::faults::{batch, check, commit, small_log, writer};
use crate::world::{Calm, World, now_or_never};

/// The tiles and bundles say what it held.
#[test]
fn a_damaged_slot_of_a_published_size_is_passed_over() {
    for start in [0, 250, 270] {
        for at in [0, 40, 250] {
            let world = unclean();
            flip(&world, start, at);
            let report = rebuilt(&world).unwrap();
            assert_eq!(report.damaged.len(), 1, "{start} {at}");
            assert!(
                report.damaged[0].contains(&format!("slot {start}")),
                "{report:?}"
            );
            assert_eq!((report.torn, report.missing, report.to), (0, 0, 300));

            // The header of the last published one says that nothing is missing at the end.
            if start == 270 && at < 250 {
                let stopped = started(&world).map(drop);
                assert!(matches!(stopped, Err(Error::Corrupt(_))), "{stopped:?}");
                assert!(give_up(&world).unwrap());
                assert_eq!(now_or_never(world.memory.floor()).unwrap(), 290);
            } else {
                assert!(!give_up(&world).unwrap());
                assert_eq!(now_or_never(world.memory.floor()).unwrap(), 0);
            }
            now_or_never(world.memory.recovered()).unwrap();
            let mut writer = started(&world).unwrap();
            let pending = [Pending::new(Bytes::from("next"))];
            let round = now_or_never(writer.commit(&pending)).unwrap();
            assert_eq!(round.receipt(0).unwrap().index.get(), 300);
        }
    }
}

#[test]
fn a_damaged_slot_is_not_passed_over_where_anything_else_is_damaged() {
    for path in [
        "tile/0/000",
        "tile/entries/000",
        "tile/entries/001.p/34",
        "tile/1/000.p/1",
    ] {
        for damage in [None, Some(Bytes::from_static(b"torn"))] {
            let world = unclean();
            flip(&world, 0, 250);
            let path = ObjectPath::public(path).unwrap();
            world.memory.tamper(&path, damage);
            let before = world.memory.listing();
            let stopped = rebuilt(&world);
            assert!(
                matches!(stopped, Err(Error::Corrupt(_))),
                "{path}: {stopped:?}"
            );
            assert_eq!(world.memory.listing(), before);
        }
    }
    // What is ordered and not published is nowhere else.
    let world = unclean();
    flip(&world, 290, 250);
    let stopped = rebuilt(&world);
    assert!(matches!(stopped, Err(Error::Corrupt(_))), "{stopped:?}");
}

#[test]
fn slots_are_not_given_up_where_anything_else_is_damaged() {
    for path in ["tile/0/000", "tile/entries/000", "tile/entries/001.p/34"] {
        let world = unclean();
        world.memory.tamper_slot(270, None);
        let path = ObjectPath::public(path).unwrap();
        world
            .memory
            .tamper(&path, Some(Bytes::from_static(b"torn")));
        assert!(give_up(&world).is_err(), "{path}");
        assert_eq!(now_or_never(world.memory.floor()).unwrap(), 0);
    }
}

/// Partial objects of sizes in between are not tied to the published root, but have to agree with what is.
#[test]
fn a_torn_partial_object_is_put_right_though_its_slot_is_damaged() {
    for path in [
        "tile/0/000.p/250",
        "tile/entries/000.p/250",
        "tile/0/001.p/14",
    ] {
        let world = unclean();
        let path = ObjectPath::public(path).unwrap();
        let sound = now_or_never(world.memory.read(&path)).unwrap().unwrap();
        world
            .memory
            .tamper(&path, Some(Bytes::from_static(b"torn")));
        flip(&world, 0, 250);
        assert_eq!(rebuilt(&world).unwrap().torn, 1, "{path}");
        let now = now_or_never(world.memory.read(&path)).unwrap().unwrap();
        assert_eq!(now.bytes, sound.bytes);
    }
}

/// The disk has not what the system shows, and every later sync says that it has.
#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    for damaged in [None, Some(0), Some(250)] {
        for seed in 0..16 {
            let world = three_slots();

            world.memory.fail_syncs();
            assert_eq!(world.memory.condition(), Condition::Suspect);
            if let Some(start) = damaged {
                flip(&world, start, 250);
            }
            rebuilt(&world).unwrap();
            now_or_never(world.memory.recovered()).unwrap();
            let store = Arc::new(world.memory.clone());
            let keys = world.config.signers.verifiers().to_vec();
            let mut tidy = Tidy::new(store, world.env(0), keys);
            let options = TidyOptions {
                keep: Keep::Leaves(0),
                ..TidyOptions::default()
            };
            let report = now_or_never(tidy.round(options)).unwrap();
            assert_eq!((report.base, report.floor), (290, 270));
            world.memory.power_cut(seed);
            now_or_never(world.recovery());
            check(&world, &format!("{damaged:?} {seed}"));
        }
    }
}

#[test]
fn the_base_is_not_believed_after_a_failed_sync() {
    let world = three_slots();
    let store = Arc::new(world.memory.clone());
    let keys = world.config.signers.verifiers().to_vec();
    let mut tidy = Tidy::new(store, world.env(0), keys);
    let options = TidyOptions {
        keep: Keep::All,
        ..TidyOptions::default()
    };
    assert_eq!(now_or_never(tidy.round(options)).unwrap().base, 290);
    world.memory.fail_syncs();
    let report = rebuilt(&world).unwrap();
    assert_eq!((report.from, report.slots), (0, 3));
    let base = ObjectPath::private("base").unwrap();
    let base = now_or_never(world.memory.read(&base)).unwrap().unwrap();
    assert_eq!(base.bytes, "0\n");
}

/// Slots at 0, 250, 270.
fn three_slots() -> World {
    let world = small_log();
    let mut writer = writer(&world, Arc::new(Calm));
    commit(&world, &mut writer, &batch("second", 20), "second");
    commit(&world, &mut writer, &batch("third", 20), "third");
    world
}

/// After a power cut that took nothing: slots at 0, 250, 270 and, unpublished, at 290; no base.
fn unclean() -> World {
    let world = three_slots();
    let mut other = crate::faults::unpublishing(&world);
    let pending: Vec<_> = batch("unpublished", 10)
        .into_iter()
        .map(Pending::new)
        .collect();
    assert!(now_or_never(other.commit(&pending)).is_err());
    now_or_never(world.memory.sync_all()).unwrap();
    world.memory.power_cut(0);
    assert_eq!(world.memory.condition(), Condition::Unclean);
    world
}

fn flip(world: &World, start: u64, at: usize) {
    let slot = now_or_never(world.memory.read_slot(start))
        .unwrap()
        .unwrap();
    let mut bytes = slot.to_vec();
    bytes[at] ^= 1;
    world.memory.tamper_slot(start, Some(bytes.into()));
}

fn rebuilt(world: &World) -> Result<RebuildReport, Error> {
    let log_id = world.config.signers.first().unwrap().full_key_id();
    now_or_never(rebuild(&world.memory, &world.config, log_id))
}

fn give_up(world: &World) -> Result<bool, Error> {
    now_or_never(give_up_slots(&world.memory, &world.config))
}

fn started(world: &World) -> Result<Writer, Error> {
    let store = Arc::new(world.memory.clone());
    let mut writer = Writer::new(store, world.env(0), world.config.clone())?;
    now_or_never(writer.start())?;
    Ok(writer)
}
