use std::sync::atomic::{AtomicUsize, Ordering};

use tegula_s3_stand_in::{Asked, Fault, StandIn};

use super::*;
use crate::conformance::{self, Manner, Order};

fn at(stand_in: &StandIn, more: &str) -> S3 {
    let endpoint = stand_in.endpoint();
    let address = format!("s3://log-public{more}?private=s3://log-private&endpoint={endpoint}");
    let options = S3Options {
        request_time: Duration::from_secs(5),
        ..S3Options::default()
    };
    S3::new(address.parse().unwrap(), keys(), options)
}

fn keys() -> S3Keys {
    S3Keys {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
        session: None,
    }
}

fn public(path: &str) -> ObjectPath {
    ObjectPath::public(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    // Each store in a place of its own; all of one store.
    let stand_in = StandIn::start().await;
    let next = AtomicUsize::new(0);
    let make = async || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let endpoint = stand_in.endpoint();
        let address = format!(
            "s3://one-bucket/{n}/public?private=s3://one-bucket/{n}/private&endpoint={endpoint}"
        );
        let keys = S3Keys {
            id: "id".to_owned(),
            secret: "secret".to_owned(),
            session: Some("session".to_owned()),
        };
        let store = || S3::new(address.parse().unwrap(), keys.clone(), S3Options::default());
        vec![Arc::new(store()) as Arc<dyn Store>, Arc::new(store())]
    };
    conformance::run_without_floor(&make, Manner::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_who_race_one_wins() {
    let stand_in = StandIn::start().await;
    let handles: Vec<_> = (0..8).map(|_| at(&stand_in, "")).collect();
    let checkpoint = public("checkpoint");
    let mut version = match handles[0].replace(&checkpoint, None, "0".into()).await {
        Ok(Replaced::Replaced(version)) => version,
        other => panic!("{other:?}"),
    };
    for round in 0..300_u64 {
        let made = join_all(handles.iter().enumerate().map(|(n, store)| async move {
            let bytes = Bytes::from(format!("{n}"));
            store.create_slot(round, bytes).await.unwrap()
        }))
        .await;
        let won = made.iter().filter(|made| **made == SlotCreated::Created);
        assert_eq!(won.count(), 1, "round {round}");
        let winner = made
            .iter()
            .position(|made| *made == SlotCreated::Created)
            .unwrap();
        let slot = handles[7].read_slot(round).await.unwrap().unwrap();
        assert_eq!(slot, format!("{winner}"));

        let replaced = join_all(handles.iter().enumerate().map(|(n, store)| {
            let (path, version) = (&checkpoint, &version);
            let bytes = Bytes::from(format!("{round} {n}"));
            async move { store.replace(path, Some(version), bytes).await.unwrap() }
        }))
        .await;
        let mut won = replaced.into_iter().filter_map(|replaced| match replaced {
            Replaced::Replaced(version) => Some(version),
            Replaced::Changed => None,
        });
        version = won.next().unwrap();
        assert_eq!(won.count(), 0, "round {round}");
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    store.probe("one").await.unwrap();
    assert_eq!(stand_in.keys(), Vec::<String>::new());
    for (bucket, put) in [("log-public", 1), ("log-private", 1), ("log-public", 3)] {
        let puts = AtomicUsize::new(0);
        stand_in.decide(move |asked| {
            let of = asked.what == "PUT" && asked.bucket == bucket;
            let nth = if of {
                puts.fetch_add(1, Ordering::Relaxed)
            } else {
                0
            };
            (of && nth == put).then_some(Fault::IgnoreCondition)
        });
        let error = store.probe("two").await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{error}");
        assert!(error.to_string().contains("ignores If-"), "{error}");
        assert_eq!(stand_in.keys(), Vec::<String>::new());
    }
}

/// What did not happen is refused, what may have is unknown; a write is never sent again behind its caller's back.
#[tokio::test]
async fn answers_are_told_apart() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    let refused = |error: &StoreError| matches!(error, StoreError::Refused(_));
    let unknown = |error: &StoreError| matches!(error, StoreError::Unknown(_));
    for (fault, did, is) in [
        (
            Fault::Refuse(403, "AccessDenied"),
            false,
            &refused as &dyn Fn(&StoreError) -> bool,
        ),
        (Fault::Refuse(400, "RequestTimeTooSkewed"), false, &refused),
        (Fault::Refuse(404, "NoSuchBucket"), false, &refused),
        (
            Fault::Refuse(409, "ConditionalRequestConflict"),
            false,
            &unknown,
        ),
        (Fault::Refuse(503, "SlowDown"), false, &unknown),
        (Fault::RefuseButDo(500, "InternalError"), true, &unknown),
        (Fault::RefuseButDo(503, "SlowDown"), true, &unknown),
        (Fault::Lose, true, &unknown),
        (Fault::Drop, false, &unknown),
    ] {
        for (kind, path) in [
            ("create", "tile/0/000"),
            ("replace", "checkpoint"),
            ("slot", "wal/00000000000000000007"),
        ] {
            for key in stand_in.keys() {
                let (bucket, key) = key.split_once('/').unwrap();
                stand_in.tamper(bucket, key, None);
            }
            stand_in.decide(move |asked| (asked.what == "PUT").then_some(fault));
            stand_in.take_asked();
            let path = public(path);
            let answer = match kind {
                "create" => store.create(&path, "bytes".into()).await.map(drop),
                "replace" => store.replace(&path, None, "bytes".into()).await.map(drop),
                _ => store.create_slot(7, "bytes".into()).await.map(drop),
            };
            let error = answer.unwrap_err();
            assert!(is(&error), "{kind} {fault:?}: {error:?}");
            assert_eq!(stand_in.take_asked().len(), 1, "{kind} {fault:?}");
            assert_eq!(stand_in.keys().len(), usize::from(did), "{kind} {fault:?}");
        }
    }
}

#[tokio::test]
async fn reads_are_made_again() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    let path = public("tile/0/000");
    store.create(&path, "bytes".into()).await.unwrap();
    for fault in [Fault::Refuse(503, "SlowDown"), Fault::Drop, Fault::Lose] {
        let times = AtomicUsize::new(0);
        stand_in.decide(move |_: &Asked| {
            (times.fetch_add(1, Ordering::Relaxed) % 3 < 2).then_some(fault)
        });
        assert_eq!(store.read(&path).await.unwrap().unwrap().bytes, "bytes");
        let listed = store.list(Root::Public, "tile/", None, 9).await.unwrap();
        assert_eq!(listed, ["tile/0/000"]);
    }
    stand_in.decide(|_| Some(Fault::Refuse(503, "SlowDown")));
    let error = store.read(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_given_up() {
    let stand_in = StandIn::start().await;
    let endpoint = stand_in.endpoint();
    let address = format!("s3://log-public?private=s3://log-private&endpoint={endpoint}");
    let options = S3Options {
        request_time: Duration::from_millis(200),
        read_again: 0,
        ..S3Options::default()
    };
    let store = S3::new(address.parse().unwrap(), keys(), options);
    stand_in.decide(|_| Some(Fault::Slow(Duration::from_secs(30))));
    let error = store.create_slot(0, "bytes".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    let error = store.read_slot(0).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
}

/// Which the SDK does not limit: it has done its part when the answer begins.
#[tokio::test]
async fn an_answer_that_stops_in_the_midst_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(socket.read(&mut asked).await.unwrap() > 0);
            let begun = b"HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 10\r\n\r\nhalf";
            socket.write_all(begun).await.unwrap();
            held.push(socket);
        }
    });
    let keys = S3Keys {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
        session: None,
    };
    let options = S3Options {
        request_time: Duration::from_millis(300),
        read_again: 1,
        ..S3Options::default()
    };
    let address = format!("s3://log-public?endpoint={endpoint}")
        .parse()
        .unwrap();
    let store = S3::new(address, keys, options);
    let checkpoint = public("checkpoint");
    let read = tokio::time::timeout(Duration::from_secs(20), store.read(&checkpoint));
    let error = read.await.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("checkpoint: no whole answer within 0.3 s"),
        "{error}"
    );
    server.abort();
}

