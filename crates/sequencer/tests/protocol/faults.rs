//! Each write of a round, failed in each way that there is, one at a time; and the process killed, or the power cut,
//! between every two steps. After each the whole log is checked.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_sequencer::{Error, Keep, Pending, TidyOptions, Writer};
use tegula_storage::{Controller, Fate, Operation, OperationKind, Script, Store};

use crate::world::{Calm, Turns, World, now_or_never, poll};

#[test]
fn each_write_of_a_round_fails_in_each_way() {
    let mut rounds = 0;
    for kind in [
        OperationKind::CreateSlot,
        OperationKind::Create,
        OperationKind::Replace,
    ] {
        for fate in fates() {
            let mut nth = 0;
            while fail_one(kind, nth, fate()) {
                nth += 1;
            }
            assert!(nth > 0, "no {kind:?} in a round");
            rounds += nth;
        }
    }
    println!("{rounds} rounds");
}

#[test]
fn each_read_of_a_cold_start_fails_in_each_way() {
    use OperationKind::{Floor, Read, ReadSlot, ReadSlotHead, Slots};
    for kind in [Floor, Read, ReadSlot, ReadSlotHead, Slots] {
        for fate in reads() {
            let mut nth = 0;
            while fail_one(kind, nth, fate()) {
                nth += 1;
            }
        }
    }
}

/// Whether the operation was met.
fn fail_one(kind: OperationKind, nth: u64, fate: Fate) -> bool {
    let name = format!("{kind:?} {nth} {fate:?}");
    let world = small_log();
    let script = Arc::new(Script::new());
    script.add(kind, nth, fate);
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    let batch = batch("failed", 20);
    commit(&world, &mut writer, &batch, &name);
    let met = script.left() == 0;
    // What was delayed arrives, between this writer's batches and another's.
    now_or_never(script.held().run());
    commit(&world, &mut writer, &self::batch("next", 3), &name);
    check(&world, &name);
    met
}

#[test]
fn the_process_is_killed_between_every_two_steps() {
    let mut steps = 0;
    loop {
        let name = format!("killed at step {steps}");
        let world = small_log();
        let done = interrupted(&world, steps);
        check(&world, &name);
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "a round has {steps} steps");
}

#[test]
fn the_power_is_cut_between_every_two_steps() {
    let mut steps = 0;
    loop {
        let mut done = false;
        for seed in 0..8 {
            let name = format!("cut at step {steps}, seed {seed}");
            let world = small_log();
            done = interrupted(&world, steps);
            world.memory.power_cut(seed);
            world.oracle.lock().unwrap().power_cut(&world.memory);
            if !world.is_clean() {
                now_or_never(world.recovery());
            }
            check(&world, &name);
        }
        if done {
            break;
        }
        steps += 1;
    }
}

/// Found by the model. A slot that another writer ordered is folded, and the attempt after it is unanswered. While the writer
/// starts cold, between its reads of the checkpoint and of that slot, the slot is published and expires.
#[test]
fn slots_that_expire_during_a_cold_start_do_not_stop_a_writer_with_an_unanswered_one() {
    let world = Arc::new(small_log());
    let script = Arc::new(Script::new());
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(writer.start()).unwrap();

    let mut other = unpublishing(&world);
    let entry = |name: &str| [Pending::new(Bytes::from(name.to_owned()))];
    assert!(now_or_never(other.commit(&entry("another's"))).is_err());
    assert_eq!(other.unpublished_slots(), 1);

    for nth in 1..=6 {
        script.add(OperationKind::CreateSlot, nth, Fate::Lose);
    }
    assert!(now_or_never(writer.commit(&entry("unanswered"))).is_err());
    assert_eq!(script.left(), 0);

    let meanwhile = {
        let world = Arc::clone(&world);
        async move {
            let mut other = self::writer(&world, Arc::new(Calm));
            commit(&world, &mut other, &batch("meanwhile", 2), "meanwhile");
            world.tidy(all_that_may_expire()).await;
        }
    };
    script.add(OperationKind::ReadSlot, 0, Fate::Slow(meanwhile.boxed()));
    commit(&world, &mut writer, &batch("next", 1), "next");
    assert_eq!(script.left(), 0);
    check(&world, "expired");
}

/// Found by the model. It sleeps before it publishes; meanwhile others do, go on, and what they wrote expires: the checkpoint is
/// not in the chain that it knows, as after a fork. That this happens to many batches is no reason to stop.
#[test]
fn a_writer_whose_slots_are_covered_and_expire_while_it_sleeps_goes_on() {
    let world = Arc::new(small_log());
    let script = Arc::new(Script::new());
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    for round in ["first", "second", "third"] {
        let meanwhile = {
            let world = Arc::clone(&world);
            async move {
                let mut other = self::writer(&world, Arc::new(Calm));
                for name in ["next", "after"] {
                    let batch = batch(&format!("{round} {name}"), 1);
                    commit(&world, &mut other, &batch, name);
                }
                world.tidy(all_that_may_expire()).await;
            }
        };
        script.add(OperationKind::Replace, 0, Fate::Slow(meanwhile.boxed()));
        let batch = batch(&format!("{round} slept"), 1);
        commit(&world, &mut writer, &batch, round);
        assert_eq!(script.left(), 0);
    }
    check(&world, "slept");
}

