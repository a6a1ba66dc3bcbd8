//! A log in a directory, and the command that reads it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up has failed"
)]
#![expect(dead_code, reason = "not every test uses all of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use tegula_entries::{Verifier, artifact_digests, hashedrekord_request, parse_request};
use tegula_tlog::{Checkpoint, Edge, SigningKey, TilePath, append_entry, leaf_hash};

pub(crate) mod server;
pub(crate) mod serving;

/// A directory with a log, and another for the user's files and state.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) key: SigningKey,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// The one line on standard error that says how it failed.
    #[track_caller]
    pub(crate) fn error(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        line.strip_prefix("tegula: error: ")
            .unwrap_or(line)
            .to_owned()
    }
}

impl World {
    /// A log of some raw entries and, as entry 5, the signature of `artifact`.
    pub(crate) fn new() -> Self {
        let world = Self::empty(1);
        fs::write(world.path("artifact"), b"an artifact\n").unwrap();
        world.sign("artifact");
        fs::write(world.path("key.pub"), public_key()).unwrap();
        let mut entries: Vec<Vec<u8>> = (0..300)
            .map(|n| format!("entry {n}").into_bytes())
            .collect();
        entries[5] = world.body("artifact");
        let world = Self { entries, ..world };
        world.publish(300);
        world
    }

    pub(crate) fn empty(seed: u8) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            entries: Vec::new(),
            key: SigningKey::ed25519_from_seed("log.example", &[seed; 32]).unwrap(),
        };
        fs::create_dir_all(world.log().join("private")).unwrap();
        let description = format!(
            r#"{{"format":1,"origin":"log.example","keys":["{}"],"slotFormat":1,"entries":["hashedrekord/0.0.2","raw"],
            "apis":["rekor/v2","add"],"limits":{{"entryBytes":65535,"batchEntries":1000,"batchBytes":4194304}}}}"#,
            world.vkey()
        );
        world.put("log.json", description.as_bytes());
        world.publish(0);
        world
    }

    pub(crate) fn vkey(&self) -> String {
        self.key.verifier().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let file = self.log().join("public").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.log().join("public").join(path)).unwrap();
    }

    /// Writes all that the first `size` entries need, and their checkpoint.
    pub(crate) fn publish(&self, size: usize) {
        let entries = &self.entries[..size];
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut edge = Edge::empty();
        let growth = edge.grow(&leaves).unwrap();
        for (path, bytes) in growth
            .full_tiles()
            .iter()
            .cloned()
            .chain(edge.partial_tiles())
        {
            self.put(&path.to_string(), &bytes);
        }
        for (n, chunk) in (0..).zip(entries.chunks(256)) {
            let mut bundle = Vec::new();
            for entry in chunk {
                append_entry(&mut bundle, entry).unwrap();
            }
            let width = u16::try_from(chunk.len()).unwrap();
            self.put(&TilePath::entries(n, width).unwrap().to_string(), &bundle);
        }
        self.put("checkpoint", &self.checkpoint(&edge));
    }

    pub(crate) fn checkpoint(&self, edge: &Edge) -> Vec<u8> {
        let checkpoint = Checkpoint {
            origin: "log.example".to_owned(),
            size: edge.size(),
            root: edge.root(),
            extensions: Vec::new(),
        };
        checkpoint.sign(&[&self.key]).unwrap().to_bytes()
    }

    /// Signs a file with the test's key, into the file beside it.
    pub(crate) fn sign(&self, name: &str) {
        let artifact = fs::read(self.path(name)).unwrap();
        let signature: p256::ecdsa::DerSignature = signing_key().sign(&artifact);
        fs::write(self.path(&format!("{name}.sig")), signature.as_bytes()).unwrap();
    }

    /// The leaf that the log has for a signed file.
    pub(crate) fn body(&self, name: &str) -> Vec<u8> {
        let verifier = Verifier::from_pem(&public_key()).unwrap();
        let artifact = fs::read(self.path(name)).unwrap();
        let algorithm = verifier.key_details().digest_algorithm();
        let digest = artifact_digests(&artifact[..], &[algorithm])
            .unwrap()
            .remove(0);
        let signature = fs::read(self.path(&format!("{name}.sig"))).unwrap();
        let request = hashedrekord_request(&digest, &signature, &verifier).unwrap();
        parse_request(request.as_bytes())
            .unwrap()
            .verify()
            .unwrap()
            .into_body()
    }

    /// Runs `tegula` in the user's directory, with no environment but a home there.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, &[], b"")
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)], stdin: &[u8]) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tegula"))
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .envs(env.iter().copied())
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have closed it.
        child.stdin.take().unwrap().write_all(stdin).ok();
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, with the log and its key named.
    pub(crate) fn tegula(&self, args: &[&str]) -> Outcome {
        let vkey = self.vkey();
        let named = ["--log", "log", "--log-key", &vkey];
        self.run(&[&named, args].concat())
    }
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn signing_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

pub(crate) fn public_key() -> String {
    signing_key()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}