/// What clients are told says nothing of where the store is.
#[tokio::test]
async fn the_stores_address_is_not_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let keys = S3Keys {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
        session: None,
    };
    let options = S3Options {
        read_again: 0,
        ..S3Options::default()
    };
    let address = format!("s3://log-public?endpoint=http://127.0.0.1:{port}");
    let store = S3::new(address.parse().unwrap(), keys, options);
    let error = store
        .read(&public("checkpoint"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("checkpoint: the store could not be reached"),
        "{error}"
    );
    assert!(!error.contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn slots_stay() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    store.create_slot(0, "bytes".into()).await.unwrap();
    store.raise_floor(0).await.unwrap();
    for answer in [store.raise_floor(1).await, store.remove_slot(0).await] {
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
    }
    assert_eq!(store.floor().await.unwrap(), 0);
    assert_eq!(stand_in.keys(), ["log-private/wal/00000000000000000000"]);
}

#[tokio::test]
async fn a_slot_is_cut_to_its_beginning() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    assert!(store.keeps_slots());
    store
        .create_slot(7, "head and entries".into())
        .await
        .unwrap();
    for _ in 0..2 {
        store.cut_slot(7, 4).await.unwrap();
        assert_eq!(store.read_slot(7).await.unwrap().unwrap(), "head");
    }
    let refused = store.cut_slot(8, 4).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    // Nobody else may take the name.
    assert_eq!(
        store.create_slot(7, "other".into()).await.unwrap(),
        SlotCreated::Exists
    );
}

