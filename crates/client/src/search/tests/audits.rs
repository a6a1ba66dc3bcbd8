//! What only an audit tells: an index that was signed, and is not of the log.

use tegula_index::{MAX_LIST_PAGE, Record};
use tegula_tlog::{Edge, leaf_hash};

use super::*;

const COUNT: usize = 17 * 256 + 9;
const BUNDLES: usize = 17;

fn honest() -> World {
    World::indexed(COUNT, BUNDLES, |index| {
        let one = if index == 2000 { " one" } else { "" };
        format!("all{one}")
    })
}

fn run(level: u8, n: u64) -> Run {
    Run::new(level, n).unwrap()
}

/// What an audit says of a run of a log, at its index of now.
async fn audit(log: &Log, run: Run) -> Result<Audit, ReadError> {
    let reader = fresh(log);
    let (checkpoint, index) = reader.checkpoint_and_index().await.unwrap();
    let index = index.unwrap();
    reader.audit_run(&checkpoint, &index, run).await
}

async fn find(log: &Log, text: &str) -> Vec<u64> {
    let reader = fresh(log);
    let searched = reader.search(&[word(text)], EVERYTHING).await.unwrap();
    let answer = &searched.answers[0];
    pages_and_found(&reader, &searched, answer).await.unwrap()
}

#[tokio::test]
async fn an_index_of_the_log_is_right() {
    let world = honest();
    for bundles in [1, 4, 7, 17] {
        world.index.publish(&world.log, &index_signer(1), bundles);
        for run in live_runs(size(bundles)).unwrap() {
            let audit = audit(&world.log, run).await.unwrap();
            assert!(audit.is_right(), "{audit:?}");
            assert_eq!((audit.run, audit.committed), (run, audit.made));
            assert_eq!(audit.made, world.index.runs[&run].record);
        }
    }
}

#[tokio::test]
async fn only_live_runs_are_audited() {
    let world = honest();
    for other in [run(0, 0), run(1, 0), run(0, 17), run(3, 0)] {
        let error = audit(&world.log, other).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the run {other} is not live in the index of 4352 entries")
        );
        assert!(matches!(error, ReadError::NotFound(_)));
    }
}

/// The one who signs the index leaves an entry's key out of it, and says that another has it: a search believes it.
#[tokio::test]
async fn what_the_log_signed_and_is_not_so_is_shown() {
    let world = honest();
    let (large, small) = (run(2, 0), run(0, 16));
    let has_one = |at: &[usize]| {
        let mut keys = all_keys(&world.entries);
        keys[2000].retain(|key| *key != word("one"));
        at.iter().for_each(|at| keys[*at].push(word("one")));
        keys
    };
    for (at, wrong, found) in [
        (&[][..], &[large][..], &[][..]),
        (&[2000, 2001], &[large], &[2000, 2001]),
        (&[7], &[large], &[7]),
        (&[2000, 4100], &[small], &[2000, 4100]),
        (&[4100], &[large, small], &[4100]),
    ] {
        let index = Index::new(&world.entries, &has_one(at));
        let log = world.log.copy();
        index.publish(&log, &index_signer(1), BUNDLES);
        assert_eq!(find(&log, "one").await, found);
        for run in [large, small] {
            let audit = audit(&log, run).await.unwrap();
            assert_eq!(audit.is_right(), !wrong.contains(&run));
            assert_eq!(audit.committed, index.runs[&run].record);
            assert_eq!(audit.made, world.index.runs[&run].record);
            if audit.is_right() {
                continue;
            }
            // All partitions have other siblings now, or the body.
            assert_eq!(audit.differences[0], Difference::Record);
            let q = word("one").prefix(audit.made.bits());
            let path = IndexPath::Partition { run, q };
            let is_it = |difference: &Difference| matches!(difference, Difference::Object { path: of, .. } if *of == path);
            assert!(audit.differences.iter().any(is_it), "{audit:?}");
        }
    }
}

/// The weight alone leads no search astray, but is what the next run's is made of.
#[tokio::test]
async fn a_wrong_weight_is_shown() {
    let mut world = honest();
    let small = run(0, 16);
    let record = &mut world.index.runs.get_mut(&small).unwrap().record;
    let made = *record;
    record.weight += 1;
    world.index.publish(&world.log, &index_signer(1), BUNDLES);
    assert_eq!(find(&world.log, "one").await, [2000]);
    let audit = audit(&world.log, small).await.unwrap();
    assert_eq!(audit.differences, [Difference::Record]);
    let weight = made.weight + 1;
    assert_eq!(
        (audit.made, audit.committed),
        (made, Record { weight, ..made })
    );
}

#[tokio::test]
async fn what_the_store_damaged_is_shown() {
    let world = honest();
    let run = run(2, 0);
    for (path, good) in &world.index.runs[&run].objects {
        let path = *path;
        let place = path.to_string();
        let cut = good.len() / 2;
        let mut flipped = good.clone();
        flipped[cut] ^= 1;
        for (bad, at) in [
            (flipped, cut),
            (Vec::new(), 0),
            (good[..cut].to_vec(), cut),
            ([good, &[0][..]].concat(), good.len()),
            // More than is read of it.
            ([good, &vec![0; path.max_len()][..]].concat(), good.len()),
        ] {
            let log = world.log.copy();
            log.put(&place, bad);
            let audit = audit(&log, run).await.unwrap();
            assert_eq!(audit.differences, [Difference::Object { path, at }]);
            assert_eq!(audit.committed, audit.made);
        }
        let log = world.log.copy();
        log.remove(&place);
        let audit = audit(&log, run).await.unwrap();
        assert_eq!(audit.differences, [Difference::Missing { path }]);
    }
}

