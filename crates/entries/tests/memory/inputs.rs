//! Inputs of each kind and format that are as large as they may be, or made to cost as much as they can.

use std::fs;
use std::io::{Cursor, Write};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use tegula_entries::{EntryError, Files, Format, StoredEntry, parse_proposed_v1};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What becomes of each input: what it is, how many bytes were sent, and what is done with them.
pub(crate) type Measure<'a> = dyn FnMut(&str, usize, &mut Run<'_>) + 'a;

pub(crate) type Run<'a> = dyn FnMut() -> Result<(), EntryError> + 'a;

/// Measures every one.
pub(crate) fn each(measure: &mut Measure<'_>) {
    let mut measured = Measured { measure };
    fixtures(&mut measured);
    rekords(&mut measured);
    packages(&mut measured);
    archives(&mut measured);
    messages(&mut measured);
    documents(&mut measured);
    keys(&mut measured);
    stored(&mut measured);
    files(&mut measured);
}

struct Measured<'a, 'b> {
    measure: &'a mut Measure<'b>,
}

impl Measured<'_, '_> {
    fn run(&mut self, what: &str, sent: usize, mut run: impl FnMut() -> Result<(), EntryError>) {
        (self.measure)(what, sent, &mut run);
    }

    fn propose(&mut self, what: &str, kind: &str, version: &str, spec: &Value) {
        let json = json!({"apiVersion": version, "kind": kind, "spec": spec}).to_string();
        self.run(what, json.len(), || {
            let entry = parse_proposed_v1(json.as_bytes())?.verify()?;
            StoredEntry::parse(entry.body()).map(drop)
        });
    }

    fn rekord(&mut self, what: &str, format: Format, key: &[u8], signature: &[u8], content: &[u8]) {
        let spec = json!({
            "data": {"content": b64(content)},
            "signature": {
                "content": b64(signature),
                "format": format.name(),
                "publicKey": {"content": b64(key)},
            },
        });
        self.propose(what, "rekord", "0.0.1", &spec);
    }
}

/// What is small, once: what is made lazily is made.
fn fixtures(measured: &mut Measured<'_, '_>) {
    let abc = b"abc".as_slice();
    let pem = data("p256.pub.pem");
    measured.rekord("x509", Format::X509, &pem, &data("p256.sig"), abc);
    let (key, signature) = (data("pgp/rsa3072.asc"), data("pgp/rsa3072.sig"));
    measured.rekord("pgp", Format::Pgp, &key, &signature, &data("pgp/message"));
}

/// Contents of three mebibytes, which are four in base64.
fn rekords(measured: &mut Measured<'_, '_>) {
    let content = vec![b'a'; CONTENT];
    let key = ed25519();
    let signature = key.sign(&content).to_bytes();
    let pem = data("ed25519.pub.pem");
    measured.rekord("x509, all", Format::X509, &pem, &signature, &content);
    let public_key = key.verifying_key().to_bytes();
    let (minisign, minisig) = minisign(&key, &public_key, &content);
    measured.rekord(
        "minisign, all",
        Format::Minisign,
        &minisign,
        &minisig,
        &content,
    );
    let (ssh, sshsig) = ssh(&key, &public_key, &content);
    measured.rekord("ssh, all", Format::Ssh, &ssh, &sshsig, &content);
    // Nothing here makes signatures of OpenPGP: it is found not to be signed after all that verifying does.
    for (signature, content) in [
        ("pgp/rsa3072.sig", &content),
        ("pgp/text.sig", &vec![b'\n'; CONTENT]),
    ] {
        let key = data("pgp/rsa3072.asc");
        measured.rekord(signature, Format::Pgp, &key, &data(signature), content);
    }
}

fn minisign(key: &SigningKey, public_key: &[u8], content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let head = b"Ed\x01\x02\x03\x04\x05\x06\x07\x08".as_slice();
    let signature = key.sign(content).to_bytes();
    let comment = "c".repeat(40_000);
    let whole = key
        .sign(&[&signature, comment.as_bytes()].concat())
        .to_bytes();
    let text = format!(
        "untrusted comment: a\n{}\ntrusted comment: {comment}\n{}\n",
        b64([head, &signature].concat()),
        b64(whole)
    );
    let key = format!(
        "untrusted comment: a\n{}\n",
        b64([head, public_key].concat())
    );
    (key.into_bytes(), text.into_bytes())
}