#[tokio::test]
async fn what_was_damaged_is_put_right() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    let path = public("tile/0/000");
    for there in [None, Some("byles"), Some("bytes")] {
        stand_in.tamper("log-public", "tile/0/000", there.map(Bytes::from));
        store.rebuild(&path, "bytes".into()).await.unwrap();
        assert_eq!(store.read(&path).await.unwrap().unwrap().bytes, "bytes");
    }
    // Where nobody may overwrite, somebody has to know.
    stand_in.tamper("log-public", "tile/0/000", Some("byles".into()));
    stand_in.decide(|asked| (asked.what == "PUT").then_some(Fault::Refuse(403, "AccessDenied")));
    let error = store.rebuild(&path, "bytes".into()).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
}

#[tokio::test]
async fn the_time_is_told_by_the_store() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "");
    assert_eq!(store.time_ms(), None);
    stand_in.say_date("Sun, 06 Nov 1994 08:49:37 GMT");
    store.read(&public("checkpoint")).await.unwrap();
    let since = store.time_ms().unwrap() - 784_111_777_000;
    assert!(since < 60_000, "{since}");
}

/// Full tiles and bundles, and nothing that is superseded or replaced.
#[tokio::test]
async fn what_never_changes_is_locked() {
    let stand_in = StandIn::start().await;
    stand_in.say_date("Sun, 06 Nov 1994 08:49:37 GMT");
    let endpoint = stand_in.endpoint();
    let address =
        format!("s3://log/public?private=s3://log/private&endpoint={endpoint}&lock-days=30");
    let store = S3::new(address.parse().unwrap(), keys(), S3Options::default());
    let tile = public("tile/0/000");
    let error = store.create(&tile, "early".into()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert_eq!(store.read(&tile).await.unwrap(), None);
    for path in [
        "tile/0/000",
        "tile/0/001.p/7",
        "tile/entries/000",
        "tile/entries/001.p/7",
        "checkpoint",
    ] {
        store.create(&public(path), "new".into()).await.unwrap();
    }
    store.create_slot(0, "slot".into()).await.unwrap();
    let asked = stand_in.take_asked().into_iter();
    let locked = asked.filter_map(|asked| Some((asked.key, asked.locked_until?)));
    let (locked, until): (Vec<_>, Vec<_>) = locked.unzip();
    assert_eq!(locked, ["public/tile/0/000", "public/tile/entries/000"]);
    for until in until {
        assert!(until.starts_with("1994-12-06T08:49:3"), "{until}");
    }
}

#[tokio::test]
async fn who_only_reads_needs_no_place_for_slots() {
    let stand_in = StandIn::start().await;
    stand_in.tamper("log-public", "a/tile/0/000", Some("bytes".into()));
    let address = format!("s3://log-public/a?endpoint={}", stand_in.endpoint());
    let store = S3::new(address.parse().unwrap(), keys(), S3Options::default());
    assert_eq!(
        store.fetch("tile/0/000", 5).await.unwrap().unwrap(),
        "bytes"
    );
    assert_eq!(store.fetch("tile/0/001", 5).await.unwrap(), None);
    let error = store.fetch("tile/0/000", 4).await.unwrap_err();
    assert!(error.to_string().contains("longer than 4 bytes"), "{error}");
    for error in [
        store.create_slot(0, "slot".into()).await.unwrap_err(),
        store.slots(0, 1).await.unwrap_err(),
        store.probe("probe").await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("can only be read"), "{error}");
    }
    // Not even a public object was left.
    assert_eq!(stand_in.keys(), ["log-public/a/tile/0/000"]);
}

