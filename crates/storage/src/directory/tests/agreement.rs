//! A directory and memory answer any sequence of calls alike.

use proptest::prelude::*;

use super::*;
use crate::Memory;

#[derive(Clone, Debug)]
enum Call {
    Create(usize),
    Replace {
        at: usize,
        stale: bool,
        to: u8,
    },
    Read(usize),
    Remove(usize),
    List {
        prefix: usize,
        after: Option<usize>,
        limit: usize,
    },
    CreateSlot(u64, u8),
    ReadSlot(u64),
    RemoveSlot(u64),
    RaiseFloor(u64),
    Slots(u64, usize),
    Sync(usize),
}

/// Paths that get in each other's way; the first are mutable, the others immutable.
const PATHS: [&str; 10] = [
    "m", "n/o", "n.o", "a", "a/b", "a/b/c", "a/b.c", "a-b", "a/d/e", "f",
];

const MUTABLE: usize = 3;

const PREFIXES: [&str; 6] = ["", "a", "a/", "a/b", "n", "a/d/"];

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let path = || 0..PATHS.len();
    let call = prop_oneof![
        6 => (MUTABLE..PATHS.len()).prop_map(Call::Create),
        4 => (0..MUTABLE, any::<bool>(), any::<u8>())
            .prop_map(|(at, stale, to)| Call::Replace { at, stale, to }),
        2 => path().prop_map(Call::Read),
        4 => path().prop_map(Call::Remove),
        2 => (0..PREFIXES.len(), proptest::option::of(path()), 0..6usize)
            .prop_map(|(prefix, after, limit)| Call::List { prefix, after, limit }),
        4 => (0..8u64, any::<u8>()).prop_map(|(start, bytes)| Call::CreateSlot(start, bytes)),
        1 => (0..8u64).prop_map(Call::ReadSlot),
        2 => (0..8u64).prop_map(Call::RemoveSlot),
        1 => (0..8u64).prop_map(Call::RaiseFloor),
        1 => (0..8u64, 0..6usize).prop_map(|(from, limit)| Call::Slots(from, limit)),
        1 => path().prop_map(Call::Sync),
    ];
    proptest::collection::vec(call, 0..60)
}

async fn answer(store: &dyn Store, call: &Call) -> String {
    let told = |error: StoreError| match error {
        StoreError::Invalid(_) => "invalid".to_owned(),
        other => panic!("{other}"),
    };
    match *call {
        Call::Create(at) => {
            let made = store.create(&public(PATHS[at]), PATHS[at].into()).await;
            made.map_or_else(told, |made| format!("{made:?}"))
        }
        Call::Replace { at, stale, to } => {
            let path = public(PATHS[at]);
            let mut version = store
                .read(&path)
                .await
                .unwrap()
                .map(|object| object.version);
            if stale {
                version = Some(Version::new("stale"));
            }
            let bytes = Bytes::from(vec![to; usize::from(to)]);
            let put = store.replace(&path, version.as_ref(), bytes).await;
            put.map_or_else(told, |put| format!("{put:?}"))
        }
        Call::Read(at) => {
            let read = store.read(&public(PATHS[at])).await.unwrap();
            format!("{:?}", read.map(|object| object.bytes))
        }
        Call::Remove(at) => format!("{:?}", store.remove(&public(PATHS[at])).await.unwrap()),
        Call::List {
            prefix,
            after,
            limit,
        } => {
            let after = after.map(|at| PATHS[at]);
            let found = store
                .list(Root::Public, PREFIXES[prefix], after, limit)
                .await;
            format!("{:?}", found.unwrap())
        }
        Call::CreateSlot(start, byte) => {
            let made = store.create_slot(start, Bytes::from(vec![byte; 9])).await;
            format!("{:?}", made.unwrap())
        }
        Call::ReadSlot(start) => format!("{:?}", store.read_slot(start).await.unwrap()),
        Call::RemoveSlot(start) => {
            let removed = store.remove_slot(start).await;
            removed.map_or_else(told, |()| "removed".to_owned())
        }
        Call::RaiseFloor(floor) => {
            store.raise_floor(floor).await.unwrap();
            store.floor().await.unwrap().to_string()
        }
        Call::Slots(from, limit) => format!("{:?}", store.slots(from, limit).await.unwrap()),
        Call::Sync(at) => {
            let synced = store.sync(&[public(PATHS[at])]).await;
            synced.map_or_else(told, |()| "synced".to_owned())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_memory(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let root = made();
            let (one, other, memory) = (open(&root), open(&root), Memory::new());
            for (n, call) in calls.iter().enumerate() {
                let directory = [&one, &other][n % 2];
                let expected = answer(&memory, call).await;
                assert_eq!(answer(directory, call).await, expected, "{call:?}, call {n}");
            }
            assert!(memory.violations().is_empty());
        });
    }
}
