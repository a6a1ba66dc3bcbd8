//! What the user has, made into what a log holds: artifacts, signatures and keys into the bytes of leaves.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tegula_entries::{
    Digest, DigestAlgorithm, Ed25519Form, Entry, EntryError, Files, Format, KeyDetails, KeyFacts,
    Verifier, artifact_digests, ed25519_form, hashedrekord_proposed_v1, hashedrekord_request,
    parse_proposed_v1, parse_request, raw_entry,
};

use crate::exit::CliError;

/// Flags that say which entries are meant, named as rekor-cli names them. `-` is standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct EntryArgs {
    /// Artifacts. The signature of each is in it, or else in FILE.sig, for rekord also FILE.asc or FILE.minisig, unless --signature says another
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

    /// The public key or certificate that the signatures verify with; several, with commas between or each with its own flag, for an envelope with
    /// several signatures. For tuf it is the root; for jar and rfc3161 there is none
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    public_key: Vec<PathBuf>,

    /// The format of the key and the signature: pgp, minisign (signify too), ssh or x509; pkcs7 of jar and rfc3161, tuf of tuf. Unless it is given
    /// they show it
    #[arg(long, value_name = "FORMAT")]
    pki_format: Option<Format>,

    /// The kind of entry: hashedrekord, rekord, intoto, dsse, cose, rpm, alpine, jar, helm, tuf, rfc3161 or raw, with :VERSION after it if that
    /// matters. Unless it is given the files show it: an envelope is taken for intoto, and what looks like none of the others for
    /// hashedrekord, or with a key that is not x509 for rekord
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<EntryType>,

    /// For cose: what the message signs beside its payload, in base64
    #[arg(long, value_name = "BASE64")]
    aad: Option<String>,

    /// A request that is ready, in JSON; may be given several times
    #[arg(long, value_name = "FILE")]
    entry: Vec<PathBuf>,
}

/// A kind of entry, and its version where that matters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum EntryType {
    Hashedrekord,
    HashedrekordV001,
    HashedrekordV002,
    Raw,
    /// Any other of Rekor's.
    Other {
        kind: &'static str,
        version: Option<String>,
    },
}

impl FromStr for EntryType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hashedrekord" => Ok(Self::Hashedrekord),
            "hashedrekord:0.0.1" => Ok(Self::HashedrekordV001),
            "hashedrekord:0.0.2" => Ok(Self::HashedrekordV002),
            "raw" => Ok(Self::Raw),
            _ => {
                let (name, version) = match text.split_once(':') {
                    Some((name, version)) => (name, Some(version)),
                    None => (text, None),
                };
                let known = OTHER_KINDS.iter().find(|(kind, versions)| {
                    *kind == name && version.is_none_or(|version| versions.contains(&version))
                });
                let (kind, _) = known.ok_or_else(|| {
                    let kinds = OTHER_KINDS
                        .map(|(kind, versions)| format!("{kind}[:{}]", versions.join("|")));
                    format!(
                        "{text:?} is not hashedrekord[:0.0.1|0.0.2], {} or raw",
                        kinds.join(", ")
                    )
                })?;
                Ok(Self::Other {
                    kind,
                    version: version.map(str::to_owned),
                })
            }
        }
    }
}

/// One thing that the user named, not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// As the user wrote it.
    pub(crate) name: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Signed {
        artifact: Artifact,
        /// Where the user says that it is.
        signature: Option<PathBuf>,
        by: Arc<By>,
    },
    Raw(PathBuf),
    Ready(PathBuf),
}

