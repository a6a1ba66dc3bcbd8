//! Many processes on one directory: this program runs itself again as each of them.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tegula_storage::{
    Condition, Directory, DirectoryOptions, ObjectPath, OpenError, Replaced, SlotCreated, Store,
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match *arguments {
        ["contend", root, name] => runtime.block_on(contend(root, name)),
        ["go-on", root, name] => runtime.block_on(go_on(root, name)),
        // Whatever the test runner was given is not for a test that is one function.
        _ => runtime.block_on(async {
            one_of_all_gets_each_slot().await;
            what_a_killed_process_was_told_stays().await;
            a_killed_process_beside_a_live_one_is_no_reason_to_rebuild().await;
        }),
    }
}

/// A child: tries every slot, says which it made, and counts up a shared number.
async fn contend(root: &str, name: &str) {
    let store = open(Path::new(root));
    for start in 0..SLOTS {
        let made = store.create_slot(start, slot_bytes(start, name)).await;
        if made.unwrap() == SlotCreated::Created {
            say(&format!("{start} {name}"));
        }
        assert!(store.read_slot(start).await.unwrap().is_some());
    }
    let counter = ObjectPath::public("counter").unwrap();
    let mut done = 0;
    while done < COUNTS {
        let now = store.read(&counter).await.unwrap();
        let count: u64 = now.as_ref().map_or(0, |now| {
            String::from_utf8(now.bytes.to_vec())
                .unwrap()
                .parse()
                .unwrap()
        });
        let version = now.map(|now| now.version);
        let next = Bytes::from((count + 1).to_string());
        let put = store.replace(&counter, version.as_ref(), next).await;
        if matches!(put.unwrap(), Replaced::Replaced(_)) {
            done += 1;
        }
    }
    store.close().await.unwrap();
}

/// A child: makes slots and tiles until it is killed, and says which it was told of.
async fn go_on(root: &str, name: &str) {
    let store = open(Path::new(root));
    for start in 0.. {
        let made = store.create_slot(start, slot_bytes(start, name)).await;
        if made.unwrap() == SlotCreated::Created {
            say(&format!("{start} {name}"));
        }
        let tile = ObjectPath::public(format!("tile/{start}")).unwrap();
        store.create(&tile, slot_bytes(start, "")).await.unwrap();
    }
}

async fn one_of_all_gets_each_slot() {
    let root = made();
    let children: Vec<Child> = (0..4).map(|n| child("contend", root.path(), n)).collect();
    let mut makers = BTreeMap::new();
    for mut child in children {
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let (start, name) = parse(&line.unwrap());
            assert_eq!(
                makers.insert(start, name),
                None,
                "slot {start} was made twice"
            );
        }
        assert!(child.wait().unwrap().success());
    }
    let store = open(root.path());
    assert_eq!(store.condition(), Condition::Clean);
    let all: Vec<u64> = (0..SLOTS).collect();
    assert_eq!(makers.keys().copied().collect::<Vec<_>>(), all);
    for (start, name) in makers {
        let slot = store.read_slot(start).await.unwrap().unwrap();
        assert_eq!(slot, slot_bytes(start, &name));
    }
    let counter = ObjectPath::public("counter").unwrap();
    let count = store.read(&counter).await.unwrap().unwrap();
    assert_eq!(count.bytes, (4 * COUNTS).to_string());
}

async fn what_a_killed_process_was_told_stays() {
    for round in 1..=6 {
        let root = made();
        let mut children: Vec<Child> = (0..3).map(|n| child("go-on", root.path(), n)).collect();
        // Killed wherever they are once the first has said so much.
        let mut told = Vec::new();
        let mut outputs = Vec::new();
        for child in &mut children {
            outputs.push(BufReader::new(child.stdout.take().unwrap()).lines());
        }
        for line in outputs.iter_mut().flat_map(|lines| lines.take(round)) {
            told.push(parse(&line.unwrap()));
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // The last line may be half a line.
        told.extend(
            outputs
                .into_iter()
                .flatten()
                .map_while(|line| try_parse(&line.ok()?)),
        );

        let store = open(root.path());
        assert_eq!(store.condition(), Condition::Unclean);
        let left = root.path().join("private/tmp").read_dir().unwrap().count();
        assert_eq!(left, 0);
        let options = DirectoryOptions::default().with_lock_wait(Duration::from_millis(30));
        let second = Directory::open(root.path(), options);
        assert!(matches!(second, Err(OpenError::Busy(_))));
        for (start, name) in &told {
            let slot = store.read_slot(*start).await.unwrap().unwrap();
            assert_eq!(slot, slot_bytes(*start, name), "slot {start}");
        }
        // Nobody was told of the others, and they are whole all the same.
        for start in store.slots(0, usize::MAX).await.unwrap() {
            let slot = store.read_slot(start).await.unwrap().unwrap();
            let whole = (0..3).any(|n| slot == slot_bytes(start, &n.to_string()));
            assert!(whole, "slot {start}");
        }
        let tiles = store.list(tegula_storage::Root::Public, "tile/", None, usize::MAX);
        for path in tiles.await.unwrap() {
            let start = path.strip_prefix("tile/").unwrap().parse().unwrap();
            let tile = store.read(&ObjectPath::public(path).unwrap()).await;
            assert_eq!(tile.unwrap().unwrap().bytes, slot_bytes(start, ""));
        }
        store.recovered().await.unwrap();
        assert_eq!(open(root.path()).condition(), Condition::Clean);
        store.close().await.unwrap();
    }
}

async fn a_killed_process_beside_a_live_one_is_no_reason_to_rebuild() {
    let root = made();
    let live = open(root.path());
    let mut killed = child("go-on", root.path(), 0);
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let second = open(root.path());
    assert_eq!(second.condition(), Condition::Clean);
    live.close().await.unwrap();
    second.close().await.unwrap();
    assert_eq!(open(root.path()).condition(), Condition::Clean);
}

fn child(role: &str, root: &Path, n: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .arg(role)
        .arg(root)
        .arg(n.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// In one write, so that a line is there or not, however the process ends.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

fn parse(line: &str) -> (u64, String) {
    try_parse(line).unwrap()
}

fn try_parse(line: &str) -> Option<(u64, String)> {
    let (start, name) = line.split_once(' ')?;
    Some((start.parse().ok()?, name.to_owned()))
}

fn slot_bytes(start: u64, name: &str) -> Bytes {
    Bytes::from(format!("{start} by {name}\n").repeat(500))
}

fn made() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    Directory::make(root.path()).unwrap();
    root
}

fn open(root: &Path) -> Directory {
    Directory::open(root, DirectoryOptions::default()).unwrap()
}

const SLOTS: u64 = 200;

const COUNTS: u64 = 25;
