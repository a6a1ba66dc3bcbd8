//! Every kind of entry and every format of key, from the files of real tools to the log and back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::serving::Serving;
use support::{Outcome, World};
use tegula_tlog::{Hash, leaf_hash};

/// An entry: its files, below `data`, and what the command says of it.
struct Case {
    /// As `--type` has it.
    kind: &'static str,
    artifact: &'static str,
    signature: Option<&'static str>,
    /// Separated by commas; none where the artifact holds it.
    keys: &'static str,
    /// For `--pki-format`.
    format: Option<&'static str>,
    aad: Option<&'static str>,
    /// Whether the files alone say what it is.
    told: bool,
    /// What `get` says of it: Rekor's name of the kind, and some of its lines.
    object: &'static str,
    lines: &'static [&'static str],
    /// What `upload` says of who signed it: how the lines begin.
    signed_by: &'static [&'static str],
    /// Another artifact with the same signature and key, and how `verify` ends.
    other: (&'static str, i32, &'static str),
}

impl Case {
    /// Its files, as flags, but for the artifact.
    fn files(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        if let Some(signature) = self.signature {
            flag("--signature", format!("data/{signature}"));
        }
        if !self.keys.is_empty() {
            let keys: Vec<_> = self
                .keys
                .split(',')
                .map(|key| format!("data/{key}"))
                .collect();
            flag("--public-key", keys.join(","));
        }
        if let Some(aad) = self.aad {
            flag("--aad", aad.to_owned());
        }
        args
    }

    fn named(&self) -> Vec<String> {
        let mut args = vec!["--type".to_owned(), self.kind.to_owned()];
        if let Some(format) = self.format {
            args.extend(["--pki-format".to_owned(), format.to_owned()]);
        }
        args
    }
}

const NOT_THERE: &str = "this signature is not among the ";

