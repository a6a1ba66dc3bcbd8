//! Base runs that writers make beside their tiles.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tegula_index::{Run, build};
use tegula_sequencer::{Config, Pending, Writer};
use tegula_storage::{Fate, Faulty, ObjectPath, OperationKind, Script, Store};

use crate::builders::words;
use crate::world::{World, env, extract, signers};

fn emitting(store: Arc<dyn Store>, seed: u64) -> Writer {
    let config = Config {
        index: Some(extract()),
        ..Config::new(signers())
    };
    Writer::new(store, env(seed), config).unwrap()
}

/// Entries from an index on.
fn batch(start: usize, len: usize) -> Vec<String> {
    let entry = |index| format!("{index} {}", words(index));
    (start..start + len).map(entry).collect()
}

async fn commit(writer: &mut Writer, entries: &[String]) {
    let pending = entries.iter().cloned().map(Bytes::from).map(Pending::new);
    writer.commit(&pending.collect::<Vec<_>>()).await.unwrap();
}

/// What [`build`] makes of the full bundles of entries.
fn expected(entries: &[String]) -> BTreeMap<String, Bytes> {
    let extract = extract();
    let mut objects = BTreeMap::new();
    for (n, bundle) in (0..).zip(entries.chunks_exact(256)) {
        let keys: Vec<_> = bundle.iter().map(|e| extract(e.as_bytes())).collect();
        let built = build(Run::new(0, n).unwrap(), &keys).unwrap();
        let objects_of_run = built.objects.into_iter();
        objects.extend(objects_of_run.map(|(path, bytes)| (path.to_string(), bytes.into())));
    }
    objects
}

/// Whether one process orders all batches, or each is another's: then a bundle's first entries are read.
#[tokio::test]
async fn a_writer_leaves_the_base_runs_of_its_bundles() {
    for (len, cold) in [
        (1, false),
        (7, true),
        (100, true),
        (255, false),
        (256, true),
        (257, true),
        (700, false),
        (3_000, true),
    ] {
        let world = World::new().await;
        let mut writer = emitting(Arc::new(world.memory.clone()), 2);
        let mut entries = Vec::new();
        while entries.len() < 1_100 {
            let new = batch(entries.len(), len);
            commit(&mut writer, &new).await;
            entries.extend(new);
            if cold {
                writer = emitting(Arc::new(world.memory.clone()), entries.len() as u64);
            }
            assert_eq!(world.objects().await, expected(&entries), "{len} {cold}");
        }
    }
}

/// What is in the way stays as it is, and what is refused is left out: the log goes on, and says so to nobody who uploads.
#[tokio::test]
async fn what_fails_of_a_base_run_stops_no_writer() {
    let world = World::new().await;
    let other = ObjectPath::public("index/v1/run/0/000/000").unwrap();
    world.memory.tamper(&other, Some("other".into()));
    let script = Arc::new(Script::new());
    for (n, fate) in [(1, Fate::Refuse), (2, Fate::RefuseButApply)] {
        let path = format!("index/v1/run/0/00{n}/000");
        script.add_at(OperationKind::Create, &path, 0, fate);
    }
    let store = Arc::new(Faulty::new(Arc::new(world.memory.clone()), script));
    let mut writer = emitting(store, 2);
    let mut entries = Vec::new();
    while entries.len() < 1_024 {
        let new = batch(entries.len(), 128);
        commit(&mut writer, &new).await;
        entries.extend(new);
    }
    assert_eq!(writer.published().unwrap().size.get(), 1_024);
    let mut left = expected(&entries);
    left.insert(other.as_str().to_owned(), "other".into());
    left.remove("index/v1/run/0/001/000");
    assert_eq!(world.objects().await, left);
    // Where nothing is wrong, its builder makes what is left out.
    world.memory.tamper(&other, None);
    assert_eq!(world.index().await.covered, 1_024);
    let made = world.objects().await;
    for (path, bytes) in expected(&entries) {
        assert_eq!(made.get(&path), Some(&bytes), "{path}");
    }
}
