use bytes::Bytes;

use super::{Handles, Order, first, last};
use crate::{
    Condition, Created, MAX_OBJECT_BYTES, ObjectPath, Replaced, Root, Store, StoreError, Version,
};

pub(super) async fn whole_and_immutable(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    let paths = [
        public("checkpoint"),
        public("tile/0/x001/x234/067.p/5"),
        public("..."),
        public(".hidden/-/_"),
        public("wal/floor"),
        public(&"n".repeat(255)),
        public(&format!("{}{}", "d/".repeat(511), "ee")),
        private("inbox/1-00ff"),
        private("tile/0/x001/x234/067.p/5"),
    ];
    for (number, path) in paths.iter().enumerate() {
        assert_eq!(one.read(path).await.unwrap(), None, "{path}");
        let bytes = Bytes::from(format!("object {number} {path}"));
        let created = one.create(path, bytes.clone()).await.unwrap();
        assert_eq!(created, Created::Created, "{path}");
        for store in [one, other] {
            let object = store.read(path).await.unwrap().unwrap();
            assert_eq!(object.bytes, bytes, "{path}");
            for again in [bytes.clone(), Bytes::from_static(b"other"), Bytes::new()] {
                assert_eq!(store.create(path, again).await.unwrap(), Created::Exists);
            }
        }
    }
    for path in &paths {
        let bytes = other.read(path).await.unwrap().unwrap().bytes;
        assert!(bytes.ends_with(path.to_string().as_bytes()), "{path}");
    }
    let empty = public("empty");
    let created = one.create(&empty, Bytes::new()).await.unwrap();
    assert_eq!(created, Created::Created);
    assert_eq!(other.read(&empty).await.unwrap().unwrap().bytes.len(), 0);
}

pub(super) async fn many(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    assert!(one.create_many(Vec::new()).await.is_empty());
    assert!(one.read_many(&[]).await.is_empty());
    for count in [1, 15, 16, 17, 100] {
        let object = |n: usize| {
            (
                public(&format!("many/{count}/{}/{n:03}", n % 3)),
                Bytes::from(format!("{count} {n}")),
            )
        };
        let (path, bytes) = object(count / 2);
        assert_eq!(one.create(&path, bytes).await.unwrap(), Created::Created);
        let objects: Vec<_> = (0..count).map(object).collect();
        let paths: Vec<_> = objects.iter().map(|(path, _)| path.clone()).collect();
        let answers = one.create_many(objects.clone()).await;
        assert_eq!(answers.len(), count);
        for (n, answer) in answers.into_iter().enumerate() {
            let expected = match n == count / 2 {
                true => Created::Exists,
                false => Created::Created,
            };
            assert_eq!(answer.unwrap(), expected, "{n} of {count}");
        }
        let read = other.read_many(&paths).await;
        assert_eq!(read.len(), count);
        for (answer, (_, bytes)) in read.into_iter().zip(&objects) {
            assert_eq!(answer.unwrap().unwrap().bytes, *bytes);
        }
    }
    let mixed = [public("many/1/0/000"), public("many/absent")];
    let read = one.read_many(&mixed).await;
    assert!(read[0].as_ref().unwrap().is_some());
    assert!(read[1].as_ref().unwrap().is_none());
}

pub(super) async fn replaced(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    for path in [public("checkpoint"), public("a/b/c"), private("state/x")] {
        let put = async |store: &dyn Store, expected: Option<&Version>, bytes: &'static str| {
            store.replace(&path, expected, bytes.into()).await.unwrap()
        };
        let read = async || other.read(&path).await.unwrap().unwrap();
        // What is answered is what a reader is told.
        let replaced =
            async |store: &dyn Store, expected: Option<&Version>, bytes: &'static str| {
                let Replaced::Replaced(version) = put(store, expected, bytes).await else {
                    panic!("{path} was not replaced by {bytes:?}");
                };
                let now = read().await;
                assert_eq!((now.bytes, &now.version), (bytes.into(), &version));
                version
            };
        let strange = Version::new("strange");
        assert_eq!(put(one, Some(&strange), "x").await, Replaced::Changed);
        assert_eq!(one.read(&path).await.unwrap(), None);
        let at_first = replaced(one, None, "first").await;
        assert_eq!(put(other, None, "x").await, Replaced::Changed);
        assert_eq!(put(other, Some(&strange), "x").await, Replaced::Changed);
        let at_second = replaced(other, Some(&at_first), "second").await;
        assert_ne!(at_first, at_second);
        assert_eq!(put(one, Some(&at_first), "x").await, Replaced::Changed);
        assert_eq!(one.read(&path).await.unwrap().unwrap().bytes, "second");
        // Longer, shorter, empty.
        let at_third = replaced(one, Some(&at_second), "a longer third").await;
        let at_fourth = replaced(other, Some(&at_third), "").await;
        assert_eq!(put(one, None, "x").await, Replaced::Changed);
        replaced(one, Some(&at_fourth), "fifth").await;
    }
}