/// What is said of all signatures.
#[derive(Debug)]
struct By {
    kind: Option<EntryType>,
    format: Option<Format>,
    /// By the names of their files.
    keys: Vec<(PathBuf, Vec<u8>)>,
    aad: Option<Vec<u8>>,
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
    /// What to send to a log.
    pub(crate) payload: Payload,
    /// The bytes of the leaf, in each form that it may have.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Whose signatures were verified.
    pub(crate) signers: Vec<KeyFacts>,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// As Rekor v2 asks.
    Request(String),
    /// As Rekor v1 proposes.
    Proposed(String),
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
        self.check_stdin()?;
        if self.is_empty() {
            return Err(CliError::usage(
                "either FILE, --artifact, --artifact-hash or --entry must be given",
            ));
        }
        let artifacts: Vec<&PathBuf> = self.files.iter().chain(&self.artifact).collect();
        let cose = match &self.kind {
            None => !artifacts.is_empty(),
            Some(kind) => matches!(kind, EntryType::Other { kind: "cose", .. }),
        };
        if self.aad.is_some() && !cose {
            return Err(CliError::usage(AAD_IS_FOR_COSE));
        }
        let mut subjects = Vec::new();
        if self.kind == Some(EntryType::Raw) {
            if self.artifact_hash.is_some() || !self.signature.is_empty() {
                return Err(CliError::usage(
                    "a raw entry is a file, without --artifact-hash and --signature",
                ));
            }
            let raw = |path: &&PathBuf| self.subject(&path.display(), What::Raw((*path).clone()));
            subjects.extend(artifacts.iter().map(raw));
        } else if !artifacts.is_empty() || self.artifact_hash.is_some() {
            subjects.extend(self.signed(&artifacts)?);
        } else if !self.public_key.is_empty() || !self.signature.is_empty() {
            return Err(CliError::usage(
                "--entry holds its own signature and key, without --signature and --public-key",
            ));
        }
        let ready = |path: &PathBuf| self.subject(&path.display(), What::Ready(path.clone()));
        subjects.extend(self.entry.iter().map(ready));
        Ok(subjects)
    }

    fn signed(&self, artifacts: &[&PathBuf]) -> Result<Vec<Subject>, CliError> {
        let by = Arc::new(self.by(artifacts)?);
        let hash = self
            .artifact_hash
            .as_deref()
            .map(|text| parse_digest("--artifact-hash", text))
            .transpose()?;
        let named = artifacts.len() + usize::from(hash.is_some());
        if !self.signature.is_empty() && self.signature.len() != named {
            return Err(CliError::usage(format!(
                "{named} artifacts, but {} signatures",
                self.signature.len()
            )));
        }
        let mut signatures = self.signature.iter().cloned();
        let mut subjects = Vec::with_capacity(named);
        for path in artifacts {
            let signature = signatures.next();
            if signature.is_none() && is_stdin(path) && by.is_detached() {
                return Err(CliError::usage(
                    "the artifact is standard input: --signature must be given",
                ));
            }
            let what = What::Signed {
                artifact: Artifact::File((*path).clone()),
                signature,
                by: Arc::clone(&by),
            };
            subjects.push(self.subject(&path.display(), what));
        }
        if let Some(digest) = hash {
            if matches!(by.kind, Some(EntryType::Other { .. })) {
                return Err(CliError::usage("--artifact-hash is for hashedrekord alone"));
            }
            by.verifier()?;
            let signature = signatures
                .next()
                .ok_or_else(|| CliError::usage("--artifact-hash needs --signature"))?;
            let name = digest.to_string();
            let what = What::Signed {
                artifact: Artifact::Digest(digest),
                signature: Some(signature),
                by,
            };
            subjects.push(self.subject(&name, what));
        }
        Ok(subjects)
    }

    fn by(&self, artifacts: &[&PathBuf]) -> Result<By, CliError> {
        let by = By {
            kind: self.kind.clone(),
            format: self.pki_format,
            keys: self
                .public_key
                .iter()
                .map(|path| Ok((path.clone(), read_small(path)?)))
                .collect::<Result<_, CliError>>()?,
            aad: self.aad.as_deref().map(parse_aad).transpose()?,
        };
        let holds_its_key = match &by.kind {
            Some(EntryType::Other { kind, .. }) => matches!(*kind, "jar" | "rfc3161"),
            Some(_) => false,
            None => {
                let holds = |path: &&PathBuf| !is_stdin(path) && looks_like_its_key_is_in_it(path);
                self.artifact_hash.is_none() && artifacts.iter().all(holds)
            }
        };
        if by.keys.is_empty() && !holds_its_key {
            return Err(CliError::usage(KEY_IS_MISSING));
        }
        // Told once, and not of each artifact.
        if matches!(
            by.kind,
            Some(
                EntryType::Hashedrekord | EntryType::HashedrekordV001 | EntryType::HashedrekordV002
            )
        ) {
            by.verifier()?;
        }
        Ok(by)
    }

    fn subject(&self, name: &dyn ToString, what: What) -> Subject {
        Subject {
            name: name.to_string(),
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
        let leaves = match self.what {
            What::Signed {
                artifact,
                signature,
                by,
            } => by.entry(&artifact, signature.as_deref())?,
            What::Raw(path) => {
                let entry = raw_entry(read_small(&path)?)?;
                Leaves::of(Payload::Raw(entry.body().to_vec().into()), entry)
            }
            What::Ready(path) => ready_entry(&path)?,
        };
        let Leaves {
            payload,
            bodies,
            signers,
        } = leaves;
        Ok(Prepared {
            name: self.name,
            payload,
            bodies,
            signers,
        })
    }
}