fn ssh(key: &SigningKey, public_key: &[u8], content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let string = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&len, bytes].concat()
    };
    let blob = [string(b"ssh-ed25519"), string(public_key)].concat();
    let head = [string(b"file"), string(b""), string(b"sha512")].concat();
    let digest = Sha512::digest(content);
    let signed = [b"SSHSIG", &head[..], &string(&digest)].concat();
    let signature = key.sign(&signed).to_bytes();
    let signature = [string(b"ssh-ed25519"), string(&signature)].concat();
    let whole = [
        b"SSHSIG\0\0\0\x01",
        &string(&blob)[..],
        &head,
        &string(&signature),
    ]
    .concat();
    let lines: Vec<_> = b64(whole)
        .into_bytes()
        .chunks(70)
        .map(<[u8]>::to_vec)
        .collect();
    let armored = format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        String::from_utf8(lines.join(&b'\n')).unwrap()
    );
    (
        format!("ssh-ed25519 {}\n", b64(blob)).into_bytes(),
        armored.into_bytes(),
    )
}

fn packages(measured: &mut Measured<'_, '_>) {
    let rpm = |package: &[u8]| {
        json!({
            "publicKey": {"content": b64(data("rpm/rpm.asc"))},
            "package": {"content": b64(package)},
        })
    };
    let mut package = data("rpm/header.rpm");
    measured.propose("rpm", "rpm", "0.0.1", &rpm(&package));
    package.resize(CONTENT, 0);
    measured.propose("rpm with a large payload", "rpm", "0.0.1", &rpm(&package));
    // A header of nothing but entries, which all say that they have all there is.
    let mut package = data("rpm/header.rpm")[..96].to_vec();
    let entries = (CONTENT - 200) / 16;
    package.extend(b"\x8e\xad\xe8\x01\0\0\0\0");
    package.extend(u32::try_from(entries).unwrap().to_be_bytes());
    package.extend([0; 4]);
    package.extend(b"\0\0\x01\x16\0\0\0\x08\0\0\0\0\xff\xff\xff\xff".repeat(entries));
    measured.propose("rpm of entries", "rpm", "0.0.1", &rpm(&package));

    let alpine = |package: &[u8]| {
        json!({
            "publicKey": {"content": b64(data("rsa2048.pub.pem"))},
            "package": {"content": b64(package)},
        })
    };
    let head = |rest: &[u8]| {
        let digest = Sha256::digest(rest);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("pkgname = a\ndatahash = {digest}\n")
    };
    let none = head(b"");
    let lines = |count: usize| -> String { (0..count).map(|n| format!("{n:x}=\n")).collect() };
    let package = apk(
        &[(".PKGINFO", (none.clone() + &lines(10_000)).into_bytes())],
        b"",
    );
    measured.propose(
        "a small alpine with many values",
        "alpine",
        "0.0.1",
        &alpine(&package),
    );
    let rest = vec![7; CONTENT - 700_000];
    let pkginfo = (head(&rest) + &lines(140_000)).into_bytes();
    let package = apk(&[(".PKGINFO", pkginfo)], &rest);
    measured.propose(
        "a large alpine with many values",
        "alpine",
        "0.0.1",
        &alpine(&package),
    );
    let package = apk(
        &[
            (".PKGINFO", none.clone().into()),
            ("zeros", vec![0; 15 << 20]),
        ],
        b"",
    );
    measured.propose("alpine with zeros", "alpine", "0.0.1", &alpine(&package));
    let value = format!("{none}pkgdesc = {}\n", "a".repeat(65_000));
    let package = apk(&[(".PKGINFO", value.into_bytes())], b"");
    measured.propose(
        "alpine with one value",
        "alpine",
        "0.0.1",
        &alpine(&package),
    );
    let package = apk(
        &[(".PKGINFO", (none.clone() + &lines(1022)).into_bytes())],
        b"",
    );
    measured.propose(
        "alpine with 1,024 values",
        "alpine",
        "0.0.1",
        &alpine(&package),
    );
    let package = [none.as_bytes(), &vec![b'\xff'; 60_000]].concat();
    let package = apk(&[(".PKGINFO", package)], b"");
    measured.propose(
        "alpine that is not text",
        "alpine",
        "0.0.1",
        &alpine(&package),
    );
}

