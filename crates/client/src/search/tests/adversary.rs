//! Whoever serves the index, or is between, can make a search fail, and cannot make it answer wrongly.

use std::collections::BTreeSet;

use tegula_tlog::SigningKey;

use super::*;
use crate::Evidence;

/// Keys with lists, with postings beside them in several runs, with one posting, and with none.
const WORDS: [&str; 6] = ["all", "most", "tenth", "last", "one", "nowhere"];

/// A log whose index has several runs, of which one has several partitions and lists, and one is not covered in full.
fn honest() -> World {
    World::indexed(COUNT, BUNDLES, words)
}

const COUNT: usize = 16 * 256 + 2 * 256 + 30;
const BUNDLES: usize = 18;

fn words(index: usize) -> String {
    let mut words = vec!["all"];
    // A list with gaps: what is changed in it is not too long for the run.
    words.extend((!index.is_multiple_of(3)).then_some("most"));
    words.extend((index % 10 == 3).then_some("tenth"));
    words.extend((index > COUNT - 9).then_some("last"));
    words.extend((index == 2000).then_some("one"));
    words.join(" ")
}

impl World {
    /// What a search for these keys reads, in the order of the paths.
    async fn needed(&self, keys: &[Key]) -> Vec<String> {
        self.log.take_fetched();
        let told = ask(&fresh(&self.log), keys).await.unwrap();
        assert_eq!(told, self.told(keys, size(self.entries.len())));
        let mut paths = self.log.take_fetched();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// With `bytes` in the place of an object it reads, or with none there.
async fn ask_with(
    world: &World,
    keys: &[Key],
    path: &str,
    bytes: Option<Bytes>,
) -> Result<Told, ReadError> {
    let log = world.log.copy();
    match bytes {
        Some(bytes) => log.put(path, bytes),
        None => log.remove(path),
    }
    ask(&fresh(&log), keys).await
}

fn is_wrong(told: &Result<Told, ReadError>) -> bool {
    matches!(told, Err(ReadError::Verification(_)))
}

fn is_missing(told: &Result<Told, ReadError>) -> bool {
    matches!(told, Err(ReadError::Io(_)))
}

/// Every object that a search reads, damaged in every way that a byte can be.
async fn damage_each(world: &World, keys: &[Key]) {
    for path in world.needed(keys).await {
        let good = world.log.object(&path);
        let step = if good.len() < 400 { 1 } else { 50 };
        for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
            let mut bad = good.to_vec();
            bad[at] ^= if at / step % 2 == 0 { 1 } else { 0x80 };
            let told = ask_with(world, keys, &path, Some(bad.into())).await;
            assert!(is_wrong(&told), "byte {at} of {path}: {told:?}");
        }
        let lens = (0..good.len()).step_by(4 * step).chain([good.len() - 1]);
        for len in lens {
            let told = ask_with(world, keys, &path, Some(good.slice(..len))).await;
            assert!(is_wrong(&told), "{len} bytes of {path}: {told:?}");
        }
        for more in [&b"\0"[..], b"\n", b"\x01\0\0"] {
            let longer = [&good[..], more].concat();
            let told = ask_with(world, keys, &path, Some(longer.into())).await;
            assert!(is_wrong(&told), "{more:?} after {path}: {told:?}");
        }
    }
}

#[tokio::test]
async fn nothing_damaged_is_believed() {
    damage_each(&honest(), &words_of(&WORDS)).await;
}

#[tokio::test]
async fn nothing_that_is_missing_is_taken_for_empty() {
    let (world, keys) = (honest(), words_of(&WORDS));
    for path in world.needed(&keys).await {
        let told = ask_with(&world, &keys, &path, None).await;
        if path == "index/v1/checkpoint" {
            // As if the log had no index: then all entries are read.
            assert_eq!(told.unwrap(), world.told(&keys, size(COUNT)));
        } else {
            assert!(is_missing(&told), "{path}: {told:?}");
        }
    }
}

/// Objects that are right elsewhere: partitions of other runs, other pages, tiles, states and checkpoints.
#[tokio::test]
async fn nothing_is_believed_in_the_place_of_another() {
    let (world, keys) = (honest(), words_of(&WORDS));
    for older in 1..BUNDLES {
        world.index.publish(&world.log, &index_signer(1), older);
    }
    world.index.publish(&world.log, &index_signer(1), BUNDLES);
    let all = world.log.paths();
    let mut swapped = 0;
    for path in world.needed(&keys).await {
        let good = world.log.object(&path);
        let kind = |path: &str| {
            path.split(|c: char| c.is_ascii_digit())
                .next()
                .map(str::to_owned)
        };
        let is_like = |other: &&String| match &*path {
            "checkpoint" | "index/v1/checkpoint" => other.ends_with("checkpoint"),
            "index/v1/state/018" => other.starts_with("index/v1/state"),
            path => kind(&path.replace("v1", "")) == kind(&other.replace("v1", "")),
        };
        for other in all.iter().filter(is_like) {
            let bytes = world.log.object(other);
            if bytes == good {
                continue;
            }
            swapped += 1;
            let told = ask_with(&world, &keys, &path, Some(bytes)).await;
            assert!(is_wrong(&told), "{other} as {path}: {told:?}");
        }
    }
    assert!(swapped > 150, "{swapped}");
}

/// What was right once is right for its size, or refused.
#[tokio::test]
async fn older_checkpoints_only_make_the_tail_longer() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let log_sizes = [1, 300, 4095, 4096, 4608, 4609];
    for older in [1, 4, 15, 16, 17] {
        let stale = world.log.copy();
        world.index.publish(&stale, &index_signer(1), older);
        let told = ask(&fresh(&stale), &keys).await.unwrap();
        assert_eq!(told, world.told(&keys, size(COUNT)), "index of {older}");

        for log_size in log_sizes {
            let log = stale.copy();
            log.publish(&signer(1), &world.entries[..log_size]);
            let told = ask(&fresh(&log), &keys).await;
            if older * 256 <= log_size {
                assert_eq!(told.unwrap(), world.told(&keys, size(log_size)));
            } else {
                assert!(is_missing(&told), "{older} at {log_size}: {told:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_index_that_is_larger_than_the_log_is_refused() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let log = world.log.copy();
    log.publish(&signer(1), &world.entries[..17 * 256 + 255]);
    let error = ask(&fresh(&log), &keys).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the search index is of 18 bundles, and this checkpoint of the log is older: it has 4607 entries"
    );
    assert!(matches!(error, ReadError::Io(_)));
    // More than there can be in any log.
    let checkpoint = tegula_tlog::Checkpoint {
        origin: "log.example/index/v1".to_owned(),
        size: TreeSize::new(u64::MAX >> 1).unwrap(),
        root: tegula_tlog::Hash([7; 32]),
        extensions: Vec::new(),
    };
    let note = checkpoint.sign(&[&index_signer(1)]).unwrap().to_bytes();
    let told = ask_with(&world, &keys, "index/v1/checkpoint", Some(note.into())).await;
    assert!(is_missing(&told), "{told:?}");
}

/// An index log begins with its first leaf, but it was signed.
#[tokio::test]
async fn an_empty_index_log_is_no_index() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let log = world.log.copy();
    log.publish_index_of_nothing(&index_signer(1));
    let told = ask(&fresh(&log), &keys).await;
    assert!(is_missing(&told), "{told:?}");
    log.put("index/v1/state/000", Bytes::new());
    let told = ask(&fresh(&log), &keys).await;
    assert!(is_wrong(&told), "{told:?}");
}

/// The same leaf hashes and the same words, but each time something else is said of where they are.
#[derive(Copy, Clone, Debug)]
enum Lie {
    Left,
    Added,
    Moved,
}

impl Lie {
    /// The keys of the entries, but that one posting is left out, added, or another entry's.
    fn tell(self, entries: &[Vec<u8>]) -> Vec<Vec<Key>> {
        let (there, elsewhere) = (2000, 2001);
        let mut keys = all_keys(entries);
        if !matches!(self, Self::Added) {
            keys[there].retain(|key| *key != word("one"));
        }
        if !matches!(self, Self::Left) {
            keys[elsewhere].push(word("one"));
        }
        keys
    }
}

#[tokio::test]
async fn a_posting_cannot_be_left_out_added_or_moved() {
    let (world, keys) = (honest(), words_of(&WORDS));
    for lie in [Lie::Left, Lie::Added, Lie::Moved] {
        let false_index = Index::new(&world.entries, &lie.tell(&world.entries));
        let false_log = Log::default();
        false_index.publish(&false_log, &index_signer(1), BUNDLES);
        // As many partitions as lie for themselves; the runs, with the state that has their roots; and the index log that has that state.
        for places in [
            &["index/v1/run/", "index/v1/list/"][..],
            &["index/v1/run/", "index/v1/list/", "index/v1/state/"],
            &["index/v1/state/"],
            &[
                "index/v1/run/",
                "index/v1/list/",
                "index/v1/state/",
                "index/v1/tile/",
            ],
        ] {
            let log = world.log.copy();
            for place in places {
                log.take_from(&false_log, place);
            }
            let told = ask(&fresh(&log), &keys).await;
            assert!(is_wrong(&told), "{lie:?} in {places:?}: {told:?}");
        }
        // All of it, by a key that is not the log's, or not of the index log.
        let log = world.log.copy();
        log.take_from(&false_log, "index/");
        for signer in [index_signer(2), signer(1)] {
            let log = log.copy();
            let old = log.object("index/v1/checkpoint");
            false_index.publish(&log, &signer, BUNDLES);
            assert_ne!(log.object("index/v1/checkpoint"), old);
            let told = ask(&fresh(&log), &keys).await;
            assert!(is_wrong(&told), "{lie:?}: {told:?}");
        }
        // Signed by the log's key it is believed: only an audit would tell.
        let told = ask(&fresh(&log), &keys).await.unwrap();
        assert_ne!(told, world.told(&keys, size(COUNT)));
    }
}

#[tokio::test]
async fn the_index_of_another_log_is_refused() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let mut others = world.entries.clone();
    others[2000] = b"2000 one all more".to_vec();
    let others = Index::new(&others, &all_keys(&others));
    let log = world.log.copy();
    others.publish(&log, &index_signer(1), BUNDLES);
    let error = ask(&fresh(&log), &keys).await.unwrap_err();
    assert!(matches!(error, ReadError::Verification(_)), "{error}");
    let expected = "the search index: the index is of a log with the root ";
    assert!(error.to_string().starts_with(expected), "{error}");
    // Up to where the two are alike, it is of this log too.
    others.publish(&log, &index_signer(1), 7);
    let told = ask(&fresh(&log), &keys).await.unwrap();
    assert_eq!(told, world.told(&keys, size(COUNT)));
    others.publish(&log, &index_signer(1), 8);
    assert!(is_wrong(&ask(&fresh(&log), &keys).await));
}

fn evidence(told: Result<Told, ReadError>) -> Evidence {
    match told {
        Err(ReadError::Misbehaviour(evidence)) => evidence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_index_that_goes_back_is_stale() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let memory = CheckpointMemory::in_process();
    let reader = reader(world.log.clone(), &memory);
    ask(&reader, &keys).await.unwrap();
    world.index.publish(&world.log, &index_signer(1), 9);
    let searched = reader.search(&keys, EVERYTHING).await.unwrap();
    world.check(&reader, &keys, &searched).await;
    let index = searched.index.unwrap();
    assert_eq!(index.covered(), size(256 * BUNDLES));
    assert_eq!(index.checkpoint().stale(), Some(size(9)));
}

#[tokio::test]
async fn an_index_that_shrank_is_misbehaviour() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let memory = CheckpointMemory::in_process();
    ask(&reader(world.log.clone(), &memory), &keys)
        .await
        .unwrap();
    let shrunk = Log::new(&world.entries, &[COUNT]);
    world.index.publish(&shrunk, &index_signer(1), 9);
    let told = ask(&reader(shrunk, &memory), &keys).await;
    let reason = evidence(told).reason;
    assert!(
        reason.contains("log.example/index/v1 has shrunk"),
        "{reason}"
    );
    let place = "or a log in memory/index/v1 is an old copy";
    assert!(reason.contains(place), "{reason}");
    assert!(reason.ends_with("there is no tile/0/000.p/18"), "{reason}");
}

#[tokio::test]
async fn what_is_wrong_with_the_index_log_is_said_of_it() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let memory = CheckpointMemory::in_process();
    world.index.publish(&world.log, &index_signer(1), 9);
    ask(&reader(world.log.clone(), &memory), &keys)
        .await
        .unwrap();
    world.index.publish(&world.log, &index_signer(1), BUNDLES);
    let tile = "index/v1/tile/0/000.p/18";
    let good = world.log.object(tile);
    world.log.remove(tile);
    let error = ask(&reader(world.log.clone(), &memory), &keys)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the search index: the log has no tile/0/000.p/18, though its checkpoint needs it"
    );
    assert!(matches!(error, ReadError::Io(_)));
    for bad in [good.slice(1..), vec![7; good.len()].into()] {
        world.log.put(tile, bad);
        let told = ask(&reader(world.log.clone(), &memory), &keys).await;
        assert!(is_wrong(&told), "{told:?}");
        let error = told.unwrap_err().to_string();
        assert!(error.starts_with("the search index: "), "{error}");
    }
    world.log.put(tile, good);
    ask(&reader(world.log.clone(), &memory), &keys)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_forked_index_is_misbehaviour() {
    let (world, keys) = (honest(), words_of(&WORDS));
    let lie = Lie::Left.tell(&world.entries);
    let forked = Index::new(&world.entries, &lie);
    for (seen, shown) in [(17, 18), (18, 18), (18, 17)] {
        let dir = tempfile::tempdir().unwrap();
        let memory = CheckpointMemory::directory(dir.path());
        world.index.publish(&world.log, &index_signer(1), seen);
        ask(&reader(world.log.clone(), &memory), &keys)
            .await
            .unwrap();
        let log = world.log.copy();
        let before = log.object(
            "index/v1/tile/0/000.p/18"
                .replace("18", &seen.to_string())
                .as_str(),
        );
        forked.publish(&log, &index_signer(1), shown);
        if shown < seen {
            log.put(&format!("index/v1/tile/0/000.p/{seen}"), before);
        }
        for _ in 0..2 {
            let evidence = evidence(ask(&reader(log.clone(), &memory), &keys).await);
            assert_eq!(evidence.remembered, world.log.object("index/v1/checkpoint"));
            assert_eq!(evidence.presented, log.object("index/v1/checkpoint"));
            assert_eq!(evidence.files.len(), 2);
            let of = evidence.reason.starts_with("log.example/index/v1 signed");
            assert!(of, "{}", evidence.reason);
        }
        // The log's own checkpoint is remembered beside, and nothing is said against it.
        ask(&reader(world.log.clone(), &memory), &keys)
            .await
            .unwrap();
    }
}

