//! `ssh`: keys of OpenSSH as lines of `authorized_keys`, and signatures of `ssh-keygen -Y sign -n file` (SSHSIG).
//!
//! ```text
//! ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA… alice@example.com
//! ```

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use ssh_key::encoding::{Decode, Encode};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Mpint, SshSig};

use crate::formats::{FormatKey, KeyFacts, text};
use crate::key::{EC_P256, EC_P384, EC_P521, ED25519, RSA};
use crate::{EntryError, Excerpt, PublicKey, json, pem, spki};

/// A key.
#[derive(Clone, Debug)]
pub(crate) struct SshKey {
    data: KeyData,
    /// As OpenSSH writes it in binary.
    blob: Vec<u8>,
    spki: Vec<u8>,
}

impl SshKey {
    /// From the first line that holds a key. Options before it and a comment after it are passed over, and so are other lines, as in Rekor.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let lines = text("public key", bytes)?.lines().map(str::trim);
        let mut refused = None;
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match key_of_line(line) {
                Ok(key) => return Ok(key),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(EntryError::Missing("public key")))
    }

    /// From its binary form.
    fn from_blob(blob: &[u8]) -> Result<Self, EntryError> {
        check_algorithm("public key", blob)?;
        let data = ssh_key::PublicKey::from_bytes(blob)
            .map_err(|error| EntryError::invalid("public key", error.to_string()))?;
        let data = data.key_data().clone();
        let again = encode("public key", &data)?;
        if again != blob {
            return Err(EntryError::invalid(
                "public key",
                "is not spelled as OpenSSH spells it",
            ));
        }
        Ok(Self {
            spki: spki_of(&data)?,
            data,
            blob: again,
        })
    }

    /// What a security key signs of a message: its application, flags, a counter and the message's SHA-256.
    fn signed_by_hardware(application: &str, trailer: &[u8], message: &[u8]) -> Vec<u8> {
        let application = Sha256::digest(application);
        let message = Sha256::digest(message);
        [application.as_slice(), trailer, &message].concat()
    }

    fn verifies(&self, message: &[u8], signature: &ssh_key::Signature) -> Option<()> {
        let bytes = signature.as_bytes();
        match (&self.data, signature.algorithm()) {
            (KeyData::Rsa(_), Algorithm::Rsa { hash: Some(hash) }) => {
                let algorithm = match hash {
                    HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return None,
                };
                self.verifies_by(algorithm, message, bytes)
            }
            (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if key.curve() == curve => {
                let (algorithm, len): (&'static dyn VerificationAlgorithm, _) = match curve {
                    EcdsaCurve::NistP256 => (&ECDSA_P256_SHA256_FIXED, 32),
                    EcdsaCurve::NistP384 => (&ECDSA_P384_SHA384_FIXED, 48),
                    EcdsaCurve::NistP521 => (&ECDSA_P521_SHA512_FIXED, 66),
                };
                let (fixed, rest) = fixed(bytes, len)?;
                rest.is_empty().then_some(())?;
                self.verifies_by(algorithm, message, &fixed)
            }
            (KeyData::SkEcdsaSha2NistP256(key), Algorithm::SkEcdsaSha2NistP256) => {
                let (fixed, trailer) = fixed(bytes, 32)?;
                let signed = Self::signed_by_hardware(key.application(), trailer, message);
                self.verifies_by(&ECDSA_P256_SHA256_FIXED, &signed, &fixed)
            }
            (KeyData::Ed25519(_), Algorithm::Ed25519) => self.verifies_ed25519(message, bytes),
            (KeyData::SkEd25519(key), Algorithm::SkEd25519) => {
                let (bytes, trailer) = bytes.split_at_checked(64)?;
                let signed = Self::signed_by_hardware(key.application(), trailer, message);
                self.verifies_ed25519(&signed, bytes)
            }
            _ => None,
        }
    }

    fn verifies_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<()> {
        let key = UnparsedPublicKey::new(algorithm, &self.spki);
        key.verify(message, signature).ok()
    }

    fn verifies_ed25519(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let key = PublicKey::from_spki_der(&self.spki).ok()?;
        key.verifies_pure_ed25519(message, signature).then_some(())
    }
}