/// A package of Alpine Linux with these files in its control member.
fn apk(files: &[(&str, Vec<u8>)], rest: &[u8]) -> Vec<u8> {
    let control = gzip(&tar(files));
    let signature = gzip(&tar(&[(".SIGN.RSA256.x", rsa_signature(&control))]));
    [signature, control, rest.to_vec()].concat()
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, contents) in files {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
        tar.extend(contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn archives(measured: &mut Measured<'_, '_>) {
    let mut jar = |what: &str, archive: &[u8]| {
        let spec = json!({"archive": {"content": b64(archive)}});
        measured.propose(what, "jar", "0.0.1", &spec);
    };
    jar("jar", &data("jar/rsa.jar"));
    jar("jar that inflates", &data("jar/bomb.jar"));
    let main = "Manifest-Version: 1.0\r\n\r\n";
    let digest = |bytes: &[u8]| STANDARD.encode(Sha256::digest(bytes));
    let section = |name: &str, bytes: &[u8]| {
        format!("Name: {name}\r\nSHA-256-Digest: {}\r\n\r\n", digest(bytes))
    };
    // Of 10,000 members, of which three are the signature.
    let names: Vec<String> = (0..9_997).map(|n| format!("{n:x}")).collect();
    let members: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect();
    let sections: String = names.iter().map(|name| section(name, b"")).collect();
    jar(
        "jar of 10,000 members",
        &signed_jar(&(main.to_owned() + &sections), "\r\n", &members),
    );
    jar(
        "jar of 10,000 members of which none is signed",
        &signed_jar(main, "\r\n", &members),
    );
    let empty: String = names
        .iter()
        .map(|name| format!("Name: {name}\r\n\r\n"))
        .collect();
    jar(
        "jar of 10,000 sections",
        &signed_jar(&(main.to_owned() + &empty), "\r\n", &members),
    );
    jar(
        "jar with a large signature file",
        &signed_jar(
            &(main.to_owned() + &sections),
            &format!("\r\n{sections}"),
            &members,
        ),
    );
    let large = vec![0; 12 << 20];
    let padding: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| Sha256::digest(n.to_le_bytes())[..1].to_vec())
        .collect();
    let manifest = main.to_owned() + &section("large", &large) + &section("padding", &padding);
    jar(
        "jar of zeros",
        &signed_jar(
            &manifest,
            "\r\n",
            &[("large", &large), ("padding", &padding)],
        ),
    );
}

/// An archive with this manifest, signed.
fn signed_jar(manifest: &str, end: &str, members: &[(&str, &[u8])]) -> Vec<u8> {
    let digest = STANDARD.encode(Sha256::digest(manifest));
    let file = format!("Signature-Version: 1.0\r\nSHA-256-Digest-Manifest: {digest}\r\n{end}");
    let signature = rsa_signature(file.as_bytes());
    let block = data("jar/block.der");
    let block = [&block[..block.len() - signature.len()], &signature].concat();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let first = [
        ("META-INF/MANIFEST.MF", manifest.as_bytes()),
        ("META-INF/A.SF", file.as_bytes()),
        ("META-INF/A.RSA", &block),
    ];
    for (name, contents) in first.iter().chain(members) {
        zip.start_file(*name, options).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn messages(measured: &mut Measured<'_, '_>) {
    let mut helm = |what: &str, provenance: &[u8]| {
        let spec = json!({
            "publicKey": {"content": b64(data("helm/helm.asc"))},
            "chart": {"provenance": {"content": b64(provenance)}},
        });
        measured.propose(what, "helm", "0.0.1", &spec);
    };
    let provenance = String::from_utf8(data("helm/testchart-0.1.0.tgz.prov")).unwrap();
    helm("helm", provenance.as_bytes());
    for (what, line) in [
        ("long", "a"),
        ("lines", "\n"),
        ("dashes", "- -\n"),
        ("blanks", " \n"),
    ] {
        let more = line.repeat(1_000_000 / line.len());
        let large = provenance.replacen("\n...\n", &format!("\n{more}\n...\n"), 1);
        helm(&format!("helm of {what}"), large.as_bytes());
    }

    let mut cose = |what: &str, message: &[u8]| {
        let spec =
            json!({"message": b64(message), "publicKey": b64(data("p256.pub.pem")), "data": {}});
        measured.propose(what, "cose", "0.0.1", &spec);
    };
    cose("cose", &data("cose/p256.cose"));
    let start = &data("cose/p256.cose")[..4];
    for (what, byte) in [
        ("lists", 0x81),
        ("long lists", 0x9f),
        ("maps", 0xa1),
        ("tags", 0xc1),
        ("zeros", 0),
    ] {
        let message = [start, &vec![byte; CONTENT - 100]].concat();
        cose(&format!("cose of {what}"), &message);
    }
    // A payload of three mebibytes before a signature of something else.
    let len = u32::try_from(CONTENT - 100).unwrap().to_be_bytes();
    let message = [
        b"\xd2\x84\x43\xa1\x01\x26\xa0\x5a",
        &len[..],
        &vec![b'a'; CONTENT - 100],
        b"\x58\x40",
        &[1; 64],
    ]
    .concat();
    cose("cose with a large payload", &message);

    let stored = json!({"message": b64(data("cose/in-toto.cose")), "publicKey": b64(data("p256.pub.pem")), "data": {}});
    let stored = json!({"apiVersion": "0.0.1", "kind": "cose", "spec": stored}).to_string();
    let stored = parse_proposed_v1(stored.as_bytes())
        .unwrap()
        .verify()
        .unwrap();
    let stored = StoredEntry::parse(stored.body()).unwrap();
    for subject in ["{}", r#"{"digest":{"a":"0"}}"#, r#"{"digest":{"a":0}}"#] {
        let subjects = vec![subject; (CONTENT - 1000) / (subject.len() + 1)].join(",");
        let payload =
            format!(r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}]}}"#);
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = &data("cose/in-toto.cose")[..0x2c];
        let message = [
            head,
            b"\x5a",
            &len,
            payload.as_bytes(),
            b"\x58\x40",
            &[1; 64],
        ]
        .concat();
        measured.run(
            &format!("attested cose of {subject}"),
            message.len(),
            || {
                assert!(stored.attested(&message).len() <= 1024);
                Ok(())
            },
        );
    }

    let mut rfc3161 = |what: &str, response: &[u8]| {
        measured.propose(
            what,
            "rfc3161",
            "0.0.1",
            &json!({"tsr": {"content": b64(response)}}),
        );
    };
    rfc3161("rfc3161", &data("rfc3161/p256.tsr"));
    rfc3161("rfc3161 of sequences", &[0x30, 0x80].repeat(5_000));
}