/// What no program of ours makes, though the log's key signed it.
#[tokio::test]
async fn what_was_signed_and_is_not_sound_is_refused() {
    // The first two keys of the partition are of leaves, so that they take 18 bytes each.
    let world = World::new(300, |_| String::new());
    let changes: [fn(&mut Vec<u8>); 8] = [
        |body| body.push(0),
        |body| body.truncate(body.len() - 1),
        |body| body.truncate(body.len() - 18),
        // Keys in another order, and one twice.
        |body| body[..36].rotate_left(18),
        |body| body.copy_within(..16, 18),
        // No postings, more than the run has, and a number that is longer than it needs to be.
        |body| body[16] = 0,
        |body| drop(body.splice(16..17, [0x81, 0x02])),
        |body| drop(body.splice(16..17, [0x81, 0x00])),
    ];
    let run = Run::new(0, 0).unwrap();
    // Also whoever has found his key looks at all of it.
    let first = all_keys(&world.entries[..256]).concat().into_iter().min();
    let keys = [word("nowhere"), first.unwrap()];
    for (n, change) in changes.into_iter().enumerate() {
        let mut index = world.index.clone();
        index.change(run, |_| ());
        assert_eq!(index.runs[&run].record, world.index.runs[&run].record);
        index.change(run, change);
        assert_ne!(index.runs[&run].record, world.index.runs[&run].record);
        let log = world.log.copy();
        index.publish(&log, &index_signer(1), 1);
        for key in keys {
            let told = ask(&fresh(&log), &[key]).await;
            assert!(is_wrong(&told), "{n}: {told:?}");
            let reason = told.unwrap_err().to_string();
            let expected = "the search index: index/v1/run/0/000/000 ";
            assert!(reason.starts_with(expected), "{n}: {reason}");
            assert!(!reason.contains("committed"), "{n}: {reason}");
        }
    }
}

