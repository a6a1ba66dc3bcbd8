use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;

use tempfile::TempDir;

use super::files::Step;
use super::*;
use crate::{MAX_OBJECT_BYTES, conformance};

mod agreement;
mod entry;
mod failures;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let roots = Mutex::new(Vec::new());
    conformance::run(async || {
        let root = made();
        let handles = vec![
            Arc::new(open(&root)) as Arc<dyn Store>,
            Arc::new(open(&root)),
        ];
        roots.lock().unwrap().push(root);
        handles
    })
    .await;
    for root in roots.into_inner().unwrap() {
        assert_eq!(names_in(&root, "private/tmp"), NONE);
        assert!(!root.path().join("public/~probe").exists());
        for name in names_in(&root, "private/wal") {
            assert_eq!(name.len(), 20, "{name}");
        }
    }
}

#[test]
fn makes_a_store_only_where_nothing_is() {
    let parent = tempfile::tempdir().unwrap();
    let absent = parent.path().join("a/b/log");
    Directory::make(&absent).unwrap();
    let again = Directory::make(&absent).unwrap_err();
    assert!(matches!(again, OpenError::NotEmpty { .. }), "{again}");

    let mounted = parent.path().join("mounted");
    fs::create_dir_all(mounted.join("lost+found")).unwrap();
    Directory::make(&mounted).unwrap();
    Directory::open(&mounted, DirectoryOptions::default()).unwrap();

    let full = parent.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join(".note"), "mine").unwrap();
    let refused = Directory::make(&full).unwrap_err().to_string();
    let expected = format!("{} is not empty: it holds \".note\"", full.display());
    assert_eq!(refused, expected);
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);

    let file = full.join(".note");
    assert!(matches!(Directory::make(&file), Err(OpenError::Io { .. })));
}

#[test]
fn opens_only_a_store_of_a_known_format() {
    let parent = tempfile::tempdir().unwrap();
    let open = |root: &Path| Directory::open(root, DirectoryOptions::default());
    for absent in [parent.path().to_owned(), parent.path().join("absent")] {
        let refused = open(&absent).unwrap_err();
        assert!(matches!(refused, OpenError::NotALog { .. }), "{refused}");
        assert!(!absent.join("private").exists());
    }
    let root = made();
    let format = root.path().join("private/format");
    assert_eq!(fs::read_to_string(&format).unwrap(), "1\n");
    for garbage in [
        "",
        "1",
        "0\n",
        "01\n",
        "+1\n",
        " 1\n",
        "1\n\n",
        "x\n",
        "99999999999999999999\n",
    ] {
        fs::write(&format, garbage).unwrap();
        let refused = open(root.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotALog { .. }), "{garbage:?}");
    }
    fs::write(&format, "2\n").unwrap();
    let refused = open(root.path()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the directory has format 2, and this version reads formats up to 1"
    );
    fs::write(&format, "1\n").unwrap();
    fs::remove_dir(root.path().join("private/wal")).unwrap();
    let refused = open(root.path()).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("private/wal is not a directory")
    );
}

