use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use super::Handles;
use super::objects::public;
use crate::{Created, Replaced, SlotCreated, Store, Version};

/// Runs `task` as many tasks at once, spread over the handles; the answers are in their order.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    handles: &Handles,
    count: usize,
    task: impl Fn(usize, Arc<dyn Store>) -> F,
) -> Vec<T> {
    let tasks = (0..count).map(|n| {
        let store = Arc::clone(&handles[n % handles.len()]);
        tokio::spawn(task(n, store))
    });
    let tasks: Vec<_> = tasks.collect();
    join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// The bytes of contender `n`: of its own length, so that a mixture of two shows.
fn bytes_of(n: usize) -> Bytes {
    Bytes::from(format!("{n} ").repeat(1 + n * 37))
}

pub(super) async fn creators(handles: Handles, contenders: usize) {
    for round in 0..8 {
        let path = public(&format!("race/{round}/a/b/c"));
        let task = |n, store: Arc<dyn Store>| {
            let path = path.clone();
            async move {
                let answer = store.create(&path, bytes_of(n)).await.unwrap();
                let seen = store.read(&path).await.unwrap().unwrap().bytes;
                (answer, seen)
            }
        };
        let answers = at_once(&handles, contenders, task).await;
        let won: Vec<usize> = (0..contenders)
            .filter(|n| answers[*n].0 == Created::Created)
            .collect();
        assert_eq!(won.len(), 1, "{won:?}");
        for (n, (_, seen)) in answers.iter().enumerate() {
            assert_eq!(*seen, bytes_of(won[0]), "as {n} saw it");
        }
    }
}

pub(super) async fn slot_creators(handles: Handles, contenders: usize) {
    for start in 0..16 {
        let task = |n, store: Arc<dyn Store>| async move {
            let answer = store.create_slot(start, bytes_of(n)).await.unwrap();
            let seen = store.read_slot(start).await.unwrap().unwrap();
            let head = store.read_slot_head(start, 3).await.unwrap().unwrap();
            (answer, seen, head)
        };
        let answers = at_once(&handles, contenders, task).await;
        let created = |n: &usize| answers[*n].0 == SlotCreated::Created;
        let won: Vec<usize> = (0..contenders).filter(created).collect();
        assert_eq!(won.len(), 1, "slot {start} by {won:?}");
        for (n, (answer, seen, head)) in answers.iter().enumerate() {
            assert_ne!(*answer, SlotCreated::BelowFloor);
            assert_eq!(*seen, bytes_of(won[0]), "slot {start} as {n} saw it");
            assert!(seen.starts_with(head));
        }
    }
}

pub(super) async fn replacers(handles: Handles, contenders: usize) {
    let path = public("checkpoint");
    let mut expected: Option<Version> = None;
    for round in 0..8 {
        let task = |n, store: Arc<dyn Store>| {
            let (path, expected) = (path.clone(), expected.clone());
            let bytes = Bytes::from(format!("{round} {n}"));
            async move {
                store
                    .replace(&path, expected.as_ref(), bytes)
                    .await
                    .unwrap()
            }
        };
        let answers = at_once(&handles, contenders, task).await;
        let won: Vec<usize> = (0..contenders)
            .filter(|n| matches!(answers[*n], Replaced::Replaced(_)))
            .collect();
        assert_eq!(won.len(), 1, "{won:?}");
        let now = handles[0].read(&path).await.unwrap().unwrap();
        assert_eq!(now.bytes, format!("{round} {}", won[0]));
        expected = Some(now.version);
    }
}

/// No increment is lost, and a reader meets only whole values.
pub(super) async fn increments(handles: Handles, contenders: usize) {
    let path = public("counter");
    let task = |_, store: Arc<dyn Store>| {
        let path = path.clone();
        async move {
            let mut done = 0;
            while done < 8 {
                let now = store.read(&path).await.unwrap();
                let value: u64 = now.as_ref().map_or(0, |now| {
                    String::from_utf8(now.bytes.to_vec())
                        .unwrap()
                        .parse()
                        .unwrap()
                });
                let version = now.map(|now| now.version);
                let next = Bytes::from((value + 1).to_string());
                match store.replace(&path, version.as_ref(), next).await.unwrap() {
                    Replaced::Replaced(_) => done += 1,
                    Replaced::Changed => tokio::task::yield_now().await,
                }
            }
        }
    };
    at_once(&handles, contenders, task).await;
    let now = handles[0].read(&path).await.unwrap().unwrap();
    assert_eq!(now.bytes, (8 * contenders).to_string());
}

/// A remover that takes the last object of a directory does not hurt a creator of the next one.
pub(super) async fn directories_come_and_go(handles: Handles) {
    let task = |n: usize, store: Arc<dyn Store>| async move {
        let path = public(&format!("deep/er/still/{n}"));
        for _ in 0..20 {
            let created = store.create(&path, bytes_of(n)).await.unwrap();
            assert_eq!(created, Created::Created);
            let seen = store.read(&path).await.unwrap().unwrap().bytes;
            assert_eq!(seen, bytes_of(n));
            store.remove(&path).await.unwrap();
        }
    };
    at_once(&handles, 8, task).await;
}

/// Once the floor was raised, nobody makes a slot below it, and what was made before is there.
pub(super) async fn floor_and_creators(handles: Handles) {
    let task = |n: usize, store: Arc<dyn Store>| async move {
        let mut made = Vec::new();
        for start in 0..40 {
            if n == 0 {
                store.raise_floor(start).await.unwrap();
            } else {
                let floor = store.floor().await.unwrap();
                let answer = store.create_slot(start, bytes_of(n)).await.unwrap();
                match answer {
                    SlotCreated::Created => {
                        assert!(floor <= start, "slot {start} below the floor {floor}");
                        made.push(start);
                    }
                    SlotCreated::BelowFloor => {
                        assert!(store.floor().await.unwrap() > start);
                    }
                    SlotCreated::Exists => {}
                }
            }
        }
        made
    };
    let mut made: Vec<u64> = at_once(&handles, 8, task).await.concat();
    made.sort_unstable();
    assert_eq!(handles[0].slots(0, 99).await.unwrap(), made);
}
