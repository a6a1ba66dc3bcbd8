use std::sync::Mutex;

use super::*;
use crate::{Memory, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_it_keeps_the_contract() {
    conformance::run(async || {
        let memory = Arc::new(Memory::new());
        let faulty = || Faulty::new(Arc::clone(&memory), Arc::new(Script::new()));
        vec![Arc::new(faulty()) as Arc<dyn Store>, Arc::new(faulty())]
    })
    .await;
}

#[derive(Debug, Eq, PartialEq)]
enum Told {
    Created,
    Exists,
    Refused,
    Unknown,
    Fatal,
}

/// For each fate: what the caller is told, whether the slot is there then, and whether it is there
/// once all that was held back has been run.
#[tokio::test]
async fn each_fate_of_a_slot() {
    let wait = || Fate::Slow(Box::pin(async { tokio::task::yield_now().await }));
    let table = [
        (Fate::Pass, Told::Created, true, true),
        (Fate::Refuse, Told::Refused, false, false),
        (Fate::Conflict, Told::Refused, false, false),
        (Fate::DiskFull, Told::Refused, false, false),
        (Fate::RefuseButApply, Told::Unknown, true, true),
        (Fate::Lose, Told::Unknown, false, false),
        (Fate::Delay, Told::Unknown, false, true),
        (Fate::Twice, Told::Created, true, true),
        (Fate::Resend, Told::Exists, true, true),
        (wait(), Told::Created, true, true),
        (Fate::ShortRead, Told::Created, true, true),
        (Fate::FlipBit(3), Told::Created, true, true),
        (Fate::Fail, Told::Fatal, false, false),
    ];
    for (fate, told, now, later) in table {
        let name = format!("{fate:?}");
        let (memory, script, store) = faulty();
        script.add(OperationKind::CreateSlot, 0, fate);
        let answer = store.create_slot(0, BYTES).await;
        assert_eq!(tell(answer), told, "{name}");
        assert_eq!(script.left(), 0);
        let there = async || memory.read_slot(0).await.unwrap();
        assert_eq!(there().await, now.then_some(BYTES), "{name}");
        let held = usize::from(matches!(&*name, "Delay" | "Twice"));
        assert_eq!(script.held().run().await, held, "{name}");
        assert!(script.held().is_empty());
        assert_eq!(there().await, later.then_some(BYTES), "{name}");
        let next = tell(store.create_slot(1, BYTES).await);
        let ended = told == Told::Fatal;
        assert_eq!(next, if ended { Told::Fatal } else { Told::Created });
    }
}

#[tokio::test]
async fn a_delayed_slot_comes_after_another_took_its_name() {
    let (memory, script, store) = faulty();
    script.add(OperationKind::CreateSlot, 0, Fate::Delay);
    assert_eq!(tell(store.create_slot(0, BYTES).await), Told::Unknown);
    assert_eq!(tell(store.create_slot(0, OTHER).await), Told::Created);
    assert_eq!(script.held().len(), 1);
    script.held().run().await;
    assert_eq!(memory.read_slot(0).await.unwrap(), Some(OTHER));
}

#[tokio::test]
async fn a_delayed_replace_meets_its_condition_later() {
    let (memory, script, store) = faulty();
    let checkpoint = path("checkpoint");
    memory.replace(&checkpoint, None, BYTES).await.unwrap();
    let read = store.read(&checkpoint).await.unwrap().unwrap();
    script.add(OperationKind::Replace, 0, Fate::Delay);
    let late = store.replace(&checkpoint, Some(&read.version), OTHER).await;
    assert!(matches!(late, Err(StoreError::Unknown(_))));
    let third = Bytes::from_static(b"third");
    let put = store
        .replace(&checkpoint, Some(&read.version), third.clone())
        .await;
    assert!(matches!(put.unwrap(), Replaced::Replaced(_)));
    script.held().run().await;
    let now = store.read(&checkpoint).await.unwrap().unwrap();
    assert_eq!(now.bytes, third);
}

#[tokio::test]
async fn damaged_reads() {
    let (_, script, store) = faulty();
    store.create(&path("tile"), BYTES).await.unwrap();
    store.create_slot(0, BYTES).await.unwrap();
    let whole = store.read(&path("tile")).await.unwrap().unwrap();
    for (fate, expected) in [
        (Fate::ShortRead, &b"by"[..]),
        (Fate::FlipBit(0), b"cytes"),
        (Fate::FlipBit(8 * 5 + 8), b"bxtes"),
    ] {
        script.add(OperationKind::Read, 0, fate);
        let read = store.read(&path("tile")).await.unwrap().unwrap();
        assert_eq!(read.bytes, expected);
        assert_eq!(read.version, whole.version);
    }
    script.add(OperationKind::ReadSlot, 0, Fate::ShortRead);
    assert_eq!(store.read_slot(0).await.unwrap().unwrap(), "by");
    script.add(OperationKind::ReadSlotHead, 0, Fate::FlipBit(1));
    assert_eq!(store.read_slot_head(0, 2).await.unwrap().unwrap(), "`y");
    script.add(OperationKind::Read, 0, Fate::FlipBit(9));
    assert_eq!(store.read(&path("absent")).await.unwrap(), None);
    for fate in [Fate::Refuse, Fate::Conflict] {
        script.add(OperationKind::Floor, 0, fate);
        assert!(matches!(store.floor().await, Err(StoreError::Refused(_))));
    }
    for fate in [Fate::Lose, Fate::Delay, Fate::RefuseButApply] {
        script.add(OperationKind::Slots, 0, fate);
        assert!(matches!(
            store.slots(0, 1).await,
            Err(StoreError::Unknown(_))
        ));
    }
    assert!(script.held().is_empty());
    assert_eq!(store.read(&path("tile")).await.unwrap().unwrap(), whole);
}

#[tokio::test]
async fn a_script_counts_by_kind_and_path() {
    let (_, script, store) = faulty();
    script.add_at(OperationKind::Create, "tile/1", 1, Fate::Refuse);
    let mut refused = Vec::new();
    for name in ["tile/0/a", "tile/1/a", "tile/0/b", "tile/1/b", "tile/1/c"] {
        if store.create(&path(name), BYTES).await.is_err() {
            refused.push(name);
        }
    }
    assert_eq!(refused, ["tile/1/b"]);
}

#[derive(Debug, Default)]
struct Watch(Mutex<Vec<Operation>>);

impl Controller for Watch {
    fn decide(&self, operation: &Operation) -> Fate {
        self.0.lock().unwrap().push(operation.clone());
        Fate::Pass
    }

    fn later(&self, _: &Operation, _: BoxFuture<'static, ()>) {}
}

#[tokio::test]
async fn every_operation_is_seen_once_and_numbered() {
    let watch = Arc::new(Watch::default());
    let controller = Arc::clone(&watch) as Arc<dyn Controller>;
    let store = Faulty::new(Arc::new(Memory::new()), controller);
    let (a, b) = (path("a"), path("b"));
    store.read(&a).await.unwrap();
    store.create(&a, BYTES).await.unwrap();
    store.create_many(vec![(b.clone(), BYTES)]).await;
    store.replace(&path("c"), None, BYTES).await.unwrap();
    store.sync(&[a.clone(), b]).await.unwrap();
    store.list(Root::Private, "inbox/", None, 1).await.unwrap();
    store.create_slot(7, BYTES).await.unwrap();
    store.read_slot(7).await.unwrap();
    store.read_slot_head(7, 1).await.unwrap();
    store.slots(5, 1).await.unwrap();
    store.raise_floor(8).await.unwrap();
    store.floor().await.unwrap();
    store.remove_slot(7).await.unwrap();
    store.remove(&a).await.unwrap();
    store.store().power_cut(0);
    store.rebuild(&a, BYTES).await.unwrap();
    store.recovered().await.unwrap();
    let seen = watch.0.lock().unwrap();
    let numbers: Vec<u64> = seen.iter().map(|operation| operation.number).collect();
    assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    let names: Vec<String> = seen.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Read of public/a",
            "Create of public/a",
            "Create of public/b",
            "Replace of public/c",
            "Sync of public/a public/b",
            "List of private/inbox/",
            "CreateSlot of private/wal/00000000000000000007",
            "ReadSlot of private/wal/00000000000000000007",
            "ReadSlotHead of private/wal/00000000000000000007",
            "Slots of private/wal/00000000000000000005",
            "RaiseFloor of private/floor",
            "Floor of private/floor",
            "RemoveSlot of private/wal/00000000000000000007",
            "Remove of public/a",
            "Rebuild of public/a",
            "Recovered of ",
        ]
    );
}

