use super::*;

#[tokio::test]
async fn a_clean_stop_leaves_no_mark() {
    let root = made();
    let dirty = root.path().join("private/dirty");
    assert!(!dirty.exists());
    for _ in 0..3 {
        let store = open(&root);
        assert_eq!(store.condition(), Condition::Clean);
        assert!(dirty.exists());
        store.close().await.unwrap();
        store.close().await.unwrap();
        assert!(!dirty.exists());
        let late = store.read(&public("a")).await;
        assert!(matches!(late, Err(StoreError::Refused(_))), "{late:?}");
    }
}

#[tokio::test]
async fn the_last_to_leave_takes_the_mark_away() {
    let root = made();
    let dirty = root.path().join("private/dirty");
    let (one, other, third) = (open(&root), open(&root), open(&root));
    one.close().await.unwrap();
    assert!(dirty.exists());
    // A process that dies while another runs on is no reason to rebuild.
    drop(third);
    let fourth = open(&root);
    assert_eq!(fourth.condition(), Condition::Clean);
    other.close().await.unwrap();
    assert!(dirty.exists());
    fourth.close().await.unwrap();
    assert!(!dirty.exists());
}

#[tokio::test]
async fn after_an_unclean_stop_one_process_rebuilds_alone() {
    let root = made();
    let (torn, lost, whole) = (public("tile/0/000"), public("a/b"), public("whole"));
    let store = open(&root);
    for path in [&torn, &lost, &whole] {
        store
            .create(path, "as it was written".into())
            .await
            .unwrap();
    }
    store.create_slot(0, "slot".into()).await.unwrap();
    drop(store);
    // What a power cut leaves.
    fs::write(root.path().join("public/tile/0/000"), "as it\0\0\0").unwrap();
    fs::remove_dir_all(root.path().join("public/a")).unwrap();
    fs::write(root.path().join("private/tmp/1-1"), "half a sl").unwrap();
    fs::write(root.path().join("public/~probe"), "first").unwrap();

    let store = open(&root);
    assert_eq!(store.condition(), Condition::Unclean);
    assert_eq!(names_in(&root, "private/tmp"), NONE);
    assert!(!root.path().join("public/~probe").exists());
    let options = DirectoryOptions::default().with_lock_wait(Duration::from_millis(30));
    let second = Directory::open(root.path(), options).unwrap_err();
    assert_eq!(
        second.to_string(),
        "the directory is in use: refused: another process is rebuilding the store after an \
         unclean stop"
    );
    for path in [&torn, &lost, &whole] {
        store
            .rebuild(path, "as it was written".into())
            .await
            .unwrap();
        let now = store.read(path).await.unwrap().unwrap();
        assert_eq!(now.bytes, "as it was written");
    }
    assert_eq!(store.read_slot(0).await.unwrap().unwrap(), "slot");
    store.recovered().await.unwrap();
    assert_eq!(store.condition(), Condition::Clean);
    invalid(store.rebuild(&torn, "x".into()).await);

    let second = open(&root);
    assert_eq!(second.condition(), Condition::Clean);
    store.close().await.unwrap();
    second.close().await.unwrap();
    assert_eq!(open(&root).condition(), Condition::Clean);
}

