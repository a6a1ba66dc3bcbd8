//! The real server on a disk that becomes full: a small file system of its own, seen by this test alone.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Log, Server};

#[test]
fn a_disk_that_becomes_full_loses_nothing() {
    // Mounting takes a namespace, and that a process of its own: this test again.
    for who in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let allowed = Command::new("unshare").args(who).arg("true").status();
        if allowed.is_ok_and(|status| status.success()) {
            let inside = Command::new("unshare")
                .args(who)
                .arg(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "full::on_a_small_disk",
                    "--ignored",
                    "--nocapture",
                ])
                .status();
            assert!(inside.unwrap().success());
            return;
        }
    }
    println!("skipped: a file system cannot be mounted here");
}

#[test]
#[ignore = "run by the test above, where it may mount"]
fn on_a_small_disk() {
    let log = Log::at(|home| {
        let place = home.join("log");
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "tegula-test"])
            .arg(&place)
            .status();
        assert!(mounted.unwrap().success());
    });
    let ballast = |n: u8| log.path(&format!("log/ballast-{n}"));
    for n in 0..3 {
        fs::write(ballast(n), vec![n; 1 << 20]).unwrap();
    }
    let mut server = Server::new(&log);
    server.wait_until_it_listens(&log);
    let mut bench = log.bench(&server, 0);

    // It goes on by itself when there is room.
    let before = until_full(&log, &mut server);
    fs::remove_file(ballast(0)).unwrap();
    until_more(&log, &mut server, before);

    // A restart changes nothing; what is there can be read meanwhile.
    let before = until_full(&log, &mut server);
    server.stop();
    server.start(&log);
    server.wait_until_it_listens(&log);
    assert!(ask(&server, "GET", "/checkpoint").starts_with("HTTP/1.1 200"));
    until_full(&log, &mut server);
    fs::remove_file(ballast(1)).unwrap();
    until_more(&log, &mut server, before);

    // Nor does a crash.
    let before = until_full(&log, &mut server);
    server.kill();
    server.start(&log);
    server.wait_until_it_listens(&log);
    fs::remove_file(ballast(2)).unwrap();
    until_more(&log, &mut server, before);

    bench.0.kill().unwrap();
    bench.0.wait().unwrap();
    server.stop();
    log.check(1);
    let unmounted = Command::new("umount").arg(log.path("log")).status();
    assert!(unmounted.unwrap().success());
}

/// Until uploads are refused, as they must be; how many were acknowledged.
fn until_full(log: &Log, server: &mut Server) -> usize {
    let begun = Instant::now();
    let mut refused = 0;
    while refused < 3 {
        assert!(begun.elapsed() < MOST, "the disk does not become full");
        assert_eq!(
            server.process.0.try_wait().unwrap(),
            None,
            "the server ended"
        );
        let answer = ask(server, "POST", "/add");
        let status = answer.lines().next().unwrap_or_default();
        if status.starts_with("HTTP/1.1 503") {
            assert!(answer.contains("\r\nretry-after: "), "{answer}");
            refused += 1;
        } else {
            assert!(status.starts_with("HTTP/1.1 200"), "{answer}");
            refused = 0;
        }
    }
    acknowledged(log)
}

/// Until more are acknowledged: a MiB is room for a dozen commits, each of which writes a partial bundle of up to 76 KB.
fn until_more(log: &Log, server: &mut Server, before: usize) {
    let begun = Instant::now();
    while acknowledged(log) < before + 5 {
        assert!(begun.elapsed() < MOST, "the server does not go on");
        assert_eq!(
            server.process.0.try_wait().unwrap(),
            None,
            "the server ended"
        );
        sleep(Duration::from_millis(50));
    }
}

fn acknowledged(log: &Log) -> usize {
    let text = fs::read_to_string(log.path("acknowledged-0"));
    text.map_or(0, |text| text.lines().count())
}

/// A request with a new entry as its body; the answer.
fn ask(server: &Server, method: &str, path: &str) -> String {
    let entry = format!("{:?}", Instant::now());
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let body = format!("content-length: {}\r\n\r\n{entry}", entry.len());
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const MOST: Duration = Duration::from_secs(120);
