//! What the real server costs: CPU for an upload beside one bare verification, the time of one upload alone, and memory:
//! `cargo bench -p tegula-cli [-- DIRECTORY [ENTRIES]]`.
//!
//! The logs are made in DIRECTORY, by default that for temporary files; the one whose server's memory is shown has ENTRIES entries,
//! by default two million. Linux only: CPU time and memory are read from `/proc`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::Value;

fn main() {
    let args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let args: Vec<_> = args.collect();
    let home = match args.first() {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let entries = args.get(1).map_or("2000000", String::as_str);
    uploads(home.path());
    memory(home.path(), entries);
}

fn uploads(home: &Path) {
    let server = Server::new(home, "uploads");
    let mut ratios: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let bare = bare_verification();
            let before = server.cpu_seconds();
            let load = ["--writers", "128", "--duration", "5"];
            let answer = server.bench(home, &load);
            let cpu = server.cpu_seconds() - before;
            let each = cpu / answer["entries"].as_str().unwrap().parse::<f64>().unwrap();
            (
                each / bare,
                each,
                bare,
                answer["perSecond"].as_f64().unwrap(),
            )
        })
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, each, bare, rate) = ratios[ROUNDS / 2];
    println!("P-256 hashedrekord over HTTP, 128 at one time, median of {ROUNDS} rounds of 5 s:");
    println!("  uploads a second                 {rate:8.0}");
    println!("  the server's CPU for one         {:8.1} us", each * 1e6);
    println!("  one bare verification            {:8.1} us", bare * 1e6);
    println!("  ratio                            {ratio:8.2}");

    let alone = server.bench(home, &["--writers", "1", "--duration", "5"]);
    let milliseconds = &alone["milliseconds"];
    println!("one upload alone, to its answer with a proof:");
    for name in ["p50", "p99"] {
        println!(
            "  {name}                              {:8.2} ms",
            milliseconds[name].as_f64().unwrap()
        );
    }
}

/// CPU seconds that a verification of a P-256 signature over a given digest takes while every core does the same: while uploads are
/// measured, every core is busy too.
fn bare_verification() -> f64 {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let signature = key.sign(&SystemRandom::new(), b"artifact").unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
    let digest = digest(&SHA256, b"artifact");
    let threads = std::thread::available_parallelism().unwrap().get();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..VERIFICATIONS {
                    public.verify_digest(&digest, signature.as_ref()).unwrap();
                }
            });
        }
    });
    start.elapsed().as_secs_f64() / f64::from(VERIFICATIONS)
}

fn memory(home: &Path, entries: &str) {
    let args = [
        "bench",
        "--json",
        "--in-process",
        "filled",
        "--writers",
        "4096",
    ];
    let made = tegula(home, &args)
        .args(["--duration", "3600", "--count", entries])
        .output()
        .unwrap();
    assert!(made.status.success());
    let server = Server::new(home, "filled/log");
    let started = server.memory_mib("VmRSS");
    server.bench(home, &["--raw", "--writers", "64", "--duration", "5"]);
    println!("the server's memory with a log of {entries} entries:");
    println!("  started                          {started:8.0} MiB");
    println!(
        "  after 5 s of uploads             {:8.0} MiB",
        server.memory_mib("VmRSS")
    );
    println!(
        "  at its most                      {:8.0} MiB",
        server.memory_mib("VmHWM")
    );
}

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn new(home: &Path, log: &str) -> Self {
        let args = [
            "serve",
            log,
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--log-level",
            "error",
        ];
        let mut process = tegula(home, &args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap().to_owned();
        Self { process, url }
    }

    fn bench(&self, home: &Path, load: &[&str]) -> Value {
        let made = tegula(home, &["bench", "--json", "--log", &self.url])
            .args(load)
            .output();
        let made = made.unwrap();
        let said = String::from_utf8_lossy(&made.stdout);
        let answer: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        assert_eq!(answer["failures"], serde_json::json!({}));
        answer
    }

    /// User and system time.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Counted after the name, which is in brackets and may hold blanks.
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS_A_SECOND
    }

    fn memory_mib(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let kib = line.split_whitespace().nth(1).unwrap();
        kib.parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn tegula(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tegula"));
    command
        .args(args)
        .current_dir(home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CACHE_HOME", home.join("cache"));
    command
}

const ROUNDS: usize = 5;
const VERIFICATIONS: u32 = 20_000;
/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that there is.
const TICKS_A_SECOND: f64 = 100.0;
