//! The real server, killed at random while it is loaded: what was acknowledged is there, once.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tegula_tlog::{Hash, TilePath, TreeSize, leaf_hash, parse_bundle};

#[cfg(target_os = "linux")]
#[path = "kill/full.rs"]
mod full;

#[test]
fn a_server_that_is_killed_a_hundred_times_loses_nothing() {
    let log = Log::new();
    let mut servers = [Server::new(&log)];
    log.kill_at_random(&mut servers, 100);
}

#[test]
fn two_servers_on_one_directory_lose_nothing() {
    let log = Log::new();
    let mut servers = [Server::new(&log), Server::new(&log)];
    log.kill_at_random(&mut servers, 60);
}

/// Tiles and bundles are sound, so nothing is lost but a part of their backup.
#[test]
fn a_bit_that_flips_in_a_slot_does_not_keep_a_log_from_starting_after_a_kill() {
    let log = Log::new();
    let mut server = Server::new(&log);
    server.wait_until_it_listens(&log);
    for count in ["300", "20"] {
        let url = server.url();
        // However slow the machine is: by itself it would stop after some seconds.
        let args = [
            "bench",
            "--log",
            &url,
            "--raw",
            "--count",
            count,
            "--duration",
            "3600",
        ];
        assert!(
            log.tegula(&args)
                .args(["--writers", "1"])
                .status()
                .unwrap()
                .success()
        );
    }
    server.kill();
    let slots = || {
        let names = fs::read_dir(log.path("log/private/wal")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().path()).collect();
        names.sort();
        names
    };
    let flip = |slot: &Path, from_end: usize| {
        let mut bytes = fs::read(slot).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::write(slot, bytes).unwrap();
    };
    // As if nothing had been synced yet.
    fs::write(log.path("log/private/base"), "0\n").unwrap();
    flip(&slots()[10], 1);
    server.start(&log);
    server.wait_until_it_listens(&log);
    server.kill();

    // The header of the last one, without which a server does not start by itself.
    let last = slots().pop().unwrap();
    let len = fs::read(&last).unwrap().len();
    flip(&last, len - 40);
    server.start(&log);
    assert!(!server.process.0.wait().unwrap().success());
    let repaired = log.tegula(&["fsck", "--repair", "--log", "log"]).status();
    assert!(repaired.unwrap().success());
    server.start(&log);
    server.wait_until_it_listens(&log);
    server.stop();
    assert_eq!(log.leaves().len(), 320);
}