/// Without de-duplication nothing else would notice that the batch is in the log.
#[test]
fn an_own_slot_that_was_cut_to_its_header_before_it_was_read_is_ones_own() {
    let mut world = small_log();
    world.config.dedup_window = 0;
    let world = Arc::new(world);
    let script = Arc::new(Script::new());
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(writer.start()).unwrap();
    script.add(OperationKind::CreateSlot, 0, Fate::RefuseButApply);
    let meanwhile = {
        let world = Arc::clone(&world);
        async move {
            let mut other = self::writer(&world, Arc::new(Calm));
            commit(&world, &mut other, &batch("meanwhile", 1), "meanwhile");
            let path = format!("private/wal/{:020}", 250);
            let slot = world.memory.listing()[&path].clone();
            let header = u32::from_be_bytes(slot[8..12].try_into().unwrap());
            let header = slot.slice(..usize::try_from(header).unwrap());
            world.memory.tamper_slot(250, Some(header));
        }
    };
    script.add(OperationKind::ReadSlot, 0, Fate::Slow(meanwhile.boxed()));
    let pending = [Pending::new(Bytes::from("own"))];
    let round = now_or_never(writer.commit(&pending)).unwrap();
    assert_eq!(script.left(), 0);
    let receipt = round.receipt(0).unwrap();
    assert_eq!((receipt.index.get(), receipt.duplicate), (250, false));
    assert_eq!(receipt.published.size.get(), 252);
}

/// As above; what covered it let it expire as well.
#[test]
fn an_own_slot_that_expired_before_it_was_read_is_ones_own() {
    let mut world = small_log();
    world.config.dedup_window = 0;
    let world = Arc::new(world);
    let script = Arc::new(Script::new());
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(writer.start()).unwrap();
    script.add(OperationKind::CreateSlot, 0, Fate::RefuseButApply);
    let meanwhile = {
        let world = Arc::clone(&world);
        async move {
            let mut other = self::writer(&world, Arc::new(Calm));
            commit(&world, &mut other, &batch("meanwhile", 1), "meanwhile");
            world.tidy(all_that_may_expire()).await;
            assert!(world.memory.floor().await.unwrap() > 250);
        }
    };
    script.add(OperationKind::ReadSlot, 0, Fate::Slow(meanwhile.boxed()));
    let pending = [Pending::new(Bytes::from("own"))];
    let round = now_or_never(writer.commit(&pending)).unwrap();
    assert_eq!(script.left(), 0);
    let receipt = round.receipt(0).unwrap();
    assert_eq!((receipt.index.get(), receipt.duplicate), (250, false));
    assert_eq!(receipt.published.size.get(), 252);
}

/// A name that another's slot took, which expired, says nothing about one's own entries.
#[test]
fn anothers_slot_that_expired_before_it_was_read_is_not_ones_own() {
    let mut world = small_log();
    world.config.dedup_window = 0;
    let world = Arc::new(world);
    let script = Arc::new(Script::new());
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(writer.start()).unwrap();
    let meanwhile = {
        let world = Arc::clone(&world);
        async move {
            let mut other = self::writer(&world, Arc::new(Calm));
            for name in ["meanwhile", "after"] {
                commit(&world, &mut other, &batch(name, 1), name);
            }
            world.tidy(all_that_may_expire()).await;
        }
    };
    script.add(OperationKind::CreateSlot, 0, Fate::Slow(meanwhile.boxed()));
    let pending = [Pending::new(Bytes::from("own"))];
    let round = now_or_never(writer.commit(&pending)).unwrap();
    assert_eq!(script.left(), 0);
    assert_eq!(round.receipt(0).unwrap().index.get(), 252);
}

/// Others may be far ahead; that is no race, and takes no more memory than a cold start.
#[test]
fn a_writer_that_is_far_behind_catches_up_in_one_batch() {
    let world = small_log();
    let script = Arc::new(Script::new());
    let mut slow = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(slow.start()).unwrap();
    let mut quick = writer(&world, Arc::new(Calm));
    for n in 0..100 {
        commit(
            &world,
            &mut quick,
            &batch(&format!("quick {n}"), 1),
            "quick",
        );
    }
    let pending = [Pending::new(Bytes::from("slow"))];
    let round = now_or_never(slow.commit(&pending)).unwrap();
    assert_eq!(round.receipt(0).unwrap().index.get(), 350);
    assert_eq!(
        (slow.counters().folded, slow.counters().cold_starts),
        (100, 1)
    );
    check(&world, "caught up");
}

