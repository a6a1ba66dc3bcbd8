//! What makes the command say no: policies, memory, and how it says it.

mod support;

use std::fs;

use support::{World, files, server};
use tegula_tlog::{Edge, leaf_hash};

#[test]
fn a_log_that_shrank_is_an_alarm_and_the_evidence_is_kept() {
    let world = World::new();
    world.tegula(&["loginfo"]).ok();
    let backup = World {
        entries: world.entries.clone(),
        ..World::empty(1)
    };
    backup.publish(100);
    fs::remove_dir_all(world.log()).unwrap();
    fs::rename(backup.log(), world.log()).unwrap();
    let outcome = world.tegula(&["loginfo", "--json"]);
    assert!(
        outcome.stdout.starts_with(
            r#"{"error":{"code":5,"kind":"misbehaviour","message":"log misbehaviour: "#
        ),
        "{outcome:?}"
    );
    let error = outcome.error(5);
    assert!(
        error.contains(
            "/log is an old copy of it that lacks tiles: it shows size 100, size 300 was seen before"
        ),
        "{error}"
    );
    let kept: Vec<_> = files(&world.path(".local/state/tegula"))
        .into_iter()
        .filter(|file| file.to_str().unwrap().contains("/evidence/"))
        .collect();
    assert_eq!(kept.len(), 2);
    for file in kept {
        assert!(error.contains(file.to_str().unwrap()), "{error}");
        assert!(
            fs::read_to_string(file)
                .unwrap()
                .starts_with("log.example\n")
        );
    }
}

#[test]
fn a_fork_is_an_alarm() {
    let mut world = World::new();
    world.tegula(&["loginfo"]).ok();
    world.entries[0] = b"another history".to_vec();
    world.publish(300);
    let error = world.tegula(&["get", "--log-index", "1"]).error(5);
    assert!(error.contains("have different roots"), "{error}");
}

#[test]
fn an_old_copy_is_stale_and_no_alarm() {
    let world = World::new();
    world.tegula(&["loginfo"]).ok();
    let leaves: Vec<_> = world.entries[..200]
        .iter()
        .map(|entry| leaf_hash(entry))
        .collect();
    let mut edge = Edge::empty();
    edge.grow(&leaves).unwrap();
    world.put("checkpoint", &world.checkpoint(&edge));
    let outcome = world.tegula(&["loginfo"]);
    assert!(
        outcome
            .stderr
            .contains("is stale: it shows size 200, size 300 was seen before"),
        "{outcome:?}"
    );
    assert!(outcome.ok().contains("Tree Size: 300\n"));
    let json = world.tegula(&["loginfo", "--json"]).ok();
    assert!(json.contains("\"stale\":true"), "{json}");
}

#[test]
fn a_quorum_that_is_not_met_has_a_code_of_its_own() {
    let world = World::new();
    let witness = tegula_tlog::SigningKey::witness_from_seed("w", &[8; 32]).unwrap();
    let witness = witness.verifier();
    let policy = format!("log {}\nwitness w {witness}\nquorum w\n", world.vkey());
    fs::write(world.path("policy"), policy).unwrap();
    let named = ["--log", "log", "--policy", "policy", "loginfo"];
    world.run(&named).error(6);
    // A comment may be of any octets.
    let policy = format!("log {}\nquorum none\n# \u{e9}", world.vkey());
    fs::write(world.path("policy"), &policy.as_bytes()[..policy.len() - 1]).unwrap();
    world.run(&named).ok();
    fs::write(world.path("policy"), "nonsense\n").unwrap();
    let outcome = world.run(&named);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}

#[test]
fn a_tampered_log_does_not_verify() {
    let world = World::new();
    let path = world.log().join("public/tile/entries/000");
    let mut bundle = fs::read(&path).unwrap();
    bundle[4] ^= 1;
    fs::write(&path, bundle).unwrap();
    let error = world.tegula(&["get", "--log-index", "0"]).error(4);
    assert_eq!(
        error,
        "tile/entries/000 of the log holds another entry 0 than the tree has"
    );
    let stranger = World::empty(9).vkey();
    world
        .run(&["--log", "log", "--log-key", &stranger, "loginfo"])
        .error(4);
}

