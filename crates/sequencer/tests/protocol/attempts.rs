//! A slot that was sent and not answered: the same bytes are sent again, and found again, before anything else.

use std::sync::Arc;

use futures::FutureExt;
use tegula_sequencer::{Error, Pending, Round, Slot, Writer};
use tegula_storage::{Controller, Fate, OperationKind, Script, Store};

use crate::faults::{batch, check, commit, small_log, writer};
use crate::world::{Turns, World, now_or_never};

/// Where the same leaf may be logged again, only the attempt id tells a writer that a slot is its own.
#[test]
fn a_slot_that_was_refused_and_happened_is_ones_own() {
    let fates: [fn() -> Fate; 5] = [
        || Fate::RefuseButApply,
        || Fate::Lose,
        || Fate::Twice,
        || Fate::Resend,
        || Fate::Slow(Turns(9).boxed()),
    ];
    for fate in fates {
        let mut world = small_log();
        world.config.dedup_window = 0;
        let script = Arc::new(Script::new());
        let name = format!("{:?}", fate());
        script.add(OperationKind::CreateSlot, 0, fate());
        let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
        let round = submit(&mut writer, "mine").unwrap();
        let receipts = (0..20).map(|n| round.receipt(n).unwrap());
        let expected = (250..270).map(|index| (index, false));
        let found = receipts.map(|receipt| (receipt.index.get(), receipt.duplicate));
        assert!(found.eq(expected), "{name}");
        now_or_never(script.held().run());
        assert_eq!(world.oracle.lock().unwrap().size(), 270, "{name}");
        check(&world, &name);
    }
}

/// What was sent last is in nobody's memory but its writer's: another batch in its place would be a second attempt.
#[test]
fn an_unanswered_slot_is_resolved_before_another_batch_is_ordered() {
    for arrives in [false, true] {
        let world = small_log();
        let script = Arc::new(Script::new());
        for _ in 0..SENDS {
            script.add(OperationKind::CreateSlot, 0, Fate::Delay);
        }
        let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
        let unanswered = submit(&mut writer, "lost");
        let unavailable = matches!(unanswered, Err(Error::Unavailable(_)));
        assert!(unavailable);
        assert_eq!((script.left(), script.held().len()), (0, SENDS));
        let sent = if arrives {
            now_or_never(script.held().run());
            slot(&world, 250)
        } else {
            None
        };
        commit(&world, &mut writer, &batch("second", 3), "second");
        let found = slot(&world, 250).unwrap();
        assert_eq!(
            found.entries().unwrap().unwrap(),
            batch("lost", 20),
            "{arrives}"
        );
        assert!(sent.is_none_or(|sent| sent == found));
        now_or_never(script.held().run());
        assert_eq!(slot(&world, 250).unwrap(), found);
        assert_eq!(world.oracle.lock().unwrap().size(), 273);
        check(&world, "unanswered");
    }
}

/// A slot is sent again as it was: other bytes would be another attempt.
#[test]
fn each_time_the_same_bytes_are_sent() {
    let world = small_log();
    let script = Arc::new(Script::new());
    for _ in 0..SENDS {
        script.add(OperationKind::CreateSlot, 0, Fate::Delay);
    }
    let mut writer = writer(&world, Arc::clone(&script) as Arc<dyn Controller>);
    assert!(submit(&mut writer, "mine").is_err());
    let mut sent = Vec::new();
    while let Some((_, create)) = script.held().take(0) {
        now_or_never(create);
        sent.extend(world.memory.listing().remove(SLOT_250));
        world.memory.tamper_slot(250, None);
    }
    assert_eq!(sent.len(), SENDS);
    assert!(sent.iter().all(|bytes| *bytes == sent[0]));
}

fn submit(writer: &mut Writer, name: &str) -> Result<Round, Error> {
    let pending: Vec<_> = batch(name, 20).into_iter().map(Pending::new).collect();
    now_or_never(writer.commit(&pending))
}

fn slot(world: &World, start: u64) -> Option<Slot> {
    let bytes = now_or_never(world.memory.read_slot(start)).unwrap()?;
    Some(Slot::parse(start, &bytes).unwrap())
}

/// How often a writer sends a slot before it gives up.
const SENDS: usize = 6;
const SLOT_250: &str = "private/wal/00000000000000000250";