pub(super) async fn removed(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    let path = public("tile/0/000.p/5");
    one.remove(&path).await.unwrap();
    for _ in 0..3 {
        let created = one.create(&path, "bytes".into()).await.unwrap();
        assert_eq!(created, Created::Created);
        other.remove(&path).await.unwrap();
        other.remove(&path).await.unwrap();
        assert_eq!(one.read(&path).await.unwrap(), None);
        let listed = one.list(Root::Public, "", None, 9).await.unwrap();
        assert!(listed.is_empty(), "{listed:?}");
    }
    // What is beside a removed object stays.
    let beside = public("tile/0/000.p/6");
    for path in [&path, &beside] {
        assert_eq!(
            one.create(path, "bytes".into()).await.unwrap(),
            Created::Created
        );
    }
    other.remove(&path).await.unwrap();
    assert!(one.read(&beside).await.unwrap().is_some());
    other.remove(&beside).await.unwrap();
}

/// A place that was above an object which is gone can be an object.
pub(super) async fn removed_above(handles: Handles) {
    let below = public("tile/0/000.p/5");
    for store in &handles {
        store.create(&below, "bytes".into()).await.unwrap();
        store.remove(&below).await.unwrap();
        let above = public("tile");
        assert_eq!(
            store.create(&above, "t".into()).await.unwrap(),
            Created::Created
        );
        store.remove(&above).await.unwrap();
    }
}