impl FormatKey for SshKey {
    fn canonical(&self) -> Vec<u8> {
        let algorithm = self.data.algorithm();
        format!("{algorithm} {}\n", STANDARD.encode(&self.blob)).into_bytes()
    }

    fn canonical_signature(&self, signature: &[u8]) -> Result<Vec<u8>, EntryError> {
        let signature = parse_signature(signature)?;
        // Without what was reserved, which nothing signs.
        let plain = SshSig::new(
            signature.public_key().clone(),
            NAMESPACE,
            signature.hash_alg(),
            signature.signature().clone(),
        );
        let plain = plain.map_err(|error| EntryError::invalid("signature", error.to_string()))?;
        Ok(pem::encode(LABEL, &encode("signature", &plain)?).into_bytes())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EntryError> {
        let signature = parse_signature(signature)?;
        let signed = SshSig::signed_data(NAMESPACE, signature.hash_alg(), message)
            .map_err(|error| EntryError::invalid("signature", error.to_string()))?;
        let same_key = *signature.public_key() == self.data;
        same_key
            .then(|| self.verifies(&signed, signature.signature()))
            .flatten()
            .ok_or(EntryError::NotSigned {
                signature: "the signature",
                signed: "the content",
                key: "the given key",
            })
    }

    fn facts(&self) -> KeyFacts {
        KeyFacts {
            fingerprinted: self.spki.clone(),
            description: format!("OpenSSH {}", self.data.algorithm()),
            ..KeyFacts::default()
        }
    }
}

/// Options, which may hold blanks between quotes, then the algorithm, the key, and a comment.
fn key_of_line(line: &str) -> Result<SshKey, EntryError> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let (algorithm, contents) = if ALGORITHMS.contains(&first) {
        (first, words.next())
    } else {
        let mut quoted = false;
        let mut escaped = false;
        let end = line.find(|c: char| {
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            c.is_ascii_whitespace() && !quoted
        });
        let (_options, rest) = line.split_at_checked(end.unwrap_or(0)).unwrap_or_default();
        let mut words = rest.split_ascii_whitespace();
        match words.next() {
            Some(algorithm) if ALGORITHMS.contains(&algorithm) => (algorithm, words.next()),
            _ => return Err(unknown_algorithm("public key", first)),
        }
    };
    let contents = contents.ok_or(EntryError::Missing("public key"))?;
    let blob = json::decode_base64(contents).ok_or_else(|| EntryError::Base64 {
        field: "public key",
        text: Excerpt::new(contents),
    })?;
    let key = SshKey::from_blob(&blob)?;
    if key.data.algorithm().as_str() != algorithm {
        return Err(EntryError::invalid(
            "public key",
            format!("is of {}, and named {algorithm}", key.data.algorithm()),
        ));
    }
    Ok(key)
}

/// One block of PEM, of one spelling inside.
fn parse_signature(bytes: &[u8]) -> Result<SshSig, EntryError> {
    if bytes.len() > MAX_SIGNATURE_LEN {
        return Err(EntryError::limit(
            "signature",
            bytes.len(),
            MAX_SIGNATURE_LEN,
        ));
    }
    let text = text("signature", bytes)?;
    let blocks = pem::decode(text).map_err(|_not_pem| {
        EntryError::invalid(
            "signature",
            "is not an SSH SIGNATURE in PEM, with BEGIN and END",
        )
    })?;
    let [block] = blocks.as_slice() else {
        return Err(EntryError::Count {
            field: "signature",
            count: blocks.len(),
        });
    };
    if block.label != LABEL {
        return Err(EntryError::invalid(
            "signature",
            format!("is in PEM a {:?}, expected \"{LABEL}\"", block.label),
        ));
    }
    let malformed = |error: ssh_key::Error| EntryError::invalid("signature", error.to_string());
    // What precedes the key: a magic word of six bytes and a version of four.
    let key = block.der.get(10..).and_then(first_string);
    check_algorithm("signature", key.unwrap_or_default())?;
    let signature = SshSig::decode(&mut block.der.as_slice()).map_err(malformed)?;
    if signature.version() != SshSig::VERSION {
        return Err(EntryError::invalid(
            "signature",
            format!("is of version {}, expected 1", signature.version()),
        ));
    }
    if signature.namespace() != NAMESPACE {
        return Err(EntryError::invalid(
            "signature",
            format!(
                "is of namespace {:?}, expected {NAMESPACE:?}",
                signature.namespace()
            ),
        ));
    }
    if matches!(signature.algorithm(), Algorithm::Rsa { hash: None }) {
        return Err(EntryError::invalid(
            "signature",
            "is by ssh-rsa with SHA-1, expected rsa-sha2-256 or rsa-sha2-512",
        ));
    }
    if encode("signature", &signature)? != block.der {
        return Err(EntryError::invalid(
            "signature",
            "is not spelled as OpenSSH spells it",
        ));
    }
    Ok(signature)
}