fn documents(measured: &mut Measured<'_, '_>) {
    let pem = b64(data("ed25519.pub.pem"));
    let key = ed25519();
    let envelope = |payload: &[u8], signatures: &str| {
        let kind = "application/vnd.in-toto+json";
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let signature = b64(key.sign(&[head.as_bytes(), payload].concat()).to_bytes());
        format!(
            r#"{{"payload":"{}","payloadType":"{kind}","signatures":[{signatures}{{"sig":"{signature}"}}]}}"#,
            b64(payload)
        )
    };
    // What an envelope holds is not looked into before it is verified.
    let text = envelope(&vec![0; 2 << 20], "");
    let spec = json!({"proposedContent": {"envelope": text, "verifiers": [pem]}});
    measured.propose("dsse", "dsse", "0.0.1", &spec);
    let spec = json!({"content": {"envelope": text}, "publicKey": pem});
    measured.propose("intoto 0.0.1", "intoto", "0.0.1", &spec);
    let files = Files {
        artifact: text.into_bytes(),
        public_keys: vec![data("ed25519.pub.pem")],
        ..Files::default()
    };
    let proposed = files.compose("intoto", Some("0.0.2"), None).unwrap();
    let proposed: Value = serde_json::from_str(&proposed).unwrap();
    measured.propose("intoto 0.0.2", "intoto", "0.0.2", &proposed["spec"]);
    let small = envelope(b"{}", "");
    let entry = json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {"content": {"envelope": small}, "publicKey": pem}});
    let entry = parse_proposed_v1(entry.to_string().as_bytes())
        .unwrap()
        .verify()
        .unwrap();
    let stored = StoredEntry::parse(entry.body()).unwrap();
    let subject = |n: usize| format!(r#"{{"name":"{n}","digest":{{"a":"{n:x}"}}}}"#);
    let subjects: Vec<String> = (0..70_000).map(subject).collect();
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"a"}}"#,
        subjects.join(",")
    );
    let names: Vec<String> = (0..150_000).map(|n| format!("\"{n:x}\":0")).collect();
    for (what, payload) in [
        ("zeros", vec![0; 2 << 20]),
        ("subjects", statement.into_bytes()),
        ("lists", b"[".repeat(2 << 20)),
        (
            "numbers",
            [b"{\"a\":[0".as_slice(), &b",0".repeat(1 << 20), b"]}"].concat(),
        ),
        ("names", format!("{{{}}}", names.join(",")).into_bytes()),
    ] {
        measured.run(&format!("attestation of {what}"), payload.len(), || {
            let keys = stored.attested(&payload);
            assert!(keys.len() <= 1000);
            Ok(())
        });
    }
    let many = r#"{"sig":"AAAA"},"#.repeat(200_000);
    let keys = json!({"proposedContent": {"envelope": envelope(b"{}", &many), "verifiers": [pem]}});
    measured.propose("dsse of signatures", "dsse", "0.0.1", &keys);

    let root: Value = serde_json::from_slice(&data("tuf/root.json")).unwrap();
    let good: Value = serde_json::from_slice(&data("tuf/timestamp.json")).unwrap();
    let tuf = |measured: &mut Measured<'_, '_>, what: &str, metadata: &Value, root: &Value| {
        let spec = json!({"metadata": {"content": metadata}, "root": {"content": root}});
        measured.propose(&format!("{what}, as JSON"), "tuf", "0.0.1", &spec);
        let spec = json!({
            "metadata": {"content": b64(metadata.to_string())},
            "root": {"content": b64(root.to_string())},
        });
        measured.propose(&format!("{what}, in base64"), "tuf", "0.0.1", &spec);
    };
    tuf(measured, "tuf", &good, &root);
    let mut numbers = good.clone();
    numbers["signed"]["more"] = vec![0; 125_000].into();
    tuf(measured, "tuf of numbers", &numbers, &root);
    let mut names = good.clone();
    names["signed"]["more"] = (0..20_000).map(|n| (format!("{n:x}"), json!(0))).collect();
    tuf(measured, "tuf of names", &names, &root);
    let mut lists = good.clone();
    lists["signed"]["more"] = (0..80_000).map(|_| json!([])).collect();
    tuf(measured, "tuf of lists", &lists, &root);
    let mut keys = root;
    let key = keys["signed"]["keys"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    let many: serde_json::Map<String, Value> = (0..600)
        .map(|n| (format!("{n:064x}"), key.clone()))
        .collect();
    keys["signed"]["keys"] = many.into();
    tuf(measured, "tuf of keys", &good, &keys);
}

