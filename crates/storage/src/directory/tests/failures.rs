//! What no test can make a disk do: each step fails by itself, in each operation.

use super::*;

/// One call of each operation that writes, on a store that holds `checkpoint` and slot 0.
async fn attempt(store: &Directory, operation: &str) -> Result<(), StoreError> {
    match operation {
        "create" => store.create(&public("tile/0/000"), NEW).await.map(drop),
        "replace" => {
            let path = public("checkpoint");
            let version = Version::new(OLD);
            store.replace(&path, Some(&version), NEW).await.map(drop)
        }
        "create_slot" => store.create_slot(1, NEW).await.map(drop),
        "raise_floor" => store.raise_floor(1).await,
        "sync" => store.sync(&[public("checkpoint")]).await,
        "read_slot" => store.read_slot(0).await.map(drop),
        other => panic!("{other} is no operation"),
    }
}

const OPERATIONS: [&str; 6] = [
    "create",
    "replace",
    "create_slot",
    "raise_floor",
    "sync",
    "read_slot",
];

async fn prepared() -> (TempDir, Directory) {
    let root = made();
    let store = open(&root);
    store
        .replace(&public("checkpoint"), None, OLD)
        .await
        .unwrap();
    store.create_slot(0, OLD).await.unwrap();
    (root, store)
}

fn trap(store: &Directory, step: Step, kind: ErrorKind) {
    store.inner.traps.set(Some((step, kind)));
}

/// A full disk is refused before anything has a name: nothing happened, nothing is left, and once
/// there is room all goes on.
#[tokio::test]
async fn a_full_disk() {
    let table = [
        (
            Step::Write,
            &["create", "replace", "create_slot", "raise_floor"][..],
        ),
        (Step::Link, &["create", "create_slot"]),
        (Step::Rename, &["replace", "raise_floor"]),
    ];
    for (step, stopped) in table {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            for operation in OPERATIONS {
                let (root, store) = prepared().await;
                trap(&store, step, kind);
                let answer = attempt(&store, operation).await;
                if !stopped.contains(&operation) {
                    answer.unwrap();
                    continue;
                }
                let refused = matches!(answer, Err(StoreError::Refused(_)));
                assert!(refused, "{step:?} in {operation}: {answer:?}");
                assert_eq!(names_in(&root, "private/tmp"), NONE);
                assert_eq!(names_in(&root, "private/wal"), ["00000000000000000000"]);
                assert_eq!(store.read(&public("tile/0/000")).await.unwrap(), None);
                let now = store.read(&public("checkpoint")).await.unwrap().unwrap();
                assert_eq!(now.bytes, OLD);
                assert_eq!(store.floor().await.unwrap(), 0);

                store.inner.traps.set(None);
                attempt(&store, operation).await.unwrap();
                store.close().await.unwrap();
                assert_eq!(open(&root).condition(), Condition::Clean);
            }
        }
    }
}

/// Any failed sync, and any failed link whose outcome is not known, is the end of the process.
#[tokio::test]
async fn a_failed_sync() {
    let table = [
        (
            Step::SyncFile,
            ErrorKind::StorageFull,
            &["replace", "create_slot", "raise_floor", "sync"][..],
        ),
        (
            Step::SyncFile,
            ErrorKind::Other,
            &["replace", "create_slot", "raise_floor", "sync"],
        ),
        (
            Step::SyncDirectory,
            ErrorKind::Other,
            &["replace", "create_slot", "raise_floor", "sync", "read_slot"],
        ),
        (Step::Link, ErrorKind::Other, &["create", "create_slot"]),
        (Step::Rename, ErrorKind::Other, &["replace", "raise_floor"]),
    ];
    for (step, kind, stopped) in table {
        for operation in OPERATIONS {
            let (root, store) = prepared().await;
            trap(&store, step, kind);
            let answer = attempt(&store, operation).await;
            if !stopped.contains(&operation) {
                answer.unwrap();
                continue;
            }
            let fatal = matches!(answer, Err(StoreError::Fatal(_)));
            assert!(fatal, "{step:?} in {operation}: {answer:?}");
            // Once fatal, it stays so, whatever the disk does now.
            store.inner.traps.set(None);
            for operation in OPERATIONS {
                let later = attempt(&store, operation).await;
                assert!(matches!(later, Err(StoreError::Fatal(_))), "{later:?}");
            }
            assert!(store.read(&public("checkpoint")).await.is_err());
            assert!(matches!(store.close().await, Err(StoreError::Fatal(_))));
            assert_eq!(names_in(&root, "private/tmp"), NONE);
            assert_eq!(open(&root).condition(), Condition::Suspect);
        }
    }
}