/// What becomes of a subject.
struct Leaves {
    payload: Payload,
    bodies: Vec<Vec<u8>>,
    signers: Vec<KeyFacts>,
}

impl Leaves {
    fn of(payload: Payload, entry: Entry) -> Self {
        Self {
            payload,
            signers: entry.signers().to_vec(),
            bodies: vec![entry.into_body()],
        }
    }
}

impl By {
    /// Whether the signature stands beside the artifact, as far as is known before that is read.
    fn is_detached(&self) -> bool {
        !matches!(&self.kind, Some(EntryType::Raw))
            && !matches!(&self.kind, Some(EntryType::Other { kind, .. }) if *kind != "rekord")
    }

    /// The one key of a `hashedrekord`.
    fn verifier(&self) -> Result<Verifier, CliError> {
        let (path, key) = match self.keys.as_slice() {
            [one] => one,
            [] => return Err(CliError::usage(KEY_IS_MISSING)),
            keys => {
                return Err(CliError::usage(format!(
                    "{} keys, but a hashedrekord has one signature",
                    keys.len()
                )));
            }
        };
        if let Some(format) = self.format.filter(|format| *format != Format::X509) {
            return Err(CliError::usage(format!(
                "a hashedrekord has a key of the format x509, not {format}: --type rekord has others"
            )));
        }
        Verifier::from_pem_or_der(key)
            .map_err(|error| CliError::usage(error).about(&path.display().to_string()))
    }

    fn entry(&self, artifact: &Artifact, signature: Option<&Path>) -> Result<Leaves, CliError> {
        let path = match artifact {
            Artifact::Digest(_) => None,
            Artifact::File(path) => Some(path.as_path()),
        };
        let (kind, version) = match (&self.kind, path) {
            (Some(EntryType::Other { kind, version }), _) => (*kind, version.as_deref()),
            (None, Some(path)) => match self.guess(path, signature)? {
                Some(kind) => (kind, None),
                None => return self.hashed(artifact, signature),
            },
            _ => return self.hashed(artifact, signature),
        };
        let path =
            path.ok_or_else(|| CliError::usage("--artifact-hash is for hashedrekord alone"))?;
        let files = self.files(kind, path, signature)?;
        let proposed = files.compose(kind, version, self.format)?;
        let entry = parse_proposed_v1(proposed.as_bytes())?.verify()?;
        Ok(Leaves::of(Payload::Proposed(proposed), entry))
    }