/// Keys and signatures of 64 KiB, of what is smallest in each format.
fn keys(measured: &mut Measured<'_, '_>) {
    let content = data("pgp/message");
    let (key, signature) = (data("pgp/ed25519.asc"), data("pgp/ed25519.sig"));
    let binary = data("pgp/rsa3072.gpg");
    for (what, packet) in [
        ("markers", b"\xca\x03PGP".as_slice()),
        ("user IDs", b"\xcd\x00"),
        ("padding", b"\xd5\x00"),
        ("partial packets", b"\xcd\xe0a"),
        ("signatures", b"\xc2\x00"),
    ] {
        let many = packet.repeat(60_000 / packet.len());
        let large = [&binary[..], &many].concat();
        measured.rekord(
            &format!("pgp key with {what}"),
            Format::Pgp,
            &large,
            &signature,
            &content,
        );
        measured.rekord(
            &format!("pgp signature of {what}"),
            Format::Pgp,
            &key,
            &many,
            &content,
        );
    }
    let many = binary.repeat(60_000 / binary.len());
    measured.rekord("pgp keys", Format::Pgp, &many, &signature, &content);
    let many = data("pgp/rsa3072.sig.bin");
    let many = many.repeat(60_000 / many.len());
    measured.rekord("pgp signatures", Format::Pgp, &key, &many, &content);

    let content = data("ssh/content");
    let (key, signature) = (data("ssh/ed25519.pub"), data("ssh/ed25519.sig"));
    let zeros = pem(
        "SSH SIGNATURE",
        &[b"SSHSIG\0\0\0\x01".as_slice(), &[0; 40_000]].concat(),
    );
    measured.rekord(
        "ssh signature of zeros",
        Format::Ssh,
        &key,
        &zeros,
        &content,
    );
    let many = [&key[..], &b"a".repeat(60_000)].concat();
    measured.rekord(
        "ssh key with a comment",
        Format::Ssh,
        &many,
        &signature,
        &content,
    );
    measured.rekord(
        "ssh keys",
        Format::Ssh,
        &key.repeat(600),
        &signature,
        &content,
    );

    let content = data("minisign/content");
    let (key, signature) = (
        data("minisign/minisign.pub"),
        data("minisign/legacy.minisig"),
    );
    measured.rekord(
        "minisign of lines",
        Format::Minisign,
        &key,
        &[b'\n'; 60_000],
        &content,
    );
    measured.rekord(
        "minisign key of lines",
        Format::Minisign,
        &[b'\n'; 60_000],
        &signature,
        &content,
    );

    let abc = b"abc".as_slice();
    let signature = data("p256.sig");
    for (what, key) in [
        ("blocks", pem("CERTIFICATE", b"abc").repeat(900)),
        ("certificates", data("p256.cert.pem").repeat(70)),
        ("ten certificates", data("x509/ten.pem")),
        (
            "sequences",
            pem("CERTIFICATE", &[0x30, 0x80].repeat(20_000)),
        ),
        ("a key of zeros", pem("PUBLIC KEY", &[0; 40_000])),
    ] {
        measured.rekord(
            &format!("x509 of {what}"),
            Format::X509,
            &key,
            &signature,
            abc,
        );
    }
}

