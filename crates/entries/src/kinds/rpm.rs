//! `rpm` 0.0.1: a package with its OpenPGP signatures in it, by its digest, name and version.
//!
//! A package is a lead of 96 bytes, a header with signatures and digests, a header with what the package is, and the payload. All signatures
//! have to be good, each over the header or over header and payload, and so have all digests; and the payload has to be covered by a
//! signature, or by a digest in a header that is. The lead, and the header with the signatures, are covered by none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pgp::crypto::hash::HashAlgorithm;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::digest::decode_hex;
use crate::formats::pgp::PgpKey;
use crate::formats::{FormatKey, KeyFacts, MAX_KEY_LEN};
use crate::kinds::spec::{Content, GivenContent, GivenHash, Hash, encode, read_spec};
use crate::kinds::{Facts, Kind, Verified, base64, read_json};
use crate::search::{Domain, SearchKey, hex};
use crate::{EntryError, Excerpt};

/// The kind.
#[derive(Debug)]
pub(super) struct Rpm;

impl Kind for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "RPMModel"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Proposed = read_json("spec", spec.get())?;
        let key = spec.public_key.and_then(|key| key.content);
        let key = PgpKey::parse(&base64(KEY, key.as_deref(), MAX_KEY_LEN)?)?;
        let package = spec.package.ok_or(EntryError::Missing("spec.package"))?;
        let file = base64(PACKAGE, package.content.as_deref(), MAX_PACKAGE)?;
        let hash = Hash::agreed(HASH, &file, package.hash)?;
        let package = Package::parse(&file)?;
        let signers = package.verify(&key)?;
        let names = package.names()?;
        Ok(Verified {
            spec: json!({
                "package": {
                    "hash": hash,
                    "headers": names,
                },
                "publicKey": {"content": encode(key.canonical())},
            }),
            signers,
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let spec: Stored = read_spec(spec)?;
        let key = PgpKey::parse_stored(KEY, &spec.public_key.content)?;
        let hash = &spec.package.hash;
        hash.check(HASH)?;
        let names = spec.package.headers;
        if names.md5.as_ref().is_some_and(|md5| !is_lower_hex(md5, 16)) {
            return Err(EntryError::invalid(
                "package.headers",
                "RPMSIGTAG_MD5 is not 32 hexadecimal digits in lower case",
            ));
        }
        let mut facts = Facts::signed_by(key.each());
        facts.digest("Package", &hash.algorithm, &hash.value);
        let nevra = names.nevra();
        facts
            .keys
            .push(SearchKey::new(Domain::Package, format!("rpm:{nevra}")));
        facts.line("Name", nevra);
        Ok(facts)
    }
}

fn is_lower_hex(text: &str, bytes: usize) -> bool {
    let decoded = decode_hex(text);
    decoded.is_some_and(|decoded| decoded.len() == bytes && hex(&decoded) == text)
}

/// A package, taken apart.
#[derive(Debug)]
struct Package<'a> {
    signatures: Header<'a>,
    header: Header<'a>,
    payload: &'a [u8],
    /// Header and payload.
    both: &'a [u8],
}