    /// What the files look like, from their beginnings. Of standard input nothing is read: its signature is beside it, which says enough.
    fn guess(
        &self,
        artifact: &Path,
        signature: Option<&Path>,
    ) -> Result<Option<&'static str>, CliError> {
        let signature = match signature {
            Some(path) => Some(path.to_owned()),
            None if self.keys.is_empty() => None,
            None => besides(artifact).find(|path| path.exists()),
        };
        let begin = match is_stdin(artifact) {
            true => Vec::new(),
            false => {
                read_begin(artifact, MAX_ARTIFACT).map_err(|error| io_error(artifact, &error))?
            }
        };
        let signature = match signature {
            // It can be read only once, and that there is one is enough.
            Some(path) if is_stdin(&path) => Some(Vec::new()),
            other => other.map(|path| read_small(&path)).transpose()?,
        };
        let files = Files {
            artifact: begin,
            signature,
            public_keys: self.keys.iter().map(|(_, key)| key.clone()).collect(),
            aad: self.aad.clone(),
        };
        Ok(files.kind())
    }

    fn files(
        &self,
        kind: &str,
        artifact: &Path,
        signature: Option<&Path>,
    ) -> Result<Files, CliError> {
        let read =
            read_capped(artifact, MAX_ARTIFACT).map_err(|error| io_error(artifact, &error))?;
        let bytes = read.ok_or_else(|| {
            CliError::usage(format!(
                "it is larger than {MAX_ARTIFACT} bytes, which is what a log takes of an entry of kind {kind}"
            ))
        })?;
        let signature = match signature {
            Some(path) => Some(path.to_owned()),
            None if kind == "rekord" => {
                let found = besides(artifact).find(|path| path.exists());
                Some(found.unwrap_or_else(|| beside(artifact, "sig")))
            }
            None => None,
        };
        Ok(Files {
            artifact: bytes,
            signature: signature.map(|path| read_small(&path)).transpose()?,
            public_keys: self.keys.iter().map(|(_, key)| key.clone()).collect(),
            aad: self.aad.clone(),
        })
    }

    fn hashed(&self, artifact: &Artifact, signature: Option<&Path>) -> Result<Leaves, CliError> {
        if self.aad.is_some() {
            return Err(CliError::usage(AAD_IS_FOR_COSE));
        }
        let signature = match (signature, artifact) {
            (Some(path), _) => path.to_owned(),
            (None, Artifact::File(path)) => beside(path, "sig"),
            (None, Artifact::Digest(_)) => {
                return Err(CliError::usage("--artifact-hash needs --signature"));
            }
        };
        let kind = self.kind.as_ref().unwrap_or(&EntryType::Hashedrekord);
        signed_entry(kind, artifact, &signature, &self.verifier()?)
    }
}

