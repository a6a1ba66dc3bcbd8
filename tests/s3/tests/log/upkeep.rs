//! Housekeeping of a log in buckets, where slots stay.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_s3_stand_in::StandIn;
use tegula_sequencer::{
    Config, Env, Item, ItemName, Keep, Others, Pending, Slot, Tidy, TidyOptions, TidyReport,
    rebuild,
};
use tegula_storage::{ObjectPath, Root, Store};

use crate::{RealEnv, begun, signer, store, writer};

/// A day and an hour later.
#[derive(Debug)]
struct Later;

impl Env for Later {
    fn now_ms(&self) -> u64 {
        RealEnv.now_ms() + 25 * 3_600_000
    }

    fn random(&self) -> [u8; 16] {
        RealEnv.random()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

async fn tidy(stand_in: &StandIn, env: Arc<dyn Env>, keep: Keep) -> TidyReport {
    let keys = vec![signer().verifier()];
    let options = TidyOptions {
        keep,
        check_bundles: 2,
        ..TidyOptions::default()
    };
    let mut tidy = Tidy::new(Arc::new(store(stand_in)), env, keys);
    let report = tidy.round(options).await.unwrap();
    assert_eq!(report.failed, Vec::<String>::new());
    report
}

/// Slots of 100 entries each.
async fn log(stand_in: &StandIn, slots: u64) {
    let mut writer = begun(stand_in, Others::Compete).await;
    for slot in 0..slots {
        let entries: Vec<_> = (0..100)
            .map(|n| Pending::new(format!("{slot} {n}").into()))
            .collect();
        writer.commit(&entries).await.unwrap();
    }
}

fn slots(stand_in: &StandIn) -> usize {
    let keys = stand_in.keys();
    keys.iter().filter(|key| key.contains("wal/")).count()
}

#[tokio::test]
async fn superseded_partials_go_and_slots_stay() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 6).await;
    let partials = || {
        stand_in
            .keys()
            .iter()
            .filter(|key| key.contains(".p/"))
            .count()
    };
    let before = partials();
    let report = tidy(&stand_in, Arc::new(RealEnv), Keep::All).await;
    assert_eq!((report.partials_removed, report.bundles_checked), (0, 2));
    assert_eq!(report.damaged, Vec::<String>::new());
    let report = tidy(&stand_in, Arc::new(Later), Keep::All).await;
    // Those of 100, 200, 300, 400 and 500 entries; of those of 600 there is no full one.
    assert_eq!(report.partials_removed, 2 * 5);
    assert_eq!(partials(), before - 2 * 5);
    assert_eq!(slots(&stand_in), 6);
    assert!(!stand_in.keys().iter().any(|key| key.ends_with("/base")));
    writer(&stand_in, Others::Compete).start().await.unwrap();
}

/// The self-check goes on where another process ended.
#[tokio::test]
async fn all_bundles_are_checked_in_their_turn() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 11).await;
    stand_in.tamper("log-public", "tile/entries/003", Some("damaged".into()));
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(
            tidy(&stand_in, Arc::new(RealEnv), Keep::All)
                .await
                .damaged
                .len(),
        );
    }
    // Bundles 0 and 1, 2 and 3, 4 and 0.
    assert_eq!(found, [0, 1, 0]);
}

#[tokio::test]
async fn old_slots_are_cut_to_their_headers() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 6).await;
    let report = tidy(&stand_in, Arc::new(RealEnv), Keep::Leaves(250)).await;
    assert_eq!(report.slots_cut, 3);
    assert_eq!(
        tidy(&stand_in, Arc::new(RealEnv), Keep::Leaves(250))
            .await
            .slots_cut,
        0
    );
    let store = store(&stand_in);
    for start in 0..6_u64 {
        let bytes = store.read_slot(100 * start).await.unwrap().unwrap();
        let slot = Slot::parse(100 * start, &bytes).unwrap();
        assert_eq!(slot.entries.is_none(), start < 3, "slot {start}");
    }
    // The log goes on, also with a writer that stood before them.
    let mut writer = writer(&stand_in, Others::Compete);
    let round = writer.commit(&[Pending::new("next".into())]).await.unwrap();
    assert_eq!(round.receipt(0).unwrap().index.get(), 600);
}

/// What is damaged below can no longer be made again from slots; what is sound is passed over.
#[tokio::test]
async fn a_log_whose_slots_were_cut_is_repaired_as_far_as_slots_go() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 6).await;
    tidy(&stand_in, Arc::new(RealEnv), Keep::Leaves(250)).await;
    stand_in.tamper(
        "log-public",
        "tile/entries/002.p/88",
        Some("damaged".into()),
    );
    let store = store(&stand_in);
    let config = Config::new(vec![signer()]);
    let log_id = signer().verifier().full_key_id();
    let report = rebuild(&store, &config, log_id).await.unwrap();
    assert_eq!((report.torn, report.missing), (1, 0));
    let report = tidy(&stand_in, Arc::new(RealEnv), Keep::All).await;
    assert_eq!(report.damaged, Vec::<String>::new());
    // Nobody knows any more what was in it: that is left to `fsck` to tell.
    stand_in.tamper("log-public", "tile/entries/000", Some("damaged".into()));
    let report = rebuild(&store, &config, log_id).await.unwrap();
    assert_eq!((report.from, report.torn, report.missing), (300, 0, 0));
}

/// The entries of a slot are worth more than its space where they are nowhere else.
#[tokio::test]
async fn a_slot_that_differs_from_what_is_published_is_not_cut() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 6).await;
    stand_in.tamper("log-public", "tile/entries/001", Some("damaged".into()));
    let report = tidy(&stand_in, Arc::new(RealEnv), Keep::Leaves(0)).await;
    assert_eq!(report.slots_cut, 2);
    assert!(!report.damaged.is_empty());
}

#[tokio::test]
async fn what_was_left_in_the_inbox_goes_after_an_hour() {
    let stand_in = StandIn::start().await;
    log(&stand_in, 2).await;
    let store = store(&stand_in);
    for (seen, id) in [(100, 1), (200, 2)] {
        let name = ItemName { seen, id: [id; 16] };
        let log_id = signer().verifier().full_key_id();
        let entry: &[u8] = b"left";
        let bytes = Item::encode(name, &log_id, [entry].into_iter()).unwrap();
        let path = ObjectPath::private(name.to_string()).unwrap();
        store.create(&path, bytes).await.unwrap();
    }
    let left = async || store.list(Root::Private, "inbox/", None, 9).await.unwrap();
    let report = tidy(&stand_in, Arc::new(RealEnv), Keep::All).await;
    assert_eq!((report.items_removed, left().await.len()), (0, 2));
    let report = tidy(&stand_in, Arc::new(Later), Keep::All).await;
    assert_eq!(report.items_removed, 1);
    // At this size somebody may stand yet, and whoever settles takes it along.
    let names = left().await;
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with("inbox/00000000000000000200-"));
    let mut writer = writer(&stand_in, Others::TakeAlong);
    writer.settle().await.unwrap();
    let size = writer.published().unwrap().size.get();
    assert_eq!(size, 201);
}
