//! A log in buckets, by the command.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use support::{Outcome, World};
use tegula_s3_stand_in::{Fault, StandIn};
use tokio::runtime::Runtime;

/// A store, a key, and a user who may write to it.
struct Log {
    /// What serves the store.
    _runtime: Runtime,
    stand_in: StandIn,
    world: World,
}

const WHO: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

impl Log {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let stand_in = runtime.block_on(StandIn::start());
        let world = World::new();
        std::fs::write(world.path("log.pem"), world.key.to_pkcs8_pem().unwrap()).unwrap();
        Self {
            _runtime: runtime,
            stand_in,
            world,
        }
    }

    fn home(&self, name: &str) -> String {
        let endpoint = self.stand_in.endpoint();
        format!("s3://{name}?private=s3://{name}-private&endpoint={endpoint}")
    }

    fn public(&self, name: &str) -> String {
        format!("s3://{name}?endpoint={}", self.stand_in.endpoint())
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.world.run_with(args, &WHO, b"")
    }

    fn read(&self, name: &str, args: &[&str]) -> Outcome {
        let (log, vkey) = (self.public(name), self.world.vkey());
        self.run(&[&["--log", &log, "--log-key", &vkey], args].concat())
    }

    fn made(&self, name: &str) -> String {
        let home = self.home(name);
        let args = ["init", &home, "--origin", "log.example", "--key", "log.pem"];
        self.run(&args).ok();
        home
    }

    fn tamper(&self, bucket: &str, key: &str, bytes: Option<&'static str>) {
        self.stand_in.tamper(bucket, key, bytes.map(Bytes::from));
    }
}

/// A server that is ended with this.
struct Server(Child, String);

