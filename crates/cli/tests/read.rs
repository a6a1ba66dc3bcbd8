//! Reading: get, verify, loginfo, logproof, proof and fsck, of a log in a directory.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{World, files};
use tegula_tlog::leaf_hash;

#[test]
fn the_key_is_pinned_at_first_use_and_visibly() {
    let world = World::new();
    let first = world.run(&["loginfo", "--log", "log"]);
    assert_eq!(first.code, 0, "{first:?}");
    let log = world.log().canonicalize().unwrap();
    assert_eq!(
        first.stderr,
        format!(
            "tegula: pinned the key that {} shows, since none was given: {}\n",
            log.display(),
            world.vkey()
        )
    );
    assert!(first.stdout.starts_with(
        "Verification Successful!\nOrigin:    log.example\nTree Size: 300\nRoot Hash: "
    ));
    let second = world.run(&["loginfo", "--log", "./log/"]);
    assert_eq!((second.stderr.as_str(), second.stdout), ("", first.stdout));
    for pin in files(&world.path(".local/state/tegula/pins")) {
        let mode = fs::metadata(pin).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_pinned_log_that_shows_another_key_is_not_verified() {
    let world = World::new();
    world.run(&["loginfo", "--log", "log"]).ok();
    let other = World::empty(2);
    for path in ["checkpoint", "log.json"] {
        world.put(
            path,
            &fs::read(other.log().join("public").join(path)).unwrap(),
        );
    }
    let error = world.run(&["loginfo", "--log", "log"]).error(4);
    assert!(error.contains("pinned at first use in "), "{error}");
    assert!(
        error.contains("remove that file, or pass --log-key"),
        "{error}"
    );
    world
        .run(&["loginfo", "--log", "log", "--log-key", &other.vkey()])
        .ok();
}

#[test]
fn two_logs_of_one_name_do_not_alarm() {
    let (world, other) = (World::new(), World::empty(2));
    let other_log = other.log().display().to_string();
    for _ in 0..2 {
        world.run(&["loginfo", "--log", "log"]).ok();
        world.run(&["loginfo", "--log", &other_log]).ok();
    }
}

#[test]
fn entries_are_read_by_index_and_by_leaf_hash() {
    let world = World::new();
    let leaf = leaf_hash(b"entry 299").to_string();
    let expected = format!("Index: 299\nUUID: {leaf}\nBody: entry 299\n");
    assert_eq!(world.tegula(&["get", "--log-index", "299"]).ok(), expected);
    assert_eq!(world.tegula(&["get", "--uuid", &leaf]).ok(), expected);
    let long = format!("0000000000000001{}", leaf.to_uppercase());
    assert_eq!(world.tegula(&["get", "--uuid", &long]).ok(), expected);
    assert_eq!(
        world.tegula(&["get", "--log-index", "299", "-o", "-"]).ok(),
        "entry 299"
    );

    let body = world.tegula(&["get", "--log-index", "5"]).ok();
    let object = "\nBody: {\n  \"HashedRekordObj\": {\n    \"hashedRekordV002\": {\n";
    assert!(body.contains("\nKind: hashedrekord 0.0.2\nKey: "), "{body}");
    assert!(body.contains(object), "{body}");
    let json = world.tegula(&["--json", "get", "--log-index", "5"]).ok();
    for part in [
        "\"logIndex\":\"5\"",
        "\"treeSize\":\"300\"",
        "\"version\":\"0.0.2\"",
        "\"kind\":\"hashedrekord\"",
    ] {
        assert!(json.contains(part), "{json}");
    }
    assert_eq!(
        world
            .tegula(&["get", "--format", "json", "--log-index", "5"])
            .ok(),
        json
    );

    assert_eq!(
        world.tegula(&["get", "--log-index", "300"]).error(3),
        "there is no entry 300, the log has 300"
    );
    let absent = "00".repeat(32);
    assert_eq!(
        world.tegula(&["get", "--uuid", &absent]).error(3),
        format!("{absent} is not among the 300 entries of the log")
    );
    assert_eq!(
        world.tegula(&["get"]).error(2),
        "either --log-index or --uuid must be given"
    );
}

#[test]
fn what_steers_a_terminal_is_escaped() {
    let mut world = World::new();
    world.entries[0] = b"\x1b[31mred\x07\n".to_vec();
    world.entries[1] = b"\xff\x00".to_vec();
    world.publish(10);
    let text = world.tegula(&["get", "--log-index", "0"]).ok();
    assert!(
        text.ends_with("Body: \\u{1b}[31mred\\u{7}\\n\n"),
        "{text:?}"
    );
    let text = world.tegula(&["get", "--log-index", "1"]).ok();
    assert!(text.ends_with("Body: \\xff\\x00\n"), "{text:?}");
}

#[test]
fn an_artifact_is_verified_against_the_log() {
    let world = World::new();
    let leaf = leaf_hash(&world.body("artifact"));
    let signed = ["--signature", "artifact.sig", "--public-key", "key.pub"];
    let artifact = |more: &[&str]| {
        world.tegula(&[&["verify", "--artifact", "artifact"], &signed[..], more].concat())
    };
    let text = artifact(&[]).ok();
    let expected = format!(
        "Verified: artifact\nEntry Index: 5\nEntry Hash: {leaf}\nTree Size: 300\nRoot Hash: "
    );
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(artifact(&["--log-index", "5"]).ok(), text);
    assert_eq!(artifact(&["--type", "hashedrekord:0.0.2"]).ok(), text);
    assert_eq!(
        world
            .tegula(&["verify", "artifact", "--public-key", "key.pub"])
            .ok(),
        text
    );

    let error = artifact(&["--log-index", "6"]).error(4);
    assert!(
        error.starts_with("artifact: entry 6 of the log is another one"),
        "{error}"
    );
    assert_eq!(
        artifact(&["--type", "hashedrekord:0.0.1"]).error(3),
        "artifact: this signature is not among the 300 entries of the log"
    );
    fs::write(world.path("artifact"), b"changed\n").unwrap();
    assert_eq!(
        artifact(&[]).error(4),
        "artifact: signature does not verify over the digest with the given key"
    );
    let text = world.tegula(&["verify", "--log-index", "5"]).ok();
    assert!(
        text.starts_with("Verified: entry 5\nEntry Index: 5\n"),
        "{text}"
    );
    assert!(text.ends_with("\nSignature: verified\n"), "{text}");
}

/// Nobody should take inclusion for more than it is.
#[test]
fn an_entry_without_a_known_signature_is_not_called_signed() {
    let world = World::new();
    fs::write(world.path("raw"), b"entry 9").unwrap();
    for args in [
        &["verify", "--log-index", "9"][..],
        &["verify", "--type", "raw", "raw"],
    ] {
        let text = world.tegula(args).ok();
        assert!(
            text.ends_with("Signature: none known in an entry of this kind: that it is in the log is all that is verified\n"),
            "{text}"
        );
        let json = world.tegula(&[args, &["--json"]].concat()).ok();
        assert!(json.contains("\"signature\":\"unknown\""), "{json}");
    }
    let json = world.tegula(&["verify", "--log-index", "5", "--json"]).ok();
    assert!(json.contains("\"signature\":\"verified\""), "{json}");
}

#[test]
fn names_of_files_forge_no_lines() {
    let world = World::new();
    let name = "raw\nVerified: artifact";
    fs::write(world.path(name), b"entry 9").unwrap();
    let text = world.tegula(&["verify", "--type", "raw", name]).ok();
    assert!(
        text.starts_with("Verified: raw\\nVerified: artifact\nEntry Index"),
        "{text}"
    );
    fs::write(world.path(name), b"entry 9999").unwrap();
    let outcome = world.tegula(&["verify", "--type", "raw", name]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
}

#[test]
fn an_artifact_may_be_a_digest_or_standard_input() {
    let world = World::new();
    let artifact = fs::read(world.path("artifact")).unwrap();
    let digest =
        tegula_entries::artifact_digests(&artifact[..], &[tegula_entries::DigestAlgorithm::Sha256]);
    let digest = digest.unwrap()[0].to_string();
    let vkey = world.vkey();
    let named = [
        "verify",
        "--log",
        "log",
        "--log-key",
        &vkey,
        "--public-key",
        "key.pub",
        "--signature",
    ];
    let args = [&named[..], &["artifact.sig", "--artifact-hash", &digest]].concat();
    assert!(
        world
            .run(&args)
            .ok()
            .starts_with(&format!("Verified: {digest}\n"))
    );
    let args = [&named[..], &["artifact.sig", "-"]].concat();
    assert!(
        world
            .run_with(&args, &[], &artifact)
            .ok()
            .starts_with("Verified: -\n")
    );
    let args = [&named[..], &["-", "-"]].concat();
    assert_eq!(
        world.run(&args).error(2),
        "standard input can be read only once"
    );
}

#[test]
fn many_files_are_verified_and_failures_told_one_by_one() {
    let mut world = World::new();
    for n in 0..20 {
        let name = format!("file{n}");
        fs::write(world.path(&name), format!("contents {n}")).unwrap();
        world.sign(&name);
        if n != 7 {
            let body = world.body(&name);
            world.entries.push(body);
        }
    }
    world.publish(world.entries.len());
    fs::write(world.path("file3.sig"), b"no signature").unwrap();
    let names: Vec<String> = (0..20).map(|n| format!("file{n}")).collect();
    let mut args = vec!["verify", "--public-key", "key.pub"];
    args.extend(names.iter().map(String::as_str));
    let outcome = world.tegula(&args);
    assert_eq!(outcome.code, 4, "{outcome:?}");
    let verified = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("Verified: "));
    assert_eq!(verified.count(), 18);
    assert_eq!(
        outcome.stderr,
        "tegula: error: file3: signature does not verify over the digest with the given key\n\
         tegula: error: file7: this signature is not among the 319 entries of the log\n\
         tegula: error: 2 of 20 failed\n"
    );
}

#[test]
fn proofs_are_checked_without_the_log() {
    let world = World::new();
    let make = [
        "proof",
        "make",
        "artifact",
        "--public-key",
        "key.pub",
        "-o",
        "p.tlog-proof",
    ];
    let told = world.tegula(&make).ok();
    assert!(told.starts_with("Proof of entry 5 of "), "{told}");
    let by_index = world.tegula(&["proof", "make", "--log-index", "5"]).ok();
    assert_eq!(
        by_index,
        fs::read_to_string(world.path("p.tlog-proof")).unwrap()
    );

    fs::rename(world.log(), world.path("gone")).unwrap();
    let vkey = world.vkey();
    let check = |more: &[&str]| {
        let args = [
            "proof",
            "check",
            "p.tlog-proof",
            "artifact",
            "--public-key",
            "key.pub",
        ];
        world.run(&[&args, more].concat())
    };
    let text = check(&["--log-key", &vkey]).ok();
    assert!(
        text.starts_with("Verified: p.tlog-proof\nEntry Index: 5\n"),
        "{text}"
    );
    let error = check(&[]).error(2);
    assert!(
        error.starts_with("no key to check the proof with"),
        "{error}"
    );
    let stranger = World::empty(9).vkey();
    check(&["--log-key", &stranger]).error(4);

    fs::write(world.path("other"), b"other").unwrap();
    world.sign("other");
    let args = [
        "proof",
        "check",
        "p.tlog-proof",
        "other",
        "--public-key",
        "key.pub",
        "--log-key",
        &vkey,
    ];
    let error = world.run(&args).error(4);
    assert!(
        error.starts_with("p.tlog-proof: the proof of entry 5: "),
        "{error}"
    );
    fs::write(world.path("p.tlog-proof"), b"nonsense").unwrap();
    check(&["--log-key", &vkey]).error(4);
}

#[test]
fn sizes_are_proven_consistent() {
    let world = World::new();
    let text = world.tegula(&["logproof", "--first-size", "256"]).ok();
    let json = world
        .tegula(&[
            "--json",
            "logproof",
            "--first-size",
            "256",
            "--last-size",
            "300",
        ])
        .ok();
    assert!(text.starts_with("First Root Hash: "), "{text}");
    for part in [
        "\"firstSize\":\"256\"",
        "\"lastSize\":\"300\"",
        "\"hashes\":[\"",
    ] {
        assert!(json.contains(part), "{json}");
    }
    assert_eq!(
        world.tegula(&["logproof", "--last-size", "301"]).error(3),
        "--last-size 301 is larger than the log, which has 300 entries"
    );
    assert_eq!(
        world
            .tegula(&["logproof", "--first-size", "5", "--last-size", "4"])
            .error(2),
        "--first-size 5 is larger than 4"
    );
}

#[test]
fn fsck_finds_what_is_damaged() {
    let world = World::new();
    let text = world.tegula(&["fsck"]).ok();
    assert!(
        text.starts_with("Checked: 300 entries, 2 bundles, 3 tiles, "),
        "{text}"
    );
    assert!(
        text.contains("bound by ") && text.ends_with("The log is sound\n"),
        "{text}"
    );
    let json = world.tegula(&["fsck", "--json"]).ok();
    assert!(
        json.contains("\"problemCount\":\"0\"") && json.contains("\"entries\":\"300\""),
        "{json}"
    );

    world.remove("tile/entries/000");
    let outcome = world.tegula(&["fsck"]);
    assert!(
        outcome
            .stdout
            .starts_with("Problem: tile/entries/000 is missing\n"),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.error(4),
        "the log is damaged: 1 problems, the first is: tile/entries/000 is missing"
    );
}

#[test]
fn a_request_that_is_ready_is_found() {
    let world = World::new();
    let stored = tegula_entries::StoredEntry::parse(&world.body("artifact")).unwrap();
    let request = tegula_entries::hashedrekord_request(
        stored.as_hashedrekord().unwrap().digest(),
        stored.as_hashedrekord().unwrap().signature(),
        stored.as_hashedrekord().unwrap().verifier(),
    );
    fs::write(world.path("request.json"), request.unwrap()).unwrap();
    let text = world.tegula(&["verify", "--entry", "request.json"]).ok();
    assert!(
        text.starts_with("Verified: request.json\nEntry Index: 5\n"),
        "{text}"
    );
    fs::write(world.path("request.json"), "{}").unwrap();
    assert_eq!(
        world
            .tegula(&["verify", "--entry", "request.json"])
            .error(2),
        "request.json: invalid type, must be hashedrekord"
    );
}

#[test]
fn a_signature_may_be_in_base64() {
    use base64::Engine;
    let world = World::new();
    let signature = fs::read(world.path("artifact.sig")).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(signature);
    fs::write(world.path("artifact.sig"), text + "\n").unwrap();
    let told = world
        .tegula(&["verify", "artifact", "--public-key", "key.pub"])
        .ok();
    assert!(told.contains("Entry Index: 5\n"), "{told}");
}

#[test]
fn every_command_speaks_json() {
    let world = World::new();
    for args in [
        &["loginfo"][..],
        &["logproof"],
        &["get", "--log-index", "0"],
        &["verify", "--log-index", "0"],
        &["proof", "make", "--log-index", "0"],
        &["proof", "make", "--log-index", "0", "-o", "p"],
        &[
            "proof",
            "check",
            "p",
            "--uuid",
            &leaf_hash(b"entry 0").to_string(),
        ],
        &["fsck"],
    ] {
        let text = world.tegula(&[args, &["--json"]].concat()).ok();
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value.is_object());
    }
}