/// Certificates must not reach the library: in each may be another, down to the end of the stack.
fn check_algorithm(field: &'static str, blob: &[u8]) -> Result<(), EntryError> {
    let name = first_string(blob).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    if ALGORITHMS.contains(&&*name) {
        return Ok(());
    }
    Err(unknown_algorithm(field, &name))
}

fn unknown_algorithm(field: &'static str, name: &str) -> EntryError {
    EntryError::invalid(
        field,
        format!(
            "is of algorithm {name:?}, expected one of {}",
            ALGORITHMS.join(", ")
        ),
    )
}

/// A string with its length in four bytes before it.
fn first_string(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

/// Two integers, each in `len` bytes, and what follows them.
fn fixed(mut bytes: &[u8], len: usize) -> Option<(Vec<u8>, &[u8])> {
    let mut fixed = Vec::with_capacity(2 * len);
    for _ in 0..2 {
        let integer = Mpint::decode(&mut bytes).ok()?;
        let integer = integer.as_positive_bytes()?;
        fixed.resize(fixed.len() + len.checked_sub(integer.len())?, 0);
        fixed.extend(integer);
    }
    Some((fixed, bytes))
}

fn encode(field: &'static str, value: &impl Encode) -> Result<Vec<u8>, EntryError> {
    value
        .encode_vec()
        .map_err(|error| EntryError::invalid(field, error.to_string()))
}

/// Also checks that it can verify: a size of RSA that is taken, a point on its curve.
fn spki_of(data: &KeyData) -> Result<Vec<u8>, EntryError> {
    let spki = match data {
        KeyData::Rsa(key) => return rsa_spki(key),
        KeyData::Ecdsa(key) => {
            let algorithm = match key.curve() {
                EcdsaCurve::NistP256 => EC_P256,
                EcdsaCurve::NistP384 => EC_P384,
                EcdsaCurve::NistP521 => EC_P521,
            };
            spki::encode(algorithm, key.as_sec1_bytes())
        }
        KeyData::SkEcdsaSha2NistP256(key) => spki::encode(EC_P256, key.ec_point().as_bytes()),
        KeyData::Ed25519(key) => spki::encode(ED25519, &key.0),
        KeyData::SkEd25519(key) => spki::encode(ED25519, &key.public_key().0),
        other => return Err(unknown_algorithm("public key", other.algorithm().as_str())),
    };
    PublicKey::from_spki_der(&spki)?;
    Ok(spki)
}

fn rsa_spki(key: &ssh_key::public::RsaPublicKey) -> Result<Vec<u8>, EntryError> {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let exponent = key.e().as_positive_bytes().unwrap_or_default();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = 8 * modulus.len() - usize::try_from(leading).unwrap_or(0);
    if !RSA_BITS.contains(&bits) {
        return Err(EntryError::invalid(
            "public key",
            format!("is RSA of {bits} bits, expected 2048 to 8192"),
        ));
    }
    let spki = spki::encode(RSA, &spki::rsa_key(modulus, exponent));
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki).map_err(|_rejected| {
        EntryError::invalid(
            "public key",
            "has an RSA modulus or exponent that cannot be",
        )
    })?;
    Ok(spki)
}

const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What Rekor v1 takes.
const NAMESPACE: &str = "file";
const LABEL: &str = "SSH SIGNATURE";

/// Shorter ones are weak, and aws-lc takes no longer ones.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// With a key of RSA of 8192 bits it is 3 KiB.
const MAX_SIGNATURE_LEN: usize = 64 << 10;
