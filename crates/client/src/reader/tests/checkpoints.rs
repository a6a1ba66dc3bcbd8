use super::*;

fn note(log: &Log) -> Bytes {
    log.object("checkpoint")
}

fn evidence(error: ReadError) -> Evidence {
    match error {
        ReadError::Misbehaviour(evidence) => evidence,
        other => panic!("{other}"),
    }
}

use crate::Evidence;

#[tokio::test]
async fn a_growing_log_is_followed() {
    let entries = entries(700);
    let log = Log::new(&entries, &[0]);
    let dir = tempfile::tempdir().unwrap();
    let memory = CheckpointMemory::directory(dir.path());
    for count in [0, 0, 1, 255, 256, 300, 300, 700] {
        log.publish(&signer(1), &entries[..count]);
        let checkpoint = reader(&log, &memory, None).checkpoint().await.unwrap();
        assert_eq!((checkpoint.size(), checkpoint.stale()), (size(count), None));
        let remembered = memory.load(&signer(1).verifier()).unwrap().unwrap();
        assert_eq!(remembered, note(&log));
    }
}

#[tokio::test]
async fn an_older_checkpoint_is_stale_while_it_is_consistent() {
    let entries = entries(700);
    let log = Log::new(&entries, &[300, 700]);
    let memory = CheckpointMemory::in_process();
    let reader = reader(&log, &memory, None);
    reader.checkpoint().await.unwrap();
    for count in [0, 1, 300, 699] {
        let old = Log::new(&entries, &[count]);
        log.put("checkpoint", note(&old));
        let checkpoint = reader.checkpoint().await.unwrap();
        assert_eq!(checkpoint.size(), size(700));
        assert_eq!(checkpoint.stale(), Some(size(count)));
        assert_eq!(
            reader.entry(&checkpoint, index(699)).await.unwrap(),
            entries[699]
        );
    }
}

#[tokio::test]
async fn a_fork_is_misbehaviour_and_both_sides_are_kept() {
    let honest = entries(700);
    let mut forked = honest.clone();
    forked[5] = b"another history".to_vec();
    // Larger, smaller, and of the same size; in the last the log also serves the tiles of the fork alone.
    for (seen, shown) in [(300, 700), (700, 300), (700, 700), (300, 300)] {
        let dir = tempfile::tempdir().unwrap();
        let memory = CheckpointMemory::directory(dir.path());
        let log = Log::new(&honest, &[seen]);
        reader(&log, &memory, None).checkpoint().await.unwrap();
        let fork = Log::new(&forked, &[shown]);
        if shown < seen {
            log.put("checkpoint", note(&fork));
        }
        let source = if shown < seen { &log } else { &fork };
        for _ in 0..2 {
            let error = reader(source, &memory, None)
                .checkpoint()
                .await
                .unwrap_err();
            let evidence = evidence(error);
            assert_eq!(evidence.remembered, note(&Log::new(&honest, &[seen])));
            assert_eq!(evidence.presented, note(&fork));
            let kept: Vec<_> = evidence
                .files
                .iter()
                .map(|file| std::fs::read(file).unwrap())
                .collect();
            assert_eq!(
                kept,
                [evidence.remembered.clone(), evidence.presented.clone()]
            );
            let expected = if seen == shown {
                "have different roots"
            } else {
                "are not consistent"
            };
            assert!(evidence.reason.contains(expected), "{}", evidence.reason);
            let remembered = memory.load(&signer(1).verifier()).unwrap().unwrap();
            assert_eq!(remembered, evidence.remembered, "a fork is not remembered");
        }
    }
}

