//! How fast a directory is, beside bare file operations in the same place:
//! `cargo bench -p tegula-storage [-- <directory>]`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use tegula_storage::{Directory, DirectoryOptions, ObjectPath, Replaced, SlotCreated, Store};

fn main() {
    let place = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let root = match place {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    bare(&root.path().join("bare"));
    runtime.block_on(store(&root.path().join("log")));
}

fn bare(root: &Path) {
    fs::create_dir(root).unwrap();
    let (tile, slot) = (bytes(TILE), bytes(SLOT));
    measure("bare: create, write", OBJECTS, |n| {
        let mut file = File::create_new(root.join(format!("t{n}"))).unwrap();
        file.write_all(&tile).unwrap();
    });
    measure("bare: create, write, link, unlink", OBJECTS, |n| {
        let temporary = root.join("temporary");
        let mut file = File::create_new(&temporary).unwrap();
        file.write_all(&tile).unwrap();
        fs::hard_link(&temporary, root.join(format!("l{n}"))).unwrap();
        fs::remove_file(&temporary).unwrap();
    });
    let directory = File::open(root).unwrap();
    measure("bare: create, write, sync, sync directory", SLOTS, |n| {
        let mut file = File::create_new(root.join(format!("s{n}"))).unwrap();
        file.write_all(&slot).unwrap();
        file.sync_all().unwrap();
        directory.sync_all().unwrap();
    });
    measure(
        "bare: create, write, sync, rename, sync directory",
        SLOTS,
        |_| {
            let temporary = root.join("temporary");
            let mut file = File::create_new(&temporary).unwrap();
            file.write_all(b"checkpoint").unwrap();
            file.sync_all().unwrap();
            fs::rename(&temporary, root.join("checkpoint")).unwrap();
            directory.sync_all().unwrap();
        },
    );
}

async fn store(root: &Path) {
    Directory::make(root).unwrap();
    let store = Directory::open(root, DirectoryOptions::default()).unwrap();
    let (tile, slot) = (bytes(TILE), bytes(SLOT));
    let path = |part: &str, n: usize| {
        ObjectPath::public(format!("{part}/x{:03}/{:03}", n / 1000, n % 1000)).unwrap()
    };

    let start = Instant::now();
    for n in 0..OBJECTS {
        store.create(&path("one", n), tile.clone()).await.unwrap();
    }
    report("create", OBJECTS, start);

    let start = Instant::now();
    for batch in 0..OBJECTS / BATCH {
        let objects = (0..BATCH).map(|n| (path("many", batch * BATCH + n), tile.clone()));
        for answer in store.create_many(objects.collect()).await {
            answer.unwrap();
        }
    }
    report("create_many of 100, an object", OBJECTS, start);

    let paths: Vec<ObjectPath> = (0..OBJECTS).map(|n| path("many", n)).collect();
    let start = Instant::now();
    for paths in paths.chunks(BATCH) {
        for answer in store.read_many(paths).await {
            answer.unwrap().unwrap();
        }
    }
    report("read_many of 100, an object", OBJECTS, start);

    let start = Instant::now();
    for n in 0..SLOTS {
        let made = store
            .create_slot(u64::try_from(n).unwrap(), slot.clone())
            .await;
        assert_eq!(made.unwrap(), SlotCreated::Created);
    }
    report("create_slot", SLOTS, start);

    let start = Instant::now();
    for n in 0..SLOTS {
        store
            .read_slot(u64::try_from(n).unwrap())
            .await
            .unwrap()
            .unwrap();
    }
    report("read_slot", SLOTS, start);

    let checkpoint = ObjectPath::public("checkpoint").unwrap();
    let mut version = None;
    let start = Instant::now();
    for n in 0..SLOTS {
        let next = Bytes::from(format!("checkpoint {n}"));
        let put = store.replace(&checkpoint, version.as_ref(), next).await;
        let Replaced::Replaced(new) = put.unwrap() else {
            panic!("somebody else replaces")
        };
        assert!(store.read(&checkpoint).await.unwrap().is_some());
        version = Some(new);
    }
    report("replace, and read", SLOTS, start);

    let start = Instant::now();
    for paths in paths.chunks(BATCH) {
        store.sync(paths).await.unwrap();
    }
    report("sync of 100, an object", OBJECTS, start);
    store.close().await.unwrap();
}

fn measure(what: &str, count: usize, work: impl Fn(usize)) {
    let start = Instant::now();
    (0..count).for_each(work);
    report(what, count, start);
}

fn report(what: &str, count: usize, start: Instant) {
    let each = start.elapsed().as_secs_f64() / f64::from(u32::try_from(count).unwrap());
    println!("{what:50} {:9.1} us {:9.0}/s", each * 1e6, 1.0 / each);
}

fn bytes(len: usize) -> Bytes {
    Bytes::from(vec![0xa5; len])
}

const OBJECTS: usize = 10_000;

const BATCH: usize = 100;

const SLOTS: usize = 500;

/// A full hash tile.
const TILE: usize = 8192;

/// A batch of 4,096 entries of 256 bytes.
const SLOT: usize = 1 << 20;
