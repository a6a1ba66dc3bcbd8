//! `jar` 0.0.1: a signed archive of Java, of which the digest and the signature are logged.
//!
//! The signature block signs the signature file, whose digests are those of the manifest, whose digests are those of the entries. Two things
//! are as jarsigner and Rekor have them: an entry that the manifest does not name is not signed, and is no reason to refuse; and names are
//! compared to the byte, but those of the three files of a signature without regard to case.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use aws_lc_rs::digest::Context;
use const_oid::ObjectIdentifier;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zip::ZipArchive;

use crate::EntryError;
use crate::formats::KeyFacts;
use crate::formats::pkcs7::{DATA, SignedData};
use crate::formats::scheme::Hash;
use crate::kinds::rfc3161::Token;
use crate::kinds::spec::{self, Content, GivenHash, encode, read_spec};
use crate::kinds::{self, Facts, Kind, Verified};
use crate::pem;

/// `jar` 0.0.1.
#[derive(Debug)]
pub(crate) struct Jar;

impl Kind for Jar {
    fn name(&self) -> &'static str {
        "jar"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "JARModel"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: ProposedSpec = kinds::read_json("spec", spec.get())?;
        let archive = spec.archive.ok_or(EntryError::Missing("spec.archive"))?;
        let content = kinds::base64(ARCHIVE, archive.content.as_deref(), MAX_LEN)?;
        let hash = spec::Hash::agreed(ARCHIVE_HASH, &content, archive.hash)?;
        let signature = verify(&content)?;
        let signer = signature.signer()?;
        Ok(Verified {
            spec: serde_json::json!({
                "archive": {"hash": hash},
                "signature": {
                    "content": encode(pem::encode(PKCS7, &signature.detached()?)),
                    "publicKey": {"content": encode(first_certificate(&signature))},
                },
            }),
            signers: vec![KeyFacts::of(&signer)],
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: StoredSpec = read_spec(spec)?;
        let field = "spec.signature.content";
        let text = kinds::base64(field, Some(&spec.signature.content), MAX_LEN)?;
        let blocks = pem::decode(crate::formats::text(field, &text)?).map_err(EntryError::Pem)?;
        let [block] = blocks.as_slice() else {
            return Err(EntryError::invalid(
                field,
                format!("has {} blocks of PEM, expected 1", blocks.len()),
            ));
        };
        let signature = SignedData::parse(field, &block.der)?;
        if encode(pem::encode(PKCS7, &signature.detached()?)) != spec.signature.content {
            return Err(EntryError::invalid(
                field,
                "is not the canonical spelling of a signature",
            ));
        }
        if encode(first_certificate(&signature)) != spec.signature.public_key.content {
            return Err(EntryError::invalid(
                "spec.signature.publicKey.content",
                "is not the first certificate of the signature",
            ));
        }
        let mut facts = Facts::signed_by(vec![KeyFacts::of(&signature.signer()?)]);
        let hash = spec.archive.hash;
        hash.check(ARCHIVE_HASH)?;
        facts.digest("Archive", &hash.algorithm, &hash.value);
        Ok(facts)
    }
}

/// As Rekor has it, which need not be the signer's.
fn first_certificate(signature: &SignedData) -> String {
    pem::encode(pem::CERTIFICATE, signature.first_certificate())
}

/// The signature of an archive all of whose digests are right.
fn verify(content: &[u8]) -> Result<SignedData, EntryError> {
    let mut archive = Archive::open(content)?;
    let names = archive.signature_names()?;
    let manifest = archive.keep(names.manifest)?;
    let signature_file = archive.keep(names.signature_file)?;
    let block = archive.keep(names.block)?;

    let signature = SignedData::parse("the signature block", &block)?;
    if signature.content_type() != DATA {
        return Err(EntryError::invalid(
            "the signature block",
            format!(
                "signs content of the type {}, expected {DATA} (data)",
                signature.content_type()
            ),
        ));
    }
    if signature
        .content()
        .is_some_and(|inside| inside != signature_file)
    {
        return Err(EntryError::invalid(
            "the signature block",
            "holds another signature file than the archive",
        ));
    }
    signature.verify("the signature file", &signature_file)?;
    check_timestamp(&signature)?;

    // Each member, and packages that have attributes.
    let limit = 2 * archive.zip.len() + MAX_ATTRIBUTES;
    let manifest_sections = Sections::parse("META-INF/MANIFEST.MF", &manifest, limit)?;
    let signed_sections = Sections::parse("the signature file", &signature_file, limit)?;
    check_manifest(&manifest, &manifest_sections, &signed_sections)?;
    for (name, section) in &manifest_sections.named {
        archive.check_entry(name, section)?;
    }
    Ok(signature)
}

/// A timestamp in the block is over the signature.
fn check_timestamp(signature: &SignedData) -> Result<(), EntryError> {
    let Some(token) = signature.unsigned_attribute(TIMESTAMP) else {
        return Ok(());
    };
    let field = "the timestamp of the signature block";
    let token = Token::parse(field, &token)?;
    let hash =
        Hash::named(token.imprint_hash).map_err(|reason| EntryError::invalid(field, reason))?;
    if hash.of(signature.signature()).as_ref() != token.imprint {
        return Err(EntryError::invalid(
            field,
            "is of something else than the signature",
        ));
    }
    Ok(())
}

/// The signature file has the digest of the manifest, or those of its main section and of each other one; whichever it has are right.
fn check_manifest(
    manifest: &[u8],
    sections: &Sections<'_>,
    signed: &Sections<'_>,
) -> Result<(), EntryError> {
    let whole = check_digests(
        "META-INF/MANIFEST.MF",
        &signed.main,
        "-digest-manifest",
        manifest,
    )?;
    let main = check_digests(
        "the main attributes of META-INF/MANIFEST.MF",
        &signed.main,
        "-digest-manifest-main-attributes",
        sections.main.bytes,
    )?;
    if !whole && !main {
        return Err(EntryError::invalid(
            "the signature file",
            "has a digest neither of the manifest nor of its main attributes",
        ));
    }
    for (name, section) in &signed.named {
        let there = sections.named.get(name).ok_or_else(|| {
            EntryError::invalid(
                "the signature file",
                format!("names {name}, which META-INF/MANIFEST.MF does not"),
            )
        })?;
        if !check_digests(
            &format!("{name} in META-INF/MANIFEST.MF"),
            section,
            "-digest",
            there.bytes,
        )? {
            return Err(EntryError::invalid(
                "the signature file",
                format!("has no digest of {name}"),
            ));
        }
    }
    let unsigned = |name: &&String| !signed.named.contains_key(*name);
    match sections.named.keys().find(unsigned) {
        Some(name) if !whole => Err(EntryError::invalid(
            "the signature file",
            format!("does not sign {name} of META-INF/MANIFEST.MF"),
        )),
        _ => Ok(()),
    }
}

/// Whether there are digests with this ending; all of them must be right, and one must be of a known hash.
fn check_digests(
    of: &str,
    section: &Section<'_>,
    ending: &str,
    bytes: &[u8],
) -> Result<bool, EntryError> {
    let expected = section.digests(ending)?;
    for (hash, digest) in &expected {
        let found = encode(hash.of(bytes));
        check_digest(of, *hash, digest, &found)?;
    }
    Ok(!expected.is_empty())
}

fn check_digest(of: &str, hash: Hash, expected: &str, found: &str) -> Result<(), EntryError> {
    if expected == found {
        return Ok(());
    }
    Err(EntryError::differs(
        ARCHIVE,
        format!(
            "{of} has the {} {found}, and the signature wants {expected}",
            hash.name()
        ),
    ))
}

/// The entries of a zip file, of which only so much is inflated as the file's size allows.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be inflated.
    budget: u64,
    /// Bytes that may still be kept.
    keep: u64,
    /// Where entries are inflated to, one after the other.
    buffer: Vec<u8>,
}