#[tokio::test]
async fn only_an_ed25519_key_signs_an_index() {
    let key = SigningKey::ecdsa_from_scalar("log.example", &[1; 32]).unwrap();
    let world = World::new(300, |_| "all".to_owned());
    let log = Log::signed(&key, &world.entries, &[300]);
    let policy = Policy::from_log_keys(vec![key.verifier()]);
    let memory = CheckpointMemory::in_process();
    let reader = Reader::new(Arc::new(log), policy, None, memory);
    let error = ask(&reader, &words_of(&WORDS)).await.unwrap_err();
    assert!(matches!(error, ReadError::Policy(_)), "{error}");
}

/// Someone ground keys that begin alike, so that a partition of few bundles is a directory.
#[tokio::test]
async fn keys_in_a_directory_are_found() {
    let (world, keys) = (ground(), ground_keys());
    let needed = world.needed(&keys).await;
    let pages = needed.iter().filter(|path| path.contains(".d/"));
    assert!(pages.eq(&PAGES), "{needed:?}");

    // By itself, a key takes the one page where it would be.
    let partition = all_keys(&world.entries[..256]).concat().into_iter();
    let partition = partition.filter(|key| key.prefix(2) == 0);
    let sorted: Vec<_> = partition.collect::<BTreeSet<_>>().into_iter().collect();
    assert!((5000..6000).contains(&sorted.len()));
    let ends = [0, 4095, 4096, sorted.len() - 1].map(|at| sorted[at]);
    for key in keys.into_iter().chain(ends) {
        let needed = world.needed(&[key]).await;
        let pages: Vec<_> = needed.iter().filter(|path| path.contains(".d/")).collect();
        let expected = if key < sorted[0] {
            &[][..]
        } else if key < sorted[4096] {
            &PAGES[..1]
        } else {
            &PAGES[1..]
        };
        assert_eq!(pages, expected, "{key}");
    }
}