#[test]
fn wrong_use_is_told_in_one_line_and_in_json() {
    let world = World::new();
    assert_eq!(
        world.run(&["loginfo"]).error(2),
        "no log is named: pass --log URL or --log DIRECTORY, or set TEGULA_LOG"
    );
    let outcome = world.run(&["loginfo", "--json"]);
    assert_eq!(
        outcome.stdout,
        "{\"error\":{\"code\":2,\"kind\":\"usage\",\"message\":\"no log is named: pass --log URL or --log DIRECTORY, or set TEGULA_LOG\"}}\n"
    );
    let outcome = world.run(&["--format=json", "nonsense"]);
    assert!(
        outcome
            .stdout
            .starts_with(r#"{"error":{"code":2,"kind":"usage","message":"unrecognized subcommand"#),
        "{outcome:?}"
    );
    assert_eq!(outcome.code, 2);
    for (args, code, expected) in [
        (
            &["get", "--log-index", "x"][..],
            2,
            "invalid value 'x' for '--log-index <INDEX>'",
        ),
        (&["get", "--log-index", "01"], 2, "invalid value '01'"),
        (&["verify", "artifact"], 2, "--public-key must be given"),
        (
            &["verify", "absent", "--public-key", "key.pub"],
            1,
            "error: absent: No such file",
        ),
        (
            &["verify", "artifact", "--public-key", "artifact"],
            2,
            "artifact: public key ",
        ),
        (
            &[
                "verify",
                "artifact",
                "--public-key",
                "key.pub",
                "--type",
                "rekor",
            ],
            2,
            "\"rekor\" is not hashedrekord[:0.0.1|0.0.2], rekord[:0.0.1], intoto[:0.0.1|0.0.2], dsse[:0.0.1],",
        ),
        (
            &["upload", "artifact", "--public-key", "key.pub"],
            2,
            "log is a directory: to upload, run `tegula serve log`",
        ),
    ] {
        let outcome = world.tegula(args);
        assert_eq!(outcome.code, code, "{outcome:?}");
        assert!(outcome.stderr.contains(expected), "{args:?}: {outcome:?}");
    }
    let error = world.run(&["--log", "absent", "loginfo"]).error(1);
    assert!(error.starts_with("absent: No such file"), "{error}");
    let error = world.run(&["--log", "ftp://bucket", "loginfo"]).error(2);
    assert!(error.contains("is not a log"), "{error}");
}

#[test]
fn a_directory_without_a_log_is_no_log() {
    let world = World::new();
    fs::create_dir(world.path("nothing")).unwrap();
    let error = world.run(&["--log", "nothing", "loginfo"]).error(3);
    assert!(error.contains("has no log.json"), "{error}");
    let error = world
        .run(&["--log", "nothing", "--log-key", &world.vkey(), "loginfo"])
        .error(1);
    assert!(error.contains("has no checkpoint"), "{error}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let world = World::new();
    let config = format!(
        "log = \"absent-file\"\nlog-key = [\"{}\"]\n[get]\nlog-index = 7\n",
        world.vkey()
    );
    fs::create_dir_all(world.path(".config/tegula")).unwrap();
    fs::write(world.path(".config/tegula/config.toml"), &config).unwrap();
    let error = world.run(&["get"]).error(1);
    assert!(error.starts_with("absent-file"), "{error}");
    let error = world
        .run_with(&["get"], &[("TEGULA_LOG", "absent-env")], b"")
        .error(1);
    assert!(error.starts_with("absent-env"), "{error}");
    let outcome = world.run_with(
        &["get", "--log", "log"],
        &[("TEGULA_LOG", "absent-env")],
        b"",
    );
    assert!(outcome.ok().starts_with("Index: 7\n"));

    fs::write(world.path("other.toml"), "log = 'log'\njson = true\n").unwrap();
    let key = ["--log-key", &world.vkey(), "--config", "other.toml"].map(str::to_owned);
    let args: Vec<&str> = key
        .iter()
        .map(String::as_str)
        .chain(["get", "--log-index", "1"])
        .collect();
    assert!(world.run(&args).ok().starts_with('{'));
    fs::write(world.path("other.toml"), "lgo = 'log'\n").unwrap();
    assert_eq!(
        world.run(&args).error(2),
        "other.toml: there is no flag --lgo"
    );
    let error = world.run(&["--config", "absent.toml", "get"]).error(2);
    assert!(error.starts_with("absent.toml: "), "{error}");
}

#[test]
fn state_and_cache_are_where_they_are_told_to_be() {
    let world = World::new();
    let (url, asked) = server::serve(&world);
    let vkey = world.vkey();
    let get = |more: &[&str]| {
        let named = ["--log", &url, "--log-key", &vkey, "get", "--log-index", "0"];
        world.run(&[&named, more].concat()).ok()
    };
    let kept = ["--state", "s", "--cache", "c"];
    let text = get(&kept);
    assert!(text.starts_with("Index: 0\n"), "{text}");
    assert!(!world.path(".local").exists() && !world.path(".cache").exists());
    assert!(!files(&world.path("s")).is_empty() && !files(&world.path("c")).is_empty());

    asked.lock().unwrap().clear();
    assert_eq!(get(&kept), text);
    assert_eq!(
        *asked.lock().unwrap(),
        ["/checkpoint"],
        "verified tiles are not fetched again"
    );
    for file in files(&world.path("c")) {
        fs::write(file, b"corrupted").unwrap();
    }
    assert_eq!(get(&kept), text);

    get(&["--state", "s", "--no-cache"]);
    assert!(!world.path(".cache").exists());
    get(&[]);
    assert!(world.path(".cache/tegula").exists() && world.path(".local/state/tegula").exists());
}

#[test]
fn completions_and_manual_pages_are_written() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.run(&["completions", shell]).ok().contains("tegula"));
    }
    assert!(world.run(&["man"]).ok().contains(".TH tegula 1"));
    fs::create_dir(world.path("man")).unwrap();
    world.run(&["man", "--out", "man"]).ok();
    assert!(world.path("man/tegula-verify.1").exists());
}

