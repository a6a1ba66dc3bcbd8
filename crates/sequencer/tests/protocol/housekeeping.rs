//! What may go, and what has to stay: each rule alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tegula_sequencer::{Keep, Pending, Tidy, TidyOptions, TidyReport, Writer};
use tegula_storage::{Controller, Fate, ObjectPath, OperationKind, Script, Store};

use crate::faults::{batch, check, commit, small_log, writer};
use crate::world::{Calm, World, now_or_never};

#[test]
fn slots_expire_only_when_tiles_and_bundles_hold_them() {
    for path in ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"] {
        for damage in [Some(Bytes::from_static(b"torn")), None] {
            let world = two_slots();
            let path = ObjectPath::public(path).unwrap();
            let sound = now_or_never(world.memory.read(&path)).unwrap().unwrap();
            world.memory.tamper(&path, damage);
            let report = tidy(&world, Keep::Leaves(0));
            assert_ne!(report.damaged, Vec::<String>::new(), "{path}");
            assert_eq!((report.floor, report.slots_removed), (0, 0), "{path}");
            assert_eq!(slots(&world), [0, 250]);

            world.memory.tamper(&path, Some(sound.bytes));
            let report = tidy(&world, Keep::Leaves(0));
            assert_eq!(report.damaged, Vec::<String>::new());
            assert_eq!((report.floor, report.slots_removed), (250, 1));
            assert_eq!(slots(&world), [250]);
            check(&world, "expired");
        }
    }
}

#[test]
fn slots_expire_only_when_their_objects_are_synced() {
    let world = two_slots();
    let script = Arc::new(Script::new());
    for _ in 0..9 {
        script.add_at(OperationKind::Sync, "tile/0/000", 0, Fate::Lose);
    }
    let store = world.store(script);
    let mut tidy = Tidy::new(store, world.env(0), keys(&world));
    drop(now_or_never(tidy.round(options(Keep::Leaves(0)))));
    assert_eq!(slots(&world), [0, 250]);
    assert_eq!(now_or_never(world.memory.floor()).unwrap(), 0);
}

/// What was not reached in one round, here because a slot is missing, is not synced yet.
#[test]
fn slots_expire_only_below_the_base() {
    let world = two_slots();
    let mut writer = writer(&world, Arc::new(Calm));
    commit(&world, &mut writer, &batch("third", 20), "third");
    world.memory.tamper_slot(270, None);
    let report = tidy(&world, Keep::Leaves(0));
    assert_eq!((report.base, report.floor), (0, 0));
    assert_eq!(slots(&world), [0, 250]);
}

/// Another process may raise the floor over a slot between its refusal and its reading. What is built on such a slot
/// never gets a name, the floor sees to that; this writer does not even try.
#[test]
fn a_writer_that_folds_a_slot_below_the_floor_starts_cold() {
    for floor in [0, 270] {
        let world = small_log();
        let script = Arc::new(Script::new());
        let mut slow = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
        now_or_never(slow.start()).unwrap();
        let mut quick = writer(&world, Arc::new(Calm));
        commit(&world, &mut quick, &batch("quick", 20), "quick");
        let memory = world.memory.clone();
        let raise = async move { memory.raise_floor(floor).await.unwrap() };
        script.add(OperationKind::ReadSlot, 0, Fate::Slow(raise.boxed()));
        commit(&world, &mut slow, &batch("late", 3), "late");
        assert_eq!(script.left(), 0);
        let colder = u64::from(floor > 250);
        assert_eq!(slow.counters().cold_starts, 1 + colder);
        assert_eq!(slow.counters().folded, 1);
        check(&world, "below the floor");
    }
}

#[test]
fn so_many_leaves_keep_their_slots() {
    for (leaves, floor) in [(0, 250), (20, 250), (21, 0), (1000, 0)] {
        let world = two_slots();
        assert_eq!(tidy(&world, Keep::Leaves(leaves)).floor, floor, "{leaves}");
    }
    assert_eq!(tidy(&two_slots(), Keep::All).floor, 0);
}

#[test]
fn partial_tiles_stay_until_the_full_one_was_covered_for_a_day() {
    let world = two_slots();
    let partials = || names(&world, ".p/");
    let all = partials();
    assert!(all.contains(&"public/tile/0/000.p/250".to_owned()));
    assert!(all.contains(&"public/tile/entries/000.p/250".to_owned()));
    let day = 86_400_000;
    tidy(&world, Keep::All);
    world.shared.lock().unwrap().now_ms += day - 1;
    tidy(&world, Keep::All);
    assert_eq!(partials(), all);
    world.shared.lock().unwrap().now_ms += 1;
    assert_eq!(tidy(&world, Keep::All).partials_removed, 2);
    let left = [
        "public/tile/0/001.p/14",
        "public/tile/1/000.p/1",
        "public/tile/entries/001.p/14",
    ];
    assert_eq!(partials(), left);
    check(&world, "trimmed");
}

#[test]
fn partial_tiles_stay_where_the_full_one_is_missing() {
    for (full, partial) in [
        ("tile/0/000", "public/tile/0/000.p/250"),
        ("tile/entries/000", "public/tile/entries/000.p/250"),
    ] {
        let world = two_slots();
        tidy(&world, Keep::All);
        let full = ObjectPath::public(full).unwrap();
        world.memory.tamper(&full, None);
        world.shared.lock().unwrap().now_ms += 2 * 86_400_000;
        assert_eq!(tidy(&world, Keep::All).partials_removed, 1);
        assert!(names(&world, ".p/").contains(&partial.to_owned()));
    }
}