/// Indexes of the files of the one signature.
struct SignatureNames {
    manifest: usize,
    signature_file: usize,
    block: usize,
}

impl<'a> Archive<'a> {
    fn open(content: &'a [u8]) -> Result<Self, EntryError> {
        let invalid = |error: zip::result::ZipError| {
            EntryError::invalid(ARCHIVE, format!("is not a zip file: {error}"))
        };
        let mut zip = ZipArchive::new(Cursor::new(content)).map_err(invalid)?;
        if zip.len() > MAX_MEMBERS {
            return Err(EntryError::limit(
                "the archive's list",
                zip.len(),
                MAX_MEMBERS,
            ));
        }
        // Two readers must find the same entries: no name twice, nothing that overlaps, nothing that is not listed.
        zip.validate_header_consistency().map_err(invalid)?;
        let len = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Ok(Self {
            zip,
            budget: len
                .saturating_mul(MAX_RATIO)
                .saturating_add(ALWAYS_INFLATED),
            keep: len.saturating_mul(MAX_KEPT_RATIO),
            buffer: vec![0; READ_LEN],
        })
    }

    fn signature_names(&self) -> Result<SignatureNames, EntryError> {
        let (mut manifests, mut files, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
        for (index, name) in self.zip.file_names_raw().enumerate() {
            let name = name.to_ascii_uppercase();
            let Some(name) = name.strip_prefix(b"META-INF/".as_slice()) else {
                continue;
            };
            let name = String::from_utf8_lossy(name).into_owned();
            if name.contains('/') {
                continue;
            }
            let (base, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
            match ending {
                "MF" if base == "MANIFEST" => manifests.push((String::new(), index)),
                "SF" => files.push((base.to_owned(), index)),
                "RSA" | "DSA" | "EC" => blocks.push((base.to_owned(), index)),
                _ if name.starts_with("SIG-") => blocks.push((base.to_owned(), index)),
                _ => {}
            }
        }
        let one = |what: &str, found: &[(String, usize)]| match found {
            [(base, index)] => Ok((base.clone(), *index)),
            _ => Err(EntryError::invalid(
                ARCHIVE,
                format!("has {} {what}, expected 1", found.len()),
            )),
        };
        let (_, manifest) = one("META-INF/MANIFEST.MF", &manifests)?;
        let (file_base, signature_file) = one("signature files (META-INF/*.SF)", &files)?;
        let (block_base, block) = one("signature blocks (META-INF/*.RSA, *.EC)", &blocks)?;
        if file_base != block_base {
            return Err(EntryError::invalid(
                ARCHIVE,
                format!(
                    "has the signature file {file_base}.SF, and a signature block of {block_base}"
                ),
            ));
        }
        Ok(SignatureNames {
            manifest,
            signature_file,
            block,
        })
    }

    /// The bytes of an entry.
    fn keep(&mut self, index: usize) -> Result<Vec<u8>, EntryError> {
        let limit = self.keep.min(MAX_KEPT);
        let mut bytes = Vec::new();
        let len = self.read(index, limit, |piece| bytes.extend_from_slice(piece))?;
        self.keep = self.keep.saturating_sub(len);
        Ok(bytes)
    }

    /// Inflates an entry piece by piece, and gives its length.
    fn read(
        &mut self,
        index: usize,
        limit: u64,
        mut piece: impl FnMut(&[u8]),
    ) -> Result<u64, EntryError> {
        let limit = limit.min(self.budget);
        let entry = self.zip.by_index(index).map_err(|error| {
            EntryError::invalid(ARCHIVE, format!("entry {index} cannot be read: {error}"))
        })?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let failed = |error: std::io::Error| {
            EntryError::invalid(ARCHIVE, format!("{name} cannot be inflated: {error}"))
        };
        let mut entry = entry.take(limit.saturating_add(1));
        let mut total = 0_u64;
        loop {
            let len = entry.read(&mut self.buffer).map_err(failed)?;
            if len == 0 {
                break;
            }
            total = total.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
            if total > limit {
                return Err(EntryError::invalid(
                    ARCHIVE,
                    format!(
                        "{name} is more than {limit} bytes, which is as much as an archive of this size may have there"
                    ),
                ));
            }
            piece(self.buffer.get(..len).unwrap_or_default());
        }
        self.budget = self.budget.saturating_sub(total);
        Ok(total)
    }

    /// Whether the entry that a section of the manifest names has the digests in it.
    fn check_entry(&mut self, name: &str, section: &Section<'_>) -> Result<(), EntryError> {
        // Says that its digests are made in a way of its own: jarsigner and Rekor pass over it.
        if section.attribute("magic").is_some() {
            return Ok(());
        }
        let expected = section.digests("-digest")?;
        let Some(index) = self.zip.index_for_name_raw(name.as_bytes()) else {
            if expected.is_empty() || name.ends_with('/') {
                // Attributes of a package.
                return Ok(());
            }
            return Err(EntryError::invalid(
                ARCHIVE,
                format!("{name} is in META-INF/MANIFEST.MF, and not in the archive"),
            ));
        };
        if expected.is_empty() {
            if name.ends_with('/') {
                return Ok(());
            }
            return Err(EntryError::invalid(
                ARCHIVE,
                format!("{name} has no digest in META-INF/MANIFEST.MF"),
            ));
        }
        let mut contexts: Vec<Context> = expected
            .iter()
            .map(|(hash, _)| Context::new(hash.algorithm()))
            .collect();
        self.read(index, u64::MAX, |piece| {
            for context in &mut contexts {
                context.update(piece);
            }
        })?;
        for ((hash, expected), context) in expected.iter().zip(contexts) {
            check_digest(name, *hash, expected, &encode(context.finish()))?;
        }
        Ok(())
    }
}

/// A manifest or signature file: sections, each ended by an empty line.
struct Sections<'a> {
    main: Section<'a>,
    named: BTreeMap<String, Section<'a>>,
}

impl<'a> Sections<'a> {
    fn parse(file: &'static str, bytes: &'a [u8], limit: usize) -> Result<Self, EntryError> {
        let invalid = |reason: String| EntryError::invalid(file, reason);
        let mut rest = bytes;
        let mut main = None;
        let mut named = BTreeMap::new();
        while !rest.is_empty() {
            let section = Section::split(&mut rest).map_err(invalid)?;
            if main.is_none() {
                main = Some(section);
                continue;
            }
            let name = section
                .attribute("name")
                .ok_or_else(|| invalid("has a section without a name".to_owned()))?;
            if named.len() == limit {
                return Err(invalid(format!(
                    "has more than {limit} sections, which is as many as an archive of so many members may have"
                )));
            }
            if named.insert(name.clone(), section).is_some() {
                return Err(invalid(format!("has two sections for {name}")));
            }
        }
        let main = main.ok_or_else(|| invalid("is empty".to_owned()))?;
        Ok(Self { main, named })
    }
}

/// The bytes of a section, which are known to be attributes. They are read again where they are wanted: kept apart they would be many times
/// as large.
struct Section<'a> {
    bytes: &'a [u8],
}

