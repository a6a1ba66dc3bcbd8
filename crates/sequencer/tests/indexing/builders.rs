//! One builder and several, cut off between every two writes, and in every size near a boundary.

use std::sync::Arc;

use futures::FutureExt;
use tegula_index::{BASE_LEAVES, Run, live_runs};
use tegula_sequencer::IndexOptions;
use tegula_storage::{Fate, Faulty, ObjectPath, OperationKind, Script, Store};
use tegula_tlog::TreeSize;

use crate::world::{World, may_fail, word};

/// Common and rare words, unlike from bundle to bundle.
pub(crate) fn words(index: usize) -> String {
    format!(
        "all third{} group{} own{}",
        index % 3,
        index / 700,
        index / 2
    )
}

#[tokio::test]
async fn an_index_grows_with_its_log() {
    let mut world = World::new().await;
    world.grow(255, words).await;
    let report = world.index().await;
    assert_eq!(
        (report.covered, report.coverable, world.index_size().await),
        (0, 0, 0)
    );
    for size in [
        256, 257, 511, 512, 1_023, 1_024, 1_025, 1_300, 4_095, 4_096, 4_500, 16_384, 16_700,
    ] {
        world.grow(size, words).await;
        let report = world.index().await;
        let expected = size as u64 / BASE_LEAVES * BASE_LEAVES;
        assert_eq!(
            (report.covered, report.coverable),
            (expected, expected),
            "{size}"
        );
        if size < 5_000 {
            world.check().await;
        }
    }
    for text in ["all", "third1", "group7", "own4000", "own8349", "absent"] {
        check_word(&world, text).await;
    }
}

async fn check_word(world: &World, text: &str) {
    let has = |entry: &&(u64, &String)| entry.1.split(' ').skip(1).any(|word| word == text);
    let entries: Vec<_> = (0..).zip(&world.entries).collect();
    let expected: Vec<_> = entries
        .iter()
        .filter(has)
        .map(|(index, _)| *index)
        .collect();
    assert_eq!(world.all(word(text)).await, expected, "{text}");
}

/// Large runs are made ahead of time, and live when the rule says so; a heavy key becomes a list.
#[tokio::test]
async fn large_runs() {
    let mut world = World::new().await;
    let words = |index: usize| {
        format!(
            "all {} own{index}",
            if index.is_multiple_of(7) {
                "seventh"
            } else {
                ""
            }
        )
    };
    let mut builder = world.builder(Arc::new(world.memory.clone()), 3);
    let mut units = 0;
    for base_runs in [250, 256, 260, 271, 272, 273, 280] {
        world.grow(base_runs * 256 + 13, words).await;
        let report = builder.round(IndexOptions::default()).await.unwrap();
        assert_eq!(report.covered, base_runs as u64 * 256);
        assert_eq!(report.unfinished, 0);
        units += report.units;
        let live = live_runs(TreeSize::new(base_runs as u64).unwrap()).unwrap();
        assert_eq!(live.contains(&Run::new(4, 0).unwrap()), base_runs >= 272);
        for text in ["all", "seventh", "own1", "own71000", "absent"] {
            check_word(&world, text).await;
        }
    }
    // Made once, in two passes.
    assert!(units > 0 && units.is_multiple_of(2), "{units}");
    let notes = world
        .memory
        .list(tegula_storage::Root::Private, "index-work/", None, 10)
        .await
        .unwrap();
    assert_eq!(notes, ["index-work/v1/filter/4/0/0"]);
}