impl<'a> Package<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, EntryError> {
        let (lead, rest) = file
            .split_at_checked(LEAD_LEN)
            .ok_or_else(|| invalid("is truncated: it ends within its lead"))?;
        if !lead.starts_with(LEAD_MAGIC) {
            return Err(invalid("is not an RPM: it does not begin with ed ab ee db"));
        }
        let (signatures, rest) = Header::parse(rest)?;
        let padding = signatures.raw.len().next_multiple_of(8) - signatures.raw.len();
        let both = rest
            .get(padding..)
            .ok_or_else(|| invalid("is truncated: it ends before its header"))?;
        let (header, payload) = Header::parse(both)?;
        Ok(Self {
            signatures,
            header,
            payload,
            both,
        })
    }

    /// Checks every signature and every digest.
    fn verify(&self, key: &PgpKey) -> Result<Vec<KeyFacts>, EntryError> {
        let mut found: Vec<(&'static str, Vec<u8>, bool)> = Vec::new();
        for (tag, name, whole) in SIGNATURES {
            if let Some(signature) = self.signatures.binary(*tag)? {
                found.push((name, signature.to_vec(), *whole));
            }
        }
        for text in self.signatures.strings(SIGTAG_OPENPGP, MAX_SIGNATURES)? {
            let signature = STANDARD.decode(text);
            let signature = signature.map_err(|_not_base64| EntryError::Base64 {
                field: "OpenPGP signature of the header",
                text: Excerpt::new(text),
            })?;
            found.push(("the OpenPGP signature of the header", signature, false));
        }
        if found.is_empty() {
            return Err(invalid("has no OpenPGP signature"));
        }
        self.check_digests()?;
        let mut signers: Vec<KeyFacts> = Vec::new();
        let mut covered = !self.header.strings(TAG_PAYLOAD_DIGEST, 1)?.is_empty();
        for (name, signature, whole) in found {
            covered |= whole;
            let (message, signed) = if whole {
                (self.both, "header and payload")
            } else {
                (self.header.raw, "the header")
            };
            let by = key
                .signers(message, &signature)
                .map_err(|error| match error {
                    EntryError::NotSigned { key, .. } => EntryError::NotSigned {
                        signature: name,
                        signed,
                        key,
                    },
                    other => other,
                })?;
            for signer in by {
                if !signers.contains(&signer) {
                    signers.push(signer);
                }
            }
        }
        if !covered {
            return Err(invalid(
                "has a payload that no signature covers, and no digest that is signed",
            ));
        }
        Ok(signers)
    }

    fn check_digests(&self) -> Result<(), EntryError> {
        let differs = |name: &str, stated: &str, actual: &str| {
            Err(EntryError::differs(
                "package",
                format!("has {name} {stated}, and it is {actual}"),
            ))
        };
        for (tag, name, algorithm) in HEADER_DIGESTS {
            if let Some(stated) = self.signatures.string(*tag)? {
                let actual = hex(&algorithm.digest(self.header.raw).unwrap_or_default());
                if !stated.eq_ignore_ascii_case(&actual) {
                    return differs(name, stated, &actual);
                }
            }
        }
        if let Some(stated) = self.signatures.binary(SIGTAG_MD5)? {
            let actual = HashAlgorithm::Md5.digest(self.both).unwrap_or_default();
            if stated != actual {
                return differs("MD5 of header and payload", &hex(stated), &hex(&actual));
            }
        }
        if let Some(stated) = self.header.strings(TAG_PAYLOAD_DIGEST, 1)?.first() {
            let number = self.header.number(TAG_PAYLOAD_DIGEST_ALGORITHM)?;
            let algorithm = number
                .and_then(|number| u8::try_from(number).ok())
                .map(HashAlgorithm::from)
                .filter(|algorithm| PAYLOAD_HASHES.contains(algorithm))
                .ok_or_else(|| {
                    invalid(format!(
                        "has a digest of its payload of algorithm {number:?}, expected SHA-2 or SHA-3"
                    ))
                })?;
            let actual = hex(&algorithm.digest(self.payload).unwrap_or_default());
            if !stated.eq_ignore_ascii_case(&actual) {
                return differs("digest of the payload", stated, &actual);
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Names, EntryError> {
        let string = |tag, name: &str| {
            let string = self.header.string(tag)?;
            let string = string.ok_or_else(|| invalid(format!("has no {name}")))?;
            Ok::<_, EntryError>(string.to_owned())
        };
        Ok(Names {
            name: string(TAG_NAME, "name")?,
            epoch: self.header.number(TAG_EPOCH)?.unwrap_or(0).to_string(),
            version: string(TAG_VERSION, "version")?,
            release: string(TAG_RELEASE, "release")?,
            architecture: string(TAG_ARCHITECTURE, "architecture")?,
            md5: self.signatures.binary(SIGTAG_MD5)?.map(hex),
        })
    }
}

/// A header: entries of 16 bytes, each with a tag, a type, an offset and a count, and the store that they point into.
///
/// The crate `rpm` allocates what a header says that it has, and indexes by what it says; this reads only what it finds.
#[derive(Debug)]
struct Header<'a> {
    raw: &'a [u8],
    entries: &'a [[u8; 16]],
    store: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), EntryError> {
        let truncated = || invalid("is truncated: it ends within a header");
        let (start, _) = bytes.split_first_chunk::<16>().ok_or_else(truncated)?;
        let [m0, m1, m2, version, _, _, _, _, n @ ..] = start;
        if [*m0, *m1, *m2, *version] != HEADER_MAGIC {
            return Err(invalid("has no header where one begins: not 8e ad e8 01"));
        }
        let [n0, n1, n2, n3, s0, s1, s2, s3] = n;
        let size = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let index_len = size([*n0, *n1, *n2, *n3]).saturating_mul(16);
        let len = index_len
            .saturating_add(size([*s0, *s1, *s2, *s3]))
            .saturating_add(16);
        let (raw, rest) = bytes.split_at_checked(len).ok_or_else(truncated)?;
        let (index, store) = raw
            .get(16..)
            .and_then(|body| body.split_at_checked(index_len))
            .ok_or_else(truncated)?;
        let (entries, _) = index.as_chunks();
        Ok((
            Self {
                raw,
                entries,
                store,
            },
            rest,
        ))
    }

    fn entry(&self, tag: u32) -> Result<Option<Entry<'a>>, EntryError> {
        let mut found = self
            .entries
            .iter()
            .filter(|entry| entry.starts_with(&tag.to_be_bytes()));
        let Some(entry) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(invalid(format!("has tag {tag} twice")));
        }
        let [_, _, _, _, t0, t1, t2, t3, o0, o1, o2, o3, c0, c1, c2, c3] = *entry;
        let size = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let data = self
            .store
            .get(size([o0, o1, o2, o3])..)
            .ok_or_else(|| invalid(format!("has tag {tag} outside of its header")))?;
        Ok(Some(Entry {
            kind: u32::from_be_bytes([t0, t1, t2, t3]),
            count: size([c0, c1, c2, c3]),
            data,
        }))
    }

    fn binary(&self, tag: u32) -> Result<Option<&'a [u8]>, EntryError> {
        match self.entry(tag)? {
            None => Ok(None),
            Some(entry) if entry.kind == BINARY => entry
                .data
                .get(..entry.count)
                .map(Some)
                .ok_or_else(|| invalid(format!("has tag {tag} outside of its header"))),
            Some(entry) => Err(wrong_type(tag, entry.kind, "bytes")),
        }
    }

    fn number(&self, tag: u32) -> Result<Option<u32>, EntryError> {
        match self.entry(tag)? {
            None => Ok(None),
            Some(entry) if entry.kind == INT32 && entry.count == 1 => entry
                .data
                .first_chunk()
                .map(|bytes| Some(u32::from_be_bytes(*bytes)))
                .ok_or_else(|| invalid(format!("has tag {tag} outside of its header"))),
            Some(entry) => Err(wrong_type(tag, entry.kind, "one number of 32 bits")),
        }
    }

    fn string(&self, tag: u32) -> Result<Option<&'a str>, EntryError> {
        Ok(self.strings(tag, 1)?.first().copied())
    }

    /// At most so many.
    fn strings(&self, tag: u32, limit: usize) -> Result<Vec<&'a str>, EntryError> {
        let Some(Entry {
            kind,
            count,
            mut data,
        }) = self.entry(tag)?
        else {
            return Ok(Vec::new());
        };
        if !matches!(kind, STRING | STRING_ARRAY) {
            return Err(wrong_type(tag, kind, "text"));
        }
        if count > limit {
            return Err(EntryError::limit("strings of a tag", count, limit));
        }
        let mut strings = Vec::new();
        for _ in 0..count {
            let len = data.iter().position(|byte| *byte == 0);
            let len = len.ok_or_else(|| invalid(format!("has tag {tag} without an end")))?;
            let (string, rest) = data.split_at(len);
            data = rest.get(1..).unwrap_or_default();
            strings.push(
                str::from_utf8(string).map_err(|error| {
                    invalid(format!("has tag {tag} that is not UTF-8: {error}"))
                })?,
            );
        }
        Ok(strings)
    }
}

