//! Importing: a copy has the same tree, and there is no log before all of it is there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::server::{self, Handler};
use support::serving::Serving;
use support::{World, files};
use tegula_tlog::{append_entry, leaf_hash};

#[test]
fn a_log_that_is_moved_goes_on_where_it_was() {
    let world = old_log(700);
    let (url, _) = server::serve(&world);
    let vkey = world.vkey();
    world
        .run(&["loginfo", "--log", &url, "--log-key", &vkey])
        .ok();
    let told = import(&world, &["--from", &url, "--key", "log.pem", "--raw"]).ok();
    assert!(told.contains("Tree Size: 700\nRoot Hash: "), "{told}");
    same_tree(&world);
    assert!(!world.path("new/private/import").exists());

    // Whoever knew the old log believes the new one, also when it grows.
    world
        .run(&["loginfo", "--log", "new", "--log-key", &vkey])
        .ok();
    let serving = Serving::start(&world, "new");
    let bench = ["bench", "--raw", "--count", "300", "--log", &serving.url];
    world.run(&bench).ok();
    let info = ["loginfo", "--log", &serving.url, "--log-key", &vkey];
    assert!(world.run(&info).ok().contains("Tree Size: 1000\n"));
    let get = [
        "get",
        "--log-index",
        "299",
        "--log",
        &serving.url,
        "--log-key",
        &vkey,
    ];
    assert!(world.run(&get).ok().contains("entry 299"));
    serving.stop();
    world
        .run(&["fsck", "--log", "new", "--log-key", &vkey])
        .ok();

    // What a crash leaves is rebuilt, from the imported size on.
    let serving = Serving::start(&world, "new");
    world
        .run(&["bench", "--raw", "--count", "300", "--log", &serving.url])
        .ok();
    drop(serving);
    Serving::start(&world, "new").stop();
    world
        .run(&["fsck", "--repair", "--log", "new", "--log-key", &vkey])
        .ok();
}