#[tokio::test]
async fn an_audit_needs_the_entries() {
    let world = honest();
    let log = world.log.copy();
    log.tamper("tile/entries/003", 700);
    let error = audit(&log, run(2, 0)).await.unwrap_err();
    assert!(matches!(error, ReadError::Verification(_)), "{error}");
    assert!(audit(&log, run(0, 16)).await.unwrap().is_right());
    log.remove("tile/entries/003");
    let error = audit(&log, run(2, 0)).await.unwrap_err();
    assert!(matches!(error, ReadError::Io(_)), "{error}");
}

/// A hundred differences are enough.
#[tokio::test]
async fn an_audit_ends_where_the_run_is_seen_to_be_wrong() {
    let world = World::indexed(256, 1, |index| {
        let words: Vec<_> = (0..600).map(|n| format!("{}", index * 600 + n)).collect();
        words.join(" ")
    });
    let run = run(0, 0);
    let objects = &world.index.runs[&run].objects;
    assert_eq!(objects.len(), 128);
    for (path, _) in objects {
        world.log.remove(&path.to_string());
    }
    let audit = audit(&world.log, run).await.unwrap();
    assert_eq!(audit.differences.len(), 100);
}

/// A list can be signed whose pages are sound, and not in order: nobody reads two of them as if they were.
#[tokio::test]
async fn pages_of_a_list_follow_on_each_other() {
    let is_listed = |index: usize| index < 40_000;
    let mut world = World::new(272 * 256, |index| {
        if is_listed(index) { "list" } else { "" }.to_owned()
    });
    let (run, key, count) = (run(4, 0), word("list"), 40_000_u64);
    let list_of = |objects: &[(IndexPath, Vec<u8>)]| -> Vec<Vec<u8>> {
        let pages = objects.iter();
        let pages = pages.filter(|(path, _)| matches!(path, IndexPath::List { .. }));
        pages.map(|(_, bytes)| bytes.clone()).collect()
    };
    let pages = list_of(&world.index.runs[&run].objects);
    assert_eq!(pages.len(), 3);
    // The first two pages have each other's postings: two hashes of proof, and the same numbers of postings.
    let postings = |page: usize| pages[page][48 + 64..].to_vec();
    let mut heads: Vec<_> = pages.iter().map(|page| page[..48].to_vec()).collect();
    assert_eq!(
        heads[0][4..8],
        u32::try_from(MAX_LIST_PAGE).unwrap().to_be_bytes()
    );
    heads[0].extend(postings(1));
    heads[1].extend(postings(0));
    heads[2].extend(&pages[2][48 + 32..]);
    let root = |pages: &[Vec<u8>]| {
        let hashes: Vec<_> = pages.iter().map(|page| leaf_hash(page)).collect();
        Edge::empty().grow(&hashes).unwrap()
    };
    let tree = root(&heads);
    for (page, bytes) in (0..).zip(heads) {
        let proof = tree.prove(LeafIndex::new(page).unwrap()).unwrap();
        let proof: Vec<_> = proof.iter().flat_map(|hash| hash.0).collect();
        let bytes = [&bytes[..48], &proof, &bytes[48..]].concat();
        let path = IndexPath::List { run, key, page };
        let objects = &mut world.index.runs.get_mut(&run).unwrap().objects;
        let object = objects.iter_mut().find(|(of, _)| *of == path).unwrap();
        object.1 = bytes;
    }
    world.index.change(run, |body| {
        let place = body.windows(16).position(|bytes| bytes == key.0);
        if let Some(place) = place {
            // The key, and 40,000 as a varint of three bytes.
            body[place + 19..place + 51].copy_from_slice(&tree.root().0);
        }
    });
    world.index.publish(&world.log, &index_signer(1), 272);

    let reader = fresh(&world.log);
    let searched = reader.search(&[key], EVERYTHING).await.unwrap();
    let answer = &searched.answers[0];
    assert_eq!(answer.count(), count);
    // Each page for itself is what was signed.
    assert_eq!(
        pages_and_found(&reader, &searched, answer)
            .await
            .unwrap()
            .len(),
        40_000
    );
    let last = usize::try_from(count % MAX_LIST_PAGE).unwrap();
    reader.newest(&searched, answer, last).await.unwrap();
    reader.newest(&searched, answer, last + 1).await.unwrap();
    let error = reader.newest(&searched, answer, 30_000).await.unwrap_err();
    assert!(matches!(error, ReadError::Verification(_)), "{error}");
    let expected =
        format!("index/v1/list/4/000/{key}/000 does not end before the page after it begins");
    assert_eq!(error.to_string(), expected);
    // Nor does an audit take them for right.
    assert!(!audit(&world.log, run).await.unwrap().is_right());
}