#[tokio::test]
async fn many_keys_are_listed_page_by_page() {
    let stand_in = StandIn::start().await;
    let store = at(&stand_in, "/a");
    for n in 0..2_500 {
        stand_in.tamper("log-public", &format!("a/tile/{n:05}"), Some(Bytes::new()));
    }
    stand_in.tamper("log-public", "b/tile/00000", Some(Bytes::new()));
    for (limit, after, expected) in [
        (9_999, None, 2_500),
        (1_001, None, 1_001),
        (9_999, Some("tile/00999"), 1_500),
    ] {
        let listed = store
            .list(Root::Public, "tile/", after, limit)
            .await
            .unwrap();
        assert_eq!(listed.len(), expected);
        assert!(listed.is_sorted());
    }
}

/// Of somebody else's making: `tests/s3/run` starts one, and says where it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/s3/run, with a store to run against"]
#[expect(
    clippy::disallowed_methods,
    reason = "which store is said by who runs the test"
)]
async fn a_foreign_store_keeps_the_contract() {
    let endpoint = std::env::var("TEGULA_TEST_S3").unwrap();
    let keys = S3Keys {
        id: "tegula".to_owned(),
        secret: "tegula-secret".to_owned(),
        session: None,
    };
    let next = AtomicUsize::new(0);
    let store = |place: &str| {
        let address =
            format!("s3://public-{place}?private=s3://private-{place}&endpoint={endpoint}");
        // Some are slow where many write at one place.
        let options = S3Options {
            request_time: Duration::from_secs(60),
            ..S3Options::default()
        };
        S3::new(address.parse().unwrap(), keys.clone(), options)
    };
    // Buckets of their own, and not prefixes: the longest path is as long as a key can be.
    let made = async |place: &str| {
        let store = store(place);
        for bucket in ["public", "private"] {
            let made = store.inner.client.create_bucket();
            made.bucket(format!("{bucket}-{place}"))
                .send()
                .await
                .unwrap();
        }
        store
    };
    made("probe").await.probe("probe").await.unwrap();
    let make = async || {
        let place = next.fetch_add(1, Ordering::Relaxed).to_string();
        vec![
            Arc::new(made(&place).await) as Arc<dyn Store>,
            Arc::new(store(&place)),
        ]
    };
    let manner = match std::env::var("TEGULA_TEST_S3_MANNER").as_deref() {
        Err(_) => Manner::default(),
        Ok("seaweedfs") => Manner {
            order: Order::Segments,
            contenders: 8,
        },
        Ok(other) => panic!("TEGULA_TEST_S3_MANNER is {other:?}, expected seaweedfs"),
    };
    conformance::run_without_floor(&make, manner).await;

    made("race").await;
    let handles: Vec<_> = (0..8).map(|_| store("race")).collect();
    for round in 0..300 {
        let made = join_all(
            handles
                .iter()
                .map(|store| store.create_slot(round, "slot".into())),
        )
        .await;
        // A conflict is no win, and is tried again by whoever met it.
        let won = made
            .iter()
            .filter(|made| matches!(made, Ok(SlotCreated::Created)));
        assert_eq!(won.count(), 1, "round {round}: {made:?}");
    }
}