#[test]
fn equal_entries_stay_where_they_are_in_a_log_of_another_name() {
    let mut world = old_log(300);
    for n in [7, 200, 299] {
        world.entries[n] = b"the same".to_vec();
    }
    world.publish(300);
    let told = import(
        &world,
        &[
            "--from",
            "log",
            "--origin",
            "new.example",
            "--raw",
            "--json",
        ],
    );
    let told: serde_json::Value = serde_json::from_str(&told.ok()).unwrap();
    assert_eq!(told["origin"], "new.example");
    assert_eq!(told["treeSize"], "300");
    same_tree(&world);

    let serving = Serving::start(&world, "new");
    let leaf = leaf_hash(b"the same").to_string();
    let found = world
        .run(&["get", "--uuid", &leaf, "--log", &serving.url])
        .ok();
    assert!(found.starts_with("Index: 7\n"), "{found}");
    let add = |entry: &str| {
        let address = serving.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let len = entry.len();
        let head = format!(
            "POST /add HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n"
        );
        stream
            .write_all(format!("{head}{entry}").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    };
    assert_eq!(add("the same").trim(), "7");
    assert_eq!(add("another").trim(), "300");
    serving.stop();
    world.run(&["fsck", "--log", "new"]).ok();
}

#[test]
fn entries_come_from_a_stream_and_are_checked() {
    let world = World::empty(1);
    fs::write(world.path("key.pub"), support::public_key()).unwrap();
    let bodies: Vec<Vec<u8>> = (0..3)
        .map(|n| {
            let name = format!("artifact-{n}");
            fs::write(world.path(&name), &name).unwrap();
            world.sign(&name);
            world.body(&name)
        })
        .collect();
    let mut stream = Vec::new();
    for body in &bodies {
        append_entry(&mut stream, body).unwrap();
    }
    let args = ["import", "new", "--origin", "new.example", "--entries", "-"];
    // Cut within an entry, and with a signature of something else.
    let error = world
        .run_with(&args, &[], &stream[..stream.len() - 1])
        .error(2);
    assert!(
        error.contains("entry 2: the input ends within it"),
        "{error}"
    );
    let text = String::from_utf8_lossy(&stream).into_owned();
    let digest = text.find("\"digest\":\"").unwrap() + 10;
    let mut wrong = stream.clone();
    wrong[digest] = if wrong[digest] == b'A' { b'B' } else { b'A' };
    let error = world.run_with(&args, &[], &wrong).error(4);
    assert!(error.contains("entry 0: "), "{error}");
    assert_eq!(world.run_with(&args, &[], &stream).code, 0);

    let serving = Serving::start(&world, "new");
    fs::write(world.path("fresh"), b"fresh").unwrap();
    world.sign("fresh");
    for (name, expected) in [
        ("fresh", "Created entry at index 3"),
        ("artifact-1", "Entry already exists at index 1"),
    ] {
        let upload = [
            "upload",
            name,
            "--public-key",
            "key.pub",
            "--log",
            &serving.url,
        ];
        let told = world.run(&upload).ok();
        assert!(told.starts_with(expected), "{told}");
        let verify = [
            "verify",
            name,
            "--public-key",
            "key.pub",
            "--log",
            &serving.url,
        ];
        world.run(&verify).ok();
    }
    serving.stop();
    world.run(&["fsck", "--log", "new"]).ok();

    // The same entries as lines make the same tree.
    let lines: Vec<String> = bodies.iter().map(|body| STANDARD.encode(body)).collect();
    let json = format!(
        "{}\n{{\"body\":\"{}\"}}\n{}\n",
        lines[0], lines[1], lines[2]
    );
    fs::write(world.path("lines"), json).unwrap();
    let args = [
        "import",
        "other",
        "--origin",
        "other.example",
        "--entries",
        "lines",
    ];
    world.run(&[&args[..], &["--lines"]].concat()).ok();
    let bundle = |log: &str| fs::read(world.path(log).join("public/tile/entries/000.p/3"));
    assert_eq!(bundle("other").unwrap(), bundle("new").unwrap());
}

#[test]
fn entries_that_have_another_root_are_not_published() {
    let world = World::empty(1);
    let args = [
        "import",
        "new",
        "--origin",
        "new.example",
        "--entries",
        "-",
        "--raw",
        "--root",
    ];
    let root = "385da30f3917282c8939dff851957e519ab1846b1351a14c0adb3b11632742aa";
    let import = |stream: &[u8]| world.run_with(&[&args[..], &[root]].concat(), &[], stream);
    let short = b"\x00\x05alpha\x00\x04beta";
    let error = import(short).error(4);
    assert!(error.contains("the 2 entries have the root "), "{error}");
    assert!(!world.path("new/public/checkpoint").exists());
    assert_eq!(import(b"\x00\x05alpha\x00\x04beta\x00\x05gamma").code, 0);
    assert!(world.path("new/public/checkpoint").exists());
}

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let world = old_log(20_000);
    let (url, asked) = slow(&world, Duration::from_millis(10));
    let args = ["--from", &url, "--key", "log.pem", "--raw"];
    for at_least in [4, 20] {
        let mut killed = spawn_import(&world, &args);
        let bundles = world.path("new/public/tile/entries");
        let begun = Instant::now();
        while !bundles.exists() || files(&bundles).len() < at_least {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nothing is imported"
            );
            assert_eq!(
                killed.try_wait().unwrap(),
                None,
                "it was too fast to be killed"
            );
            sleep(Duration::from_millis(2));
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    // What is there is neither served nor taken for a log, and not for a broken one.
    let vkey = world.vkey();
    for args in [
        &["serve", "new", "--listen", "nowhere"][..],
        &["init", "new", "--origin", "x.example"],
        &["loginfo", "--log", "new", "--log-key", &vkey],
        &["fsck", "--repair", "--log", "new", "--log-key", &vkey],
    ] {
        let error = world.run(args).error(1);
        assert!(
            error.contains("new is not a log yet: an import into it was cut off"),
            "{error}"
        );
    }
    assert!(!world.path("new/public/checkpoint").exists());
    // An import of something else does not go on with it.
    let other = world.run(&[
        "import",
        "new",
        "--origin",
        "log.example",
        "--entries",
        "-",
        "--raw",
        "--key",
        "log.pem",
    ]);
    let error = other.error(2);
    assert!(
        error.contains("was cut off, this one is of entries as log.example"),
        "{error}"
    );
    // A torn object, as a power cut leaves it, is put right.
    fs::write(world.path("new/public/tile/entries/001"), b"").unwrap();
    fs::write(world.path("new/public/tile/0/002"), b"torn").unwrap();

    asked.lock().unwrap().clear();
    let told = import(&world, &args).ok();
    assert!(told.contains("\nKept: "), "{told}");
    same_tree(&world);
    let asked = asked.lock().unwrap();
    let again = |path: &str| asked.iter().any(|asked| asked == path);
    assert!(again("/tile/entries/001"), "a torn bundle was believed");
    assert!(
        !again("/tile/entries/000"),
        "a whole bundle was fetched again"
    );
    world
        .run(&["fsck", "--log", "new", "--log-key", &vkey])
        .ok();
}

#[test]
fn an_import_that_was_cut_off_after_its_last_write_is_done() {
    let world = old_log(300);
    let args = ["--from", "log", "--key", "log.pem", "--raw"];
    import(&world, &args).ok();
    let line = format!("{} as log.example\n", world.vkey());
    fs::write(world.path("new/private/import"), line).unwrap();
    assert!(import(&world, &args).ok().contains("Tree Size: 300\n"));
    assert!(!world.path("new/private/import").exists());
}

#[test]
fn two_imports_into_one_directory_do_not_meet() {
    let world = old_log(20_000);
    let (url, _) = slow(&world, Duration::from_millis(10));
    let args = ["--from", &url, "--key", "log.pem", "--raw"];
    let mut first = spawn_import(&world, &args);
    let begun = Instant::now();
    while !world.path("new/public/tile").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(2));
    }
    let error = import(&world, &args).error(1);
    assert_eq!(error, "another process is importing into new");
    assert!(first.wait().unwrap().success());
    same_tree(&world);
}

