//! What it costs to verify an entry of each kind and to spell what is logged of it, and the share of its signature arithmetic:
//! `cargo bench -p tegula-entries`.
//!
//! The inputs are those of the tests, which real tools made. Of each the proposed entry is parsed, verified and spelled; and in turn with it,
//! round after round, as many bare verifications of aws-lc are made as it has signatures, of keys of the same kind. Medians of the rounds are
//! shown, so a machine that slows down slows both.
//!
//! Then the inputs of the memory test, which are as large as they may be or made to cost as much as they can: the time for each megabyte sent.
//!
//! `cargo bench -p tegula-entries -- jar 2000` does one of them so many times and nothing else, for a profile.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement, which is told what to measure"
)]

#[path = "../tests/memory/inputs.rs"]
mod inputs;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use tegula_entries::{Files, Format, StoredEntry, parse_proposed_v1};

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    match arguments.as_slice() {
        [] => {
            let bare = Bare::new();
            println!("kind, median of {ROUNDS} rounds of {EACH}:");
            for measured in MEASURED {
                measured.measure(&bare);
            }
            worst();
        }
        [name, times] => {
            let times: u32 = times.parse().unwrap();
            let found = MEASURED.iter().find(|measured| measured.name == name);
            let found = found.unwrap_or_else(|| panic!("no kind is called {name}"));
            let proposed = found.proposed();
            for _ in 0..times {
                found.verify(&proposed);
            }
        }
        other => panic!("{other:?}: expected nothing, or a name and a number"),
    }
}

/// A signature of these, verified without anything else.
#[derive(Copy, Clone, Debug)]
enum Key {
    P256,
    Ed25519,
    Rsa2048,
    Rsa4096,
}

struct Measured {
    name: &'static str,
    kind: &'static str,
    version: Option<&'static str>,
    format: Option<Format>,
    key: &'static str,
    signature: &'static str,
    artifact: &'static str,
    signatures: &'static [Key],
}

const fn signed(
    kind: &'static str,
    key: &'static str,
    artifact: &'static str,
    signatures: &'static [Key],
) -> Measured {
    Measured {
        name: kind,
        kind,
        version: None,
        format: None,
        key,
        signature: "",
        artifact,
        signatures,
    }
}

const fn rekord(
    name: &'static str,
    format: Format,
    [key, signature, artifact]: [&'static str; 3],
    signatures: &'static [Key],
) -> Measured {
    Measured {
        name,
        format: Some(format),
        signature,
        ..signed("rekord", key, artifact, signatures)
    }
}

const MEASURED: &[Measured] = &[
    rekord(
        "rekord x509",
        Format::X509,
        ["p256.pub.pem", "p256.sig", "artifact"],
        &[Key::P256],
    ),
    rekord(
        "rekord pgp",
        Format::Pgp,
        ["pgp/ed25519.asc", "pgp/ed25519.sig", "pgp/message"],
        // Of the message, and of the key over its name.
        &[Key::Ed25519, Key::Ed25519],
    ),
    rekord(
        "rekord ssh",
        Format::Ssh,
        ["ssh/ed25519.pub", "ssh/ed25519.sig", "ssh/content"],
        &[Key::Ed25519],
    ),
    rekord(
        "rekord minisign",
        Format::Minisign,
        [
            "minisign/minisign.pub",
            "minisign/prehashed.minisig",
            "minisign/content",
        ],
        // Of the content, and of the trusted comment.
        &[Key::Ed25519, Key::Ed25519],
    ),
    Measured {
        name: "intoto 0.0.1",
        version: Some("0.0.1"),
        ..signed("intoto", "p256.pub.pem", "dsse/p256.json", &[Key::P256])
    },
    signed("intoto", "p256.pub.pem", "dsse/p256.json", &[Key::P256]),
    signed("dsse", "p256.pub.pem", "dsse/p256.json", &[Key::P256]),
    signed("cose", "p256.pub.pem", "cose/p256.cose", &[Key::P256]),
    signed(
        "rpm",
        "rpm/rpm.asc",
        "rpm/header.rpm",
        // Of the header, and of the key over its name.
        &[Key::Rsa2048, Key::Rsa2048],
    ),
    signed(
        "alpine",
        "rsa4096.pub.pem",
        "alpine/sha256.apk",
        &[Key::Rsa4096],
    ),
    signed("jar", "", "jar/rsa.jar", &[Key::Rsa2048]),
    signed(
        "helm",
        "helm/helm.asc",
        "helm/testchart-0.1.0.tgz.prov",
        &[Key::Rsa2048, Key::Rsa2048],
    ),
    signed(
        "tuf",
        "tuf/root.json",
        "tuf/timestamp.json",
        // Of the timestamp, and of the root by itself.
        &[Key::Ed25519, Key::P256, Key::Ed25519],
    ),
    signed("rfc3161", "", "rfc3161/p256.tsr", &[Key::P256]),
];

impl Measured {
    fn proposed(&self) -> String {
        let given = |path: &str| (!path.is_empty()).then(|| data(path));
        let files = Files {
            artifact: data(self.artifact),
            signature: given(self.signature),
            public_keys: given(self.key).into_iter().collect(),
            aad: None,
        };
        files.compose(self.kind, self.version, self.format).unwrap()
    }

    fn verify(&self, proposed: &str) {
        let entry = parse_proposed_v1(proposed.as_bytes()).unwrap().verify();
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        black_box(entry);
    }

    fn measure(&self, bare: &Bare) {
        let proposed = self.proposed();
        let (mut whole, mut signatures) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            whole.push(time(|| self.verify(&proposed)));
            signatures.push(time(|| {
                for key in self.signatures {
                    bare.verify(*key);
                }
            }));
        }
        let (whole, signatures) = (median(whole), median(signatures));
        let entry = parse_proposed_v1(proposed.as_bytes()).unwrap().verify();
        let body = entry.unwrap().into_body();
        StoredEntry::parse(&body).unwrap();
        println!(
            "  {:16} {:5} bytes sent, {:5} logged  {:7.1} us, {:3.0} % of it for {:?}",
            self.name,
            proposed.len(),
            body.len(),
            whole.as_secs_f64() * 1e6 / f64::from(EACH),
            100.0 * signatures.as_secs_f64() / whole.as_secs_f64(),
            self.signatures,
        );
    }
}