/// A slot never has its name before its bytes are on the disk.
#[tokio::test]
async fn a_slot_is_synced_before_it_is_linked() {
    let (root, store) = prepared().await;
    trap(&store, Step::SyncFile, ErrorKind::Other);
    attempt(&store, "create_slot").await.unwrap_err();
    assert_eq!(names_in(&root, "private/wal"), ["00000000000000000000"]);
}

/// Another process, which runs on, cannot vouch for what the failed one did not sync.
#[tokio::test]
async fn the_last_to_leave_keeps_the_mark_of_one_that_failed() {
    let (root, store) = prepared().await;
    let other = open(&root);
    trap(&store, Step::SyncFile, ErrorKind::Other);
    attempt(&store, "sync").await.unwrap_err();
    drop(store);
    attempt(&other, "create_slot").await.unwrap();
    other.close().await.unwrap();

    let store = open(&root);
    assert_eq!(store.condition(), Condition::Suspect);
    store.recovered().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(open(&root).condition(), Condition::Clean);
}

/// A failed sync is told to one process, once; nothing that rests on a later one, by anybody, may be removed.
#[tokio::test]
async fn a_sync_is_not_believed_after_another_process_failed_to() {
    for operation in ["sync", "raise_floor"] {
        let (root, store) = prepared().await;
        let other = open(&root);
        trap(&store, Step::SyncFile, ErrorKind::Other);
        attempt(&store, "sync").await.unwrap_err();
        let believed = attempt(&other, operation).await;
        assert!(
            matches!(believed, Err(StoreError::Fatal(_))),
            "{operation}: {believed:?}"
        );
        assert!(!root.path().join("private/floor").exists());

        // Nobody enters between them and whoever rebuilds.
        let quick = DirectoryOptions::default().with_lock_wait(Duration::from_millis(30));
        let third = Directory::open(root.path(), quick);
        assert!(matches!(third, Err(OpenError::Busy(_))), "{third:?}");
    }
}

/// The system may hold bytes in memory that it failed to write, and does not try to write again.
#[tokio::test]
async fn what_is_suspect_is_written_again_though_it_reads_well() {
    use std::os::unix::fs::MetadataExt;

    let (root, store) = prepared().await;
    attempt(&store, "create").await.unwrap();
    let inode = || {
        fs::metadata(root.path().join("public/tile/0/000"))
            .unwrap()
            .ino()
    };
    let path = public("tile/0/000");
    drop(store);
    let store = open(&root);
    assert_eq!(store.condition(), Condition::Unclean);
    let before = inode();
    store.rebuild(&path, NEW).await.unwrap();
    assert_eq!(inode(), before);
    store.recovered().await.unwrap();
    trap(&store, Step::SyncFile, ErrorKind::Other);
    attempt(&store, "sync").await.unwrap_err();
    drop(store);

    let store = open(&root);
    assert_eq!(store.condition(), Condition::Suspect);
    // It may sync what it rebuilds, though the mark stands until it is done.
    store.rebuild(&path, NEW).await.unwrap();
    assert_ne!(inode(), before);
    store.sync(&[path]).await.unwrap();
    store.recovered().await.unwrap();
    assert_eq!(store.condition(), Condition::Clean);
    store.close().await.unwrap();
    assert_eq!(open(&root).condition(), Condition::Clean);
}

/// With too many files open a directory cannot be synced just now; that is no failed sync.
#[tokio::test]
async fn a_directory_that_cannot_be_opened_is_not_the_end() {
    let (root, store) = prepared().await;
    for operation in ["sync", "replace"] {
        trap(&store, Step::OpenDirectory, ErrorKind::Other);
        let answer = attempt(&store, operation).await;
        assert!(
            matches!(answer, Err(StoreError::Unknown(_))),
            "{operation}: {answer:?}"
        );
        store.inner.traps.set(None);
        store.sync(&[public("checkpoint")]).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(open(&root).condition(), Condition::Clean);
}

/// Who removes a slot makes the floor durable first, though another raised it and died.
#[tokio::test]
async fn a_slot_is_removed_only_below_a_durable_floor() {
    let (root, store) = prepared().await;
    let other = open(&root);
    trap(&store, Step::SyncDirectory, ErrorKind::Other);
    attempt(&store, "raise_floor").await.unwrap_err();
    assert_eq!(other.floor().await.unwrap(), 1);
    trap(&other, Step::SyncDirectory, ErrorKind::Other);
    let removed = other.remove_slot(0).await;
    assert!(matches!(removed, Err(StoreError::Fatal(_))), "{removed:?}");
    assert_eq!(names_in(&root, "private/wal"), ["00000000000000000000"]);
}

const OLD: Bytes = Bytes::from_static(b"old");

const NEW: Bytes = Bytes::from_static(b"new");