#[tokio::test]
async fn no_damaged_directory_or_page_is_believed() {
    let (world, keys) = (ground(), ground_keys());
    damage_each(&world, &keys[..3]).await;
    let [first, second] = PAGES;
    for (path, other) in [
        (first, second),
        (second, first),
        (first, "index/v1/run/0/000/000"),
        ("index/v1/run/0/000/000", first),
        ("index/v1/run/0/000/000", "index/v1/run/0/000/001"),
    ] {
        let bytes = world.log.object(other);
        let told = ask_with(&world, &keys, path, Some(bytes)).await;
        assert!(is_wrong(&told), "{other} as {path}: {told:?}");
    }
    for path in [first, second] {
        assert!(is_missing(&ask_with(&world, &keys, path, None).await));
    }
}

const PAGES: [&str; 2] = [
    "index/v1/run/0/000/000.d/000",
    "index/v1/run/0/000/000.d/001",
];

/// A base run of which one partition has more than 4,096 keys.
fn ground() -> World {
    let ground = |n: usize| format!("=1{n:031x}");
    World::indexed(260, 1, move |index| {
        let words: Vec<_> = (1..=20).map(|n| ground(4 * (index * 20 + n))).collect();
        words.join(" ")
    })
}

/// The first and last of both pages, some between, and some that are not there; the last of them is below all.
fn ground_keys() -> Vec<Key> {
    let of = |n: usize| word(&format!("=1{:031x}", 4 * n));
    let absent = |n: usize| word(&format!("=1{:031x}", 4 * n + 1));
    vec![
        of(100),
        of(5000),
        absent(4500),
        of(1),
        of(4000),
        of(4200),
        of(256 * 20),
        // In the tail.
        of(260 * 20),
        absent(1),
        absent(256 * 20),
        word("=3fffffffffffffffffffffffffffffff"),
        word(BELOW_ALL),
    ]
}

const BELOW_ALL: &str = "=00000000000000000000000000000000";
