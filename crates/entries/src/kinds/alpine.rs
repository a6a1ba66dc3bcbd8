//! `alpine`: a package of Alpine Linux. It is three members of gzip: signatures of the second, as it is compressed; `.PKGINFO`, which has the
//! SHA-256 of the third; and the files.
//!
//! ```json
//! {"apiVersion":"0.0.1","kind":"alpine","spec":{"package":{"hash":{"algorithm":"sha256","value":"<hex>"},
//!   "pkginfo":{"datahash":"<hex>","pkgname":"busybox","pkgver":"1.37.0-r9"}},"publicKey":{"content":"<base64 of PEM>"}}}
//! ```

mod pkginfo;
mod tar;

use std::collections::BTreeMap;
use std::io::{self, Read};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaParameters,
};
use flate2::bufread::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::digest::decode_hex;
use crate::formats::x509::X509Key;
use crate::formats::{FormatKey, MAX_KEY_LEN};
use crate::kinds::spec::{GivenContent, GivenHash, Hash, encode, read_spec};
use crate::kinds::{self, Facts, Kind, Verified};
use crate::search::{Domain, SearchKey, hex};
use crate::{EntryError, KeyDetails, PublicKey, pem};

use tar::Files;

/// `alpine` 0.0.1.
#[derive(Debug)]
pub(crate) struct Alpine;

impl Kind for Alpine {
    fn name(&self) -> &'static str {
        "alpine"
    }

    fn version(&self) -> &'static str {
        "0.0.1"
    }

    fn object(&self) -> &'static str {
        "AlpineModel"
    }

    fn propose(&self, spec: &RawValue) -> Result<Verified, EntryError> {
        let spec: Spec = kinds::read_json("spec", spec.get())?;
        let (key, package) = spec.parts()?;
        let content = kinds::base64(
            "spec.package.content",
            package.content.as_deref(),
            MAX_PACKAGE,
        )?;
        let digest = Hash::agreed(HASH, &content, package.hash)?;
        let pkginfo = verify(&content, &key)?;
        Ok(Verified {
            spec: to_json(&key.canonical(), &digest, &pkginfo),
            signers: vec![key.facts()],
            attestation: None,
        })
    }

    fn read(&self, spec: &Value) -> Result<Facts, EntryError> {
        let parts: Spec = read_spec(spec)?;
        let (key, package) = parts.parts()?;
        let digest = package.hash.ok_or(EntryError::Missing(HASH))?.hash(HASH)?;
        digest.check(HASH)?;
        let pkginfo = package
            .pkginfo
            .ok_or(EntryError::Missing("spec.package.pkginfo"))?;
        data_hash(&pkginfo)?;
        if to_json(&key.canonical(), &digest, &pkginfo) != *spec {
            return Err(EntryError::invalid(
                "spec",
                "is not as a log writes it of this key, hash and .PKGINFO",
            ));
        }
        let mut facts = Facts::signed_by(vec![key.facts()]);
        facts.digest("Artifact", &digest.algorithm, &digest.value);
        if let (Some(name), Some(version)) = (pkginfo.get("pkgname"), pkginfo.get("pkgver")) {
            facts.line("Package", format!("{name}-{version}"));
            facts.keys.push(SearchKey::new(
                Domain::Package,
                format!("alpine:{name}-{version}"),
            ));
        }
        if let Some(architecture) = pkginfo.get("arch") {
            facts.line("Architecture", architecture);
        }
        Ok(facts)
    }
}

fn to_json(key: &[u8], digest: &Hash, pkginfo: &BTreeMap<String, String>) -> Value {
    json!({
        "package": {"hash": digest, "pkginfo": pkginfo},
        "publicKey": {"content": encode(key)},
    })
}

/// Checks a package from its signature to its files, and gives its `.PKGINFO`.
fn verify(package: &[u8], key: &X509Key) -> Result<BTreeMap<String, String>, EntryError> {
    let public_key = rsa_key(key)?;
    let (signatures, rest) = signatures(package)?;
    let control = Control::new(rest, package.len())?;
    let signed = signatures.iter().any(|signature| {
        public_key.verifies_by(signature.algorithm, control.bytes, &signature.bytes)
    });
    if !signed {
        return Err(EntryError::NotSigned {
            signature: "the package's signature",
            signed: "its control member",
            key: "the given key",
        });
    }
    let pkginfo = pkginfo::parse(&control.pkginfo)?;
    let stated = data_hash(&pkginfo)?;
    let actual: [u8; 32] = Sha256::digest(control.data).into();
    if stated != actual {
        return Err(EntryError::differs(
            ".PKGINFO",
            format!(
                "has datahash {}, and the data member's is {}",
                hex(&stated),
                hex(&actual)
            ),
        ));
    }
    Ok(pkginfo)
}

fn rsa_key(key: &X509Key) -> Result<PublicKey, EntryError> {
    let key = PublicKey::from_spki_der(&key.facts().fingerprinted)?;
    match key.details() {
        KeyDetails::Rsa2048 | KeyDetails::Rsa3072 | KeyDetails::Rsa4096 => Ok(key),
        details @ (KeyDetails::EcdsaP256
        | KeyDetails::EcdsaP384
        | KeyDetails::EcdsaP521
        | KeyDetails::Ed25519Ph) => Err(EntryError::invalid(
            "public key",
            format!("is {details}, expected RSA"),
        )),
    }
}

fn data_hash(pkginfo: &BTreeMap<String, String>) -> Result<[u8; 32], EntryError> {
    let stated = pkginfo.get("datahash").map_or("", String::as_str);
    let hash = decode_hex(stated).and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| {
        EntryError::invalid(
            ".PKGINFO",
            format!("has datahash {stated:?}, expected 64 hexadecimal digits"),
        )
    })
}