#[tokio::test]
async fn private_files_are_private() {
    let root = made();
    let store = open(&root);
    store.create_slot(0, "slot".into()).await.unwrap();
    store.raise_floor(0).await.unwrap();
    store.raise_floor(1).await.unwrap();
    store
        .create(&private("keys/log"), "key".into())
        .await
        .unwrap();
    store
        .replace(&private("state"), None, "s".into())
        .await
        .unwrap();
    store
        .create(&public("tile/0/000"), "tile".into())
        .await
        .unwrap();
    let mode = |path: &str| {
        let metadata = fs::symlink_metadata(root.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    for directory in ["private", "private/wal", "private/tmp", "private/keys"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    for file in [
        "wal/00000000000000000000",
        "floor",
        "format",
        "lock",
        "running",
        "dirty",
        "keys/log",
        "state",
    ] {
        assert_eq!(mode(&format!("private/{file}")), 0o600, "{file}");
    }
    assert_eq!(mode("public/tile/0/000") & 0o600, 0o600);
    assert_eq!(
        fs::read_to_string(root.path().join("private/floor")).unwrap(),
        "00000000000000000001\n"
    );
}

#[tokio::test]
async fn follows_no_symbolic_link() {
    let (root, outside) = (made(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("file"), "outside").unwrap();
    let at = |path: &str| root.path().join("public").join(path);
    symlink(outside.path(), at("linked")).unwrap();
    symlink(outside.path().join("file"), at("file")).unwrap();
    let store = open(&root);
    for path in [public("linked/file"), public("file")] {
        invalid(store.read(&path).await);
    }
    invalid(store.create(&public("linked/new"), "x".into()).await);
    invalid(store.create(&public("linked/new/er"), "x".into()).await);
    invalid(store.replace(&public("linked/new"), None, "x".into()).await);
    invalid(store.replace(&public("file"), None, "x".into()).await);
    invalid(store.remove(&public("linked/file")).await);
    assert_eq!(
        store.create(&public("file"), "x".into()).await.unwrap(),
        Created::Exists
    );
    assert!(
        store
            .list(Root::Public, "", None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        fs::read_to_string(outside.path().join("file")).unwrap(),
        "outside"
    );
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_others_put_there_is_no_object_and_no_slot() {
    let root = made();
    let store = open(&root);
    store.create(&public("a/b"), "b".into()).await.unwrap();
    store.create_slot(5, "slot".into()).await.unwrap();
    for name in ["public/~x", "public/a/b c", "public/a/é", "private/tmp/x"] {
        fs::write(root.path().join(name), "x").unwrap();
    }
    fs::create_dir(root.path().join("public/lost+found")).unwrap();
    for name in [
        "5",
        "x",
        "0000000000000000000x",
        "000000000000000000006",
        "99999999999999999999",
    ] {
        fs::write(root.path().join("private/wal").join(name), "x").unwrap();
    }
    assert_eq!(
        store.list(Root::Public, "", None, 9).await.unwrap(),
        ["a/b"]
    );
    assert_eq!(store.slots(0, 9).await.unwrap(), [5]);
}

#[tokio::test]
async fn a_file_that_is_too_long_is_not_read() {
    let root = made();
    let store = open(&root);
    for (name, path) in [
        ("public/long", Some(public("long"))),
        ("private/wal/00000000000000000000", None),
    ] {
        let file = fs::File::create(root.path().join(name)).unwrap();
        let len = u64::try_from(MAX_OBJECT_BYTES).unwrap();
        for (len, fits) in [(len + 1, false), (1 << 40, false), (len, true)] {
            file.set_len(len).unwrap();
            let read = match &path {
                Some(path) => store.read(path).await.map(|object| object.unwrap().bytes),
                None => store.read_slot(0).await.map(Option::unwrap),
            };
            assert_eq!(read.is_ok(), fits, "{name} {len}");
        }
    }
}

#[tokio::test]
async fn a_floor_that_another_raised_is_seen_and_a_broken_one_is_fatal() {
    let root = made();
    let (one, other) = (open(&root), open(&root));
    one.raise_floor(5).await.unwrap();
    other.raise_floor(9).await.unwrap();
    assert_eq!(
        one.create_slot(8, "x".into()).await.unwrap(),
        SlotCreated::BelowFloor
    );
    one.raise_floor(7).await.unwrap();
    assert_eq!(other.floor().await.unwrap(), 9);
    drop((one, other));
    let floor = root.path().join("private/floor");
    for broken in [
        "",
        "9\n",
        "00000000000000000009",
        "0000000000000000000x\n",
        "99999999999999999999\n",
        "00000000000000000009\n\n",
    ] {
        let store = open(&root);
        fs::write(&floor, broken).unwrap();
        for _ in 0..2 {
            let made = store.create_slot(20, "x".into()).await;
            assert!(matches!(made, Err(StoreError::Fatal(_))), "{broken:?}");
        }
        assert_eq!(names_in(&root, "private/wal"), NONE);
        fs::write(&floor, "00000000000000000009\n").unwrap();
    }
}

/// A request that nobody awaits any more goes on.
#[tokio::test]
async fn a_dropped_call_still_happens() {
    let root = made();
    let store = open(&root);
    let mut creating = store.create_slot(0, "slot".into());
    assert!(futures::poll!(&mut creating).is_pending());
    drop(creating);
    while store.read_slot(0).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.read_slot(0).await.unwrap().unwrap(), "slot");
}

fn made() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    Directory::make(root.path()).unwrap();
    root
}

fn open(root: &TempDir) -> Directory {
    let options = DirectoryOptions::default();
    Directory::open(root.path(), options.with_lock_wait(Duration::from_secs(60))).unwrap()
}

fn names_in(root: &TempDir, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root.path().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it takes what it checks")]
fn invalid<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
}

fn public(path: &str) -> ObjectPath {
    ObjectPath::public(path).unwrap()
}

fn private(path: &str) -> ObjectPath {
    ObjectPath::private(path).unwrap()
}

const NONE: [&str; 0] = [];