/// Bodies of 65,535 bytes.
fn stored(measured: &mut Measured<'_, '_>) {
    for kind in tegula_entries::KINDS {
        let (name, version) = kind.split_once('/').unwrap();
        for (what, begin, middle, end) in [
            ("lists", "", "[", ""),
            ("empty lists", "[0", ",[]", "]"),
            ("numbers", "[0", ",0", "]"),
            ("names", "{\"\":0", ",\"\":0", "}"),
            ("text", "\"", "\\n", "\""),
        ] {
            let head = format!(r#"{{"apiVersion":"{version}","kind":"{name}","spec":{begin}"#);
            let times = (65_535 - head.len() - end.len() - 1) / middle.len();
            let body = head + &middle.repeat(times) + end + "}";
            measured.run(&format!("stored {kind} of {what}"), body.len(), || {
                StoredEntry::parse(body.as_bytes()).map(drop)
            });
        }
    }
}

/// What a submitter's own files look like.
fn files(measured: &mut Measured<'_, '_>) {
    for (what, artifact) in [
        (
            "numbers",
            [b"{\"a\":[0".as_slice(), &b",0".repeat(1 << 20), b"]}"].concat(),
        ),
        ("zeros", vec![0; CONTENT]),
        ("gzip", gzip(&vec![0; 15 << 20])),
    ] {
        let files = Files {
            artifact,
            ..Files::default()
        };
        measured.run(&format!("a file of {what}"), files.artifact.len(), || {
            assert_eq!(files.kind(), None);
            Ok(())
        });
    }
}

fn rsa_signature(message: &[u8]) -> Vec<u8> {
    let pem = String::from_utf8(data("rsa2048.key.pem")).unwrap();
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let key = KeyPair::from_pkcs8(&STANDARD.decode(lines).unwrap()).unwrap();
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

fn ed25519() -> SigningKey {
    let pem = String::from_utf8(data("ed25519.key.pem")).unwrap();
    SigningKey::from_pkcs8_pem(&pem).unwrap()
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = b64(der)
        .into_bytes()
        .chunks(64)
        .map(<[u8]>::to_vec)
        .collect();
    let lines = String::from_utf8(lines.join(&b'\n')).unwrap();
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n").into_bytes()
}

fn data(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Four mebibytes, the most that a server reads, in base64 and with a key beside it.
const CONTENT: usize = (3 << 20) - 8192;
