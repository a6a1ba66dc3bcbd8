//! Batches that are handed over: whoever orders the next slot takes them along, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_sequencer::{Config, Item, ItemName, Others, Pending, Slot, Writer};
use tegula_storage::{Controller, Fate, ObjectPath, Operation, OperationKind, Script, Store};

use crate::faults::{batch, check, commit, fates, reads, small_log};
use crate::world::{Calm, World, now_or_never};

fn writer(world: &World, controller: Arc<dyn Controller>, others: Others) -> Writer {
    let config = Config {
        others,
        ..world.config.clone()
    };
    Writer::new(world.store(controller), world.env(0), config).unwrap()
}

/// A writer that has just lost two slots, and so hands its next batch over.
fn crowded(world: &World, controller: Arc<dyn Controller>) -> Writer {
    let mut crowded = writer(world, controller, Others::HandOver);
    now_or_never(crowded.start()).unwrap();
    for name in ["one", "two"] {
        let mut other = writer(world, Arc::new(Calm), Others::Compete);
        commit(world, &mut other, &batch(&format!("other {name}"), 1), name);
    }
    commit(world, &mut crowded, &batch("crowded", 1), "crowded");
    crowded
}

fn item(world: &World, seen: u64, id: u8, entries: &[Bytes]) -> (ObjectPath, Bytes) {
    let name = ItemName { seen, id: [id; 16] };
    let log_id = world.config.signers.first().unwrap().full_key_id();
    let bytes = Item::encode(name, &log_id, entries.iter().map(|entry| &entry[..])).unwrap();
    (ObjectPath::private(name.to_string()).unwrap(), bytes)
}

fn put(world: &World, (path, bytes): (ObjectPath, Bytes)) {
    now_or_never(world.memory.create(&path, bytes)).unwrap();
}

fn inbox(world: &World) -> Vec<String> {
    let names = world.memory.listing().into_keys();
    names.filter(|name| name.contains("inbox/")).collect()
}

fn size(world: &World) -> u64 {
    world.oracle.lock().unwrap().size()
}

#[test]
fn what_others_handed_over_is_taken_along_once() {
    for others in [Others::TakeAlong, Others::HandOver] {
        let world = small_log();
        let mut leader = writer(&world, Arc::new(Calm), others);
        now_or_never(leader.start()).unwrap();
        put(&world, item(&world, 250, 1, &batch("first", 2)));
        put(&world, item(&world, 250, 2, &batch("handed over", 3)));
        put(&world, item(&world, 250, 3, &batch("again", 1)));
        put(&world, item(&world, 250, 4, &batch("again", 1)));
        now_or_never(leader.settle()).unwrap();
        // `first` is in the log, and `again` is twice in the inbox.
        assert_eq!(size(&world), 254);
        assert_eq!(leader.counters().taken_along, 4);
        let slot = now_or_never(world.memory.read_slot(250)).unwrap().unwrap();
        let header = Slot::parse(250, &slot).unwrap().header;
        let indexes: Vec<Vec<u64>> = header
            .batches
            .iter()
            .map(|batch| batch.indexes().collect())
            .collect();
        assert_eq!(
            indexes,
            [vec![0, 1], vec![250, 251, 252], vec![253], vec![253]]
        );

        // Their authors are gone: what they left is no reason to order it again, for nobody.
        for _ in 0..2 {
            now_or_never(leader.settle()).unwrap();
            let mut cold = writer(&world, Arc::new(Calm), Others::TakeAlong);
            now_or_never(cold.settle()).unwrap();
        }
        assert_eq!(size(&world), 254);
        check(&world, "taken along");
    }
}

/// Here nothing but the id makes it once.
#[test]
fn an_item_that_its_author_left_is_not_ordered_again() {
    for others in [Others::TakeAlong, Others::HandOver] {
        let mut world = small_log();
        world.config.dedup_window = 0;
        let mut leader = writer(&world, Arc::new(Calm), others);
        now_or_never(leader.start()).unwrap();
        put(&world, item(&world, 250, 1, &batch("handed over", 3)));
        for _ in 0..3 {
            now_or_never(leader.settle()).unwrap();
            assert_eq!(size(&world), 253);
            // One that begins behind the slot that lists it cannot know, and leaves it alone.
            let mut cold = writer(&world, Arc::new(Calm), others);
            now_or_never(cold.settle()).unwrap();
            assert_eq!(size(&world), 253);
        }
        assert_eq!(inbox(&world).len(), 1);
    }
}

