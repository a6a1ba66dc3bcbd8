//! `rpm`: packages that rpmbuild made and rpmsign signed (`tests/data/rpm/make`).

use serde_json::{Value, json};
use tegula_entries::StoredEntry;

use crate::support::{accepted, b64, body, data, hex, propose, refused, search_keys, sha256};

fn spec(key: &str, package: &[u8]) -> Value {
    json!({
        "publicKey": {"content": b64(data(&format!("rpm/{key}.asc")))},
        "package": {"content": b64(package)},
    })
}

/// Where a header begins, how many entries it has, and where its store is.
fn header(file: &[u8], at: usize) -> (usize, usize, usize) {
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    let entries = usize::try_from(number(at + 8)).unwrap();
    let store = at + 16 + 16 * entries;
    let end = store + usize::try_from(number(at + 12)).unwrap();
    (entries, store, end)
}

/// The header of the package itself.
fn second(file: &[u8]) -> usize {
    header(file, 96).2.next_multiple_of(8)
}

/// Where the entry of a tag is, and its data.
fn entry(file: &[u8], at: usize, tag: u32) -> (usize, usize) {
    let (entries, store, _) = header(file, at);
    let entry = (0..entries)
        .map(|index| at + 16 + 16 * index)
        .find(|entry| file[*entry..].starts_with(&tag.to_be_bytes()))
        .unwrap();
    let offset = u32::from_be_bytes(file[entry + 8..entry + 12].try_into().unwrap());
    (entry, store + usize::try_from(offset).unwrap())
}

fn changed(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut package = data(&format!("rpm/{file}.rpm"));
    change(&mut package);
    refused("rpm", "0.0.1", &spec("rpm", &package))
}

#[test]
fn a_package_is_logged_by_its_digest_and_name() {
    for (file, key) in [("header", "rpm"), ("both", "rpm"), ("ed25519", "ed25519")] {
        let package = data(&format!("rpm/{file}.rpm"));
        let (entry, stored) = accepted("rpm", "0.0.1", &spec(key, &package));
        let body = body(&entry);
        let digest = sha256(&package);
        let (_, md5) = self::entry(&package, 96, 1004);
        let headers = json!({
            "Name": "tegula-test",
            "Epoch": "2",
            "Version": "1.4",
            "Release": "3",
            "Architecture": "noarch",
            "RPMSIGTAG_MD5": hex(&package[md5..md5 + 16]),
        });
        let content = &body["spec"]["publicKey"]["content"];
        assert_eq!(
            body,
            json!({
                "apiVersion": "0.0.1",
                "kind": "rpm",
                "spec": {
                    "package": {
                        "hash": {"algorithm": "sha256", "value": digest},
                        "headers": headers,
                    },
                    "publicKey": {"content": content},
                },
            })
        );
        assert_eq!(entry.signers().len(), 1);
        let signer = &entry.signers()[0];
        assert_eq!(stored.object(), "RPMModel");
        assert_eq!(
            search_keys(&stored),
            [
                format!("Key {}", hex(signer.fingerprint())),
                "IdentityPrefix example.com".to_owned(),
                format!("Identity {key}@example.com"),
                format!("Digest sha256:{digest}"),
                "Package rpm:tegula-test-2:1.4-3.noarch".to_owned(),
            ]
        );
        assert_eq!(
            stored.facts().lines.last().unwrap(),
            &("Name", "tegula-test-2:1.4-3.noarch".to_owned())
        );
        // The digest that is given is the same entry, in either case.
        for given in [digest.clone(), digest.to_uppercase()] {
            let mut with_hash = spec(key, &package);
            with_hash["package"]["hash"] = json!({"algorithm": "sha256", "value": given});
            assert_eq!(accepted("rpm", "0.0.1", &with_hash).0, entry);
        }
    }
}

