//! What the user has, made into what a log holds: artifacts, signatures and keys into the bytes of leaves.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ValueEnum;
use tegula_entries::{
    Digest, DigestAlgorithm, Ed25519Form, EntryError, KeyDetails, Verifier, artifact_digests,
    ed25519_form, hashedrekord_proposed_v1, hashedrekord_request, parse_proposed_v1, parse_request,
    raw_entry,
};

use crate::exit::CliError;

/// Flags that say which entries are meant, named as rekor-cli names them. `-` is standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct EntryArgs {
    /// Artifacts; the signature of each is FILE.sig, unless --signature says another
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// An artifact; may be given several times
    #[arg(long, value_name = "FILE")]
    artifact: Vec<PathBuf>,

    /// The digest of an artifact that is not here, in hexadecimal
    #[arg(long, value_name = "[ALGORITHM:]HEX")]
    artifact_hash: Option<String>,

    /// The signature of each artifact, in the same order
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,

    /// The public key or certificate that the signatures verify with, PEM or DER
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,

    /// The form of the signature and the key
    #[arg(long, value_name = "FORMAT", default_value = "x509")]
    pki_format: PkiFormat,

    /// The kind of entry: hashedrekord, followed by :VERSION if that matters, or raw
    #[arg(long = "type", value_name = "KIND", default_value = "hashedrekord")]
    kind: EntryType,

    /// A request that is ready, in JSON; may be given several times
    #[arg(long, value_name = "FILE")]
    entry: Vec<PathBuf>,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum PkiFormat {
    /// Keys and certificates of X.509
    X509,
}

/// A kind of entry, and its version where that matters.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum EntryType {
    Hashedrekord,
    HashedrekordV001,
    HashedrekordV002,
    Raw,
}

impl FromStr for EntryType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hashedrekord" => Ok(Self::Hashedrekord),
            "hashedrekord:0.0.1" => Ok(Self::HashedrekordV001),
            "hashedrekord:0.0.2" => Ok(Self::HashedrekordV002),
            "raw" => Ok(Self::Raw),
            _ => Err(format!(
                "{text:?} is not hashedrekord, hashedrekord:0.0.1, hashedrekord:0.0.2 or raw"
            )),
        }
    }
}

/// One thing that the user named, not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// As the user wrote it.
    pub(crate) name: String,
    kind: EntryType,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Signed {
        artifact: Artifact,
        signature: PathBuf,
        verifier: Verifier,
    },
    Raw(PathBuf),
    Ready(PathBuf),
}

#[derive(Clone, Debug)]
enum Artifact {
    File(PathBuf),
    Digest(Digest),
}

/// A subject that was read, and whose signature was verified.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) name: String,
    /// What to send to a log; `None` for what today's interface does not take.
    pub(crate) payload: Option<Payload>,
    /// The bytes of the leaf, in each form that it may have.
    pub(crate) bodies: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Request(String),
    Raw(Bytes),
}

impl EntryArgs {
    /// Whether nothing is named at all.
    pub(crate) fn is_empty(&self) -> bool {
        let no_file = self.files.is_empty() && self.artifact.is_empty() && self.entry.is_empty();
        no_file && self.artifact_hash.is_none()
    }

    /// All that is named, in the order of the command line. Only the key is read.
    pub(crate) fn subjects(&self) -> Result<Vec<Subject>, CliError> {
        let PkiFormat::X509 = self.pki_format;
        self.check_stdin()?;
        if self.is_empty() {
            return Err(CliError::usage(
                "either FILE, --artifact, --artifact-hash or --entry must be given",
            ));
        }
        let artifacts: Vec<&PathBuf> = self.files.iter().chain(&self.artifact).collect();
        let mut subjects = Vec::new();
        if self.kind == EntryType::Raw {
            if self.artifact_hash.is_some() || !self.signature.is_empty() {
                return Err(CliError::usage(
                    "a raw entry is a file, without --artifact-hash and --signature",
                ));
            }
            let raw = |path: &&PathBuf| self.subject(&path.display(), What::Raw((*path).clone()));
            subjects.extend(artifacts.iter().map(raw));
        } else if !artifacts.is_empty() || self.artifact_hash.is_some() {
            subjects.extend(self.signed(&artifacts)?);
        } else if self.public_key.is_some() || !self.signature.is_empty() {
            return Err(CliError::usage(
                "--entry holds its own signature and key, without --signature and --public-key",
            ));
        }
        let ready = |path: &PathBuf| self.subject(&path.display(), What::Ready(path.clone()));
        subjects.extend(self.entry.iter().map(ready));
        Ok(subjects)
    }