impl<'a> Section<'a> {
    /// The next section, with the empty line after it.
    fn split(rest: &mut &'a [u8]) -> Result<Self, String> {
        let whole = *rest;
        loop {
            let line = next_line(rest).ok_or("has a section without an empty line at its end")?;
            if line.is_empty() {
                break;
            }
        }
        let len = whole.len() - rest.len();
        let section = Self {
            bytes: whole.get(..len).unwrap_or_default(),
        };
        section.attributes()?;
        Ok(section)
    }

    /// Names in lower case, and values.
    fn attributes(&self) -> Result<Vec<(String, String)>, String> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut rest = self.bytes;
        while let Some(line) = next_line(&mut rest) {
            match line {
                [] => break,
                [b' ', more @ ..] => lines
                    .last_mut()
                    .ok_or("begins with a continued line")?
                    .extend_from_slice(more),
                _ if lines.len() == MAX_ATTRIBUTES => {
                    return Err(format!(
                        "has more than {MAX_ATTRIBUTES} attributes in one section"
                    ));
                }
                _ => lines.push(line.to_vec()),
            }
        }
        if lines.is_empty() {
            return Err("has an empty section".to_owned());
        }
        let mut attributes: Vec<(String, String)> = Vec::with_capacity(lines.len());
        for line in lines {
            let line = String::from_utf8(line).map_err(|error| format!("is not UTF-8: {error}"))?;
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("has the line {line:?}, which is not a name and a value"))?;
            let name = name.trim().to_ascii_lowercase();
            if attributes.iter().any(|(there, _)| *there == name) {
                return Err(format!("has the attribute {name} twice in one section"));
            }
            attributes.push((name, value.trim().to_owned()));
        }
        Ok(attributes)
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let found = self.attributes().ok()?.into_iter();
        found
            .filter(|(there, _)| there == name)
            .map(|(_, value)| value)
            .next()
    }

    /// The digests by known hashes of the attributes with this ending, such as `sha-256-digest`. Where there are others only, nothing would be
    /// verified, and they are refused.
    fn digests(&self, ending: &str) -> Result<Vec<(Hash, String)>, EntryError> {
        let attributes = self
            .attributes()
            .map_err(|reason| EntryError::invalid(ARCHIVE, reason))?;
        let mut other = None;
        let mut known: Vec<(Hash, String)> = Vec::new();
        for (name, value) in attributes {
            let Some(name) = name.strip_suffix(ending) else {
                continue;
            };
            match hash_named(name) {
                Some(hash) => known.push((hash, value)),
                None => other = Some(name.to_owned()),
            }
        }
        match other {
            Some(name) if known.is_empty() => Err(EntryError::invalid(
                ARCHIVE,
                format!("has digests by {name} only, expected SHA-256, SHA-384, SHA-512 or SHA-1"),
            )),
            _ => Ok(known),
        }
    }
}