#[test]
fn signatures_have_to_be_good_and_the_key_s() {
    let package = data("rpm/header.rpm");
    let by = |key: &str, package: &[u8]| refused("rpm", "0.0.1", &spec(key, package));
    let of_header =
        "the RSA signature of the header does not verify over the header with the given key";
    assert_eq!(by("other", &package), of_header);
    assert_eq!(
        by("rpm", &data("rpm/unsigned.rpm")),
        "package: has no OpenPGP signature"
    );
    assert_eq!(
        by("rpm", &data("rpm/ed25519.rpm")),
        "the DSA signature of the header does not verify over the header with the given key"
    );
    assert_eq!(
        changed("header", |package| {
            let (_, at) = entry(package, 96, 268);
            package[at + 100] ^= 1;
        }),
        of_header
    );
    // Each of two.
    assert_eq!(
        changed("both", |package| {
            let (_, at) = entry(package, 96, 268);
            package[at + 100] ^= 1;
        }),
        of_header
    );
    assert_eq!(
        changed("both", |package| {
            let (_, at) = entry(package, 96, 1002);
            package[at + 100] ^= 1;
        }),
        "the PGP signature does not verify over header and payload with the given key"
    );
    // A header that says nothing of the payload: with a signature that covers both, and without it.
    accepted("rpm", "0.0.1", &spec("rpm", &data("rpm/covered.rpm")));
    assert_eq!(
        changed("covered", |package| {
            let (at, _) = entry(package, 96, 1002);
            package[at..at + 4].copy_from_slice(&6000_u32.to_be_bytes());
        }),
        "package: has a payload that no signature covers, and no digest that is signed"
    );
}

#[test]
fn digests_have_to_be_right() {
    let payload = changed("header", |package| *package.last_mut().unwrap() ^= 1);
    assert!(
        payload.starts_with("package: has MD5 of header and payload "),
        "{payload}"
    );
    let payload = changed("header", |package| {
        *package.last_mut().unwrap() ^= 1;
        let (at, _) = entry(package, 96, 1004);
        package[at..at + 4].copy_from_slice(&6000_u32.to_be_bytes());
    });
    assert!(
        payload.starts_with("package: has digest of the payload "),
        "{payload}"
    );
    let header = changed("header", |package| {
        let second = second(package);
        let (_, name) = entry(package, second, 1000);
        package[name] ^= 1;
    });
    assert!(
        header.starts_with("package: has SHA-1 of the header "),
        "{header}"
    );
    let header = changed("header", |package| {
        let (_, at) = entry(package, 96, 273);
        package[at] = if package[at] == b'0' { b'1' } else { b'0' };
    });
    assert!(
        header.starts_with("package: has SHA-256 of the header "),
        "{header}"
    );
    let package = data("rpm/header.rpm");
    let mut given = spec("rpm", &package);
    let zeros = "00".repeat(32);
    given["package"]["hash"] = json!({"algorithm": "sha256", "value": zeros});
    assert_eq!(
        refused("rpm", "0.0.1", &given),
        format!(
            "package.hash: is {zeros}, and the content's is {}",
            sha256(&package)
        )
    );
    given["package"]["hash"]["algorithm"] = json!("sha1");
    assert_eq!(
        refused("rpm", "0.0.1", &given),
        "package.hash: algorithm is not sha256: sha1"
    );
}

#[test]
fn what_is_no_package_is_refused() {
    let package = data("rpm/header.rpm");
    let by = |package: &[u8]| refused("rpm", "0.0.1", &spec("rpm", package));
    assert_eq!(
        by(&package[..95]),
        "package: is truncated: it ends within its lead"
    );
    assert_eq!(
        by(&package[..110]),
        "package: is truncated: it ends within a header"
    );
    let end = header(&package, 96).2;
    assert_eq!(
        by(&package[..end - 1]),
        "package: is truncated: it ends within a header"
    );
    let truncated = by(&package[..package.len() - 1]);
    assert!(
        truncated.starts_with("package: has MD5 of header and payload "),
        "{truncated}"
    );
    assert_eq!(
        by(&[0; 200]),
        "package: is not an RPM: it does not begin with ed ab ee db"
    );
    assert_eq!(
        changed("header", |package| package[99] = 2),
        "package: has no header where one begins: not 8e ad e8 01"
    );
    assert_eq!(
        refused("rpm", "0.0.1", &json!({})),
        "publicKey.content is missing or empty"
    );
    let key = json!({"publicKey": {"content": b64(data("rpm/rpm.asc"))}});
    assert_eq!(
        refused("rpm", "0.0.1", &key),
        "spec.package is missing or empty"
    );
    assert_eq!(
        refused("rpm", "0.0.3", &key),
        "entry of kind rpm version 0.0.3 is not accepted, expected a kind and version of Rekor"
    );
    let mut other = spec("rpm", &package);
    other["publicKey"]["content"] = json!(b64(data("p256.pub.pem")));
    assert_eq!(
        refused("rpm", "0.0.1", &other),
        "public key: is not an OpenPGP key"
    );
}