#[test]
fn a_source_that_lies_is_not_published() {
    let lie = |path: &str, change: fn(&mut Vec<u8>)| {
        let world = old_log(700);
        let file = world.log().join("public").join(path);
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
        for args in [&["--key", "log.pem"][..], &["--origin", "new.example"]] {
            let args = [&["--from", "log", "--raw"], args].concat();
            let error = import(&world, &args).error(4);
            assert!(error.contains(path), "{error}");
            assert!(!world.path("new/public/checkpoint").exists(), "{path}");
            assert!(!world.path("new/public/log.json").exists(), "{path}");
            fs::remove_dir_all(world.path("new")).unwrap();
        }
    };
    lie("tile/entries/001", |bytes| bytes[5] ^= 1);
    lie("tile/entries/002.p/188", |bytes| {
        bytes.pop();
    });
    lie("tile/0/001", |bytes| bytes[100] ^= 1);
    lie("tile/0/001", |bytes| bytes.truncate(8191));
}

#[test]
fn a_source_that_has_shrunk_misbehaves() {
    let world = old_log(300);
    let args = ["--from", "log", "--key", "log.pem", "--raw"];
    world.tegula(&["loginfo"]).ok();
    fs::remove_dir_all(world.log()).unwrap();
    world.publish(200);
    let error = import(&world, &args).error(5);
    assert!(
        error.contains("/log is an old copy of it that lacks tiles"),
        "{error}"
    );
    assert!(!world.path("new").exists());
}

