//! An imported log: written without slots, and gone on with by slots.

use std::sync::Arc;

use bytes::Bytes;
use tegula_sequencer::{Config, Error, Import, Pending, Tidy, TidyOptions, Writer, init};
use tegula_storage::{Fate, Faulty, Memory, ObjectPath, OperationKind, Root, Script, Store};

use crate::{Calm, description, signers};

#[tokio::test]
async fn an_imported_log_goes_on() {
    let (store, import) = begin(300).await;
    let root = import.root();
    import
        .finish(&signers(), &description(), Some(root))
        .await
        .unwrap();
    let receipt = commit(&store, "next").await;
    assert_eq!(receipt, 300);
    assert_eq!(
        commit(&store, "entry 299").await,
        299,
        "a duplicate is found"
    );
    assert_eq!(tidied(&store).await, 301);
}

#[tokio::test]
async fn a_base_that_was_taken_away_comes_back_though_early_slots_are_gone() {
    let (store, import) = begin(300).await;
    import
        .finish(&signers(), &description(), None)
        .await
        .unwrap();
    commit(&store, "next").await;
    // As `fsck --repair` does.
    store
        .remove(&ObjectPath::private("base").unwrap())
        .await
        .unwrap();
    assert_eq!(tidied(&store).await, 301);
}

#[tokio::test]
async fn a_tree_with_another_root_is_not_signed() {
    let (store, import) = begin(300).await;
    let (_, other) = begin(299).await;
    let expected = Some(other.root());
    let error = import
        .finish(&signers(), &description(), expected)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    let checkpoint = store.read(&ObjectPath::public("checkpoint").unwrap()).await;
    assert_eq!(checkpoint.unwrap(), None);
    // What is left does not stand in the way of what was meant.
    let import = append(&store, 299).await;
    import
        .finish(&signers(), &description(), expected)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_log_is_not_imported_over() {
    let (store, import) = begin(1).await;
    import
        .finish(&signers(), &description(), None)
        .await
        .unwrap();
    let again = Import::begin(Arc::clone(&store), Arc::new(Calm::default())).await;
    assert!(matches!(again.unwrap_err(), Error::Rejected(_)));
}

#[tokio::test]
async fn what_differs_from_what_was_left_is_not_passed_over() {
    let (store, _) = begin(256).await;
    let mut import = Import::begin(store, Arc::new(Calm::default()))
        .await
        .unwrap();
    let error = import.append(&entries(1..257)).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}

/// Of another log, and more of it: a log of the first entries only is not in the way of itself when it grows.
#[tokio::test]
async fn what_another_import_left_is_removed() {
    for left in [300, 299, 1_000] {
        let memory = Memory::new();
        let script = Arc::new(Script::new());
        script.add(OperationKind::Sync, 0, Fate::Lose);
        let failing: Arc<dyn Store> = Arc::new(Faulty::new(Arc::new(memory.clone()), script));
        let import = append(&failing, left).await;
        // Behind the partial objects, and before floor and checkpoint.
        let cut_off = import.finish(&signers(), &description(), None).await;
        assert!(matches!(cut_off, Err(Error::Unavailable(_))), "{cut_off:?}");
        let store: Arc<dyn Store> = Arc::new(memory);
        assert!(tiles(&store).await.len() > 2);

        let mut import = Import::begin(Arc::clone(&store), Arc::new(Calm::default()))
            .await
            .unwrap();
        let other = |n: u64| Pending::new(Bytes::from(format!("other {n}")));
        import.append(&[other(0), other(1)]).await.unwrap();
        import
            .finish(&signers(), &description(), None)
            .await
            .unwrap();
        assert_eq!(
            tiles(&store).await,
            ["tile/0/000.p/2", "tile/entries/000.p/2"]
        );
    }
}

/// Nor is it made into a new log, which would meet them one day.
#[tokio::test]
async fn where_an_import_was_cut_off_no_log_is_made() {
    let (store, _) = begin(300).await;
    let made = init(store.as_ref(), &signers(), &description()).await;
    assert!(matches!(&made, Err(Error::Rejected(_))), "{made:?}");
    assert!(
        made.unwrap_err()
            .to_string()
            .contains("there is a tile already")
    );
}

#[tokio::test]
async fn where_a_log_lost_its_checkpoint_no_log_is_made() {
    for (floor, base) in [(1, None), (0, Some("1\n"))] {
        let store = Memory::new();
        store.raise_floor(floor).await.unwrap();
        if let Some(base) = base {
            let path = ObjectPath::private("base").unwrap();
            store.replace(&path, None, base.into()).await.unwrap();
        }
        let made = init(&store, &signers(), &description()).await;
        assert!(matches!(&made, Err(Error::Rejected(_))), "{made:?}");
    }
}

async fn tiles(store: &Arc<dyn Store>) -> Vec<String> {
    store.list(Root::Public, "tile/", None, 99).await.unwrap()
}

async fn begin(count: u64) -> (Arc<dyn Store>, Import) {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let import = append(&store, count).await;
    (store, import)
}

async fn append(store: &Arc<dyn Store>, count: u64) -> Import {
    let env = Arc::new(Calm::default());
    let mut import = Import::begin(Arc::clone(store), env).await.unwrap();
    // In pieces that end within bundles.
    let cut = count.min(100);
    import.append(&entries(0..cut)).await.unwrap();
    import.append(&entries(cut..count)).await.unwrap();
    import
}

fn entries(range: std::ops::Range<u64>) -> Vec<Pending> {
    let entry = |n| Pending::new(Bytes::from(format!("entry {n}")));
    range.map(entry).collect()
}

async fn commit(store: &Arc<dyn Store>, entry: &'static str) -> u64 {
    let env = Arc::new(Calm::default());
    let mut writer = Writer::new(Arc::clone(store), env, Config::new(signers())).unwrap();
    let batch = [Pending::new(Bytes::from_static(entry.as_bytes()))];
    let round = writer.commit(&batch).await.unwrap();
    round.receipt(0).unwrap().index.get()
}

async fn tidied(store: &Arc<dyn Store>) -> u64 {
    let keys = signers().verifiers().to_vec();
    let mut tidy = Tidy::new(Arc::clone(store), Arc::new(Calm::default()), keys);
    let report = tidy.round(TidyOptions::default()).await.unwrap();
    assert!(report.damaged.is_empty(), "{report:?}");
    report.base
}