/// An entry of a header.
#[derive(Debug)]
struct Entry<'a> {
    kind: u32,
    count: usize,
    /// The store from where it begins.
    data: &'a [u8],
}

fn wrong_type(tag: u32, found: u32, expected: &str) -> EntryError {
    invalid(format!(
        "has tag {tag} of type {found}, expected {expected}"
    ))
}

fn invalid(reason: impl AsRef<str>) -> EntryError {
    EntryError::invalid("package", reason)
}

/// What a package is called.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Epoch")]
    epoch: String,
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Release")]
    release: String,
    #[serde(rename = "Architecture")]
    architecture: String,
    #[serde(rename = "RPMSIGTAG_MD5", skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
}

impl Names {
    fn nevra(&self) -> String {
        let Self {
            name,
            epoch,
            version,
            release,
            architecture,
            ..
        } = self;
        format!("{name}-{epoch}:{version}-{release}.{architecture}")
    }
}

#[derive(Deserialize)]
struct Proposed {
    package: Option<ProposedPackage>,
    #[serde(rename = "publicKey")]
    public_key: Option<GivenContent>,
}

#[derive(Deserialize)]
struct ProposedPackage {
    content: Option<String>,
    hash: Option<GivenHash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    package: StoredPackage,
    #[serde(rename = "publicKey")]
    public_key: Content,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPackage {
    hash: Hash,
    headers: Names,
}

const HASH: &str = "package.hash";
const KEY: &str = "publicKey.content";
const PACKAGE: &str = "package.content";

/// A request has no room for more.
const MAX_PACKAGE: usize = 3 << 20;

/// In one package: for each, all of it is hashed.
const MAX_SIGNATURES: usize = 4;

const LEAD_LEN: usize = 96;
const LEAD_MAGIC: &[u8] = b"\xed\xab\xee\xdb";
const HEADER_MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 1];

