//! What each upload asks of the store, and many writers at one time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tegula_s3_stand_in::{Fault, StandIn};
use tegula_sequencer::{Error, Keep, Others, Pending, Tidy, TidyOptions};

use crate::{RealEnv, begun, signer, store, writer};

/// One warm upload reads nothing, and writes a slot, a tile, a bundle and the checkpoint; and one tile more for each level that it
/// completes one of. That is the formula of docs/performance.md.
#[tokio::test]
async fn an_upload_asks_for_as_much_as_is_said() {
    let stand_in = StandIn::start().await;
    let mut writer = begun(&stand_in, Others::Compete).await;
    stand_in.take_asked();
    for size in 1..=600_u64 {
        let entry = Pending::new(Bytes::from(format!("entry {size}")));
        let round = writer.commit(&[entry]).await.unwrap();
        assert_eq!(round.receipt(0).unwrap().index.get(), size - 1);
        let asked = stand_in.take_asked();
        let completed = (1..8)
            .filter(|k| size.is_multiple_of(256_u64.pow(*k)))
            .count();
        let puts = asked.iter().filter(|asked| asked.what == "PUT").count();
        assert_eq!(
            (puts, asked.len()),
            (4 + completed, puts),
            "size {size}: {asked:?}"
        );
        assert_eq!(
            asked.first().unwrap().bucket,
            "log-private",
            "the slot is first"
        );
        assert_eq!(
            asked.last().unwrap().key,
            "checkpoint",
            "and the checkpoint last"
        );
    }
}

/// A duplicate asks for the tiles of its proof, and writes nothing.
#[tokio::test]
async fn a_duplicate_writes_nothing() {
    let stand_in = StandIn::start().await;
    let mut writer = begun(&stand_in, Others::Compete).await;
    for name in ["one", "two"] {
        writer.commit(&[Pending::new(name.into())]).await.unwrap();
    }
    stand_in.take_asked();
    let round = writer.commit(&[Pending::new("one".into())]).await.unwrap();
    assert!(round.receipt(0).unwrap().duplicate);
    let asked = stand_in.take_asked();
    assert!(asked.iter().all(|asked| asked.what == "GET"), "{asked:?}");
}

/// Each a process of its own, with one request at a time, while the store fails as stores do.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_nothing_and_log_nothing_twice() {
    let stand_in = StandIn::start().await;
    begun(&stand_in, Others::HandOver).await;
    let n = AtomicU64::new(0);
    stand_in.decide(move |asked| {
        // A fixed mixture, of writes and of reads.
        let at = n.fetch_add(1, Ordering::Relaxed);
        match (at % 41, asked.what) {
            (3, "PUT") => Some(Fault::Lose),
            (11, "PUT") => Some(Fault::RefuseButDo(503, "SlowDown")),
            (17, "PUT") => Some(Fault::Refuse(409, "ConditionalRequestConflict")),
            (23, _) => Some(Fault::Refuse(503, "SlowDown")),
            (29, "PUT") => Some(Fault::Drop),
            (31, _) => Some(Fault::Slow(Duration::from_millis(40))),
            _ => None,
        }
    });
    let tasks = (0..24_u64).map(|n| {
        let mut writer = writer(&stand_in, Others::HandOver);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for m in 0..8 {
                let entry = Pending::new(Bytes::from(format!("{n} {m}")));
                for _ in 0..50 {
                    match writer.commit(std::slice::from_ref(&entry)).await {
                        Ok(round) => {
                            acknowledged.push(round.receipt(0).unwrap().index.get());
                            break;
                        }
                        Err(Error::Unavailable(_) | Error::Overloaded { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!(acknowledged.len(), m + 1);
            }
            acknowledged
        })
    });
    let acknowledged: Vec<u64> = join_all(tasks.collect::<Vec<_>>())
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let distinct: BTreeSet<_> = acknowledged.iter().collect();
    assert_eq!(distinct.len(), 24 * 8, "no two entries have one index");

    stand_in.decide(|_| None);
    // What may still be on its way has arrived; the log has each of them once, and is sound.
    let mut last = writer(&stand_in, Others::TakeAlong);
    last.start().await.unwrap();
    assert_eq!(last.published().unwrap().size.get(), 24 * 8);
    let keys = vec![signer().verifier()];
    let mut tidy = Tidy::new(Arc::new(store(&stand_in)), Arc::new(RealEnv), keys);
    let options = TidyOptions {
        keep: Keep::All,
        check_bundles: 9,
        ..TidyOptions::default()
    };
    let report = tidy.round(options).await.unwrap();
    assert_eq!((report.damaged, report.failed), (vec![], vec![]));
}

/// A slot says its time for ever.
#[tokio::test]
async fn a_clock_that_is_off_writes_nothing() {
    let stand_in = StandIn::start().await;
    begun(&stand_in, Others::Compete).await;
    let before = stand_in.keys();
    let mut writer = writer(&stand_in, Others::Compete);
    for (date, off) in [
        ("Thu, 01 Jan 2026 00:01:05 GMT", "65 s"),
        ("Wed, 31 Dec 2025 23:58:50 GMT", "70 s"),
    ] {
        stand_in.say_date(date);
        let entry = [Pending::new("one".into())];
        let error = writer.commit(&entry).await.map(drop);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("away from the store's"), "{off}: {error}");
    }
    assert_eq!(stand_in.keys(), before);
    // What the store said before it was told right is asked again.
    stand_in.say_date(crate::TODAY);
    writer.commit(&[Pending::new("one".into())]).await.unwrap();
}