/// After a while; until then their authors may still look.
#[test]
fn what_is_left_in_the_inbox_is_removed() {
    let world = small_log();
    let mut leader = writer(&world, Arc::new(Calm), Others::TakeAlong);
    now_or_never(leader.start()).unwrap();
    put(&world, item(&world, 250, 1, &batch("handed over", 3)));
    for n in 0..8 {
        now_or_never(leader.settle()).unwrap();
        assert_eq!(inbox(&world).len(), 1, "{n}");
        commit(&world, &mut leader, &batch(&format!("more {n}"), 1), "more");
    }
    now_or_never(leader.settle()).unwrap();
    assert_eq!(inbox(&world), Vec::<String>::new());
}

#[test]
fn what_is_no_item_is_passed_over() {
    let world = small_log();
    let mut leader = writer(&world, Arc::new(Calm), Others::TakeAlong);
    now_or_never(leader.start()).unwrap();
    let (_, good) = item(&world, 250, 1, &batch("good", 1));
    let (other_name, _) = item(&world, 250, 2, &batch("good", 1));
    put(&world, (other_name, good.clone()));
    let (cut, _) = item(&world, 250, 3, &batch("cut", 1));
    put(&world, (cut, good.slice(..90)));
    let (ahead, bytes) = item(&world, 251, 4, &batch("of the future", 1));
    put(&world, (ahead, bytes));
    let strange = ObjectPath::private("inbox/strange").unwrap();
    put(&world, (strange, good));
    put(&world, item(&world, 250, 5, &batch("sound", 1)));
    now_or_never(leader.settle()).unwrap();
    assert_eq!(size(&world), 251);
    assert_eq!(
        (leader.counters().bad_items, leader.counters().taken_along),
        (2, 1)
    );
}

/// Nobody else is there: its author orders it.
#[test]
fn a_batch_that_nobody_takes_along_is_ordered_by_its_author() {
    let world = small_log();
    let mut author = crowded(&world, Arc::new(Calm));
    let before = author.counters();
    commit(&world, &mut author, &batch("alone", 2), "alone");
    let counters = author.counters();
    assert_eq!(counters.handed_over - before.handed_over, 1);
    assert_eq!(counters.slots - before.slots, 1);
    assert_eq!(inbox(&world), Vec::<String>::new());
    // After a while it tries by itself again.
    for n in 0..4 {
        commit(&world, &mut author, &batch(&format!("calm {n}"), 1), "calm");
    }
    let calm = author.counters().handed_over;
    commit(&world, &mut author, &batch("calm", 1), "calm");
    assert_eq!(author.counters().handed_over, calm);
    check(&world, "alone");
}

/// Between its looks another takes it along, goes on, and publishes.
#[test]
fn a_batch_that_another_takes_along_is_answered() {
    for more in [0, 2] {
        let world = Arc::new(small_log());
        let script = Arc::new(Script::new());
        let mut author = crowded(&world, Arc::clone(&script) as _);
        let meanwhile = {
            let world = Arc::clone(&world);
            async move {
                let mut leader = writer(&world, Arc::new(Calm), Others::TakeAlong);
                leader.settle().await.unwrap();
                for n in 0..more {
                    commit(&world, &mut leader, &batch(&format!("more {n}"), 1), "more");
                }
            }
        };
        // When it looks for the next slot first.
        script.add(OperationKind::ReadSlot, 0, Fate::Slow(meanwhile.boxed()));
        let before = author.counters();
        let entries = batch("handed over", 2);
        let pending: Vec<_> = entries.iter().cloned().map(Pending::new).collect();
        let round = now_or_never(author.commit(&pending)).unwrap();
        for (n, index) in (253..255).enumerate() {
            let receipt = round.receipt(n).unwrap();
            assert_eq!((receipt.index.get(), receipt.duplicate), (index, false));
            assert_eq!(receipt.published.size.get(), 255 + more);
        }
        assert_eq!(author.counters().slots, before.slots);
        assert_eq!(inbox(&world), Vec::<String>::new());
        assert_eq!(size(&world), 255 + more);
        check(&world, &format!("{more} more"));
    }
}

#[test]
fn each_request_of_handing_over_fails_in_each_way() {
    use OperationKind::{Create, CreateSlot, List, Read, ReadSlot, Remove, Replace};
    let mut rounds = 0;
    for kind in [Create, CreateSlot, Replace, Remove, List, Read, ReadSlot] {
        let ways: &[fn() -> Fate] = match kind {
            List | Read | ReadSlot => &reads(),
            _ => &fates(),
        };
        for fate in ways {
            let mut nth = 0;
            while fail_one(kind, nth, fate()) {
                nth += 1;
            }
            rounds += nth;
        }
    }
    assert!(rounds > 50, "{rounds} requests");
}