struct Log {
    home: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self::at(|_home| {})
    }

    /// With something done to the place where `log` will be.
    fn at(prepare: impl FnOnce(&Path)) -> Self {
        let log = Self {
            home: tempfile::tempdir().unwrap(),
        };
        prepare(log.home.path());
        let made = log
            .tegula(&["init", "log", "--origin", "log.example", "--raw"])
            .status();
        assert!(made.unwrap().success());
        log
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn tegula(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tegula"));
        command
            .args(args)
            .current_dir(self.home.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn kill_at_random(&self, servers: &mut [Server], kills: usize) {
        let mut benches: Vec<_> = (0..servers.len())
            .map(|n| self.bench(&servers[n], n))
            .collect();
        let mut random = 0x5eed_u64;
        for n in 0..kills {
            let server = n % servers.len();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(n as u64 | 1);
            servers[server].wait_until_it_listens(self);
            sleep(Duration::from_millis(10 + (random >> 40) % 150));
            servers[server].kill();
            servers[server].start(self);
        }
        for server in servers.iter_mut() {
            server.wait_until_it_listens(self);
        }
        sleep(Duration::from_millis(500));
        for bench in &mut benches {
            bench.0.kill().unwrap();
            bench.0.wait().unwrap();
        }
        for server in servers {
            server.stop();
        }
        self.check(benches.len());
    }

    fn bench(&self, server: &Server, n: usize) -> Killed {
        let (url, file) = (server.url(), format!("acknowledged-{n}"));
        let args = ["bench", "--log", &url, "--raw", "--persist", "--retry", "0"];
        let mut command = self.tegula(&args);
        command.args([
            "--writers",
            "8",
            "--duration",
            "3600",
            "--acknowledged",
            &file,
        ]);
        Killed(command.spawn().unwrap())
    }

    fn check(&self, benches: usize) {
        let leaves = self.leaves();
        let mut at = HashMap::new();
        for (index, leaf) in leaves.iter().enumerate() {
            let before = at.insert(*leaf, index);
            assert_eq!(before, None, "entry {index} is in the log twice");
        }
        let mut acknowledged = HashSet::new();
        for n in 0..benches {
            let text = fs::read_to_string(self.path(&format!("acknowledged-{n}"))).unwrap();
            // The last line may be half of one: its writer was killed.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                let (index, leaf) = line.split_once(' ').unwrap();
                let leaf: Hash = leaf.parse().unwrap();
                let held = at.get(&leaf).map(ToString::to_string);
                assert_eq!(
                    held.as_deref(),
                    Some(index),
                    "what was acknowledged is elsewhere"
                );
                acknowledged.insert(leaf);
            }
        }
        assert!(acknowledged.len() > 100, "hardly anything was acknowledged");
        let sound = self.tegula(&["fsck", "--log", "log"]).status().unwrap();
        assert!(sound.success(), "fsck: {sound}");
    }

    /// The leaf hashes of the published log, from its bundles.
    fn leaves(&self) -> Vec<Hash> {
        let checkpoint = fs::read_to_string(self.path("log/public/checkpoint")).unwrap();
        let size: TreeSize = checkpoint.lines().nth(1).unwrap().parse().unwrap();
        let mut leaves = Vec::new();
        for n in 0..size.get().div_ceil(256) {
            let path = TilePath::entries_at(n, size).unwrap();
            let bundle = read(&self.path("log/public"), &path);
            let entries = parse_bundle(&bundle, path.width().into()).unwrap();
            leaves.extend(entries.into_iter().map(leaf_hash));
        }
        leaves
    }
}

fn read(root: &Path, path: &TilePath) -> Vec<u8> {
    fs::read(root.join(path.to_string())).unwrap()
}

/// A port at which nobody listens. It is below those that the system gives to outgoing connections: a client that knocks at a server which is
/// down would in the end be given the server's own port.
fn free_port() -> u16 {
    let random = RandomState::new();
    (0_u64..)
        .map(|n| 20_000 + u16::try_from(random.hash_one(n) % 12_000).unwrap())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// A server at a port of its own, which it keeps when it is started again.
struct Server {
    port: u16,
    process: Killed,
}

impl Server {
    fn new(log: &Log) -> Self {
        let port = free_port();
        Self {
            port,
            process: Self::spawn(log, port),
        }
    }

    fn spawn(log: &Log, port: u16) -> Killed {
        let listen = format!("127.0.0.1:{port}");
        let args = ["serve", "log", "--listen", &listen, "--tidy-interval", "1"];
        let said = File::options()
            .create(true)
            .append(true)
            .open(log.path(&format!("said-{port}")));
        Killed(
            log.tegula(&args)
                .args(["--keep-slots", "1000", "--log-level", "warn"])
                .stderr(said.unwrap())
                .spawn()
                .unwrap(),
        )
    }

    fn start(&mut self, log: &Log) {
        self.process = Self::spawn(log, self.port);
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_until_it_listens(&mut self, log: &Log) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(ended) = self.process.0.try_wait().unwrap() {
                let said = fs::read_to_string(log.path(&format!("said-{}", self.port)));
                panic!("the server ended with {ended}: {}", said.unwrap());
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the server does not listen"
            );
            sleep(Duration::from_millis(2));
        }
    }

    fn kill(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Ends it as an operator does.
    fn stop(&mut self) {
        let pid = self.process.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        let ended = self.process.0.wait().unwrap();
        assert!(ended.success(), "the server ended with {ended}");
    }
}

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