    fn signed(&self, artifacts: &[&PathBuf]) -> Result<Vec<Subject>, CliError> {
        let key = self.public_key.as_deref().ok_or_else(|| {
            CliError::usage("--public-key must be given: the key or certificate of the signature")
        })?;
        let verifier = read_verifier(key)?;
        let hash = self
            .artifact_hash
            .as_deref()
            .map(parse_digest)
            .transpose()?;
        let named = artifacts.len() + usize::from(hash.is_some());
        if !self.signature.is_empty() && self.signature.len() != named {
            return Err(CliError::usage(format!(
                "{named} artifacts, but {} signatures",
                self.signature.len()
            )));
        }
        let mut signatures = self.signature.iter();
        let mut subjects = Vec::with_capacity(named);
        for path in artifacts {
            let signature = match signatures.next() {
                Some(path) => path.clone(),
                None if is_stdin(path) => {
                    return Err(CliError::usage(
                        "the artifact is standard input: --signature must be given",
                    ));
                }
                None => beside(path),
            };
            let what = What::Signed {
                artifact: Artifact::File((*path).clone()),
                signature,
                verifier: verifier.clone(),
            };
            subjects.push(self.subject(&path.display(), what));
        }
        if let Some(digest) = hash {
            let signature = signatures
                .next()
                .ok_or_else(|| CliError::usage("--artifact-hash needs --signature"))?;
            let name = digest.to_string();
            let what = What::Signed {
                artifact: Artifact::Digest(digest),
                signature: signature.clone(),
                verifier,
            };
            subjects.push(self.subject(&name, what));
        }
        Ok(subjects)
    }

    fn subject(&self, name: &dyn ToString, what: What) -> Subject {
        Subject {
            name: name.to_string(),
            kind: self.kind,
            what,
        }
    }

    fn check_stdin(&self) -> Result<(), CliError> {
        let paths = self
            .files
            .iter()
            .chain(&self.artifact)
            .chain(&self.signature);
        let paths = paths.chain(&self.public_key).chain(&self.entry);
        if paths.filter(|path| is_stdin(path)).count() > 1 {
            return Err(CliError::usage("standard input can be read only once"));
        }
        Ok(())
    }
}

impl Subject {
    /// Reads the files, and verifies the signature. It blocks.
    pub(crate) fn prepare(self) -> Result<Prepared, CliError> {
        let name = self.name.clone();
        self.read().map_err(|error| error.about(&name))
    }

    fn read(self) -> Result<Prepared, CliError> {
        let (payload, bodies) = match self.what {
            What::Signed {
                artifact,
                signature,
                verifier,
            } => signed_entry(self.kind, &artifact, &signature, &verifier)?,
            What::Raw(path) => {
                let body = raw_entry(read_small(&path)?)?.into_body();
                (Some(Payload::Raw(body.clone().into())), vec![body])
            }
            What::Ready(path) => ready_entry(&path)?,
        };
        Ok(Prepared {
            name: self.name,
            payload,
            bodies,
        })
    }
}

type Leaves = (Option<Payload>, Vec<Vec<u8>>);