fn hash_named(name: &str) -> Option<Hash> {
    Some(match name {
        "sha" | "sha1" | "sha-1" => Hash::Sha1,
        "sha256" | "sha-256" => Hash::Sha256,
        "sha384" | "sha-384" => Hash::Sha384,
        "sha512" | "sha-512" => Hash::Sha512,
        _ => return None,
    })
}

/// A line without its end, which is CR LF, LF or CR.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..))?;
    Some(line)
}

#[derive(Deserialize)]
struct ProposedSpec {
    archive: Option<ProposedArchive>,
}

#[derive(Deserialize)]
struct ProposedArchive {
    content: Option<String>,
    hash: Option<GivenHash>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSpec {
    archive: StoredArchive,
    signature: StoredSignature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredArchive {
    hash: spec::Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredSignature {
    content: String,
    public_key: Content,
}

const ARCHIVE: &str = "spec.archive.content";
const ARCHIVE_HASH: &str = "spec.archive.hash";

/// The label of a signature in PEM.
const PKCS7: &str = "PKCS7";

/// The attribute of a signature that holds its timestamp.
const TIMESTAMP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");

/// A request of 4 MiB has no more bytes in base64.
const MAX_LEN: usize = 3 << 20;

/// An entry takes 76 bytes beside its name and content, so that 3 MiB have room for 40,000.
const MAX_MEMBERS: usize = 10_000;

/// Inflated bytes for each byte of the archive: classes and text have 2 to 20, a bomb 1,000. Inflating and hashing 64 MB takes less than a
/// second.
const MAX_RATIO: u64 = 64;

/// Inflated bytes that any archive may have, so that a small one may hold an empty table.
const ALWAYS_INFLATED: u64 = 64 << 10;

/// Bytes of manifest, signature file and block, together, for each byte of the archive, which has each name twice beside them.
const MAX_KEPT_RATIO: u64 = 2;

/// Rekor v1's limit for each of them: 1 MiB.
const MAX_KEPT: u64 = 1 << 20;

/// Digests by every hash there is, and what else there is to say of a file.
const MAX_ATTRIBUTES: usize = 64;

/// At a time.
const READ_LEN: usize = 16 << 10;
