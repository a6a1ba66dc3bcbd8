//! Packages of Alpine Linux.

use std::io::Write;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, propose, refused, search_keys, sha256};

fn spec(package: impl AsRef<[u8]>) -> Value {
    with_key(&data("rsa4096.pub.pem"), package)
}

fn with_key(key: &[u8], package: impl AsRef<[u8]>) -> Value {
    json!({"publicKey": {"content": b64(key)}, "package": {"content": b64(package)}})
}

fn file(name: &str) -> Vec<u8> {
    data(&format!("alpine/{name}"))
}

fn why(spec: &Value) -> String {
    refused("alpine", "0.0.1", spec)
}

#[test]
fn packages_are_logged_with_what_they_say_of_themselves() {
    for name in [
        "sha1.apk",
        "sha256.apk",
        "sha512.apk",
        "two-keys.apk",
        "pem.apk",
    ] {
        let package = file(name);
        let (entry, stored) = accepted("alpine", "0.0.1", &spec(&package));
        let logged = body(&entry);
        let data_hash = logged["spec"]["package"]["pkginfo"]["datahash"]
            .as_str()
            .unwrap();
        assert!((0..package.len()).any(|at| sha256(&package[at..]) == data_hash));
        assert_eq!(
            logged,
            json!({
                "apiVersion": "0.0.1",
                "kind": "alpine",
                "spec": {
                    "package": {
                        "hash": {"algorithm": "sha256", "value": sha256(&package)},
                        "pkginfo": {
                            "arch": "x86_64",
                            "builddate": "1767225600",
                            "datahash": data_hash,
                            // The last of two.
                            "depend": "so:libc.musl-x86_64.so.1",
                            "license": "MIT",
                            "maintainer": "Alice <alice@log.example>",
                            "origin": "hello",
                            "packager": "Alice <alice@log.example>",
                            "pkgdesc": "Says hello",
                            "pkgname": "hello",
                            "pkgver": "1.0-r0",
                            "provides": "cmd:hello=1.0-r0",
                            "size": "4096",
                            "url": "https://log.example/hello",
                        },
                    },
                    "publicKey": {"content": b64(data("rsa4096.pub.pem"))},
                },
            })
        );
        let key = sha256(data("rsa4096.pub.der"));
        assert_eq!(
            search_keys(&stored),
            [
                format!("Key {key}"),
                format!("Digest sha256:{}", sha256(&package)),
                "Package alpine:hello-1.0-r0".to_owned(),
            ]
        );
        assert_eq!(
            stored.facts().lines,
            [
                ("Key", format!("RSA 4096 {key}")),
                ("Artifact", format!("sha256:{}", sha256(&package))),
                ("Package", "hello-1.0-r0".to_owned()),
                ("Architecture", "x86_64".to_owned()),
            ]
        );
        assert_eq!(stored.object(), "AlpineModel");
        assert_eq!(entry.signers(), stored.facts().signers);
    }
}

#[test]
fn a_package_is_signed_by_this_key() {
    let not_signed =
        "the package's signature does not verify over its control member with the given key";
    let other = with_key(&data("rsa2048.pub.pem"), file("sha1.apk"));
    assert_eq!(why(&other), not_signed);
    let either = with_key(&data("rsa2048.cert.pem"), file("two-keys.apk"));
    accepted("alpine", "0.0.1", &either);
    assert_eq!(
        why(&spec(file("unsigned.apk"))),
        "signature member: has no file .SIGN.RSA.<key>: the package is not signed"
    );
    assert_eq!(
        why(&with_key(&data("p256.pub.pem"), file("sha1.apk"))),
        "public key: is PKIX_ECDSA_P256_SHA_256, expected RSA"
    );
    // A name that promises another hash.
    let control = control(&pkginfo(b"data"));
    let signature = [(".SIGN.RSA512.x", sign(&control))];
    let package = [gzip(&tar(&signature)), control, b"data".to_vec()].concat();
    assert_eq!(why(&spec(package)), not_signed);
}

/// From the first byte of the control member to the last of the package.
#[test]
fn no_byte_that_is_signed_can_be_changed() {
    let package = file("sha256.apk");
    let signed = package.len() - file("unsigned.apk").len();
    for at in (signed..package.len()).step_by(3) {
        let mut changed = package.clone();
        changed[at] ^= 1;
        propose("alpine", "0.0.1", &spec(changed)).unwrap_err();
    }
    for len in (1..package.len()).step_by(7) {
        propose("alpine", "0.0.1", &spec(&package[..len])).unwrap_err();
    }
    let longer = [package.as_slice(), b"x"].concat();
    let stated = body(&propose("alpine", "0.0.1", &spec(&package)).unwrap());
    let stated = stated["spec"]["package"]["pkginfo"]["datahash"]
        .as_str()
        .unwrap()
        .to_owned();
    let error = why(&spec(longer));
    assert!(
        error.starts_with(&format!(
            ".PKGINFO: has datahash {stated}, and the data member's is "
        )),
        "{error}"
    );
}