/// More than one listing, and more objects than are synced one by one.
#[test]
fn one_round_catches_up_with_whatever_there_is() {
    let world = small_log();
    // The store alone: the oracle would look at each of these writes.
    let mut writer = Writer::new(
        Arc::new(world.memory.clone()),
        world.env(0),
        world.config.clone(),
    )
    .unwrap();
    for n in 0..9_000 {
        let pending = [Pending::new(Bytes::from(format!("entry {n}")))];
        now_or_never(writer.commit(&pending)).unwrap();
    }
    let store = Arc::new(world.memory.clone());
    let mut tidy = Tidy::new(store, world.env(0), keys(&world));
    let report = now_or_never(tidy.round(options(Keep::Leaves(100)))).unwrap();
    assert_eq!((&report.damaged, &report.failed), (&vec![], &vec![]));
    assert_eq!((report.base, report.floor), (9_250, 9_150));
    assert_eq!(report.slots_removed, 8_901);
    let left = now_or_never(world.memory.slots(0, 999)).unwrap();
    assert_eq!(left.len(), 100);
    for seed in 0..4 {
        world.memory.power_cut(seed);
    }
    now_or_never(world.recovery());
    assert_eq!(world.shared.lock().unwrap().stopped, Vec::<String>::new());
    let all = TidyOptions {
        check_bundles: 99,
        ..options(Keep::All)
    };
    let report = now_or_never(tidy.round(all)).unwrap();
    assert_eq!((report.damaged, report.bundles_checked), (vec![], 37));
}

/// Whatever it held is in tiles and bundles, which are sound; so it is said, and it goes.
#[test]
fn a_damaged_slot_stops_no_housekeeping() {
    for at in [0, 9, 100, 300] {
        let world = two_slots();
        let mut writer = writer(&world, Arc::new(Calm));
        commit(&world, &mut writer, &batch("third", 20), "third");
        let slot = now_or_never(world.memory.read_slot(0)).unwrap().unwrap();
        let mut bytes = slot.to_vec();
        bytes[at] ^= 1;
        world.memory.tamper_slot(0, Some(bytes.into()));
        let store = Arc::new(world.memory.clone());
        let mut tidy = Tidy::new(store, world.env(0), keys(&world));
        let options = TidyOptions {
            check_bundles: 1,
            ..options(Keep::Leaves(0))
        };
        let report = now_or_never(tidy.round(options)).unwrap();
        assert!(!report.damaged.is_empty(), "{at}");
        assert!(report.damaged[0].contains("slot 0"), "{:?}", report.damaged);
        assert_eq!((report.base, report.floor), (290, 270), "{at}");
        assert_eq!(report.bundles_checked, 1);
        let report = now_or_never(tidy.round(options)).unwrap();
        assert_eq!(report.damaged, Vec::<String>::new());
    }
}

#[test]
fn a_step_that_fails_does_not_stop_the_others() {
    use OperationKind::{Floor, List, Slots, Sync};
    for kind in [Sync, Floor, Slots, List] {
        let world = two_slots();
        let script = Arc::new(Script::new());
        script.add(kind, 0, Fate::Lose);
        let mut tidy = Tidy::new(
            world.store(Arc::clone(&script) as _),
            world.env(0),
            keys(&world),
        );
        world.shared.lock().unwrap().now_ms += 86_400_001;
        let options = TidyOptions {
            partial_age: Duration::ZERO,
            check_bundles: 1,
            ..options(Keep::Leaves(0))
        };
        let report = now_or_never(tidy.round(options)).unwrap();
        assert_eq!(script.left(), 0, "{kind:?}");
        assert_eq!(report.failed.len(), 1, "{kind:?}: {:?}", report.failed);
        assert_eq!(report.bundles_checked, 1);
        let report = now_or_never(tidy.round(options)).unwrap();
        assert_eq!(report.failed, Vec::<String>::new(), "{kind:?}");
        assert_eq!((report.base, report.floor), (270, 250));
    }
}

/// Slots at 0 and 250; the second one completes a tile.
fn two_slots() -> World {
    let world = small_log();
    let mut writer = writer(&world, Arc::new(Calm));
    commit(&world, &mut writer, &batch("second", 20), "second");
    world
}

fn tidy(world: &World, keep: Keep) -> TidyReport {
    let mut tidy = Tidy::new(world.store(Arc::new(Calm)), world.env(0), keys(world));
    now_or_never(tidy.round(options(keep))).unwrap()
}

fn options(keep: Keep) -> TidyOptions {
    TidyOptions {
        keep,
        partial_age: Duration::from_hours(24),
        check_bundles: 0,
        ..TidyOptions::default()
    }
}

fn keys(world: &World) -> Vec<tegula_tlog::VerifierKey> {
    world.config.signers.verifiers().to_vec()
}

fn slots(world: &World) -> Vec<u64> {
    now_or_never(world.memory.slots(0, 9)).unwrap()
}

fn names(world: &World, part: &str) -> Vec<String> {
    let names = world.memory.listing().into_keys();
    names.filter(|name| name.contains(part)).collect()
}
