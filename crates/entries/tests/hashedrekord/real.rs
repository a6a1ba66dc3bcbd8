//! Entries of Sigstore's logs, and literal bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tegula_entries::{KeyDetails, StoredEntry, Verifier, VerifierForm};

use crate::support::{KINDS, base64, canonical, data, hex, sha256, unhex, upload, upload_v1};

/// Entry 412114 of `log2025-1.rekor.sigstore.dev`, with the path from its leaf to the root of size 412115.
#[test]
fn an_entry_of_rekor_v2_is_read_verified_and_logged_again() {
    let body = data("rekor-v2-412114.json");
    let stored = StoredEntry::parse(&body).unwrap();
    stored.verify().unwrap();
    assert_eq!(stored.version(), "0.0.2");
    assert_eq!(
        stored.as_hashedrekord().unwrap().verifier().key_details(),
        KeyDetails::EcdsaP256
    );

    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(canonical(&value), body);
    let spec = &value["spec"]["hashedRekordV002"];
    let request = json!({"hashedRekordRequestV002": {
        "digest": spec["data"]["digest"], "signature": spec["signature"],
    }});
    assert_eq!(upload(request.to_string().as_bytes()).unwrap().body(), body);

    let root = String::from_utf8(data("rekor-v2-412114.path"))
        .unwrap()
        .lines()
        .fold(leaf_hash(&body), |right, left| {
            let left = STANDARD.decode(left).unwrap();
            sha256(&[&[1][..], &left, &right].concat())
        });
    assert_eq!(
        base64(&root),
        "+8vUkEgBK/ansexBUomzocaWoPEmPIzxJC/y+xNMQN4="
    );
}

/// The entry with the virtual index 27773186 of `rekor.sigstore.dev`, whose key signed a promise over it.
#[test]
fn an_entry_of_rekor_v1_is_read_verified_and_logged_again() {
    let body = data("rekor-v1-27773186.json");
    let stored = StoredEntry::parse(&body).unwrap();
    stored.verify().unwrap();
    assert_eq!(stored.version(), "0.0.1");

    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(canonical(&value), body);
    assert_eq!(
        upload_v1(value.to_string().as_bytes()).unwrap().body(),
        body
    );

    let log = Verifier::from_public_key_der(&STANDARD.decode(REKOR_V1_KEY).unwrap()).unwrap();
    let log_id = hex(&sha256(log.der()));
    assert_eq!(
        log_id,
        "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"
    );
    let promise = canonical(&json!({
        "body": base64(&body), "integratedTime": 1_689_609_607, "logID": log_id, "logIndex": 27_773_186,
    }));
    let digest =
        tegula_entries::Digest::new(log.key_details().digest_algorithm(), sha256(&promise));
    let set = STANDARD.decode(PROMISE).unwrap();
    log.verify(&digest.unwrap(), &set).unwrap();
}

/// RFC 8032 section 7.3, `TEST abc`.
#[test]
fn the_body_of_the_ed25519ph_example_is_literally_this() {
    let bodies = [
        concat!(
            r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_512","#,
            r#""digest":"3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="},"#,
            r#""signature":{"content":"mKcCIvC4Ehqp0w+BPWg/gJ5GK0acf/h2OUmbuU5trkEx+FBCRjwqNVogA9BirfWqoQuMYeY2Biqq0RwqJgg0Bg==","#,
            r#""verifier":{"keyDetails":"PKIX_ED25519_PH","publicKey":{"#,
            r#""rawBytes":"MCowBQYDK2VwAyEA7Bcrk61eVjv0kyxw4SRQNMNUZ+8u/U1k6/gZaDRn4r8="}}}}}}"#,
        ),
        concat!(
            r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha512","#,
            r#""value":"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"#,
            r#"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"}},"#,
            r#""signature":{"content":"mKcCIvC4Ehqp0w+BPWg/gJ5GK0acf/h2OUmbuU5trkEx+FBCRjwqNVogA9BirfWqoQuMYeY2Biqq0RwqJgg0Bg==","#,
            r#""publicKey":{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUNvd0JRWURLMlZ3QXlFQTdCY3JrNjFlVmp2MGt5eHc0U1JRTk1OVVorOHUvVTFrN"#,
            r#"i9nWmFEUm40cjg9Ci0tLS0tRU5EIFBVQkxJQyBLRVktLS0tLQo="}}}}"#,
        ),
    ];
    let kind = &KINDS[6];
    let request = kind.request(VerifierForm::PublicKey).to_string();
    let entry = upload(request.as_bytes()).unwrap();
    assert_eq!(str::from_utf8(entry.body()), Ok(bodies[0]));
    let proposed = kind.body_v1(VerifierForm::PublicKey).to_string();
    let entry_v1 = upload_v1(proposed.as_bytes()).unwrap();
    assert_eq!(str::from_utf8(entry_v1.body()), Ok(bodies[1]));

    let leaves = bodies.map(|body| hex(&leaf_hash(body.as_bytes())));
    assert_eq!(
        leaves,
        [
            "1133fb4f336909a42df2b61d3058fff0edd101e33df245f64ec9e9494d455cdd",
            "c771c2bb5be5e28b5a4c3090bd82454b933ba42b818bcac4c8aa8a6ba6998e6c",
        ]
    );
}

/// RFC 6979 appendix A.2.5, `sample` with SHA-256. Its S is in the upper half of the group, and both halves are signatures.
#[test]
fn the_p256_example_verifies_with_a_high_and_a_low_s() {
    let point = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                 7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    let r = "022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    let high = "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    let low = "02200834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
    let spki = unhex(&format!(
        "3059301306072a8648ce3d020106082a8648ce3d030107034200{point}"
    ));
    let verifier = Verifier::from_public_key_der(&spki).unwrap();
    let algorithm = verifier.key_details().digest_algorithm();
    let digest = tegula_entries::Digest::new(algorithm, sha256(b"sample")).unwrap();
    for s in [high, low] {
        let signature = unhex(&format!("30{:02x}{r}{s}", (r.len() + s.len()) / 2));
        assert_eq!(verifier.verify(&digest, &signature), Ok(()), "{s}");
    }
}

fn leaf_hash(body: &[u8]) -> Vec<u8> {
    sha256(&[&[0], body].concat())
}

const REKOR_V1_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==";
const PROMISE: &str = "MEQCIA3H+hWtfxrNLP/3kQh4wqrpaZmRZyi+Asr2c8mSCFqJAiBJR0OdX+hXvvMegZgOpVhflvOXgCu8gowh+tiHY/CD4g==";