/// What takes longest, of what is made to.
fn worst() {
    let mut times = Vec::new();
    inputs::each(&mut |what, sent, run| {
        let rounds = (0..3).map(|_| {
            let begun = Instant::now();
            // Whether it is taken or refused.
            drop(black_box(run()));
            begun.elapsed()
        });
        let megabytes = f64::from(u32::try_from(sent).unwrap()) / 1e6;
        let time = median(rounds.collect()).as_secs_f64();
        // Of what is small the time is not its length's.
        if sent >= 100_000 {
            times.push((time / megabytes, time, what.to_owned()));
        }
    });
    times.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("inputs of 100 kB and more, median of 3, a megabyte:");
    for (each, time, what) in times.iter().take(10) {
        println!("  {:6.1} ms ({:.1} ms)  {what}", each * 1e3, time * 1e3);
    }
}

fn time(work: impl Fn()) -> Duration {
    let begun = Instant::now();
    for _ in 0..EACH {
        work();
    }
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Public keys, and signatures of theirs over one message.
struct Bare {
    p256: (Vec<u8>, Vec<u8>),
    ed25519: (Vec<u8>, Vec<u8>),
    rsa2048: (Vec<u8>, Vec<u8>),
    rsa4096: (Vec<u8>, Vec<u8>),
}

impl Bare {
    fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let rsa = |size| {
            let key = RsaKeyPair::generate(size).unwrap();
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &random, MESSAGE, &mut signature)
                .unwrap();
            (key.public_key().as_ref().to_vec(), signature)
        };
        Self {
            p256: (
                p256.public_key().as_ref().to_vec(),
                p256.sign(&random, MESSAGE).unwrap().as_ref().to_vec(),
            ),
            ed25519: (
                ed25519.public_key().as_ref().to_vec(),
                ed25519.sign(MESSAGE).as_ref().to_vec(),
            ),
            rsa2048: rsa(KeySize::Rsa2048),
            rsa4096: rsa(KeySize::Rsa4096),
        }
    }

    fn verify(&self, key: Key) {
        let (algorithm, (key, signature)): (&'static dyn VerificationAlgorithm, _) = match key {
            Key::P256 => (&ECDSA_P256_SHA256_ASN1, &self.p256),
            Key::Ed25519 => (&ED25519, &self.ed25519),
            Key::Rsa2048 => (&RSA_PKCS1_2048_8192_SHA256, &self.rsa2048),
            Key::Rsa4096 => (&RSA_PKCS1_2048_8192_SHA256, &self.rsa4096),
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(MESSAGE, signature)
            .unwrap();
    }
}

/// A file of the tests.
fn data(path: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::fs::read(data.join(path)).unwrap()
}

const MESSAGE: &[u8] = &[0xa5; 100];

const ROUNDS: usize = 15;

/// Times in each round.
const EACH: u32 = 100;
