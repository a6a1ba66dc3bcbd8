//! A log of raw entries in a directory: full and partial tiles of two levels, duplicates, an empty entry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tegula_client::{CheckpointMemory, DirectorySource, FsckOptions, Reader};
use tegula_sequencer::{Keep, Pending, Tidy, TidyOptions, Writer, init};
use tegula_storage::{Directory, DirectoryOptions, Memory, Store};
use tegula_tlog::{LeafIndex, Policy};

use crate::files::{Files, assert_golden, golden, read, write};
use crate::made::{Fixed, config, description, verifiers};

/// A batch, and the indexes that its entries are answered with.
type Batches = Vec<(Vec<Bytes>, Vec<u64>)>;

fn batches() -> Batches {
    let words = |words: &[&'static str]| words.iter().map(|word| Bytes::from(*word)).collect();
    let numbers = |from: u64, to| (from..to).map(|n| Bytes::from(n.to_string())).collect();
    vec![
        // A duplicate within a batch, and one of an earlier batch.
        (words(&["alpha", "beta", "alpha"]), vec![0, 1, 0]),
        (words(&["beta", "", "gamma"]), vec![1, 2, 3]),
        // All of it is there: no slot, and no checkpoint.
        (words(&["gamma", "alpha"]), vec![3, 0]),
        // A tile and a bundle that are full to the entry, then over their end, and over two ends.
        (numbers(4, 256), (4..256).collect()),
        (numbers(256, 300), (256..300).collect()),
        (numbers(300, 513), (300..513).collect()),
    ]
}

/// The log, made in an empty store.
async fn make(store: &Arc<dyn Store>) {
    let env = Arc::new(Fixed::default());
    init(
        store.as_ref(),
        &config().signers,
        &description("raw", "add"),
    )
    .await
    .unwrap();
    let mut writer = Writer::new(Arc::clone(store), Arc::<Fixed>::clone(&env), config()).unwrap();
    for (batch, expected) in batches() {
        env.second_passes();
        let pending: Vec<_> = batch.into_iter().map(Pending::new).collect();
        let round = writer.commit(&pending).await.unwrap();
        let indexes = (0..round.len()).map(|n| round.receipt(n).unwrap().index.get());
        assert_eq!(indexes.collect::<Vec<_>>(), expected);
    }
    let options = TidyOptions {
        keep: Keep::All,
        partial_age: Duration::from_hours(24),
        check_bundles: 3,
        ..TidyOptions::default()
    };
    let mut tidy = Tidy::new(Arc::clone(store), env, verifiers());
    assert_eq!(
        tidy.round(options).await.unwrap().damaged,
        Vec::<String>::new()
    );
}

async fn in_a_directory() -> Files {
    let root = tempfile::tempdir().unwrap();
    Directory::make(root.path()).unwrap();
    let directory = Directory::open(root.path(), DirectoryOptions::default()).unwrap();
    make(&(Arc::new(directory.clone()) as Arc<dyn Store>)).await;
    directory.close().await.unwrap();
    read(root.path())
}

#[tokio::test]
async fn the_log_is_the_same_to_the_byte() {
    assert_golden("raw", &in_a_directory().await);
}

/// The format is that of the objects, not of the store.
#[tokio::test]
async fn a_log_in_memory_has_the_same_objects() {
    let memory = Memory::new();
    make(&(Arc::new(memory.clone()) as Arc<dyn Store>)).await;
    let listing = memory.listing().into_iter();
    let found: Files = listing
        .map(|(name, bytes)| (name, bytes.to_vec()))
        .collect();
    let mut expected = in_a_directory().await;
    for file in ["format", "lock", "running"] {
        assert!(expected.remove(&format!("private/{file}")).is_some());
    }
    assert!(found == expected, "{found:?}");
}

/// What is committed, and not what is made today, is what there is in the field.
#[tokio::test]
async fn todays_reader_reads_it_by_either_key() {
    let source = Arc::new(DirectorySource::new(&golden("raw/log")).unwrap());
    for key in verifiers() {
        let policy = Policy::from_log_keys(vec![key]);
        let memory = CheckpointMemory::in_process();
        let reader = Reader::new(Arc::<DirectorySource>::clone(&source), policy, None, memory);
        let checkpoint = reader.checkpoint().await.unwrap();
        assert_eq!(checkpoint.size().get(), 513);
        let options = FsckOptions {
            threads: 1,
            elapsed: Arc::new(|| Duration::ZERO),
        };
        let report = reader.fsck(&checkpoint, options, |_| ()).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(report.entries, 513);
        for (batch, indexes) in batches() {
            for (entry, index) in batch.into_iter().zip(indexes) {
                let index = LeafIndex::new(index).unwrap();
                assert_eq!(reader.entry(&checkpoint, index).await.unwrap(), entry);
            }
        }
    }
}

#[tokio::test]
async fn todays_writer_goes_on_from_it() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &read(&golden("raw/log")));
    let directory = Directory::open(root.path(), DirectoryOptions::default()).unwrap();
    let store = Arc::new(directory.clone());
    let mut writer = Writer::new(store, Arc::new(Fixed::default()), config()).unwrap();
    let batch = ["new", "512", "alpha", ""].map(|entry| Pending::new(Bytes::from(entry)));
    let round = writer.commit(&batch).await.unwrap();
    let indexes = (0..4).map(|n| round.receipt(n).unwrap().index.get());
    assert_eq!(indexes.collect::<Vec<_>>(), [513, 512, 0, 2]);
    directory.close().await.unwrap();
    // It only adds: nothing but the checkpoint has changed.
    let after = read(root.path());
    for (path, bytes) in read(&golden("raw/log")) {
        let same = after.get(&path) == Some(&bytes);
        assert_eq!(same, path != "public/checkpoint", "{path}");
    }
}
