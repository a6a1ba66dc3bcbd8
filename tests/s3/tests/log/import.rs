//! A log that was imported into buckets, where no floor says that its first entries have no slots.

use std::sync::Arc;

use tegula_s3_stand_in::StandIn;
use tegula_sequencer::{Config, Error, Import, Others, Pending, Signers, init, rebuild};
use tegula_storage::Store;

use crate::{RealEnv, description, signer, store, writer};

async fn import(stand_in: &StandIn, entries: u64) -> Result<(), Error> {
    let store: Arc<dyn Store> = Arc::new(store(stand_in));
    let mut import = Import::begin(store, Arc::new(RealEnv)).await?;
    let entries: Vec<_> = (0..entries)
        .map(|n| Pending::new(format!("entry {n}").into()))
        .collect();
    import.append(&entries).await?;
    let signers = vec![signer()].into();
    import
        .finish(&signers, &description(), None)
        .await
        .map(drop)
}

#[tokio::test]
async fn an_imported_log_goes_on() {
    for size in [0, 1, 255, 256, 257, 300] {
        let stand_in = StandIn::start().await;
        stand_in.say_date(crate::TODAY);
        import(&stand_in, size).await.unwrap();
        for others in [Others::Compete, Others::HandOver] {
            let mut writer = writer(&stand_in, others);
            let next = [Pending::new("next".into())];
            let round = writer.commit(&next).await.unwrap();
            assert_eq!(round.receipt(0).unwrap().index.get(), size);
        }
        // Made again from slots is what has some.
        let config = Config::new(vec![signer()]);
        let log_id = signer().verifier().full_key_id();
        let report = rebuild(&store(&stand_in), &config, log_id).await.unwrap();
        assert_eq!((report.from, report.to), (size, size + 1));
        let again = import(&stand_in, size).await;
        assert!(matches!(again, Err(Error::Rejected(_))), "{again:?}");
    }
}

/// The slot that an import leaves says its time for ever.
#[tokio::test]
async fn a_clock_that_is_off_imports_nothing() {
    let stand_in = StandIn::start().await;
    stand_in.say_date("Thu, 01 Jan 2026 00:02:00 GMT");
    let error = import(&stand_in, 3).await.unwrap_err().to_string();
    assert!(error.contains("away from the store's"), "{error}");
    assert!(!stand_in.keys().iter().any(|key| key.contains("wal/")));
    stand_in.say_date(crate::TODAY);
    import(&stand_in, 3).await.unwrap();
}

/// The slot cannot be taken back, so it comes after all that can fail for good.
#[tokio::test]
async fn an_import_that_cannot_be_signed_takes_no_slot() {
    let stand_in = StandIn::start().await;
    stand_in.say_date(crate::TODAY);
    let store: Arc<dyn Store> = Arc::new(store(&stand_in));
    let mut begun = Import::begin(Arc::clone(&store), Arc::new(RealEnv))
        .await
        .unwrap();
    begun.append(&[Pending::new("one".into())]).await.unwrap();
    let nobody = Signers::new(Vec::new());
    let unsigned = begun.finish(&nobody, &description(), None).await;
    unsigned.unwrap_err();
    assert!(!stand_in.keys().iter().any(|key| key.contains("wal/")));
    import(&stand_in, 3).await.unwrap();
}

/// After the slot and before the checkpoint.
#[tokio::test]
async fn an_import_that_was_cut_off_is_done_again() {
    let stand_in = StandIn::start().await;
    stand_in.say_date(crate::TODAY);
    stand_in.decide(|asked| {
        let last = asked.what == "PUT" && asked.key == "checkpoint";
        last.then_some(tegula_s3_stand_in::Fault::Refuse(503, "SlowDown"))
    });
    import(&stand_in, 300).await.unwrap_err();
    stand_in.decide(|_| None);
    let slot = "log-private/wal/00000000000000000299".to_owned();
    assert!(stand_in.keys().contains(&slot));
    // Nobody makes an empty log of it, and no other one: the name is taken.
    let signers = vec![signer()].into();
    let made = init(&store(&stand_in), &signers, &description()).await;
    assert!(matches!(made, Err(Error::Rejected(_))), "{made:?}");
    for size in [0, 299, 301] {
        let other = import(&stand_in, size).await;
        assert!(
            matches!(other, Err(Error::Rejected(_))),
            "{size}: {other:?}"
        );
    }
    import(&stand_in, 300).await.unwrap();
    let next = [Pending::new("next".into())];
    let round = writer(&stand_in, Others::Compete)
        .commit(&next)
        .await
        .unwrap();
    assert_eq!(round.receipt(0).unwrap().index.get(), 300);
}