#[tokio::test]
async fn a_log_that_shrank_is_misbehaviour() {
    let entries = entries(700);
    let memory = CheckpointMemory::in_process();
    let log = Log::new(&entries, &[700]);
    reader(&log, &memory, None).checkpoint().await.unwrap();
    // A backup of yesterday was put back: the larger tree is gone.
    let restored = Log::new(&entries, &[300]);
    let error = reader(&restored, &memory, None)
        .checkpoint()
        .await
        .unwrap_err();
    let evidence = evidence(error);
    assert!(evidence.reason.contains("shrunk"), "{}", evidence.reason);

    // It went on, otherwise than before.
    let mut other = entries.clone();
    other[400] = b"another".to_vec();
    restored.publish(&signer(1), &other);
    restored.put("checkpoint", note(&Log::new(&entries, &[300])));
    let error = reader(&restored, &memory, None)
        .checkpoint()
        .await
        .unwrap_err();
    assert!(matches!(error, ReadError::Misbehaviour(_)), "{error}");
}

#[tokio::test]
async fn logs_of_one_name_have_memories_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let memory = CheckpointMemory::directory(dir.path());
    let (one, two) = (entries(300), entries(900).split_off(300));
    let first = Log::signed(&signer(1), &one, &[300]);
    let second = Log::signed(&signer(2), &two, &[200]);
    for _ in 0..2 {
        reader_by(&signer(1), &first, &memory, None)
            .checkpoint()
            .await
            .unwrap();
        reader_by(&signer(2), &second, &memory, None)
            .checkpoint()
            .await
            .unwrap();
    }
    // But neither may pass for the other.
    let error = reader_by(&signer(1), &second, &memory, None)
        .checkpoint()
        .await
        .unwrap_err();
    assert!(matches!(error, ReadError::Verification(_)), "{error}");
}

#[tokio::test]
async fn only_what_the_policy_allows_is_remembered() {
    let log = Log::new(&entries(3), &[3]);
    let memory = CheckpointMemory::in_process();
    let vkey = signer(1).verifier();
    let witness = SigningKey::witness_from_seed("w", &[3; 32]).unwrap();
    let text = format!("log {vkey}\nwitness w {}\nquorum w\n", witness.verifier());
    let policy = Policy::parse(&text).unwrap();
    let strict = Reader::new(Arc::new(log.clone()), policy, None, memory.clone());
    let error = strict.checkpoint().await.unwrap_err();
    assert!(matches!(error, ReadError::Policy(_)), "{error}");
    assert_eq!(memory.load(&vkey).unwrap(), None);
}

#[tokio::test]
async fn a_log_without_a_checkpoint_is_broken() {
    let error = fresh(&Log::default()).checkpoint().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a log in memory has no checkpoint, so it is not a log, or a broken one"
    );
    assert!(matches!(error, ReadError::Io(_)));
}

#[tokio::test]
async fn a_damaged_memory_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let memory = CheckpointMemory::directory(dir.path());
    let log = Log::new(&entries(3), &[3]);
    let reader = reader(&log, &memory, None);
    reader.checkpoint().await.unwrap();
    let place = memory.describe(&signer(1).verifier());
    let file = Path::new(&place).join("checkpoint");
    for damage in [&b""[..], b"x", &vec![b'x'; 1 << 20]] {
        std::fs::write(&file, damage).unwrap();
        let error = reader.checkpoint().await.unwrap_err();
        assert!(matches!(error, ReadError::Io(_)), "{error}");
        assert!(error.to_string().contains(&place), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    reader.checkpoint().await.unwrap();
}

#[tokio::test]
async fn missing_tiles_are_no_misbehaviour_of_a_larger_log() {
    let entries = entries(700);
    let memory = CheckpointMemory::in_process();
    reader(&Log::new(&entries, &[300]), &memory, None)
        .checkpoint()
        .await
        .unwrap();
    let log = Log::new(&entries, &[700]);
    log.remove("tile/0/001");
    let error = reader(&log, &memory, None).checkpoint().await.unwrap_err();
    assert!(matches!(error, ReadError::Io(_)), "{error}");
    log.put("tile/0/001", vec![0; 8192]);
    let error = reader(&log, &memory, None).checkpoint().await.unwrap_err();
    assert!(matches!(error, ReadError::Verification(_)), "{error}");
}