/// A signature, and what its name says of its algorithm.
struct Signature {
    algorithm: &'static RsaParameters,
    bytes: Vec<u8>,
}

/// The signatures in the first member, and what follows it.
fn signatures(package: &[u8]) -> Result<(Vec<Signature>, &[u8]), EntryError> {
    let field = "signature member";
    let mut files = Files::new(field, Member::new(package, MAX_SIGNATURE_MEMBER));
    let mut signatures = Vec::new();
    while let Some(file) = files.next()? {
        let Some(name) = file.name.strip_prefix(".SIGN") else {
            continue;
        };
        if file.size > MAX_SIGNATURE {
            return Err(limit("signature", file.size, MAX_SIGNATURE));
        }
        if signatures.len() == MAX_SIGNATURES {
            return Err(EntryError::limit(
                "signatures",
                MAX_SIGNATURES + 1,
                MAX_SIGNATURES,
            ));
        }
        let algorithm = match name {
            name if name.starts_with(".RSA256.") => &RSA_PKCS1_2048_8192_SHA256,
            name if name.starts_with(".RSA512.") => &RSA_PKCS1_2048_8192_SHA512,
            _ => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        };
        signatures.push(Signature {
            algorithm,
            bytes: bare(files.contents(file.size)?),
        });
    }
    if signatures.is_empty() {
        return Err(EntryError::invalid(
            field,
            "has no file .SIGN.RSA.<key>: the package is not signed",
        ));
    }
    Ok((signatures, files.finish()?.rest()))
}

/// A signature may be in PEM.
fn bare(signature: Vec<u8>) -> Vec<u8> {
    let blocks = str::from_utf8(&signature)
        .ok()
        .and_then(|text| pem::decode(text).ok());
    let block = blocks.into_iter().flatten().next();
    block.map_or(signature, |block| block.der)
}

/// The second member.
struct Control<'a> {
    /// As it is compressed.
    bytes: &'a [u8],
    pkginfo: Vec<u8>,
    /// What follows it.
    data: &'a [u8],
}

impl<'a> Control<'a> {
    fn new(bytes: &'a [u8], package_len: usize) -> Result<Self, EntryError> {
        let field = "control member";
        // What a package may unpack to is in proportion to what was sent.
        let most = (2 * package_len as u64).clamp(MIN_PKGINFO_LIMIT, MAX_PKGINFO);
        let mut files = Files::new(field, Member::new(bytes, MAX_CONTROL_MEMBER));
        let mut pkginfo = None;
        while let Some(file) = files.next()? {
            if file.name != ".PKGINFO" {
                continue;
            }
            if file.size > most {
                return Err(limit(".PKGINFO", file.size, most));
            }
            if pkginfo.replace(files.contents(file.size)?).is_some() {
                return Err(EntryError::invalid(field, "has two files .PKGINFO"));
            }
        }
        let pkginfo = pkginfo.ok_or_else(|| EntryError::invalid(field, "has no file .PKGINFO"))?;
        let data = files.finish()?.rest();
        let (bytes, data) = bytes
            .split_at_checked(bytes.len() - data.len())
            .unwrap_or_default();
        Ok(Self {
            bytes,
            pkginfo,
            data,
        })
    }
}

fn limit(field: &'static str, found: u64, limit: u64) -> EntryError {
    let size = |size| usize::try_from(size).unwrap_or(usize::MAX);
    EntryError::limit(field, size(found), size(limit))
}

/// One member of gzip, which may unpack to so many bytes.
struct Member<'a> {
    decoder: GzDecoder<&'a [u8]>,
    limit: u64,
    left: u64,
}

impl<'a> Member<'a> {
    fn new(bytes: &'a [u8], limit: u64) -> Self {
        Self {
            decoder: GzDecoder::new(bytes),
            limit,
            left: limit,
        }
    }

    /// What follows it, once it was read to its end.
    fn rest(self) -> &'a [u8] {
        self.decoder.into_inner()
    }
}

impl Read for Member<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("unpacks to more than {} bytes", self.limit))
        })?;
        Ok(read)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    public_key: Option<GivenContent>,
    package: Option<Package>,
}

impl Spec {
    fn parts(self) -> Result<(X509Key, Package), EntryError> {
        let key = self
            .public_key
            .ok_or(EntryError::Missing("spec.publicKey"))?;
        let key = kinds::base64(
            "spec.publicKey.content",
            key.content.as_deref(),
            MAX_KEY_LEN,
        )?;
        let package = self.package.ok_or(EntryError::Missing("spec.package"))?;
        Ok((X509Key::parse(&key)?, package))
    }
}

#[derive(Deserialize)]
struct Package {
    hash: Option<GivenHash>,
    content: Option<String>,
    pkginfo: Option<BTreeMap<String, String>>,
}

const HASH: &str = "spec.package.hash";

/// A request has no more.
const MAX_PACKAGE: usize = 4 << 20;

/// What the members may unpack to, in bytes. Only one file of each is kept.
const MAX_SIGNATURE_MEMBER: u64 = 1 << 20;
const MAX_CONTROL_MEMBER: u64 = 16 << 20;

/// One of RSA of 4096 bits has 512 bytes, and 750 in PEM.
const MAX_SIGNATURE: u64 = 4 << 10;
const MAX_SIGNATURES: usize = 8;

/// Rekor v1 takes no larger one.
const MAX_PKGINFO: u64 = 1 << 20;
const MIN_PKGINFO_LIMIT: u64 = 64 << 10;
