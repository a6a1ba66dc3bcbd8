//! Submissions that share batches, and what becomes of them when a batch goes wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tegula_sequencer::{Config, Error, Sequencer, TidyOptions, init};
use tegula_storage::{Controller, Fate, Faulty, Memory, Operation, OperationKind, Script, Store};

use crate::{Calm, description, signers};

/// Nobody submits anything any more; housekeeping sees to it.
#[tokio::test]
async fn what_could_not_be_published_is_published_by_housekeeping() {
    let script = Arc::new(Script::new());
    for nth in 0..8 {
        script.add_at(OperationKind::Replace, "checkpoint", nth, Fate::Refuse);
    }
    let (_, log) = open(Arc::clone(&script) as _).await;
    let failed = log.submit(Bytes::from("entry")).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    let status = log.status();
    assert_eq!(
        (status.published.size.get(), status.unpublished_slots),
        (0, 1)
    );

    log.tidy(TidyOptions::default()).await.unwrap();
    // The next submission is behind it in the queue; this one is a duplicate, and orders nothing.
    let receipt = log.submit(Bytes::from("entry")).await.unwrap();
    assert!(receipt.duplicate);
    assert_eq!(log.status().unpublished_slots, 0);
}

/// Another process ordered it, and was killed.
#[tokio::test]
async fn what_another_left_unpublished_is_published_by_housekeeping() {
    let (memory, log) = open(Arc::new(Script::new())).await;
    let script = Arc::new(Script::new());
    for nth in 0..8 {
        script.add_at(OperationKind::Replace, "checkpoint", nth, Fate::Refuse);
    }
    let other = sequencer(&memory, script).await;
    assert!(other.submit(Bytes::from("another's")).await.is_err());
    drop(other);
    assert_eq!(log.published().size.get(), 0);
    log.tidy(TidyOptions::default()).await.unwrap();
    log.close().await;
    assert_eq!(log.published().size.get(), 1);
}

/// A process that is frozen once it has answered must have nothing under way.
#[tokio::test]
async fn it_rests_when_what_nobody_waits_for_is_done_too() {
    let script = Arc::new(Script::new());
    let (_, log) = open(Arc::clone(&script) as _).await;
    log.rest().await;
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let wait = async move { gone.await.unwrap_or_default() };
    script.add(OperationKind::CreateSlot, 0, Fate::Slow(Box::pin(wait)));
    let soon = Duration::from_millis(20);
    let submitted = tokio::time::timeout(soon, log.submit("entry".into())).await;
    assert!(submitted.is_err(), "{submitted:?}");
    assert!(tokio::time::timeout(soon, log.rest()).await.is_err());
    go.send(()).unwrap();
    log.rest().await;
    assert_eq!(log.published().size.get(), 1);
    log.close().await;
    log.rest().await;
}

/// Which nothing may cause; if it happens, those who wait and those who come are told.
#[tokio::test]
async fn a_panic_of_the_commit_task_leaves_nobody_waiting() {
    let (_, log) = open(Arc::new(Panics)).await;
    // Each in a batch of its own, so that one is under way and the other waits.
    let both = async { futures::join!(log.submit("first".into()), log.submit("second".into())) };
    let both = tokio::time::timeout(Duration::from_secs(60), both).await;
    let (first, second) = both.unwrap();
    for answer in [first, second, log.submit("third".into()).await] {
        assert!(
            matches!(answer, Err(Error::Fatal(_) | Error::Unavailable(_))),
            "{answer:?}"
        );
    }
    let stopped = log.status().stopped;
    assert!(matches!(stopped, Some(Error::Fatal(_))), "{stopped:?}");
    log.close().await;
}

#[derive(Debug)]
struct Panics;

impl Controller for Panics {
    fn decide(&self, operation: &Operation) -> Fate {
        assert_ne!(
            operation.kind,
            OperationKind::CreateSlot,
            "as it was told to"
        );
        Fate::Pass
    }

    fn later(&self, _: &Operation, _: futures::future::BoxFuture<'static, ()>) {}
}

async fn open(controller: Arc<dyn Controller>) -> (Memory, Sequencer) {
    let memory = Memory::new();
    init(&memory, &signers(), &description()).await.unwrap();
    let log = sequencer(&memory, controller).await;
    (memory, log)
}

async fn sequencer(memory: &Memory, controller: Arc<dyn Controller>) -> Sequencer {
    let store: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(memory.clone()), controller));
    let env = Arc::new(Calm::default());
    let config = Config {
        max_batch_entries: 1,
        ..Config::new(signers())
    };
    Sequencer::open(store, env, config).await.unwrap()
}