/// Whoever comes when a large run is needed at once makes it.
#[tokio::test]
async fn a_log_that_was_written_before_is_indexed_as_one_that_was_indexed_as_it_grew() {
    let mut late = World::new().await;
    let words = |index: usize| format!("all own{index}");
    late.grow(273 * 256, words).await;
    let mut builder = late.builder(Arc::new(late.memory.clone()), 3);
    let options = IndexOptions {
        max_base_runs: Some(100),
        ..IndexOptions::default()
    };
    for expected in [100, 200, 273] {
        let report = builder.round(options).await.unwrap();
        assert_eq!(report.covered, expected * 256);
    }
    let mut early = World::new().await;
    let mut builder = early.builder(Arc::new(early.memory.clone()), 9);
    for base_runs in (3..273).step_by(10).chain([273]) {
        early.grow(base_runs * 256, words).await;
        builder.round(IndexOptions::default()).await.unwrap();
    }
    // What is written for each published size differs: how often was published is no part of the function.
    let runs = |objects: std::collections::BTreeMap<String, bytes::Bytes>| {
        let runs = objects
            .into_iter()
            .filter(|(path, _)| path.contains("/run/") || path.contains("/list/"));
        runs.collect::<Vec<_>>()
    };
    let (late_objects, early_objects) = (late.objects().await, early.objects().await);
    assert_eq!(
        late_objects["index/v1/state/273"],
        early_objects["index/v1/state/273"]
    );
    assert!(runs(late_objects) == runs(early_objects));
}

/// A store that fails at one write, and in another way at each, for a builder that is then replaced by a new one.
#[tokio::test]
async fn cut_off_at_every_write_it_goes_on() {
    let mut world = World::new().await;
    world.grow(1_300, words).await;
    cut_off_everywhere(&world, 1_280, "all", 1).await;
}

/// A log whose index has all children of the run (4, 0) and not that run, which one more bundle makes live.
async fn before_a_large_run() -> World {
    let mut world = World::new().await;
    world
        .grow(255 * 256, |index| format!("all own{index}"))
        .await;
    world.index().await;
    world
        .grow(272 * 256, |index| format!("all own{index}"))
        .await;
    let mut builder = world.builder(Arc::new(world.memory.clone()), 3);
    let until = IndexOptions {
        max_base_runs: Some(16),
        ..IndexOptions::default()
    };
    builder.round(until).await.unwrap();
    assert_eq!(world.index_size().await, 271);
    world
}

/// The same, before anybody has worked ahead.
async fn before_any_work() -> World {
    let world = before_a_large_run().await;
    for path in world.memory.listing().into_keys() {
        let Some((root, path)) = path.split_once('/') else {
            continue;
        };
        let place = match root {
            "private" if path.starts_with("index-work/") => ObjectPath::private(path),
            _ if path.starts_with("index/v1/run/4/") => ObjectPath::public(path),
            _ if path.starts_with("index/v1/list/4/") => ObjectPath::public(path),
            _ => continue,
        };
        world.memory.tamper(&place.unwrap(), None);
    }
    world
}

/// The same where a large run is made: its children are there.
#[tokio::test]
async fn cut_off_in_a_large_merge_it_goes_on() {
    let world = before_any_work().await;
    cut_off_everywhere(&world, 272 * 256, "own70", 23).await;
}

/// What is signed is what a sound builder signs, whatever is read wrongly once, of whatever there is: notes of work that is half done or all done,
/// and all else.
#[tokio::test]
async fn what_is_read_wrongly_once_is_not_signed() {
    let damage: [fn() -> Fate; 3] = [
        || Fate::FlipBit(200),
        || Fate::FlipBit(3),
        || Fate::ShortRead,
    ];
    for world in [before_any_work().await, before_a_large_run().await] {
        let sound = world.fork().await;
        sound.index().await;
        let sound = sound.objects().await;
        for fate in damage {
            for (part, step) in [("index-work", 1), ("index/v1", 37), ("tile", 3)] {
                for skip in (0..).step_by(step) {
                    let fresh = world.fork().await;
                    let script = Arc::new(Script::new());
                    script.add_at(OperationKind::Read, part, skip, fate());
                    let faulty =
                        Faulty::new(Arc::new(fresh.memory.clone()), Arc::clone(&script) as _);
                    let mut builder = fresh.builder(Arc::new(faulty), skip);
                    // A round may fail, and the next one may have to do again what was read wrongly.
                    for _ in 0..3 {
                        drop(builder.round(IndexOptions::default()).await);
                    }
                    let made = fresh.objects().await;
                    assert!(
                        made == sound,
                        "{part} {skip}: {:?}",
                        builder.round(IndexOptions::default()).await
                    );
                    if script.left() == 1 {
                        break;
                    }
                }
            }
        }
    }
}