fn signed_entry(
    kind: EntryType,
    artifact: &Artifact,
    signature: &Path,
    verifier: &Verifier,
) -> Result<Leaves, CliError> {
    let digest = match artifact {
        Artifact::Digest(digest) => digest.clone(),
        Artifact::File(path) => digest_of(path, verifier.key_details().digest_algorithm())
            .map_err(|e| io_error(path, &e))?,
    };
    let signature = read_small(signature).map(|bytes| as_signature(bytes, &digest, verifier))?;
    if verifier.verify(&digest, &signature) == Err(EntryError::Signature) {
        return Err(CliError::verification(why_not(
            artifact, &signature, verifier,
        )));
    }
    let request = hashedrekord_request(&digest, &signature, verifier)?;
    let mut bodies = Vec::new();
    if kind != EntryType::HashedrekordV001 {
        bodies.push(parse_request(request.as_bytes())?.verify()?.into_body());
    }
    if kind != EntryType::HashedrekordV002 {
        let body = hashedrekord_proposed_v1(&digest, &signature, verifier);
        match body {
            Ok(body) => bodies.push(body.into_bytes()),
            // The older form takes more room. Where only the newer one fits, there is no other.
            Err(EntryError::TooLong { .. }) if !bodies.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let payload = (kind != EntryType::HashedrekordV001).then_some(Payload::Request(request));
    Ok((payload, bodies))
}

fn ready_entry(path: &Path) -> Result<Leaves, CliError> {
    let bytes = read_small(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_not_text| CliError::usage("the request is not JSON: it is not UTF-8"))?;
    match parse_request(text.as_bytes()) {
        Ok(proposed) => {
            let body = proposed.verify()?.into_body();
            Ok((Some(Payload::Request(text)), vec![body]))
        }
        Err(error) => match parse_proposed_v1(text.as_bytes()) {
            Ok(proposed) => Ok((None, vec![proposed.verify()?.into_body()])),
            Err(_neither) => Err(error.into()),
        },
    }
}

/// `openssl` writes signatures as they are, `cosign` in base64.
fn as_signature(bytes: Vec<u8>, digest: &Digest, verifier: &Verifier) -> Vec<u8> {
    if verifier.verify(digest, &bytes).is_ok() {
        return bytes;
    }
    let decoded = str::from_utf8(&bytes)
        .ok()
        .and_then(|text| STANDARD.decode(text.trim()).ok());
    decoded
        .filter(|decoded| verifier.verify(digest, decoded).is_ok())
        .unwrap_or(bytes)
}

fn why_not(artifact: &Artifact, signature: &[u8], verifier: &Verifier) -> String {
    let plain = EntryError::Signature.to_string();
    let Artifact::File(path) = artifact else {
        return plain;
    };
    if verifier.key_details() != KeyDetails::Ed25519Ph || is_stdin(path) {
        return plain;
    }
    match read_capped(path, MAX_ED25519_ARTIFACT) {
        Ok(Some(artifact))
            if ed25519_form(verifier, &artifact, signature) == Some(Ed25519Form::Pure) =>
        {
            "the signature is pure Ed25519, a hashedrekord needs Ed25519ph, which signs the artifact's SHA-512".to_owned()
        }
        _ => plain,
    }
}

fn digest_of(path: &Path, algorithm: DigestAlgorithm) -> io::Result<Digest> {
    let digests = if is_stdin(path) {
        artifact_digests(io::stdin().lock(), &[algorithm])?
    } else {
        artifact_digests(File::open(path)?, &[algorithm])?
    };
    digests
        .into_iter()
        .next()
        .ok_or_else(|| io::Error::other("no digest"))
}

fn read_verifier(path: &Path) -> Result<Verifier, CliError> {
    let bytes = read_small(path)?;
    Verifier::from_pem_or_der(&bytes)
        .map_err(|error| CliError::usage(error).about(&path.display().to_string()))
}

/// `sha256:` and hexadecimal, or hexadecimal whose length says which.
fn parse_digest(text: &str) -> Result<Digest, CliError> {
    let refused = || {
        CliError::usage(format!(
            "--artifact-hash {text:?} is not a SHA-256, SHA-384 or SHA-512 digest in hexadecimal"
        ))
    };
    let (name, hex) = match text.split_once(':') {
        Some((name, hex)) => (Some(name), hex),
        None => (None, text),
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect();
    let bytes = bytes.filter(|_| rest.is_empty()).ok_or_else(refused)?;
    let algorithm = DigestAlgorithm::ALL
        .into_iter()
        .find(|algorithm| match name {
            Some(name) => algorithm.v1_name() == name,
            None => algorithm.output_len() == bytes.len(),
        })
        .ok_or_else(refused)?;
    Ok(Digest::new(algorithm, bytes)?)
}

/// The file beside an artifact that holds its signature.
fn beside(artifact: &Path) -> PathBuf {
    let mut name = artifact.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// A key, a signature, a request or a raw entry: none is larger than an entry by much.
fn read_small(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = read_capped(path, MAX_SMALL).map_err(|error| io_error(path, &error))?;
    read.ok_or_else(|| {
        CliError::usage(format!(
            "{} is larger than {MAX_SMALL} bytes",
            path.display()
        ))
    })
}

/// All bytes of a file or of standard input, or `None` if there are more than `max_len`.
pub(crate) fn read_capped(path: &Path, max_len: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = max_len.saturating_add(1);
    if is_stdin(path) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok((len <= max_len).then_some(bytes))
}

pub(crate) fn io_error(path: &Path, error: &io::Error) -> CliError {
    CliError::io(format!("{}: {error}", path.display()))
}

/// A request in JSON is at most twice as long as the longest entry, but for spaces.
const MAX_SMALL: u64 = 1 << 20;
/// Up to this size an artifact is read again to find out what is wrong with its signature.
const MAX_ED25519_ARTIFACT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_named_or_known_by_their_length() {
        let hex = "ab".repeat(32);
        for text in [hex.clone(), format!("sha256:{hex}"), hex.to_uppercase()] {
            assert_eq!(
                parse_digest(&text).unwrap().to_string(),
                format!("sha256:{hex}")
            );
        }
        let long = "cd".repeat(64);
        assert_eq!(
            parse_digest(&long).unwrap().to_string(),
            format!("sha512:{long}")
        );
        for bad in [
            "",
            "ab",
            "sha1:ab",
            "zz",
            &format!("sha512:{hex}"),
            &format!("{hex}0"),
        ] {
            assert!(parse_digest(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn types_have_one_spelling() {
        assert_eq!("raw".parse(), Ok(EntryType::Raw));
        assert_eq!(
            "hashedrekord:0.0.1".parse(),
            Ok(EntryType::HashedrekordV001)
        );
        for bad in ["", "Raw", "hashedrekord:", "hashedrekord:0.0.3", "intoto"] {
            assert!(bad.parse::<EntryType>().is_err(), "{bad}");
        }
    }
}