// Types of entries.
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;

// Tags of the header.
const TAG_NAME: u32 = 1000;
const TAG_VERSION: u32 = 1001;
const TAG_RELEASE: u32 = 1002;
const TAG_EPOCH: u32 = 1003;
const TAG_ARCHITECTURE: u32 = 1022;
const TAG_PAYLOAD_DIGEST: u32 = 5092;
const TAG_PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;

// Tags of the header with signatures.
const SIGTAG_OPENPGP: u32 = 278;
const SIGTAG_MD5: u32 = 1004;

/// Tags of signatures, and whether they sign the payload too.
const SIGNATURES: &[(u32, &str, bool)] = &[
    (267, "the DSA signature of the header", false),
    (268, "the RSA signature of the header", false),
    (1002, "the PGP signature", true),
    (1005, "the GPG signature", true),
];

/// Tags of digests of the header.
const HEADER_DIGESTS: &[(u32, &str, HashAlgorithm)] = &[
    (269, "SHA-1 of the header", HashAlgorithm::Sha1),
    (273, "SHA-256 of the header", HashAlgorithm::Sha256),
    (279, "SHA3-256 of the header", HashAlgorithm::Sha3_256),
];

/// What RPM calls by the numbers that OpenPGP has for it.
const PAYLOAD_HASHES: [HashAlgorithm; 6] = [
    HashAlgorithm::Sha256,
    HashAlgorithm::Sha384,
    HashAlgorithm::Sha512,
    HashAlgorithm::Sha224,
    HashAlgorithm::Sha3_256,
    HashAlgorithm::Sha3_512,
];