pub(super) async fn listed(handles: Handles, order: Order) {
    let (one, other) = (first(&handles), last(&handles));
    let mut names = [
        "a-b",
        "a.b",
        "a/b",
        "a/b-",
        "a/c/d",
        "a/c.d",
        "a0",
        "aa",
        "B",
        "b/0",
        "b/00",
        "b/1",
        "tile/0/000",
        "tile/0/000.p/1",
        "tile/0/000.p/10",
        "tile/0/000.p/2",
        "tile/0/x001/000",
        "tile/entries/000",
        "wal/0",
        "tmp",
        "z",
    ];
    for name in names {
        one.create(&public(name), name.into()).await.unwrap();
    }
    names.sort_unstable_by(|a, b| order.compare(a, b));
    let expect = |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let found = names.iter().filter(|name| name.starts_with(prefix));
        let found =
            found.filter(|name| after.is_none_or(|after| order.compare(name, after).is_gt()));
        found.take(limit).map(ToString::to_string).collect()
    };
    let mut afters: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
    afters.push(None);
    if order == Order::Bytes {
        // What was never listed.
        afters.extend([
            Some(""),
            Some("a/"),
            Some("a/z"),
            Some("b"),
            Some("tile/0/000.p"),
            Some("tile/0/000.p/"),
            Some("~"),
            Some("\u{10ffff}"),
            Some("a/c/"),
        ]);
    }
    let prefixes = [
        "",
        "a",
        "a/",
        "a/c",
        "a/b",
        "b/0",
        "t",
        "tile",
        "tile/",
        "tile/0/000",
        "tile/0/000.p/",
        "tile/0/000.p/1",
        "absent",
        "absent/",
        "..",
        "/",
        "a//",
        "\0",
    ];
    for prefix in prefixes {
        for after in &afters {
            let elsewhere = after.is_some_and(|after| !after.starts_with(prefix));
            if order == Order::Segments && elsewhere {
                continue;
            }
            for limit in [0, 1, 2, 5, usize::MAX] {
                let found = other.list(Root::Public, prefix, *after, limit).await;
                let expected = expect(prefix, *after, limit);
                assert_eq!(found.unwrap(), expected, "{prefix:?} {after:?} {limit}");
            }
        }
    }
    // Slots, floor and whatever else a store keeps are not objects.
    one.create_slot(7, "slot".into()).await.unwrap();
    // Where there is one.
    drop(one.raise_floor(3).await);
    assert!(
        other
            .list(Root::Private, "", None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    one.create(&private("inbox/2-b"), "b".into()).await.unwrap();
    one.create(&private("inbox/1-a"), "a".into()).await.unwrap();
    let found = other.list(Root::Private, "", None, 9).await.unwrap();
    assert_eq!(found, ["inbox/1-a", "inbox/2-b"]);
}

pub(super) async fn never_through_an_object(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    let (above, below) = (public("a/b"), public("a/b/c/d"));
    one.create(&above, "object".into()).await.unwrap();
    for store in [one, other] {
        invalid(store.create(&below, "x".into()).await);
        invalid(store.replace(&below, None, "x".into()).await);
        assert_eq!(store.read(&below).await.unwrap(), None);
        store.remove(&below).await.unwrap();
        invalid(store.sync(std::slice::from_ref(&below)).await);
        let found = store.list(Root::Public, "a/b/", None, 9).await.unwrap();
        assert!(found.is_empty());
    }
    one.remove(&above).await.unwrap();
    one.create(&below, "object".into()).await.unwrap();
    for store in [one, other] {
        for above in [&above, &public("a"), &public("a/b/c")] {
            invalid(store.create(above, "x".into()).await);
            invalid(store.replace(above, None, "x".into()).await);
            assert_eq!(store.read(above).await.unwrap(), None);
            store.remove(above).await.unwrap();
        }
        assert_eq!(store.read(&below).await.unwrap().unwrap().bytes, "object");
    }
}

pub(super) async fn limits(handles: Handles) {
    let store = first(&handles);
    let too_long = Bytes::from(vec![1; MAX_OBJECT_BYTES + 1]);
    let longest = too_long.slice(1..);
    let (path, mutable) = (public("long"), public("mutable"));
    invalid(store.create(&path, too_long.clone()).await);
    invalid(store.replace(&mutable, None, too_long.clone()).await);
    invalid(store.create_slot(0, too_long).await);
    assert_eq!(store.read(&path).await.unwrap(), None);
    assert_eq!(store.read_slot(0).await.unwrap(), None);
    assert_eq!(
        store.create(&path, longest.clone()).await.unwrap(),
        Created::Created
    );
    assert_eq!(store.read(&path).await.unwrap().unwrap().bytes, longest);
}

pub(super) async fn synced(handles: Handles) {
    let (one, other) = (first(&handles), last(&handles));
    let paths: Vec<_> = ["top", "a/b/c/d", "a/b/e", "f/g"].map(public).into();
    one.sync(&[]).await.unwrap();
    invalid(one.sync(&paths[..1]).await);
    for path in &paths {
        one.create(path, "bytes".into()).await.unwrap();
    }
    one.sync(&paths).await.unwrap();
    other.sync(&paths).await.unwrap();
    let mut with_absent = paths.clone();
    with_absent.push(public("a/b/absent"));
    invalid(other.sync(&with_absent).await);
}

pub(super) async fn clean(handles: Handles) {
    for store in &handles {
        assert_eq!(store.condition(), Condition::Clean);
        if !store.keeps_slots() {
            invalid(store.rebuild(&public("tile/0/000"), "x".into()).await);
            invalid(store.cut_slot(0, 1).await);
        }
        assert_eq!(store.read(&public("tile/0/000")).await.unwrap(), None);
        store.recovered().await.unwrap();
        assert_eq!(store.condition(), Condition::Clean);
    }
}

pub(super) fn invalid<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
}

pub(super) fn public(path: &str) -> ObjectPath {
    ObjectPath::public(path).unwrap()
}

pub(super) fn private(path: &str) -> ObjectPath {
    ObjectPath::private(path).unwrap()
}