/// A round that is given up anywhere, by the same builder that goes on.
#[tokio::test]
async fn a_round_that_is_dropped_leaves_nothing_half_done() {
    let mut world = World::new().await;
    world.grow(1_100, words).await;
    let sound = world.fork().await;
    sound.index().await;
    let sound = sound.objects().await;
    for kind in [
        OperationKind::Create,
        OperationKind::Read,
        OperationKind::Replace,
    ] {
        for skip in 0.. {
            let fresh = world.fork().await;
            let script = Arc::new(Script::new());
            script.add(kind, skip, Fate::Slow(futures::future::pending().boxed()));
            let faulty = Faulty::new(Arc::new(fresh.memory.clone()), Arc::clone(&script) as _);
            let mut builder = fresh.builder(Arc::new(faulty), skip);
            let dropped = builder.round(IndexOptions::default()).now_or_never();
            if script.left() == 1 {
                assert!(dropped.is_some() && skip > 0);
                break;
            }
            assert!(dropped.is_none(), "{kind:?} {skip}");
            builder.round(IndexOptions::default()).await.unwrap();
            assert!(fresh.objects().await == sound, "{kind:?} {skip}");
        }
    }
}

async fn cut_off_everywhere(world: &World, covered: u64, text: &str, step: usize) {
    let lost: [fn() -> Fate; 3] = [|| Fate::Refuse, || Fate::RefuseButApply, || Fate::Lose];
    for (kind, fates) in [
        (OperationKind::Create, &lost[..]),
        (OperationKind::Replace, &lost),
        (OperationKind::Read, &lost[..1]),
        (OperationKind::List, &lost[..1]),
    ] {
        for fate in fates {
            for skip in (0..).step_by(step) {
                let fresh = world.fork().await;
                let script = Arc::new(Script::new());
                // As often as a write is tried, and once more.
                for _ in 0..5 {
                    script.add(kind, skip, fate());
                }
                let faulty = Faulty::new(Arc::new(fresh.memory.clone()), Arc::clone(&script) as _);
                let mut builder = fresh.builder(Arc::new(faulty), skip);
                let first = builder.round(IndexOptions::default()).await;
                if let Err(error) = &first {
                    assert!(may_fail(error), "{kind:?} {skip}: {error}");
                }
                assert_eq!(fresh.index().await.covered, covered, "{kind:?} {skip}");
                if skip.is_multiple_of(7) {
                    check_word(&fresh, text).await;
                }
                if script.left() == 5 {
                    assert!(skip > 0 || kind == OperationKind::List, "{kind:?}");
                    break;
                }
            }
        }
    }
}

/// Two builders, and a third: whatever one of them has done when another begins.
#[tokio::test]
async fn several_builders_make_one_index() {
    let mut world = World::new().await;
    world.grow(5_000, words).await;
    let options = |most| IndexOptions {
        max_base_runs: Some(most),
        ..IndexOptions::default()
    };
    let store = || -> Arc<dyn Store> { Arc::new(world.memory.clone()) };
    let mut builders: Vec<_> = (0..3).map(|seed| world.builder(store(), seed)).collect();
    let (mut turn, mut lost) = (0, 0);
    while world.index_size().await < 19 {
        let builder = &mut builders[turn % 3];
        // Each knows what it knew when it was last here, unless it looks.
        match builder.round(options(1 + turn as u64 % 4)).await {
            Ok(_) => {}
            Err(error) => {
                assert!(may_fail(&error), "{error}");
                lost += 1;
            }
        }
        turn += 1;
    }
    assert_eq!(lost, 0);
    world.check().await;
    // At the same time.
    world.grow(20_000, words).await;
    let rounds = builders
        .iter_mut()
        .map(|builder| builder.round(options(40)));
    for round in futures::future::join_all(rounds).await {
        assert!(round.is_ok_and(|report| report.base_runs > 0) || world.index_size().await >= 59);
    }
    world.index().await;
    check_word(&world, "all").await;
    check_word(&world, "own9000").await;
}
