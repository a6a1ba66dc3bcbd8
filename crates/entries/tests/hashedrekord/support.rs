//! The files of `tests/data`, and each request and body as independent JSON.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tegula_entries::{
    DigestAlgorithm, Entry, EntryError, KeyDetails, VerifierForm, parse_proposed_v1, parse_request,
};

/// One kind of key: its files, and what Sigstore calls it and its hash.
pub(crate) struct Kind {
    pub(crate) files: &'static str,
    pub(crate) details: KeyDetails,
    pub(crate) name: &'static str,
    pub(crate) hash_v1: &'static str,
    pub(crate) hash_v2: &'static str,
    pub(crate) digest: fn(&[u8]) -> Vec<u8>,
}

pub(crate) const KINDS: [Kind; 7] = [
    rsa(
        "rsa2048",
        KeyDetails::Rsa2048,
        "PKIX_RSA_PKCS1V15_2048_SHA256",
    ),
    rsa(
        "rsa3072",
        KeyDetails::Rsa3072,
        "PKIX_RSA_PKCS1V15_3072_SHA256",
    ),
    rsa(
        "rsa4096",
        KeyDetails::Rsa4096,
        "PKIX_RSA_PKCS1V15_4096_SHA256",
    ),
    Kind {
        files: "p256",
        details: KeyDetails::EcdsaP256,
        name: "PKIX_ECDSA_P256_SHA_256",
        hash_v1: "sha256",
        hash_v2: "SHA2_256",
        digest: sha256,
    },
    Kind {
        files: "p384",
        details: KeyDetails::EcdsaP384,
        name: "PKIX_ECDSA_P384_SHA_384",
        hash_v1: "sha384",
        hash_v2: "SHA2_384",
        digest: |bytes| Sha384::digest(bytes).to_vec(),
    },
    Kind {
        files: "p521",
        details: KeyDetails::EcdsaP521,
        name: "PKIX_ECDSA_P521_SHA_512",
        hash_v1: "sha512",
        hash_v2: "SHA2_512",
        digest: sha512,
    },
    Kind {
        files: "ed25519",
        details: KeyDetails::Ed25519Ph,
        name: "PKIX_ED25519_PH",
        hash_v1: "sha512",
        hash_v2: "SHA2_512",
        digest: sha512,
    },
];

pub(crate) const P256: &Kind = &KINDS[3];

pub(crate) const FORMS: [(VerifierForm, &str); 2] = [
    (VerifierForm::PublicKey, "publicKey"),
    (VerifierForm::X509Certificate, "x509Certificate"),
];

const fn rsa(files: &'static str, details: KeyDetails, name: &'static str) -> Kind {
    Kind {
        files,
        details,
        name,
        hash_v1: "sha256",
        hash_v2: "SHA2_256",
        digest: sha256,
    }
}

impl Kind {
    pub(crate) fn algorithm(&self) -> DigestAlgorithm {
        self.details.digest_algorithm()
    }

    pub(crate) fn artifact_digest(&self) -> Vec<u8> {
        (self.digest)(&data("artifact"))
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        data(&format!("{}.sig", self.files))
    }

    pub(crate) fn der(&self, form: VerifierForm) -> Vec<u8> {
        self.file(form, "der")
    }

    pub(crate) fn pem(&self, form: VerifierForm) -> Vec<u8> {
        self.file(form, "pem")
    }

    fn file(&self, form: VerifierForm, encoding: &str) -> Vec<u8> {
        let part = match form {
            VerifierForm::PublicKey => "pub",
            VerifierForm::X509Certificate => "cert",
        };
        data(&format!("{}.{part}.{encoding}", self.files))
    }

    /// Rekor v2's request.
    pub(crate) fn request(&self, form: VerifierForm) -> Value {
        json!({"hashedRekordRequestV002": {
            "digest": base64(&self.artifact_digest()),
            "signature": self.signature_v2(form),
        }})
    }

    /// Rekor v2's body.
    pub(crate) fn body_v2(&self, form: VerifierForm) -> Value {
        json!({"spec": {"hashedRekordV002": {
            "data": {"digest": base64(&self.artifact_digest()), "algorithm": self.hash_v2},
            "signature": self.signature_v2(form),
        }}, "kind": "hashedrekord", "apiVersion": "0.0.2"})
    }

    /// Rekor v1's proposed entry, which has the shape of its body.
    pub(crate) fn body_v1(&self, form: VerifierForm) -> Value {
        json!({"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": {
            "signature": {
                "content": base64(&self.signature()),
                "publicKey": {"content": base64(&self.pem(form))},
            },
            "data": {"hash": {"value": hex(&self.artifact_digest()), "algorithm": self.hash_v1}},
        }})
    }

    fn signature_v2(&self, form: VerifierForm) -> Value {
        let (_, field) = FORMS.into_iter().find(|(f, _)| *f == form).unwrap();
        json!({"content": base64(&self.signature()), "verifier": {
            field: {"rawBytes": base64(&self.der(form))},
            "keyDetails": self.name,
        }})
    }
}

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// RFC 8785, by another's hand.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).unwrap()
}

pub(crate) fn upload(request: &[u8]) -> Result<Entry, EntryError> {
    parse_request(request)?.verify()
}

pub(crate) fn upload_v1(proposed: &[u8]) -> Result<Entry, EntryError> {
    parse_proposed_v1(proposed)?.verify()
}

/// `value` without the member at `path`; a path is names with `/` before each.
pub(crate) fn without(value: &Value, path: &str) -> Value {
    let mut value = value.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(parent.remove(name).is_some(), "{path}");
    value
}

/// `value` with another member at `path`, which may be new.
pub(crate) fn with(value: &Value, path: &str, member: impl Into<Value>) -> Value {
    let mut value = value.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = member.into();
    value
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    Sha512::digest(bytes).to_vec()
}