impl Server {
    fn start(log: &Log, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tegula"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(args)
            .env_clear()
            .env("HOME", log.world.dir.path())
            .envs(WHO)
            .current_dir(log.world.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let url = line.split('"').find(|part| part.starts_with("http://"));
        let Some(url) = url.map(str::to_owned) else {
            let mut errors = String::new();
            let mut told = process.stderr.take().unwrap();
            told.read_to_string(&mut errors).unwrap();
            panic!("{errors}");
        };
        Self(process, url)
    }

    fn upload(&self, log: &Log, artifact: &str) -> Outcome {
        std::fs::write(log.world.path(artifact), artifact).unwrap();
        log.world.sign(artifact);
        let vkey = log.world.vkey();
        let signature = format!("{artifact}.sig");
        log.world.run(&[
            "--log",
            &self.1,
            "--log-key",
            &vkey,
            "--retry",
            "0",
            "upload",
            artifact,
            "--signature",
            &signature,
            "--public-key",
            "key.pub",
        ])
    }

    fn stop(mut self) {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_log_in_buckets_is_made_served_and_read() {
    let log = Log::new();
    let home = log.home("log");
    let no_key = log.run(&["init", &home, "--origin", "log.example"]);
    let told = no_key.error(2);
    assert!(
        told.contains("openssl genpkey -algorithm ed25519"),
        "{told}"
    );
    assert_eq!(log.stand_in.keys(), Vec::<String>::new());
    log.made("log");
    let again = ["init", &home, "--origin", "log.example", "--key", "log.pem"];
    let told = log.run(&again).error(2);
    assert!(told.contains("is a log already"), "{told}");
    // Two servers, and nobody's keys in the buckets.
    let servers = [(); 2].map(|()| Server::start(&log, &[&home, "--key", "log.pem", "--existing"]));
    for n in 0..6 {
        servers[n % 2].upload(&log, &format!("artifact {n}")).ok();
    }
    for server in servers {
        server.stop();
    }
    assert!(
        !log.stand_in
            .keys()
            .iter()
            .any(|key| key.contains("pem") || key.contains("probe/"))
    );
    let told = log.read("log", &["loginfo"]).ok();
    assert!(told.contains("Tree Size: 6"), "{told}");
    log.read("log", &["fsck"]).ok();
    let signature = ["--signature", "artifact 3.sig", "--public-key", "key.pub"];
    log.read("log", &[&["verify", "artifact 3"], &signature[..]].concat())
        .ok();
    let told = log
        .read("log", &["upload", "artifact 3", "--public-key", "key.pub"])
        .error(2);
    assert!(told.contains("is a bucket"), "{told}");
}

#[test]
fn a_server_wants_the_logs_own_key() {
    let log = Log::new();
    let home = log.made("log");
    let told = log.run(&["serve", &home, "--existing"]).error(2);
    assert!(
        told.contains("there is no private key for log.example+"),
        "{told}"
    );
    let other = tegula_tlog::SigningKey::ed25519_from_seed("log.example", &[9; 32]).unwrap();
    std::fs::write(log.world.path("other.pem"), other.to_pkcs8_pem().unwrap()).unwrap();
    let told = log
        .run(&["serve", &home, "--existing", "--key", "other.pem"])
        .error(2);
    assert!(told.contains("is not a key of the log"), "{told}");
    let told = log
        .run(&["serve", &log.public("log"), "--key", "log.pem"])
        .error(2);
    assert!(told.contains("says no private="), "{told}");
}

/// In such a store a log forks.
#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let log = Log::new();
    log.stand_in
        .decide(|asked| (asked.what == "PUT").then_some(Fault::IgnoreCondition));
    let home = log.home("log");
    let args = ["init", &home, "--origin", "log.example", "--key", "log.pem"];
    let told = log.run(&args).error(1);
    assert!(told.contains("ignores If-None-Match"), "{told}");
    assert_eq!(log.stand_in.keys(), Vec::<String>::new());
}

#[test]
fn tokens_are_kept_in_buckets() {
    let log = Log::new();
    let home = log.made("log");
    let token = log.run(&["token", "add", &home, "alice"]).ok();
    assert!(token.starts_with("tegula_"));
    assert_eq!(log.run(&["token", "list", &home]).ok(), "alice\n");
    let server = Server::start(&log, &[&home, "--key", "log.pem", "--require-token"]);
    let told = server.upload(&log, "artifact").error(1);
    assert!(told.contains("needs a bearer token"), "{told}");
    log.run(&["token", "revoke", &home, "alice"]).ok();
    assert_eq!(log.run(&["token", "list", &home]).ok(), "");
}

#[test]
fn what_is_damaged_in_a_bucket_is_made_again_from_the_slots() {
    let log = Log::new();
    let home = log.made("log");
    let server = Server::start(&log, &[&home, "--key", "log.pem"]);
    for n in 0..4 {
        server.upload(&log, &format!("artifact {n}")).ok();
    }
    server.stop();
    log.read("log", &["fsck"]).ok();
    log.tamper("log", "tile/entries/000.p/4", Some("damaged"));
    log.tamper("log", "tile/0/000.p/4", None);
    log.read("log", &["fsck"]).error(4);
    let vkey = log.world.vkey();
    let repair = [
        "--log",
        &home,
        "--log-key",
        &vkey,
        "fsck",
        "--repair",
        "--key",
        "log.pem",
    ];
    let told = log.run(&repair).ok();
    assert!(told.contains("1 missing and 1 damaged objects"), "{told}");
    log.read("log", &["fsck"]).ok();
}

#[test]
fn a_log_is_imported_into_buckets_and_goes_on() {
    let log = Log::new();
    let vkey = log.world.vkey();
    let home = log.home("copy");
    let import = [
        "import",
        &home,
        "--from",
        "log",
        "--from-key",
        &vkey,
        "--raw",
        "--key",
        "log.pem",
    ];
    // Cut off before the checkpoint.
    log.stand_in.decide(|asked| {
        (asked.what == "PUT" && asked.key == "checkpoint")
            .then_some(Fault::Refuse(403, "AccessDenied"))
    });
    log.run(&import).error(1);
    log.stand_in.decide(|_| None);
    let told = log.run(&["serve", &home, "--key", "log.pem"]).error(1);
    assert!(
        told.contains("run the same `tegula import` again"),
        "{told}"
    );
    let told = log.run(&import).ok();
    assert!(
        told.contains("Tree Size: 300") && told.contains("Kept: 1"),
        "{told}"
    );
    let told = log.run(&import).error(2);
    assert!(told.contains("is a log already"), "{told}");
    log.read("copy", &["fsck"]).ok();
    // And out of it again.
    let from = log.public("copy");
    let back = [
        "import",
        "back",
        "--from",
        &from,
        "--from-key",
        &vkey,
        "--raw",
        "--key",
        "log.pem",
    ];
    log.run(&back).ok();
    let server = Server::start(&log, &[&home, "--key", "log.pem"]);
    server.stop();
}

/// By the file of a key, or by its hash.
#[test]
fn signatures_of_named_keys_alone_are_logged() {
    let log = Log::new();
    let home = log.made("log");
    let serve = [&*home, "--key", "log.pem", "--allow-key"];
    let server = Server::start(&log, &[&serve[..], &["key.pub"]].concat());
    server.upload(&log, "artifact").ok();
    let other = "ab".repeat(32);
    let server = Server::start(&log, &[&serve[..], &[&other]].concat());
    let told = server.upload(&log, "another").error(1);
    assert!(told.contains("takes no signatures of the key"), "{told}");
    let told = log.run(&["serve", &home, "--allow-key", "absent"]);
    assert_eq!(told.code, 2);
    assert!(
        told.stderr.contains("expected 64 hexadecimal digits"),
        "{told:?}"
    );
}

#[test]
fn a_client_is_known_by_its_address() {
    let log = Log::new();
    let home = log.made("log");
    let server = Server::start(&log, &[&home, "--key", "log.pem", "--client-rate", "2"]);
    server.upload(&log, "artifact").ok();
    server.upload(&log, "another").ok();
    let told = server.upload(&log, "third").error(1);
    assert!(told.contains("more than 2 entries a minute"), "{told}");
}