#[test]
fn a_hash_that_is_given_agrees() {
    let mut with = spec(file("sha1.apk"));
    let plain = propose("alpine", "0.0.1", &with).unwrap();
    let hash = sha256(file("sha1.apk"));
    with["package"]["hash"] = json!({"algorithm": "sha256", "value": hash});
    assert_eq!(propose("alpine", "0.0.1", &with).unwrap(), plain);
    let zeros = "0".repeat(64);
    with["package"]["hash"]["value"] = json!(zeros);
    assert_eq!(
        why(&with),
        format!("spec.package.hash: is {zeros}, and the content's is {hash}")
    );
}

#[test]
fn a_package_made_here_is_good() {
    let control = control(&pkginfo(b"data"));
    let entry = propose("alpine", "0.0.1", &spec(signed(control, b"data"))).unwrap();
    let expected = json!({"datahash": sha256(b"data"), "pkgname": "x", "pkgver": "1"});
    assert_eq!(body(&entry)["spec"]["package"]["pkginfo"], expected);
}

#[test]
fn a_control_member_has_one_pkginfo_that_says_the_hash_of_the_data() {
    let error = |control: Vec<u8>| why(&spec(signed(control, b"data")));
    let info = || (".PKGINFO", pkginfo(b"data"));
    assert_eq!(
        error(gzip(&tar(&[(".post-install", b"x".to_vec())]))),
        "control member: has no file .PKGINFO"
    );
    assert_eq!(
        error(gzip(&tar(&[info(), info()]))),
        "control member: has two files .PKGINFO"
    );
    assert_eq!(
        error(control(b"pkgname = x\n")),
        ".PKGINFO: has datahash \"\", expected 64 hexadecimal digits"
    );
    assert_eq!(
        error(control(b"datahash = 00\n")),
        ".PKGINFO: has datahash \"00\", expected 64 hexadecimal digits"
    );
    assert_eq!(
        error(control(&pkginfo(b"date"))),
        format!(
            ".PKGINFO: has datahash {}, and the data member's is {}",
            sha256(b"date"),
            sha256(b"data")
        )
    );
    assert_eq!(
        error(control(b"pkgname\n")),
        ".PKGINFO: has a line without = or :: pkgname"
    );
}

#[test]
fn what_is_no_package_is_refused() {
    assert_eq!(why(&spec(b"x")), "signature member: unexpected end of file");
    assert_eq!(
        why(&spec(b"a longer text, which is no gzip")),
        "signature member: invalid gzip header"
    );
    assert_eq!(
        why(&spec(gzip(b"x"))),
        "signature member: ends within a file"
    );
    let error = |control: Vec<u8>| why(&spec(signed(control, b"")));
    let archive = tar(&[(".PKGINFO", pkginfo(b""))]);
    let mut sum = archive.clone();
    sum[0] ^= 1;
    assert_eq!(
        error(gzip(&sum)),
        "control member: has a tar header without its checksum"
    );
    assert_eq!(
        error(gzip(&archive[..700])),
        "control member: ends within a file"
    );
    let mut size = header(".PKGINFO", 0, b'0');
    size[124] = 0x80;
    assert_eq!(
        error(gzip(&summed(size))),
        "control member: has a tar header without a size in octal digits"
    );
    let long = [header("././@LongLink", 512, b'L').as_slice(), &[b'a'; 512]].concat();
    let renamed = "control member: has a name or a size outside of a tar header of 512 bytes";
    assert_eq!(error(gzip(&[long, archive.clone()].concat())), renamed);
    for record in [
        "17 path=.PKGINFO\n",
        "9 size=7\n",
        "20 mtime=1\n11 size=7\n",
    ] {
        let mut block = record.as_bytes().to_vec();
        block.resize(512, 0);
        let extended = [header("x", record.len(), b'x').as_slice(), &block].concat();
        assert_eq!(error(gzip(&[extended, archive.clone()].concat())), renamed);
    }
    assert_eq!(
        error(gzip(&header("x", 8193, b'x'))),
        "extended tar header has 8193, expected at most 8192"
    );
}

#[test]
fn what_is_missing_is_named() {
    for (pointer, name) in [
        ("/publicKey", "spec.publicKey"),
        ("/publicKey/content", "spec.publicKey.content"),
        ("/package", "spec.package"),
        ("/package/content", "spec.package.content"),
    ] {
        let mut spec = spec(file("sha1.apk"));
        *spec.pointer_mut(pointer).unwrap() = Value::Null;
        assert_eq!(why(&spec), format!("{name} is missing or empty"));
    }
    assert_eq!(
        refused("alpine", "0.0.2", &spec(file("sha1.apk"))),
        "entry of kind alpine version 0.0.2 is not accepted, expected a kind and version of Rekor"
    );
}