/// By flag, environment or file, in that order.
#[test]
fn whom_the_command_line_trusts_wins() {
    let world = World::new();
    let stranger = tegula_tlog::SigningKey::ed25519_from_seed("log.example", &[77; 32]).unwrap();
    let (right, wrong) = (world.vkey(), stranger.verifier().to_string());
    let policy = |key: &str| format!("log {key}\nquorum none\n");
    fs::write(world.path("right"), policy(&right)).unwrap();
    fs::write(world.path("wrong"), policy(&wrong)).unwrap();
    fs::create_dir_all(world.path(".config/tegula")).unwrap();
    let info = ["--log", "log", "loginfo"];
    let run = |file: &str, env: &[(&str, &str)], args: &[&str]| {
        fs::write(world.path(".config/tegula/config.toml"), file).unwrap();
        world.run_with(&[&info, args].concat(), env, b"").code
    };
    assert_eq!(run("policy = 'wrong'", &[], &[]), 4);
    assert_eq!(run("policy = 'wrong'", &[], &["--log-key", &right]), 0);
    assert_eq!(run("policy = 'right'", &[], &["--log-key", &wrong]), 4);
    assert_eq!(
        run("policy = 'wrong'", &[("TEGULA_LOG_KEY", &right)], &[]),
        0
    );
    assert_eq!(
        run("", &[("TEGULA_POLICY", "wrong")], &["--log-key", &right]),
        0
    );
    assert_eq!(
        run("", &[("TEGULA_LOG_KEY", &wrong)], &["--policy", "right"]),
        0
    );
    let file = format!("log-key = '{wrong}'");
    assert_eq!(run(&file, &[], &["--policy=right"]), 0);
    assert_eq!(run(&file, &[("TEGULA_POLICY", "right")], &[]), 0);
    // Both by the command line is still no choice.
    assert_eq!(run("", &[], &["--policy", "right", "--log-key", &right]), 2);
    // And so it is with the cache.
    let cached = |file: &str, args: &[&str]| {
        assert_eq!(run(file, &[], args), 0, "{file} {args:?}");
    };
    cached("no-cache = true\npolicy = 'right'", &["--cache", "c"]);
    cached("cache = 'c'\npolicy = 'right'", &["--no-cache"]);
}

#[test]
fn failures_are_in_json_however_that_is_said() {
    let world = World::new();
    fs::create_dir_all(world.path(".config/tegula")).unwrap();
    let run = |file: &str, env: &[(&str, &str)], args: &[&str]| {
        fs::write(world.path(".config/tegula/config.toml"), file).unwrap();
        let outcome = world.run_with(args, env, b"");
        assert_eq!(outcome.code, 2, "{outcome:?}");
        outcome.stdout.starts_with("{\"error\":{\"code\":2,")
    };
    for wrong in [&["loginfo", "--no-such-flag"][..], &["loginfo"]] {
        assert!(!run("", &[], wrong));
        assert!(run("json = true", &[], wrong));
        assert!(run("format = 'json'", &[], wrong));
        assert!(!run("json = false", &[], wrong));
        for yes in ["yes", "1", "TRUE", "on", "x"] {
            assert!(run("", &[("TEGULA_JSON", yes)], wrong), "{yes}");
        }
        for no in ["no", "0", "False", "off", "n", ""] {
            assert!(!run("", &[("TEGULA_JSON", no)], wrong), "{no}");
        }
        assert!(run("", &[], &[wrong, &["--json"]].concat()));
        assert!(run("", &[], &[wrong, &["--format=json"]].concat()));
    }
    // Of a file with a mistake as much as can be read.
    assert!(run("json = true\nno-such-flag = 1", &[], &["loginfo"]));
}

#[test]
fn only_a_key_that_signed_is_pinned() {
    let world = World::new();
    let stranger = tegula_tlog::SigningKey::ed25519_from_seed("log.example", &[77; 32]).unwrap();
    let path = world.log().join("public/log.json");
    let description = fs::read_to_string(&path).unwrap();
    let vkey = world.vkey();
    let both = format!("{vkey}\", \"{}", stranger.verifier());
    fs::write(&path, description.replace(&vkey, &both)).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(&both));
    let outcome = world.run(&["--log", "log", "loginfo"]);
    assert!(outcome.stderr.contains(&vkey), "{outcome:?}");
    assert!(
        !outcome.stderr.contains(&stranger.verifier().to_string()),
        "{outcome:?}"
    );
}