/// Whether the request was met.
fn fail_one(kind: OperationKind, nth: u64, fate: Fate) -> bool {
    let name = format!("{kind:?} {nth} {fate:?}");
    let world = small_log();
    let script = Arc::new(Script::new());
    let mut author = crowded(&world, Arc::clone(&script) as _);
    put(&world, item(&world, 252, 1, &batch("another's", 2)));
    script.add(kind, nth, fate);
    commit(&world, &mut author, &batch("handed over", 3), &name);
    let met = script.left() == 0;
    // What was delayed arrives, between this writer's batches and another's.
    now_or_never(script.held().run());
    commit(&world, &mut author, &batch("next", 3), &name);
    let mut other = writer(&world, Arc::new(Calm), Others::TakeAlong);
    now_or_never(other.settle()).unwrap();
    check(&world, &name);
    met
}

/// The author's own state is dropped while its batch is in the inbox, and another logs it, publishes and is gone.
#[test]
fn slots_are_read_back_for_a_batch_that_was_handed_over() {
    let mut world = small_log();
    // Nothing but its id tells.
    world.config.dedup_window = 0;
    let world = Arc::new(world);
    let script = Arc::new(Script::new());
    let mut author = crowded(&world, Arc::clone(&script) as _);
    let meanwhile = {
        let world = Arc::clone(&world);
        async move {
            // What the author has not seen, so that the slots differ.
            put(&world, item(&world, 253, 0, &batch("before it", 1)));
            let mut leader = writer(&world, Arc::new(Calm), Others::TakeAlong);
            leader.settle().await.unwrap();
            commit(&world, &mut leader, &batch("more", 1), "more");
            // The author leads as well: its slot is refused, and what took it has gone to its header.
            let at = world.oracle.lock().unwrap().boundary_before(256);
            let slot = world.memory.read_slot(at).await.unwrap().unwrap();
            let header = u32::from_be_bytes(slot[8..12].try_into().unwrap());
            let header = slot.slice(..usize::try_from(header).unwrap());
            world.memory.tamper_slot(at, Some(header));
        }
    };
    script.add(OperationKind::CreateSlot, 0, Fate::Slow(meanwhile.boxed()));
    let pending: Vec<_> = batch("handed over", 2)
        .into_iter()
        .map(Pending::new)
        .collect();
    let round = now_or_never(author.commit(&pending)).unwrap();
    assert_eq!(script.left(), 0);
    assert_eq!(round.receipt(0).unwrap().index.get(), 254);
    assert_eq!(size(&world), 257);
}

/// Whoever orders the next slot holds many items at one time, so no item is long.
#[test]
fn a_long_batch_takes_a_slot_by_itself() {
    let world = small_log();
    let mut crowded = crowded(&world, Arc::new(Calm));
    let long: Vec<_> = (0..3).map(|n| Bytes::from(vec![n; 50_000])).collect();
    for (batch, handed_over) in [(&long[..2], 2), (&long[..], 2)] {
        commit(&world, &mut crowded, batch, "long");
        assert_eq!(crowded.counters().handed_over, handed_over);
    }
    check(&world, "long");
}

/// What is beyond a slot's room is left for the next one, and not read in vain.
#[test]
fn items_are_read_until_the_slot_is_full() {
    let mut world = small_log();
    world.config.max_batch_entries = 100;
    let count = Arc::new(Counting::default());
    let mut leader = writer(&world, Arc::clone(&count) as _, Others::TakeAlong);
    now_or_never(leader.start()).unwrap();
    for n in 0..600_u128 {
        let name = ItemName {
            seen: 250,
            id: n.to_be_bytes(),
        };
        let log_id = world.config.signers.first().unwrap().full_key_id();
        let entry = format!("item {n}");
        let bytes = Item::encode(name, &log_id, [entry.as_bytes()].into_iter()).unwrap();
        let path = ObjectPath::private(name.to_string()).unwrap();
        put(&world, (path, bytes));
    }
    now_or_never(leader.settle()).unwrap();
    assert_eq!(size(&world), 350);
    let read = count.items.load(Ordering::Relaxed);
    assert!((100..400).contains(&read), "{read}");
}

/// Counts the items that are read.
#[derive(Debug, Default)]
struct Counting {
    items: AtomicU64,
}

impl Controller for Counting {
    fn decide(&self, operation: &Operation) -> Fate {
        let read = operation.kind == OperationKind::Read && operation.path.contains("inbox/");
        self.items.fetch_add(read.into(), Ordering::Relaxed);
        Fate::Pass
    }

    fn later(&self, _operation: &Operation, _rest: BoxFuture<'static, ()>) {}
}