#[test]
fn what_a_package_unpacks_to_is_bounded() {
    let zeros = vec![0; 17 << 20];
    // Behind the end of the archive.
    let signature = [tar(&[(".SIGN.RSA.x", vec![7])]), zeros.clone()].concat();
    assert_eq!(
        why(&spec(gzip(&signature))),
        "signature member: unpacks to more than 1048576 bytes"
    );
    let info = [tar(&[(".PKGINFO", pkginfo(b""))]), zeros.clone()].concat();
    assert_eq!(
        why(&spec(signed(gzip(&info), b""))),
        "control member: unpacks to more than 16777216 bytes"
    );
    // As a file.
    let large = tar(&[("large", zeros)]);
    assert_eq!(
        why(&spec(gzip(&large))),
        "signature member: unpacks to more than 1048576 bytes"
    );
    assert_eq!(
        why(&spec(signed(gzip(&large), b""))),
        "control member: unpacks to more than 16777216 bytes"
    );
    let large = control(&vec![b'#'; (64 << 10) + 1]);
    assert_eq!(
        why(&spec(signed(large, b""))),
        ".PKGINFO has 65537, expected at most 65536"
    );
    // More, where more was sent.
    let data = vec![7; 100_000];
    let mut info = pkginfo(&data);
    info.resize(200_000, b'\n');
    propose("alpine", "0.0.1", &spec(signed(control(&info), &data))).unwrap();
    // No more than Rekor takes.
    let large = control(&vec![b'#'; (1 << 20) + 1]);
    assert_eq!(
        why(&spec(signed(large, &vec![7; 1 << 20]))),
        ".PKGINFO has 1048577, expected at most 1048576"
    );
    let signature = |size| gzip(&tar(&[(".SIGN.RSA.x", vec![7; size])]));
    assert_eq!(
        why(&spec(signature(4097))),
        "signature has 4097, expected at most 4096"
    );
    let nine: Vec<_> = (0..9).map(|_| (".SIGN.RSA.x", vec![7])).collect();
    assert_eq!(
        why(&spec(gzip(&tar(&nine)))),
        "signatures has 9, expected at most 8"
    );
}

#[test]
fn a_body_is_no_longer_than_a_log_takes() {
    let mut info = pkginfo(b"");
    for n in 0..1000 {
        info.extend(format!("name{n} = {n:080}\n").bytes());
    }
    // The data member is not looked into.
    let data = vec![7; info.len()];
    info.extend(format!("datahash = {}\n", sha256(&data)).bytes());
    let error = why(&spec(signed(control(&info), &data)));
    assert!(
        error.starts_with("entry is ") && error.ends_with(" bytes, expected at most 65535"),
        "{error}"
    );
}

#[test]
fn a_body_that_no_log_writes_is_not_read() {
    let good = propose("alpine", "0.0.1", &spec(file("sha1.apk"))).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut body = body(&good);
        *body.pointer_mut(pointer).unwrap() = value;
        let body = serde_json_canonicalizer::to_vec(&body).unwrap();
        StoredEntry::parse(&body).unwrap_err().to_string()
    };
    let not_so = "spec: is not as a log writes it of this key, hash and .PKGINFO";
    let pem = String::from_utf8(data("rsa4096.pub.pem")).unwrap();
    assert_eq!(
        changed("/spec/publicKey/content", json!(b64(format!("\n{pem}")))),
        not_so
    );
    let upper = sha256(file("sha1.apk")).to_uppercase();
    assert_eq!(
        changed("/spec/package/hash/value", json!(upper)),
        format!("spec.package.hash: value is not in lower case: {upper}")
    );
    assert_eq!(
        changed("/spec/package/pkginfo", Value::Null),
        "spec.package.pkginfo is missing or empty"
    );
    assert_eq!(
        changed("/spec/package/pkginfo", json!({"pkgname": "x"})),
        ".PKGINFO: has datahash \"\", expected 64 hexadecimal digits"
    );
    assert_eq!(
        changed("/spec/package/pkginfo/arch", json!(7)),
        "spec: invalid type: integer `7`, expected a string"
    );
    assert_eq!(
        changed("/spec/package/hash", Value::Null),
        "spec.package.hash is missing or empty"
    );
}

fn pkginfo(data: &[u8]) -> Vec<u8> {
    format!("pkgname = x\npkgver = 1\ndatahash = {}\n", sha256(data)).into_bytes()
}

fn control(pkginfo: &[u8]) -> Vec<u8> {
    gzip(&tar(&[(".PKGINFO", pkginfo.to_vec())]))
}

/// A package whose control member is signed, whatever is in it.
fn signed(control: Vec<u8>, data: &[u8]) -> Vec<u8> {
    let signature = tar(&[(".SIGN.RSA256.x", sign(&control))]);
    [gzip(&signature), control, data.to_vec()].concat()
}

fn sign(message: &[u8]) -> Vec<u8> {
    let pem = String::from_utf8(data("rsa4096.key.pem")).unwrap();
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        lines.collect::<String>(),
    );
    let key = KeyPair::from_pkcs8(&der.unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .unwrap();
    signature
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Without an end, as abuild makes it.
fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, contents) in files {
        archive.extend(header(name, contents.len(), b'0'));
        archive.extend(contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive
}

fn header(name: &str, size: usize, kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    summed(header)
}

fn summed(mut header: Vec<u8>) -> Vec<u8> {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}