#[tokio::test]
async fn a_seed_draws_every_fate_and_the_same_ones_again() {
    let draw = async |seed| {
        let seeded = Seeded::new(seed, Rates::each(50));
        let mut fates = Vec::new();
        for number in 0..2000 {
            let kind = match number % 2 {
                0 => OperationKind::Create,
                _ => OperationKind::Read,
            };
            let path = String::new();
            let fate = seeded.decide(&Operation { number, kind, path });
            fates.push(format!("{fate:?}"));
        }
        fates
    };
    let fates = draw(1).await;
    assert_eq!(draw(1).await, fates);
    assert_ne!(draw(2).await, fates);
    for fate in [
        "Pass",
        "Refuse",
        "Conflict",
        "DiskFull",
        "RefuseButApply",
        "Lose",
        "Delay",
        "Twice",
        "Resend",
        "Slow",
        "ShortRead",
        "FlipBit",
    ] {
        let times = fates.iter().filter(|drawn| *drawn == fate).count();
        assert!(times >= 20, "{fate} {times} times");
    }
    let calm = Seeded::new(1, Rates::each(1000));
    calm.change(Rates::NONE);
    for number in 0..100 {
        let (kind, path) = (OperationKind::Sync, String::new());
        let fate = calm.decide(&Operation { number, kind, path });
        assert!(matches!(fate, Fate::Pass));
    }
}

fn tell(answer: Result<SlotCreated, StoreError>) -> Told {
    match answer {
        Ok(SlotCreated::Created) => Told::Created,
        Ok(SlotCreated::Exists) => Told::Exists,
        Err(StoreError::Refused(_)) => Told::Refused,
        Err(StoreError::Unknown(_)) => Told::Unknown,
        Err(StoreError::Fatal(_)) => Told::Fatal,
        other => panic!("{other:?}"),
    }
}

fn faulty() -> (Arc<Memory>, Arc<Script>, Faulty<Memory>) {
    let (memory, script) = (Arc::new(Memory::new()), Arc::new(Script::new()));
    let controller = Arc::clone(&script) as Arc<dyn Controller>;
    let store = Faulty::new(Arc::clone(&memory), controller);
    (memory, script, store)
}

fn path(path: &str) -> ObjectPath {
    ObjectPath::public(path).unwrap()
}

const BYTES: Bytes = Bytes::from_static(b"bytes");

const OTHER: Bytes = Bytes::from_static(b"other");
