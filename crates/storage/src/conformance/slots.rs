use bytes::Bytes;

use super::objects::invalid;
use super::{Handles, first, last};
use crate::SlotCreated;

pub(super) async fn taken_once(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    for start in [0, 1, 255, 256, 1 << 40, u64::MAX] {
        assert_eq!(other.read_slot(start).await.unwrap(), None);
        let bytes = Bytes::from(format!("slot {start}"));
        let made = one.create_slot(start, bytes.clone()).await.unwrap();
        assert_eq!(made, SlotCreated::Created, "{start}");
        for store in [one, other] {
            for again in [bytes.clone(), "other".into(), Bytes::new()] {
                let made = store.create_slot(start, again).await.unwrap();
                assert_eq!(made, SlotCreated::Exists, "{start}");
            }
            assert_eq!(store.read_slot(start).await.unwrap(), Some(bytes.clone()));
        }
    }
    let all = [0, 1, 255, 256, 1 << 40, u64::MAX];
    for (from, skip) in [(0, 0), (1, 1), (2, 2), (255, 2), (257, 4), (u64::MAX, 5)] {
        for limit in [0, 1, 2, 6, usize::MAX] {
            let expected: Vec<u64> = all.into_iter().skip(skip).take(limit).collect();
            assert_eq!(other.slots(from, limit).await.unwrap(), expected);
        }
    }
}

pub(super) async fn heads_and_starts(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    let bytes = Bytes::from(vec![7; 100_000]);
    assert_eq!(other.read_slot_head(5, 10).await.unwrap(), None);
    one.create_slot(5, bytes.clone()).await.unwrap();
    for len in [0, 1, 99_999, 100_000] {
        let head = other.read_slot_head(5, len).await.unwrap().unwrap();
        assert_eq!(head, bytes.slice(..len));
    }
    for len in [100_001, usize::MAX] {
        let head = other.read_slot_head(5, len).await.unwrap().unwrap();
        assert_eq!(head, bytes);
    }
    one.create_slot(6, Bytes::new()).await.unwrap();
    assert_eq!(other.read_slot(6).await.unwrap(), Some(Bytes::new()));
    assert_eq!(
        other.read_slot_head(6, 9).await.unwrap(),
        Some(Bytes::new())
    );
}

pub(super) async fn floor(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    assert_eq!(one.floor().await.unwrap(), 0);
    one.raise_floor(0).await.unwrap();
    one.create_slot(9, "nine".into()).await.unwrap();
    one.raise_floor(10).await.unwrap();
    for store in [one, other] {
        assert_eq!(store.floor().await.unwrap(), 10);
        for below in [0, 8, 9] {
            let made = store.create_slot(below, "x".into()).await.unwrap();
            assert_eq!(made, SlotCreated::BelowFloor, "{below}");
        }
        // What is below the floor stays until it is removed.
        assert_eq!(store.read_slot(9).await.unwrap().unwrap(), "nine");
        assert_eq!(store.slots(0, 9).await.unwrap(), [9]);
    }
    for lower in [0, 9, 10] {
        other.raise_floor(lower).await.unwrap();
        assert_eq!(one.floor().await.unwrap(), 10);
    }
    let made = other.create_slot(10, "ten".into()).await.unwrap();
    assert_eq!(made, SlotCreated::Created);
    other.raise_floor(u64::MAX).await.unwrap();
    assert_eq!(one.floor().await.unwrap(), u64::MAX);
    let made = one.create_slot(u64::MAX - 1, "x".into()).await.unwrap();
    assert_eq!(made, SlotCreated::BelowFloor);
    let made = one.create_slot(u64::MAX, "last".into()).await.unwrap();
    assert_eq!(made, SlotCreated::Created);
    invalid(one.remove_slot(u64::MAX).await);
}

pub(super) async fn removed_names_stay_taken(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    for start in 0..4 {
        one.create_slot(start, "slot".into()).await.unwrap();
    }
    invalid(one.remove_slot(0).await);
    one.raise_floor(2).await.unwrap();
    for start in [2, 3, 4, u64::MAX] {
        invalid(other.remove_slot(start).await);
    }
    for _ in 0..2 {
        for store in [one, other] {
            store.remove_slot(0).await.unwrap();
            store.remove_slot(1).await.unwrap();
            assert_eq!(store.read_slot(1).await.unwrap(), None);
            assert_eq!(store.slots(0, 9).await.unwrap(), [2, 3]);
            for start in [0, 1] {
                let made = store.create_slot(start, "slot".into()).await.unwrap();
                assert_eq!(made, SlotCreated::BelowFloor);
            }
        }
    }
}