#[test]
fn what_a_header_says_of_its_size_is_not_believed() {
    // Four billion entries, a store of four billion bytes.
    for at in [104, 108] {
        assert_eq!(
            changed("header", |package| package[at..at + 4].fill(0xff)),
            "package: is truncated: it ends within a header"
        );
    }
    // Offset, and count, of a signature.
    for field in [8, 12] {
        assert_eq!(
            changed("header", |package| {
                let (at, _) = entry(package, 96, 268);
                package[at + field..at + field + 4].fill(0xff);
            }),
            "package: has tag 268 outside of its header"
        );
    }
    assert_eq!(
        changed("header", |package| {
            let (at, _) = entry(package, 96, 268);
            package[at + 7] = 4;
        }),
        "package: has tag 268 of type 4, expected bytes"
    );
    assert_eq!(
        changed("header", |package| {
            let (at, _) = entry(package, 96, 269);
            package[at + 12..at + 16].fill(0xff);
        }),
        "strings of a tag has 4294967295, expected at most 1"
    );
    assert_eq!(
        changed("header", |package| {
            let (at, _) = entry(package, 96, 1004);
            package[at..at + 4].copy_from_slice(&268_u32.to_be_bytes());
        }),
        "package: has tag 268 twice"
    );
    let large = vec![0; (3 << 20) + 3];
    assert_eq!(
        refused("rpm", "0.0.1", &spec("rpm", &large)),
        "package.content has 3145731, expected at most 3145728"
    );
}

#[test]
fn a_body_that_no_log_wrote_is_refused() {
    let (entry, _) = accepted("rpm", "0.0.1", &spec("rpm", &data("rpm/header.rpm")));
    let error = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&entry);
        change(&mut body["spec"]);
        StoredEntry::parse(body.to_string().as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&|spec| spec["publicKey"]["content"] = json!(b64(data("rpm/rpm.asc")))),
        "publicKey.content: is a key that is not spelled as the log spells it"
    );
    assert_eq!(
        error(&|spec| spec["package"]["hash"]["value"] = json!("AB".repeat(32))),
        format!(
            "package.hash: value is not in lower case: {}",
            "AB".repeat(32)
        )
    );
    assert_eq!(
        error(&|spec| spec["package"]["headers"]["RPMSIGTAG_MD5"] = json!("ab")),
        "package.headers: RPMSIGTAG_MD5 is not 32 hexadecimal digits in lower case"
    );
    assert!(
        error(&|spec| spec["package"]["headers"]["RPMSIGTAG_SHA1"] = json!(""))
            .starts_with("spec: unknown field `RPMSIGTAG_SHA1`")
    );
    assert!(
        error(&|spec| spec["package"]["headers"] = json!({}))
            .starts_with("spec: missing field `Name`")
    );
}

#[test]
fn whatever_byte_of_a_header_is_changed_nothing_panics() {
    let mut package = data("rpm/header.rpm");
    let second = second(&package);
    let (_, store, _) = header(&package, second);
    for at in (0..store).step_by(3) {
        package[at] ^= 0x81;
        let _either = propose("rpm", "0.0.1", &spec("rpm", &package));
        package[at] ^= 0x81;
    }
}