#[test]
fn a_log_that_grows_while_it_is_moved_must_be_stopped_first() {
    let world = old_log(700);
    world.publish(600);
    let grown = fs::read(world.log().join("public/checkpoint")).unwrap();
    world.publish(700);
    let public = world.log().join("public");
    let newer = fs::read(public.join("checkpoint")).unwrap();
    let fetched = std::sync::atomic::AtomicBool::new(false);
    let handler: Handler = Arc::new(move |_, path, _| {
        if path.starts_with("/tile/entries/002") {
            fetched.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let bytes = match path {
            "/checkpoint" if fetched.load(std::sync::atomic::Ordering::Relaxed) => newer.clone(),
            "/checkpoint" => grown.clone(),
            path => match fs::read(public.join(path.trim_start_matches('/'))) {
                Ok(bytes) => bytes,
                Err(_) => return ("404 Not Found".to_owned(), String::new(), Vec::new()),
            },
        };
        ("200 OK".to_owned(), String::new(), bytes)
    });
    let url = server::start(handler);
    let args = ["--from", &url, "--key", "log.pem", "--raw"];
    let error = import(&world, &args).error(1);
    assert!(
        error.contains("log.example grew from 600 to 700 entries while it was imported"),
        "{error}"
    );
    import(&world, &args).ok();
    same_tree(&world);
}

#[test]
fn what_cannot_be_imported_into_is_refused_before_anything_is_written() {
    let world = old_log(10);
    fs::write(world.path("a file"), b"x").unwrap();
    let from = ["--from", "log", "--raw"];
    let refused = |directory: &str, more: &[&str]| {
        let vkey = world.vkey();
        let named = ["import", directory, "--from-key", &vkey];
        let args = [&named, &from[..], more].concat();
        world.run(&args).error(2)
    };
    let key = ["--key", "log.pem"];
    assert!(refused(".", &key).contains(". is not empty: it holds "));
    assert!(refused("log", &key).contains("log is a log already"));
    assert!(refused("new", &[]).contains("to go on as log.example, pass its --key"));
    let other = World::empty(2);
    other
        .run(&["init", "made", "--origin", "x.example", "--raw"])
        .ok();
    let pem = fs::read(other.path("made/private/keys/ed25519.pem")).unwrap();
    fs::write(world.path("other.pem"), pem).unwrap();
    let error = refused("new", &["--key", "other.pem"]);
    assert!(
        error.contains(&format!(
            "log.example is signed with {}, this is ",
            world.vkey()
        )),
        "{error}"
    );
    assert!(!world.path("new").exists());
}

#[test]
fn an_empty_log_is_copied_too() {
    let world = old_log(0);
    import(
        &world,
        &["--from", "log", "--origin", "new.example", "--raw"],
    )
    .ok();
    let serving = Serving::start(&world, "new");
    world
        .run(&["bench", "--raw", "--count", "3", "--log", &serving.url])
        .ok();
    serving.stop();
    world.run(&["fsck", "--log", "new"]).ok();
}

#[test]
fn a_copy_that_lost_its_checkpoint_is_no_empty_log() {
    let world = old_log(60);
    let copied = ["--from", "log", "--origin", "new.example", "--raw"];
    import(&world, &copied).ok();
    fs::remove_file(world.path("new/public/checkpoint")).unwrap();
    let error = world
        .run(&["init", "new", "--origin", "x.example"])
        .error(2);
    assert!(error.ends_with("is a log already"), "{error}");
    let error = world
        .run(&["serve", "new", "--listen", "127.0.0.1:0"])
        .error(1);
    assert!(
        error.contains("there is no checkpoint, which is never an empty log"),
        "{error}"
    );
    assert!(!world.path("new/public/checkpoint").exists());
}

/// A log of so many raw entries, and its key in a file.
fn old_log(count: usize) -> World {
    let mut world = World::empty(1);
    world.entries = (0..count)
        .map(|n| format!("entry {n}").into_bytes())
        .collect();
    world.publish(count);
    fs::write(
        world.path("log.pem"),
        world.key.to_pkcs8_pem().unwrap().as_bytes(),
    )
    .unwrap();
    world
}

fn import(world: &World, args: &[&str]) -> support::Outcome {
    let vkey = world.vkey();
    world.run(&[&["import", "new", "--from-key", &vkey], args].concat())
}

fn spawn_import(world: &World, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tegula"))
        .args(["import", "new", "--from-key", &world.vkey()])
        .args(args)
        .current_dir(world.dir.path())
        .env("HOME", world.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Every tile and bundle of the old log is in the new one, which has nothing else, and commits to the same root.
fn same_tree(world: &World) {
    let tree = |log: &Path| -> Vec<_> {
        let public = log.join("public");
        files(&public.join("tile"))
            .into_iter()
            .filter(|file| !superseded(file))
            .map(|file| {
                (
                    file.strip_prefix(&public).unwrap().to_owned(),
                    fs::read(&file).unwrap(),
                )
            })
            .collect()
    };
    assert_eq!(tree(&world.path("new")), tree(&world.log()));
    let head = |log: &Path| -> Vec<String> {
        let note = fs::read_to_string(log.join("public/checkpoint")).unwrap();
        note.lines().skip(1).take(2).map(str::to_owned).collect()
    };
    assert_eq!(head(&world.path("new")), head(&world.log()));
}

/// Whether a partial tile of the old log is one of a smaller size.
fn superseded(file: &Path) -> bool {
    let Some(partials) = file
        .parent()
        .filter(|parent| parent.extension().is_some_and(|e| e == "p"))
    else {
        return false;
    };
    let width =
        |file: &Path| -> u16 { file.file_name().unwrap().to_str().unwrap().parse().unwrap() };
    partials.with_extension("").exists()
        || files(partials)
            .iter()
            .any(|other| width(other) > width(file))
}

/// The log over HTTP, each bundle after a while; and what was asked for.
fn slow(world: &World, wait: Duration) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let public = world.log().join("public");
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let handler: Handler = Arc::new(move |_, path, _| {
        log.lock().unwrap().push(path.to_owned());
        if path.starts_with("/tile/entries") {
            sleep(wait);
        }
        match fs::read(public.join(path.trim_start_matches('/'))) {
            Ok(bytes) => ("200 OK".to_owned(), String::new(), bytes),
            Err(_) => ("404 Not Found".to_owned(), String::new(), Vec::new()),
        }
    });
    (server::start(handler), asked)
}