const CASES: &[Case] = &[
    Case {
        kind: "hashedrekord",
        artifact: "artifact",
        signature: Some("p256.sig"),
        keys: "p256.pub.pem",
        format: None,
        aad: None,
        told: true,
        object: "HashedRekordObj",
        lines: &[
            "Kind: hashedrekord 0.0.2",
            "Artifact: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ],
        signed_by: &["ECDSA P-256 "],
        other: (
            "ssh/content",
            4,
            "signature does not verify over the digest with the given key",
        ),
    },
    Case {
        kind: "hashedrekord:0.0.1",
        artifact: "artifact",
        signature: Some("p384.sig"),
        keys: "p384.cert.pem",
        format: None,
        aad: None,
        told: false,
        object: "HashedRekordObj",
        lines: &["Kind: hashedrekord 0.0.1", "Identity: p384@log.example"],
        signed_by: &["p384@log.example"],
        other: (
            "ssh/content",
            4,
            "signature does not verify over the digest with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "artifact",
        signature: Some("rekord/alice.sig.asc"),
        keys: "rekord/alice.asc",
        format: Some("pgp"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &[
            "Kind: rekord 0.0.1",
            "Identity: alice@log.example",
            "Format: pgp",
        ],
        signed_by: &["alice@log.example"],
        other: (
            "ssh/content",
            4,
            "the OpenPGP signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "artifact",
        signature: Some("rekord/alice.sig"),
        keys: "rekord/alice.gpg",
        format: Some("pgp"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &[
            "Kind: rekord 0.0.1",
            "Identity: alice@log.example",
            "Format: pgp",
        ],
        signed_by: &["alice@log.example"],
        other: (
            "ssh/content",
            4,
            "the OpenPGP signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "minisign/content",
        signature: Some("minisign/prehashed.minisig"),
        keys: "minisign/minisign.pub",
        format: Some("minisign"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: minisign"],
        signed_by: &["minisign Ed25519 "],
        other: (
            "artifact",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "minisign/content",
        signature: Some("minisign/legacy.minisig"),
        keys: "minisign/minisign.pub",
        format: Some("minisign"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: minisign"],
        signed_by: &["minisign Ed25519 "],
        other: (
            "artifact",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "minisign/content",
        signature: Some("minisign/signify.sig"),
        keys: "minisign/signify.pub",
        format: Some("minisign"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: minisign"],
        signed_by: &["minisign Ed25519 "],
        other: (
            "artifact",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "ssh/content",
        signature: Some("ssh/ed25519.sig"),
        keys: "ssh/ed25519.pub",
        format: Some("ssh"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: ssh"],
        signed_by: &["OpenSSH ssh-ed25519 "],
        other: (
            "artifact",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "ssh/content",
        signature: Some("ssh/sk-ecdsa.sig"),
        keys: "ssh/sk-ecdsa.pub",
        format: Some("ssh"),
        aad: None,
        told: true,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: ssh"],
        signed_by: &["OpenSSH sk-ecdsa-sha2-nistp256@openssh.com "],
        other: (
            "artifact",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "rekord",
        artifact: "artifact",
        signature: Some("p256.sig"),
        keys: "p256.pub.pem",
        format: Some("x509"),
        aad: None,
        told: false,
        object: "RekordObj",
        lines: &["Kind: rekord 0.0.1", "Format: x509"],
        signed_by: &["ECDSA P-256 "],
        other: (
            "ssh/content",
            4,
            "the signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "intoto:0.0.1",
        artifact: "dsse/p256.json",
        signature: None,
        keys: "p256.pub.pem",
        format: Some("x509"),
        aad: None,
        told: false,
        object: "IntotoObj",
        lines: &["Kind: intoto 0.0.1"],
        signed_by: &["ECDSA P-256 "],
        other: (
            "dsse/p384.json",
            4,
            "envelope.signatures does not verify over the payload with publicKey",
        ),
    },
    Case {
        kind: "intoto:0.0.2",
        artifact: "dsse/two.json",
        signature: None,
        keys: "ed25519.pub.pem,p256.cert.pem",
        format: None,
        aad: None,
        told: true,
        object: "IntotoObj",
        lines: &[
            "Kind: intoto 0.0.2",
            "Identity: p256@log.example",
            "Payload type: application/vnd.in-toto+json",
        ],
        signed_by: &["p256@log.example", "Ed25519 "],
        other: (
            "dsse/p384.json",
            4,
            "a signature of the envelope does not verify over the payload with any of the given keys",
        ),
    },
    Case {
        kind: "dsse",
        artifact: "dsse/two.json",
        signature: None,
        keys: "p256.pub.pem,ed25519.pub.pem",
        format: None,
        aad: None,
        told: false,
        object: "DSSEObj",
        lines: &["Kind: dsse 0.0.1"],
        signed_by: &["ECDSA P-256 ", "Ed25519 "],
        other: (
            "dsse/p384.json",
            4,
            "proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 0",
        ),
    },
    Case {
        kind: "cose",
        artifact: "cose/in-toto.cose",
        signature: None,
        keys: "p256.pub.pem",
        format: None,
        aad: None,
        told: true,
        object: "CoseObj",
        lines: &["Kind: cose 0.0.1"],
        signed_by: &["ECDSA P-256 "],
        other: (
            "cose/p384.cose",
            2,
            "spec.message: has the algorithm ES384, which PKIX_ECDSA_P256_SHA_256 does not sign with, expected ES256 for P-256, ES384 for P-384, ES512 for P-521, PS256, PS384 or PS512 for RSA, or EdDSA for Ed25519",
        ),
    },
    Case {
        kind: "cose:0.0.1",
        artifact: "cose/aad.cose",
        signature: None,
        keys: "p256.pub.pem",
        format: Some("x509"),
        aad: Some("YWRkaXRpb25hbA=="),
        told: true,
        object: "CoseObj",
        lines: &["Kind: cose 0.0.1"],
        signed_by: &["ECDSA P-256 "],
        other: (
            "cose/p256.cose",
            4,
            "the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key",
        ),
    },
    Case {
        kind: "cose",
        artifact: "x509/leaf.cose",
        signature: None,
        keys: "x509/chain.pem",
        format: None,
        aad: None,
        told: true,
        object: "CoseObj",
        lines: &["Kind: cose 0.0.1", "Issuer: https://Issuer.example"],
        signed_by: &["Alice@Log.example, "],
        other: (
            "cose/p256.cose",
            4,
            "the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key",
        ),
    },
    Case {
        kind: "rpm",
        artifact: "rpm/header.rpm",
        signature: None,
        keys: "rpm/rpm.asc",
        format: Some("pgp"),
        aad: None,
        told: true,
        object: "RPMModel",
        lines: &[
            "Kind: rpm 0.0.1",
            "Identity: rpm@example.com",
            "Name: tegula-test-2:1.4-3.noarch",
        ],
        signed_by: &["rpm@example.com"],
        other: (
            "rpm/ed25519.rpm",
            4,
            "the DSA signature of the header does not verify over the header with the given key",
        ),
    },
    Case {
        kind: "alpine",
        artifact: "alpine/sha256.apk",
        signature: None,
        keys: "rsa4096.pub.pem",
        format: None,
        aad: None,
        told: true,
        object: "AlpineModel",
        lines: &[
            "Kind: alpine 0.0.1",
            "Package: hello-1.0-r0",
            "Architecture: x86_64",
        ],
        signed_by: &["RSA 4096 "],
        other: ("alpine/sha512.apk", 3, NOT_THERE),
    },
    Case {
        kind: "jar",
        artifact: "jar/rsa.jar",
        signature: None,
        keys: "",
        format: None,
        aad: None,
        told: true,
        object: "JARModel",
        lines: &["Kind: jar 0.0.1", "Identity: rsa@log.example"],
        signed_by: &["rsa@log.example"],
        other: (
            "jar/changed.jar",
            4,
            "spec.archive.content: org/example/A.class has the sha256 ",
        ),
    },
    Case {
        kind: "helm",
        artifact: "helm/testchart-0.1.0.tgz.prov",
        signature: None,
        keys: "helm/helm.asc",
        format: None,
        aad: None,
        told: true,
        object: "HelmObj",
        lines: &["Kind: helm 0.0.1", "Identity: helm@example.com"],
        signed_by: &["helm@example.com"],
        other: (
            "helm/other.prov",
            4,
            "the OpenPGP signature does not verify over the content with the given key",
        ),
    },
    Case {
        kind: "tuf",
        artifact: "tuf/timestamp.json",
        signature: None,
        keys: "tuf/root.json",
        format: None,
        aad: None,
        told: true,
        object: "TufObj",
        lines: &[
            "Kind: tuf 0.0.1",
            "Role: timestamp",
            "Version: 3",
            "Expires, not checked: 2020-01-01T00:00:00Z",
        ],
        signed_by: &["Ed25519 "],
        other: (
            "tuf/root-one-signature.json",
            4,
            "metadata.content: is signed by 1 of the keys of role root, expected 2 as the root says",
        ),
    },
    Case {
        kind: "rfc3161",
        artifact: "rfc3161/p256.tsr",
        signature: None,
        keys: "",
        format: None,
        aad: None,
        told: true,
        object: "Rfc3161Obj",
        lines: &[
            "Kind: rfc3161 0.0.1",
            "Identity: tsa@log.example",
            "Policy: 1.2.3.4",
        ],
        signed_by: &["tsa@log.example"],
        other: ("rfc3161/p384.tsr", 3, NOT_THERE),
    },
];

/// A log of every kind that keeps attestations, and the fixtures beside it.
struct Logged {
    world: World,
    serving: Serving,
}

impl Logged {
    fn new() -> Self {
        let world = World::empty(1);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../entries/tests/data");
        std::os::unix::fs::symlink(fixtures, world.path("data")).unwrap();
        let init = [
            "init",
            "kinds",
            "--origin",
            "log.example",
            "--attestations",
            "102400",
        ];
        world.run(&init).ok();
        let serving = Serving::start(&world, "kinds");
        Self { world, serving }
    }

    fn run(&self, command: &str, args: &[impl AsRef<str>]) -> Outcome {
        let mut all = vec![command, "--log", &self.serving.url];
        all.extend(args.iter().map(AsRef::as_ref));
        self.world.run(&all)
    }

    /// The only entry of an answer of Rekor v1's, and its UUID.
    fn entry(&self, path: &str) -> (String, Value) {
        let (status, body) = self.serving.get(path);
        assert_eq!(status, 200, "{path}");
        let answer: serde_json::Map<String, Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer.len(), 1);
        answer.into_iter().next().unwrap()
    }
}

fn uuid(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("UUID: "));
    line.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn every_kind_goes_to_the_log_and_comes_back() {
    let log = Logged::new();
    let mut seen = HashSet::new();
    for (index, case) in CASES.iter().enumerate() {
        let artifact = format!("data/{}", case.artifact);
        let name = format!("{} {artifact} {}", case.kind, case.signature.unwrap_or(""));
        let files = [vec![artifact.clone()], case.files()].concat();
        let told = [files.clone(), case.named()].concat();

        let text = log.run("upload", &told).ok();
        assert!(
            text.starts_with(&format!(
                "Created entry at index {index}: {artifact}\nUUID: "
            )),
            "{name}: {text}"
        );
        let leaf = uuid(&text).to_owned();
        assert!(seen.insert(leaf.clone()), "{name}");
        let signers: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("Signed by: "))
            .collect();
        assert_eq!(signers.len(), case.signed_by.len(), "{name}: {text}");
        for (signer, expected) in signers.iter().zip(case.signed_by) {
            assert!(signer.starts_with(expected), "{name}: {text}");
        }

        let mut ways = vec![told.clone()];
        ways.extend(case.told.then_some(files));
        for way in ways {
            let again = log.run("upload", &way).ok();
            let expected =
                format!("Entry already exists at index {index}: {artifact}\nUUID: {leaf}\n");
            assert!(again.starts_with(&expected), "{name}: {again}");
            let verified = log.run("verify", &way).ok();
            let expected =
                format!("Verified: {artifact}\nEntry Index: {index}\nEntry Hash: {leaf}\n");
            assert!(verified.starts_with(&expected), "{name}: {verified}");
            assert!(
                verified.ends_with("\nSignature: verified\n"),
                "{name}: {verified}"
            );
            for line in case.lines {
                assert!(
                    verified.lines().any(|found| found == *line),
                    "{name}: {verified}"
                );
            }
        }

        let (other, code, expected) = case.other;
        let mut changed = told;
        changed[0] = format!("data/{other}");
        let error = log.run("verify", &changed).error(code);
        let expected = format!("{}: {expected}", changed[0]);
        assert!(error.starts_with(&expected), "{name}: {error}");

        let number = index.to_string();
        let shown = log.run("get", &["--log-index", &number]).ok();
        assert!(
            shown.starts_with(&format!("Index: {index}\nUUID: {leaf}\n")),
            "{name}: {shown}"
        );
        for line in case.lines {
            assert!(shown.lines().any(|found| found == *line), "{name}: {shown}");
        }
        let body = shown.split_once("\nBody: ").unwrap().1;
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body[case.object].is_object(), "{name}: {shown}");

        fetched(&log, index, &leaf, case, &body[case.object]);
    }
}

/// Over HTTP it is what the command has proven.
fn fetched(log: &Logged, index: usize, leaf: &str, case: &Case, spec: &Value) {
    let (id, by_index) = log.entry(&format!("/api/v1/log/entries?logIndex={index}"));
    for id in [id.as_str(), leaf] {
        let (_, by_uuid) = log.entry(&format!("/api/v1/log/entries/{id}"));
        for field in ["body", "logIndex", "logID", "attestation"] {
            assert_eq!(by_uuid[field], by_index[field]);
        }
    }
    assert_eq!(id.split_at(16).1, leaf);
    assert_eq!(by_index["logIndex"], index);
    let body = STANDARD.decode(by_index["body"].as_str().unwrap()).unwrap();
    assert_eq!(leaf_hash(&body), leaf.parse::<Hash>().unwrap());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["spec"], *spec);
    assert_eq!(body["kind"], case.kind.split(':').next().unwrap());

    let artifact = fs::read(log.world.path("data").join(case.artifact)).unwrap();
    let attestation = match body["kind"].as_str().unwrap() {
        // The payload, which the envelope has in base64.
        "intoto" => {
            let envelope: Value = serde_json::from_slice(&artifact).unwrap();
            envelope["payload"].as_str().map(str::to_owned)
        }
        "cose" => Some(STANDARD.encode(artifact)),
        _ => None,
    };
    assert_eq!(
        by_index["attestation"]["data"].as_str(),
        attestation.as_deref()
    );
}

/// Nothing is sent that a log would refuse, or that nobody looked at.
#[test]
fn what_is_wrong_with_the_files_is_told() {
    let log = Logged::new();
    let big = log.world.path("big");
    fs::write(&big, vec![0; (3 << 20) + 1]).unwrap();
    let mut wrong = Vec::new();
    for (args, code, expected) in REFUSED {
        let args: Vec<_> = args.split(' ').collect();
        for command in ["upload", "verify"] {
            let outcome = log.run(command, &args);
            let as_expected = outcome.code == *code && outcome.stderr.contains(expected);
            wrong.extend((!as_expected).then(|| format!("{command} {args:?}: {outcome:?}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(log.serving.get("/api/v1/log/entries?logIndex=0").0, 404);
}

const REFUSED: &[(&str, i32, &str)] = &[
    // Another key.
    (
        "data/artifact --type rekord --signature data/rekord/alice.sig --public-key data/rekord/other.asc",
        4,
        "data/artifact: the OpenPGP signature does not verify over the content with the given key",
    ),
    (
        "data/minisign/content --type rekord --signature data/minisign/prehashed.minisig --public-key data/minisign/other.pub",
        4,
        "data/minisign/content: signature: is of key ",
    ),
    (
        "data/ssh/content --type rekord --signature data/ssh/ed25519.sig --public-key data/ssh/other.pub",
        4,
        "data/ssh/content: the signature does not verify over the content with the given key",
    ),
    (
        "data/artifact --type rekord --signature data/p256.sig --public-key data/p384.pub.pem",
        4,
        "data/artifact: the signature does not verify over the content with the given key",
    ),
    (
        "data/dsse/p256.json --type intoto:0.0.1 --public-key data/p384.pub.pem",
        4,
        "data/dsse/p256.json: envelope.signatures does not verify over the payload with publicKey",
    ),
    (
        "data/dsse/p256.json --type intoto --public-key data/p384.pub.pem",
        4,
        "data/dsse/p256.json: a signature of the envelope does not verify over the payload with any of the given keys",
    ),
    (
        "data/dsse/p256.json --type dsse --public-key data/p384.pub.pem",
        4,
        "data/dsse/p256.json: proposedContent.verifiers: no signature of the envelope verifies over the payload with verifier 0",
    ),
    (
        "data/cose/p256.cose --type cose --public-key data/x509/leaf.pem",
        4,
        "data/cose/p256.cose: the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key",
    ),
    (
        "data/cose/aad.cose --type cose --public-key data/p256.pub.pem",
        4,
        "data/cose/aad.cose: the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key",
    ),
    (
        "data/cose/aad.cose --type cose --public-key data/p256.pub.pem --aad AAAA",
        4,
        "data/cose/aad.cose: the signature of the COSE message does not verify over its payload, its protected header and the additional data with the given key",
    ),
    (
        "data/rpm/header.rpm --public-key data/rpm/other.asc",
        4,
        "data/rpm/header.rpm: the RSA signature of the header does not verify over the header with the given key",
    ),
    (
        "data/alpine/sha256.apk --public-key data/rsa2048.pub.pem",
        4,
        "data/alpine/sha256.apk: the package's signature does not verify over its control member with the given key",
    ),
    (
        "data/helm/testchart-0.1.0.tgz.prov --public-key data/helm/other.asc",
        4,
        "data/helm/testchart-0.1.0.tgz.prov: the OpenPGP signature does not verify over the content with the given key",
    ),
    (
        "data/tuf/root-one-signature.json --public-key data/tuf/root.json",
        4,
        "data/tuf/root-one-signature.json: metadata.content: is signed by 1 of the keys of role root, expected 2 as the root says",
    ),
    (
        "data/jar/other-key.jar",
        4,
        "data/jar/other-key.jar: the PKCS #7 signature does not verify over the signature file with the certificate in it",
    ),
    (
        "data/jar/changed.jar",
        4,
        "data/jar/changed.jar: spec.archive.content: org/example/A.class has the sha256 ",
    ),
    (
        "data/rfc3161/no-certificate.tsr",
        2,
        "data/rfc3161/no-certificate.tsr: spec.tsr.content: holds no certificate, expected the signer's",
    ),
    // Its key, in another format.
    (
        "data/artifact --type rekord --pki-format ssh --signature data/rekord/alice.sig --public-key data/rekord/alice.asc",
        2,
        "data/artifact: public key: is of algorithm \"-----BEGIN\", expected one of ssh-ed25519, ",
    ),
    (
        "data/rpm/header.rpm --type rpm --pki-format x509 --public-key data/rpm/rpm.asc",
        2,
        "data/rpm/header.rpm: format: an entry of kind rpm has pgp, not x509",
    ),
    (
        "data/jar/rsa.jar --type jar --pki-format x509",
        2,
        "data/jar/rsa.jar: format: an entry of kind jar has pkcs7, not x509",
    ),
    (
        "data/artifact --type hashedrekord --pki-format pgp --signature data/p256.sig --public-key data/p256.pub.pem",
        2,
        "a hashedrekord has a key of the format x509, not pgp: --type rekord has others",
    ),
    (
        "data/artifact --type rekord --pki-format pkcs7 --signature data/p256.sig --public-key data/p256.pub.pem",
        2,
        "format: keys by themselves are pgp, minisign, ssh or x509, not pkcs7",
    ),
    // No key.
    (
        "data/artifact --signature data/p256.sig",
        2,
        "--public-key must be given",
    ),
    (
        "data/artifact --type rekord --signature data/rekord/alice.sig",
        2,
        "--public-key must be given",
    ),
    ("data/rpm/header.rpm", 2, "--public-key must be given"),
    (
        "data/cose/p256.cose --type cose",
        2,
        "--public-key must be given",
    ),
    (
        "--artifact-hash 0000000000000000000000000000000000000000000000000000000000000000 --signature data/p256.sig",
        2,
        "--public-key must be given",
    ),
    // One too many.
    (
        "data/rpm/header.rpm --type rpm --public-key data/rpm/rpm.asc,data/rpm/other.asc",
        2,
        "data/rpm/header.rpm: public key has 2 elements, expected 1",
    ),
    (
        "data/artifact --signature data/p256.sig --public-key data/p256.pub.pem --public-key data/p384.pub.pem",
        2,
        "data/artifact: 2 keys, but a hashedrekord has one signature",
    ),
    (
        "data/jar/rsa.jar --type jar --public-key data/p256.pub.pem",
        2,
        "data/jar/rsa.jar: public key: an entry of kind jar has it in the artifact, expected none beside",
    ),
    // A signature where there is no place for one, and none where it has to be.
    (
        "data/rpm/header.rpm --type rpm --signature data/p256.sig --public-key data/rpm/rpm.asc",
        2,
        "data/rpm/header.rpm: signature: an entry of kind rpm has it in the artifact, expected none beside",
    ),
    (
        "data/dsse/p256.json --type intoto --signature data/p256.sig --public-key data/p256.pub.pem",
        2,
        "data/dsse/p256.json: signature: an entry of kind intoto has it in the artifact, expected none beside",
    ),
    (
        "data/ssh/content --type rekord --public-key data/ssh/ed25519.pub",
        1,
        "data/ssh/content.sig: No such file",
    ),
    (
        "- --type rekord --public-key data/ssh/ed25519.pub",
        2,
        "the artifact is standard input: --signature must be given",
    ),
    // Too large.
    (
        "big --type rekord --signature data/rekord/alice.sig --public-key data/rekord/alice.asc",
        2,
        "big: it is larger than 3145728 bytes, which is what a log takes of an entry of kind rekord",
    ),
    (
        "big --signature data/rekord/alice.sig --public-key data/rekord/alice.asc",
        2,
        "big: it is larger than 3145728 bytes, which is what a log takes of an entry of kind rekord",
    ),
    (
        "big --type rpm --public-key data/rpm/rpm.asc",
        2,
        "big: it is larger than 3145728 bytes, which is what a log takes of an entry of kind rpm",
    ),
    (
        "data/rpm/header.rpm --public-key big",
        2,
        "big is larger than 1048576 bytes",
    ),
    // What a COSE message signs beside.
    (
        "data/artifact --type rekord --aad AAAA --signature data/rekord/alice.sig --public-key data/rekord/alice.asc",
        2,
        "--aad is for cose alone",
    ),
    (
        "data/artifact --type hashedrekord --aad AAAA --signature data/p256.sig --public-key data/p256.pub.pem",
        2,
        "--aad is for cose alone",
    ),
    (
        "data/artifact --aad AAAA --signature data/p256.sig --public-key data/p256.pub.pem",
        2,
        "data/artifact: --aad is for cose alone",
    ),
    (
        "--entry data/artifact --aad AAAA",
        2,
        "--aad is for cose alone",
    ),
    (
        "data/artifact --type raw --aad AAAA",
        2,
        "--aad is for cose alone",
    ),
    (
        "data/rpm/header.rpm --aad AAAA --public-key data/rpm/rpm.asc",
        2,
        "data/rpm/header.rpm: aad: only an entry of kind cose has it",
    ),
    (
        "data/cose/aad.cose --aad ! --public-key data/p256.pub.pem",
        2,
        "--aad \"!\" is not base64",
    ),
    // Kinds and versions.
    (
        "data/artifact --type docker",
        2,
        "\"docker\" is not hashedrekord[:0.0.1|0.0.2], rekord[:0.0.1], ",
    ),
    (
        "data/artifact --type rekord:0.0.2",
        2,
        "\"rekord:0.0.2\" is not ",
    ),
    ("data/artifact --type intoto:", 2, "\"intoto:\" is not "),
    (
        "--type rpm --artifact-hash 0000000000000000000000000000000000000000000000000000000000000000 --signature data/p256.sig --public-key data/rpm/rpm.asc",
        2,
        "--artifact-hash is for hashedrekord alone",
    ),
    // Not of that kind.
    (
        "data/artifact --type rpm --public-key data/rpm/rpm.asc",
        2,
        "data/artifact: package: is truncated: it ends within its lead",
    ),
    (
        "data/artifact --type alpine --public-key data/rsa4096.pub.pem",
        2,
        "data/artifact: signature member: unexpected end of file",
    ),
    (
        "data/artifact --type jar",
        2,
        "data/artifact: spec.archive.content: is not a zip file",
    ),
    (
        "data/artifact --type helm --public-key data/helm/helm.asc",
        2,
        "data/artifact: chart.provenance.content: is not a message that OpenPGP signed in the clear",
    ),
    (
        "data/artifact --type tuf --public-key data/tuf/root.json",
        2,
        "data/artifact: metadata.content: expected value at line 1 column 1",
    ),
    (
        "data/artifact --type rfc3161",
        2,
        "data/artifact: spec.tsr.content: is not a TimeStampResp in DER",
    ),
    (
        "data/artifact --type cose --public-key data/p256.pub.pem",
        2,
        "data/artifact: spec.message: is not a COSE_Sign1 message as it is taken: it does not begin as one",
    ),
    (
        "data/artifact --type intoto --public-key data/p256.pub.pem",
        2,
        "data/artifact: envelope: expected value at line 1 column 1",
    ),
    (
        "data/artifact --type dsse --public-key data/p256.pub.pem",
        2,
        "data/artifact: envelope: expected value at line 1 column 1",
    ),
];

/// The signature of `rekord` may be beside the artifact, and the artifact or the signature may be standard input.
#[test]
fn files_are_found_and_read_from_standard_input() {
    let log = Logged::new();
    let place = |from: &str, to: &str| {
        fs::copy(log.world.path("data").join(from), log.world.path(to)).unwrap();
    };
    place("artifact", "a");
    place("rekord/alice.sig.asc", "a.asc");
    let key = ["--public-key", "data/rekord/alice.asc"];
    let text = log.run("upload", &[&["a"], &key[..]].concat()).ok();
    let leaf = uuid(&text).to_owned();
    let asc = ["-", "--signature", "a.asc"];
    let named = ["--log", &log.serving.url];
    for (args, stdin) in [
        (&asc[..], "a"),
        (&["-", "--signature", "a.asc", "--type", "rekord"], "a"),
        (&["a", "--signature", "-"], "a.asc"),
        (&["a", "--type", "rekord"], "a"),
    ] {
        let stdin = fs::read(log.world.path(stdin)).unwrap();
        let args = [&["verify"], args, &key, &named].concat();
        let text = log.world.run_with(&args, &[], &stdin).ok();
        assert!(
            text.contains(&format!("\nEntry Hash: {leaf}\n")),
            "{args:?}: {text}"
        );
    }

    place("minisign/content", "m");
    place("minisign/prehashed.minisig", "m.minisig");
    log.run(
        "upload",
        &["m", "--public-key", "data/minisign/minisign.pub"],
    )
    .ok();

    // Where a signature is beside it, an archive is an artifact like any other; where no key is given it cannot be meant.
    place("jar/rsa.jar", "j.jar");
    place("p256.sig", "j.jar.sig");
    let text = log.run("upload", &["j.jar"]).ok();
    assert!(text.contains("\nSigned by: "), "{text}");
    let error = log
        .run("upload", &["j.jar", "--public-key", "data/p256.pub.pem"])
        .error(4);
    assert_eq!(
        error,
        "j.jar: signature does not verify over the digest with the given key"
    );
}

/// What base64 makes of an artifact that is just small enough is larger than a request may be.
#[test]
fn a_request_that_a_log_would_not_read_is_not_sent() {
    let log = Logged::new();
    fs::write(log.world.path("large"), vec![0; 3 << 20]).unwrap();
    log.world.sign("large");
    fs::write(log.world.path("key.pub"), support::public_key()).unwrap();
    let args = ["large", "--type", "rekord", "--public-key", "key.pub"];
    let error = log.run("upload", &args).error(2);
    assert!(
        error.starts_with("large: the request has 4194")
            && error.ends_with(" bytes, and a log takes at most 4194304"),
        "{error}"
    );
}

/// Of an entry alone nobody can say whether its signature is good, where that is over more than a digest.
#[test]
fn who_signed_is_told_in_json_and_what_was_not_checked_too() {
    let log = Logged::new();
    let upload = [
        "--json",
        "data/x509/leaf.cose",
        "--public-key",
        "data/x509/chain.pem",
    ];
    let told: Value = serde_json::from_str(&log.run("upload", &upload).ok()).unwrap();
    let signer = &told["signers"][0];
    assert_eq!(signer["issuer"], "https://Issuer.example");
    assert_eq!(signer["key"], "ECDSA P-256");
    assert_eq!(signer["identities"][0], "Alice@Log.example");
    assert_eq!(signer["fingerprint"].as_str().unwrap().len(), 64);

    let text = log.run("verify", &["--log-index", "0"]).ok();
    assert!(
        text.ends_with("\nSignature: not checked, as what was signed is not in an entry of this kind: name its files to check it\n"),
        "{text}"
    );
    let told: Value =
        serde_json::from_str(&log.run("verify", &["--log-index", "0", "--json"]).ok()).unwrap();
    assert_eq!(told["signature"], "unknown");
}