#[tokio::test]
async fn who_comes_while_another_rebuilds_waits_for_it() {
    let root = made();
    drop(open(&root));
    let store = open(&root);
    assert_eq!(store.condition(), Condition::Unclean);
    let place = root.path().to_owned();
    let second = tokio::task::spawn_blocking(move || {
        Directory::open(place, DirectoryOptions::default()).unwrap()
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    store.recovered().await.unwrap();
    let second = second.await.unwrap();
    assert_eq!(second.condition(), Condition::Clean);
    // Also for one that gives up, in its place.
    drop((store, second));
    let store = open(&root);
    let place = root.path().to_owned();
    let second = tokio::task::spawn_blocking(move || {
        Directory::open(place, DirectoryOptions::default()).unwrap()
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(store);
    assert_eq!(second.await.unwrap().condition(), Condition::Unclean);
}

#[tokio::test]
async fn a_rebuild_that_was_not_finished_is_begun_again() {
    let root = made();
    drop(open(&root));
    for _ in 0..2 {
        let store = open(&root);
        assert_eq!(store.condition(), Condition::Unclean);
        store.close().await.unwrap();
    }
    let store = open(&root);
    store.recovered().await.unwrap();
    drop(store);
    assert_eq!(open(&root).condition(), Condition::Unclean);
}

#[tokio::test]
async fn a_stopped_process_that_holds_the_lock_makes_others_wait_for_a_bounded_time() {
    let root = made();
    let options = DirectoryOptions::default().with_lock_wait(Duration::from_millis(30));
    let store = Directory::open(root.path(), options).unwrap();
    let path = public("checkpoint");
    let stopped = fs::File::open(root.path().join("private/lock")).unwrap();
    stopped.lock().unwrap();
    for _ in 0..2 {
        let refused = [
            store.create_slot(0, "slot".into()).await.map(drop),
            store.replace(&path, None, "x".into()).await.map(drop),
            store.raise_floor(1).await,
            store.remove_slot(0).await,
        ];
        for answer in refused {
            assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
        }
        assert!(matches!(
            Directory::open(root.path(), options),
            Err(OpenError::Busy(_))
        ));
        assert!(matches!(store.probe(), Err(OpenError::Busy(_))));
    }
    // Tiles need no lock.
    store
        .create(&public("tile/0/000"), "tile".into())
        .await
        .unwrap();
    assert_eq!(names_in(&root, "private/tmp"), NONE);
    stopped.unlock().unwrap();
    assert_eq!(
        store.create_slot(0, "slot".into()).await.unwrap(),
        SlotCreated::Created
    );
    store.probe().unwrap();

    stopped.lock().unwrap();
    let closed = store.close().await;
    assert!(matches!(closed, Err(StoreError::Refused(_))), "{closed:?}");
    stopped.unlock().unwrap();
    assert_eq!(open(&root).condition(), Condition::Unclean);
}

/// A sleeper of any length: what it looked at before it slept is looked at again under the lock.
#[tokio::test]
async fn floor_and_version_are_checked_under_the_lock() {
    let root = made();
    let (store, path) = (open(&root), public("checkpoint"));
    store.replace(&path, None, "old".into()).await.unwrap();
    let old = store.read(&path).await.unwrap().unwrap().version;
    let lock = fs::File::open(root.path().join("private/lock")).unwrap();
    lock.lock().unwrap();
    let (one, other) = (store.clone(), store.clone());
    let slot = tokio::spawn(async move { one.create_slot(5, "slot".into()).await });
    let put = tokio::spawn(async move { other.replace(&path, Some(&old), "mine".into()).await });
    while names_in(&root, "private/tmp").len() < 2 {
        tokio::task::yield_now().await;
    }
    // Both wait for the lock by now, or nearly so: whoever looked before it has looked.
    tokio::time::sleep(Duration::from_millis(100)).await;
    fs::write(root.path().join("private/floor"), "00000000000000000006\n").unwrap();
    fs::write(root.path().join("public/checkpoint"), "theirs").unwrap();
    lock.unlock().unwrap();
    assert_eq!(slot.await.unwrap().unwrap(), SlotCreated::BelowFloor);
    assert_eq!(put.await.unwrap().unwrap(), Replaced::Changed);
    assert_eq!(names_in(&root, "private/wal"), NONE);
    assert_eq!(names_in(&root, "private/tmp"), NONE);
    let now = store.read(&public("checkpoint")).await.unwrap().unwrap();
    assert_eq!(now.bytes, "theirs");
}

#[test]
fn opening_needs_no_more_than_a_copy_of_the_files() {
    let root = made();
    for name in ["lock", "running"] {
        // Absent until the first process enters.
        assert!(!root.path().join("private").join(name).exists());
    }
    fs::remove_dir(root.path().join("private/tmp")).unwrap();
    drop(open(&root));
}