fn signed_entry(
    kind: &EntryType,
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
    let proposed = hashedrekord_proposed_v1(&digest, &signature, verifier);
    if *kind == EntryType::HashedrekordV001 {
        let proposed = proposed?;
        let entry = parse_proposed_v1(proposed.as_bytes())?.verify()?;
        return Ok(Leaves::of(Payload::Proposed(proposed), entry));
    }
    let request = hashedrekord_request(&digest, &signature, verifier)?;
    let entry = parse_request(request.as_bytes())?.verify()?;
    let mut leaves = Leaves::of(Payload::Request(request), entry);
    if *kind != EntryType::HashedrekordV002 {
        match proposed {
            Ok(body) => leaves.bodies.push(body.into_bytes()),
            // The older form takes more room. Where only the newer one fits, there is no other.
            Err(EntryError::TooLong { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(leaves)
}

fn ready_entry(path: &Path) -> Result<Leaves, CliError> {
    let bytes = read_small(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_not_text| CliError::usage("the request is not JSON: it is not UTF-8"))?;
    match parse_request(text.as_bytes()) {
        Ok(proposed) => {
            let entry = proposed.verify()?;
            Ok(Leaves::of(Payload::Request(text), entry))
        }
        Err(error) => match parse_proposed_v1(text.as_bytes()) {
            Ok(proposed) => {
                let entry = proposed.verify()?;
                Ok(Leaves::of(Payload::Proposed(text), entry))
            }
            // What names a kind is meant for that interface.
            Err(proposed) if names_a_kind(&text) => Err(proposed.into()),
            Err(_neither) => Err(error.into()),
        },
    }
}

fn names_a_kind(text: &str) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    value.is_some_and(|value| value.get("kind").is_some())
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

fn parse_aad(text: &str) -> Result<Vec<u8>, CliError> {
    STANDARD
        .decode(text)
        .map_err(|error| CliError::usage(format!("--aad {text:?} is not base64: {error}")))
}

/// `sha256:` and hexadecimal, or hexadecimal whose length says which.
pub(crate) fn parse_digest(flag: &str, text: &str) -> Result<Digest, CliError> {
    let refused = || {
        CliError::usage(format!(
            "{flag} {text:?} is not a SHA-256, SHA-384 or SHA-512 digest in hexadecimal"
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
fn beside(artifact: &Path, ending: &str) -> PathBuf {
    let mut name = artifact.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The files beside an artifact that tools write signatures to.
fn besides(artifact: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    ["sig", "asc", "minisig"]
        .into_iter()
        .map(|ending| beside(artifact, ending))
}

/// Whether it begins as an archive or as DER does: what an entry of kind jar or rfc3161 is made of.
fn looks_like_its_key_is_in_it(path: &Path) -> bool {
    let begin = read_begin(path, 4).unwrap_or_default();
    matches!(
        begin.as_slice(),
        [b'P', b'K', 3, 4] | [0x30, 0x80..=0xff, ..]
    )
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

/// The first bytes of a file.
fn read_begin(path: &Path, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn io_error(path: &Path, error: &io::Error) -> CliError {
    CliError::io(format!("{}: {error}", path.display()))
}

const KEY_IS_MISSING: &str = "--public-key must be given: the key or certificate of the signature";
const AAD_IS_FOR_COSE: &str = "--aad is for cose alone";
/// A request in JSON is at most twice as long as the longest entry, but for spaces.
const MAX_SMALL: u64 = 1 << 20;
/// An artifact that goes to the log in base64, in a request of at most 4 MiB, with room for what is around it.
const MAX_ARTIFACT: u64 = 3 << 20;
/// Rekor's other kinds, and their versions.
const OTHER_KINDS: [(&str, &[&str]); 10] = [
    ("rekord", &["0.0.1"]),
    ("intoto", &["0.0.1", "0.0.2"]),
    ("dsse", &["0.0.1"]),
    ("cose", &["0.0.1"]),
    ("rpm", &["0.0.1"]),
    ("alpine", &["0.0.1"]),
    ("jar", &["0.0.1"]),
    ("helm", &["0.0.1"]),
    ("tuf", &["0.0.1"]),
    ("rfc3161", &["0.0.1"]),
];
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
                parse_digest("--sha", &text).unwrap().to_string(),
                format!("sha256:{hex}")
            );
        }
        let long = "cd".repeat(64);
        assert_eq!(
            parse_digest("--sha", &long).unwrap().to_string(),
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
            assert!(parse_digest("--sha", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn types_have_one_spelling() {
        assert_eq!("raw".parse(), Ok(EntryType::Raw));
        assert_eq!(
            "hashedrekord:0.0.1".parse(),
            Ok(EntryType::HashedrekordV001)
        );
        let intoto = |version: Option<&str>| EntryType::Other {
            kind: "intoto",
            version: version.map(str::to_owned),
        };
        assert_eq!("intoto".parse(), Ok(intoto(None)));
        assert_eq!("intoto:0.0.1".parse(), Ok(intoto(Some("0.0.1"))));
        for bad in [
            "",
            "Raw",
            "hashedrekord:",
            "hashedrekord:0.0.3",
            "rekord:",
            "rekord:0.0.2",
            "intoto:0.0.2:",
            "pgp",
        ] {
            assert!(bad.parse::<EntryType>().is_err(), "{bad}");
        }
    }
}
