//! Searching: what is found, what is not, and what is said of either.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod support;

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::World;
use support::serving::Serving;
use tegula_tlog::leaf_hash;

/// A log `raw` of so many raw entries, `entry 0` and so on.
fn raw_log(world: &World, count: usize) {
    let entries = (0..count).map(|n| STANDARD.encode(format!("entry {n}")));
    let lines: Vec<_> = entries.map(|line| line + "\n").collect();
    fs::write(world.path("lines"), lines.concat()).unwrap();
    let import = [
        "import",
        "raw",
        "--entries",
        "lines",
        "--lines",
        "--origin",
        "raw.example",
        "--raw",
    ];
    world.run(&import).ok();
}

fn leaf(n: usize) -> String {
    leaf_hash(format!("entry {n}").as_bytes()).to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_index_is_made_and_searched_and_audited() {
    let world = World::empty(1);
    raw_log(&world, 2_000);
    let search = |args: &[&str]| world.run(&[&["search", "--log", "raw"], args].concat());

    // Without an index the entries are read.
    let first = search(&["--leaf", &leaf(1_999)]).ok();
    assert!(first.contains("Entry Index: 1999\nFound: 1 entry\nSearched: 2000 of 2000 entries; the log has no index, all 2000 were read\n"), "{first}");
    let some = search(&["--leaf", &leaf(1_999), "--scan", "1000"]).error(1);
    assert!(some.contains("of the first 1000; the log has 2000 entries, and of those from 1000 on nothing is known"), "{some}");
    world.run(&["index", "audit", "--log", "raw"]).error(3);

    let built = world.run(&["index", "build", "raw"]).ok();
    assert_eq!(
        built,
        "Indexed: 1792 entries; 7 base runs and 1 merged ones are new\n"
    );
    let again = world.run(&["index", "build", "raw", "--json"]).ok();
    assert_eq!(json(&again)["baseRuns"], "0");
    for n in [0, 255, 256, 1_791, 1_792, 1_999] {
        let found = search(&["--leaf", &leaf(n), "--entries"]).ok();
        let expected = format!(
            "Entry Index: {n}\nUUID: {}\nBody: entry {n}\nFound: 1 entry\n",
            leaf(n)
        );
        assert!(found.starts_with(&expected), "{found}");
        assert!(
            found.ends_with("the index covers 1792, the other 208 were read\n"),
            "{found}"
        );
    }
    let absent = search(&["--leaf", &leaf(2_000)]).error(8);
    assert!(
        absent.contains(&format!(
            "proven absent: no entry has {}, of all 2000 in the log",
            leaf(2_000)
        )),
        "{absent}"
    );
    let told = search(&["--leaf", &leaf(2_000), "--json"]);
    assert_eq!(json(&told.stdout)["error"]["kind"], "absent");
    let not_all = search(&["--leaf", &leaf(2_000), "--scan", "0"]).error(1);
    assert!(not_all.contains("of the first 1792"), "{not_all}");

    let both = json(&search(&["--leaf", &leaf(3), "--leaf", &leaf(1_900), "--json"]).ok());
    assert_eq!(
        (
            &both["count"],
            &both["entries"][0]["logIndex"],
            &both["entries"][1]["logIndex"]
        ),
        (&"2".into(), &"1900".into(), &"3".into())
    );
    assert_eq!(
        (&both["complete"], &both["indexed"], &both["index"]["size"]),
        (&true.into(), &"1792".into(), &"7".into())
    );
    search(&["--leaf", &leaf(3), "--leaf", &leaf(4), "--operator", "and"]).error(8);
    let newest = search(&["--leaf", &leaf(3), "--leaf", &leaf(4), "--limit", "1"]).ok();
    assert!(
        newest.starts_with("Entry Index: 4\nFound: 2 entries, of which the newest 1 are listed\n"),
        "{newest}"
    );

    let audit = world.run(&["index", "audit", "--log", "raw", "--all"]).ok();
    assert_eq!(
        audit,
        "Run 1/0: right, entries 0 to 1023\nRun 0/4: right, entries 1024 to 1279\nRun 0/5: right, entries 1280 to 1535\nRun 0/6: right, entries 1536 to 1791\n"
    );
    world
        .run(&["index", "audit", "--log", "raw", "--run", "0/4"])
        .ok();
    world
        .run(&["index", "audit", "--log", "raw", "--run", "0/0"])
        .error(3);
    let fsck = world.run(&["fsck", "--log", "raw"]).ok();
    assert!(
        fsck.contains("Index: 1792 entries, 4 runs of 4 objects"),
        "{fsck}"
    );

    // A byte in the store.
    let partition = world.path("raw/public/index/v1/run/0/004/000");
    let mut bytes = fs::read(&partition).unwrap();
    bytes[30] ^= 1;
    fs::write(&partition, bytes).unwrap();
    let wrong = search(&["--leaf", &leaf(3)]).error(4);
    assert!(
        wrong.contains("index/v1/run/0/004/000 is not the one that was committed to"),
        "{wrong}"
    );
    let audit = world.run(&["index", "audit", "--log", "raw", "--all"]);
    assert_eq!(audit.code, 5);
    assert!(
        audit
            .stdout
            .contains("index/v1/run/0/004/000 differs from byte 30 on"),
        "{audit:?}"
    );
    assert!(
        audit.stdout.contains("raw.example/index/v1\n7\n"),
        "{audit:?}"
    );
    let fsck = world.run(&["fsck", "--log", "raw"]).error(4);
    assert!(fsck.contains("index/v1/run/0/004/000"), "{fsck}");
    fs::remove_file(&partition).unwrap();
    search(&["--leaf", &leaf(3)]).error(1);
    // What is not there is made again; what is there is never replaced.
    fs::remove_file(world.path("raw/public/index/v1/checkpoint")).unwrap();
    world.run(&["index", "build", "raw"]).ok();
    search(&["--leaf", &leaf(3)]).ok();
}

#[test]
fn entries_are_found_by_what_they_are_of() {
    let world = World::empty(1);
    world
        .run(&["init", "rekor", "--origin", "rekor.example"])
        .ok();
    fs::write(world.path("key.pub"), support::public_key()).unwrap();
    let serving = Serving::start(&world, "rekor");
    for name in ["one", "two"] {
        fs::write(world.path(name), name).unwrap();
        world.sign(name);
        let upload = [
            "upload",
            name,
            "--public-key",
            "key.pub",
            "--log",
            &serving.url,
        ];
        world.run(&upload).ok();
    }
    let search = |args: &[&str]| world.run(&[&["search", "--log", &serving.url], args].concat());
    let one = search(&["--artifact", "one", "--entries"]).ok();
    assert!(
        one.contains("Kind: hashedrekord 0.0.2\n") && one.contains("Found: 1 entry\n"),
        "{one}"
    );
    let sha = "d2a84f4b8b650937ec8f73cd8be2c74add5a911ba64df27458ed8229da804a26";
    let hello = "03ba204e50d126e4674c005e04d82e84c21366780af1f43bd54a37816b6ab340";
    search(&["--sha", sha]).error(8);
    search(&["--sha", hello]).error(8);
    assert!(
        search(&["--public-key", "key.pub"])
            .ok()
            .contains("Found: 2 entries\n")
    );
    assert!(
        search(&[
            "--public-key",
            "key.pub",
            "--artifact",
            "two",
            "--operator",
            "and"
        ])
        .ok()
        .contains("Entry Index: 1\nFound: 1 entry\n")
    );
    search(&["--email", "alice@example.com"]).error(8);
    search(&["--subject-prefix", "https://github.com/org/"]).error(8);
    for (args, expected) in [
        (&[][..], "nothing to search for"),
        (&["--sha", "abc"], "--sha \"abc\" is not a SHA-256"),
        (
            &["--subject-prefix", "https://github.com/org"],
            "one to three segments after ://",
        ),
        (
            &["--public-key", "one"],
            "is no key of pgp, minisign, ssh or x509",
        ),
        (&["--attestation-subject", "sha256:00"], "not offered"),
        (&["--leaf", "zz"], "is not a leaf hash"),
        (&["--public-key", "no-such-file"], "no-such-file"),
    ] {
        let error = search(args);
        assert!(error.stderr.contains(expected), "{args:?}: {error:?}");
        assert!([1, 2].contains(&error.code), "{error:?}");
    }
    serving.stop();
}

/// A server brings the index along as the log grows.
#[test]
fn a_server_makes_the_index() {
    let world = World::empty(1);
    raw_log(&world, 100);
    let serving = Serving::start(&world, "raw");
    let bench = ["bench", "--raw", "--count", "1000", "--log", &serving.url];
    world.run(&bench).ok();
    let indexed = || {
        let found = world.run(&[
            "search",
            "--log",
            &serving.url,
            "--leaf",
            &leaf(7),
            "--json",
        ]);
        json(&found.ok())["indexed"].as_str().unwrap().to_owned()
    };
    let begun = std::time::Instant::now();
    while indexed() != "1024" {
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "{}",
            indexed()
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let get = world
        .run(&["get", "--log", &serving.url, "--uuid", &leaf(42)])
        .ok();
    assert!(get.starts_with("Index: 42\n"), "{get}");
    let (status, body) = serving.get(&format!("/search?leaf={}", leaf(42)));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &answer["entries"][0]["logIndex"]),
        (200, &42.into())
    );
    serving.stop();
}