/// 48 MB behind it writes what it folds, as it goes; here the first of that fails it.
#[test]
fn a_writer_that_is_far_behind_holds_little() {
    let world = small_log();
    let script = Arc::new(Script::new());
    let mut slow = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    now_or_never(slow.start()).unwrap();
    let mut quick = writer(&world, Arc::new(Calm));
    for n in 0..6_u8 {
        let long = (0..125_u8).map(|m| {
            let mut entry = vec![n; 65_000];
            entry[0] = m;
            Bytes::from(entry)
        });
        commit(&world, &mut quick, &long.collect::<Vec<_>>(), "quick");
    }
    for nth in 0..4 {
        script.add_at(OperationKind::Create, "tile/0/000", nth, Fate::Fail);
    }
    let pending = [Pending::new(Bytes::from("slow"))];
    let failed = now_or_never(slow.commit(&pending));
    assert!(
        matches!(failed, Err(Error::Fatal(_))),
        "{:?}",
        failed.map(drop)
    );
    assert_eq!(slow.counters().slots, 0);
}

fn all_that_may_expire() -> TidyOptions {
    TidyOptions {
        keep: Keep::Leaves(0),
        ..TidyOptions::default()
    }
}

/// A round that goes so many steps and no further; whether it was at its end.
fn interrupted(world: &World, steps: usize) -> bool {
    let mut writer = writer(world, Arc::new(StepByStep));
    let oracle = Arc::clone(&world.oracle);
    let mut round: BoxFuture<'static, ()> = async move {
        let batch = batch("cut", 20);
        let pending: Vec<_> = batch.iter().cloned().map(Pending::new).collect();
        let round = writer.commit(&pending).await.unwrap();
        for (n, entry) in batch.iter().enumerate() {
            oracle
                .lock()
                .unwrap()
                .acknowledged(entry, &round.receipt(n).unwrap());
        }
    }
    .boxed();
    (0..steps).any(|_| poll(&mut round))
}

/// Every operation waits for one poll.
#[derive(Debug)]
struct StepByStep;

impl Controller for StepByStep {
    fn decide(&self, _: &Operation) -> Fate {
        Fate::Slow(Turns(1).boxed())
    }

    fn later(&self, _: &Operation, _: BoxFuture<'static, ()>) {}
}

/// A log of 250 entries: the next batch completes a tile.
pub(crate) fn small_log() -> World {
    let world = World::new(1, None);
    let mut writer = writer(&world, Arc::new(Calm));
    commit(&world, &mut writer, &batch("first", 250), "first");
    world
}

pub(crate) fn batch(name: &str, len: usize) -> Vec<Bytes> {
    (0..len)
        .map(|n| Bytes::from(format!("{name} {n}")))
        .collect()
}

pub(crate) fn writer(world: &World, controller: Arc<dyn Controller>) -> Writer {
    Writer::new(world.store(controller), world.env(0), world.config.clone()).unwrap()
}

/// A writer whose first batch is ordered and cannot be published.
pub(crate) fn unpublishing(world: &World) -> Writer {
    let script = Arc::new(Script::new());
    for nth in 0..8 {
        script.add(OperationKind::Replace, nth, Fate::Refuse);
    }
    writer(world, script)
}

/// Submits until it is acknowledged, by a new process where the old one has to end.
pub(crate) fn commit(world: &World, writer: &mut Writer, batch: &[Bytes], name: &str) {
    let pending: Vec<_> = batch.iter().cloned().map(Pending::new).collect();
    for _ in 0..4 {
        match now_or_never(writer.commit(&pending)) {
            Ok(round) => {
                for (n, entry) in batch.iter().enumerate() {
                    let receipt = round.receipt(n).unwrap();
                    world.oracle.lock().unwrap().acknowledged(entry, &receipt);
                }
                return;
            }
            Err(Error::Unavailable(_)) => {}
            Err(Error::Fatal(_)) => *writer = self::writer(world, Arc::new(Calm)),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    panic!("{name}: not acknowledged");
}

pub(crate) fn check(world: &World, name: &str) {
    let mut writer = writer(world, Arc::new(Calm));
    commit(world, &mut writer, &batch("last", 2), name);
    let mut oracle = world.oracle.lock().unwrap();
    oracle.finish(&world.memory);
    assert_eq!(oracle.violations, Vec::<String>::new(), "{name}");
}

pub(crate) fn fates() -> [fn() -> Fate; 11] {
    [
        || Fate::Refuse,
        || Fate::Conflict,
        || Fate::DiskFull,
        || Fate::RefuseButApply,
        || Fate::Lose,
        || Fate::Delay,
        || Fate::Twice,
        || Fate::Resend,
        || Fate::Slow(Turns(100).boxed()),
        || Fate::Fail,
        || Fate::Pass,
    ]
}

pub(crate) fn reads() -> [fn() -> Fate; 5] {
    [
        || Fate::Refuse,
        || Fate::Lose,
        || Fate::ShortRead,
        || Fate::FlipBit(12_345),
        || Fate::Fail,
    ]
}
