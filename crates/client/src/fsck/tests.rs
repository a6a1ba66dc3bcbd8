use super::*;
use crate::CheckpointMemory;
use crate::fake::{Log, entries, signer};

async fn fsck(log: &Log) -> FsckReport {
    let policy = tegula_tlog::Policy::from_log_keys(vec![signer(1).verifier()]);
    let memory = CheckpointMemory::in_process();
    let reader = Reader::new(Arc::new(log.clone()), policy, None, memory);
    let checkpoint = reader.checkpoint().await.unwrap();
    let options = FsckOptions {
        threads: 2,
        elapsed: Arc::new(|| Duration::ZERO),
    };
    reader.fsck(&checkpoint, options, |_| {}).await.unwrap()
}

#[tokio::test]
async fn a_sound_log_is_sound_at_every_size() {
    let entries = entries(66_000);
    for count in [
        0, 1, 2, 255, 256, 257, 511, 512, 1300, 65_535, 65_536, 65_537, 66_000,
    ] {
        let log = Log::new(&entries, &[count]);
        log.take_fetched();
        let report = fsck(&log).await;
        assert_eq!(report.problems, Vec::<String>::new(), "{count}");
        assert_eq!(report.entries, count as u64);
        // Every object that the checkpoint needs was read, and each once.
        let mut fetched = log.take_fetched();
        fetched.sort();
        assert_eq!(fetched, log.paths(), "{count}");
        assert_eq!(report.tiles + report.bundles + 1, fetched.len() as u64);
        let bytes: usize = fetched
            .iter()
            .filter(|p| *p != "checkpoint")
            .map(|p| log.object(p).len())
            .sum();
        assert_eq!(report.bytes, bytes as u64);
    }
}

#[tokio::test]
async fn every_damaged_object_is_named() {
    let entries = entries(65_900);
    let paths = Log::new(&entries[..800], &[800]).paths();
    for path in paths.iter().filter(|path| *path != "checkpoint") {
        let log = Log::new(&entries[..800], &[800]);
        let len = log.object(path).len();
        for at in [0, len / 2, len - 1] {
            let log = Log::new(&entries[..800], &[800]);
            log.tamper(path, at);
            let report = fsck(&log).await;
            assert!(report.problem_count > 0, "byte {at} of {path}");
            let named = report
                .problems
                .iter()
                .any(|problem| problem.contains(path.as_str()));
            assert!(named, "{path}: {:?}", report.problems);
        }
        for wrong in [
            Bytes::new(),
            vec![0; len - 1].into(),
            vec![0; len + 1].into(),
            vec![0; 17 << 20].into(),
        ] {
            log.put(path, wrong);
            let report = fsck(&log).await;
            assert!(
                report
                    .problems
                    .iter()
                    .any(|problem| problem.starts_with(path.as_str())),
                "{path}"
            );
        }
        log.remove(path);
        let report = fsck(&log).await;
        assert!(
            report.problems.contains(&format!("{path} is missing")),
            "{path}: {:?}",
            report.problems
        );
    }

    // Three levels: what is wrong in the middle.
    let log = Log::new(&entries, &[65_900]);
    log.tamper("tile/1/000", 100);
    let report = fsck(&log).await;
    assert_eq!(
        report.problems,
        [
            "tile 3 of level 0 does not hash to what tile/1/000 says",
            "tile 0 of level 1 does not hash to what tile/2/000.p/1 says",
        ]
    );
}

#[tokio::test]
async fn a_full_tile_stands_for_a_partial_one_that_went() {
    let entries = entries(600);
    let log = Log::new(&entries, &[300, 600]);
    log.put(
        "checkpoint",
        Log::new(&entries, &[300]).object("checkpoint"),
    );
    log.remove("tile/0/001.p/44");
    log.remove("tile/entries/001.p/44");
    assert_eq!(fsck(&log).await.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_root_is_found_although_every_tile_is_right() {
    let mut other = entries(300);
    let log = Log::new(&other, &[300]);
    other[7] = b"another".to_vec();
    log.put("checkpoint", Log::new(&other, &[300]).object("checkpoint"));
    let report = fsck(&log).await;
    assert_eq!(report.problem_count, 1);
    assert!(
        report.problems[0].starts_with("the tiles hash to the root "),
        "{:?}",
        report.problems
    );
}

#[tokio::test]
async fn a_thousand_problems_are_counted_and_a_hundred_told() {
    let log = Log::new(&entries(60_000), &[60_000]);
    for n in 0..200 {
        log.remove(&format!("tile/entries/{n:03}"));
    }
    let report = fsck(&log).await;
    assert_eq!((report.problem_count, report.problems.len()), (200, 100));
}

#[test]
fn what_bounds_it_is_told_from_the_times() {
    let report = |hashing, elapsed| FsckReport {
        size: TreeSize::ZERO,
        root: tegula_tlog::empty_root(),
        entries: 10,
        tiles: 0,
        bundles: 0,
        bytes: 0,
        problems: Vec::new(),
        problem_count: 0,
        elapsed: Duration::from_secs(elapsed),
        hashing: Duration::from_secs(hashing),
        reading: Duration::ZERO,
        threads: 2,
    };
    assert!(report(10, 10).bound_by_hashing());
    assert!(!report(9, 10).bound_by_hashing());
    assert!((report(1, 5).entries_per_second() - 2.0).abs() < 1e-9);
}
