use super::*;

fn held(outcome: Result<LogKey, SourceError>) -> SigningKey {
    match outcome.unwrap() {
        LogKey::Held(key) => *key,
        LogKey::Remote(key) => panic!("{key:?}"),
    }
}

#[test]
fn sources_come_back_as_they_were() {
    for (text, source) in [
        ("/etc/log.pem", KeySource::File("/etc/log.pem".into())),
        ("C:log.pem", KeySource::File("C:log.pem".into())),
        ("env:TEGULA_KEY", KeySource::Env("TEGULA_KEY".to_owned())),
        ("kms:alias/log", KeySource::Kms("alias/log".to_owned())),
        (
            "kms:arn:aws:kms:eu-central-1:1:key/2",
            KeySource::Kms("arn:aws:kms:eu-central-1:1:key/2".to_owned()),
        ),
        ("secret:log/key", KeySource::Secret("log/key".to_owned())),
        ("ssm:/log/key", KeySource::Ssm("/log/key".to_owned())),
    ] {
        assert_eq!(text.parse::<KeySource>().unwrap(), source);
        assert_eq!(source.to_string(), text);
    }
    for bad in ["", "kms:", "env:"] {
        let error = bad.parse::<KeySource>().unwrap_err().to_string();
        assert!(error.contains("is not a key"), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_read_in_both_forms_and_has_the_logs_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let source = KeySource::File(path.clone());
    let key = SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap();
    std::fs::write(&path, key.to_pkcs8_pem().unwrap()).unwrap();
    let found = held(source.open("log.example").await);
    assert_eq!(found.verifier(), key.verifier());

    let note = "PRIVATE+KEY+rsc+a5b0d9f0+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n";
    std::fs::write(&path, note).unwrap();
    let error = source.open("log.example").await.unwrap_err();
    assert!(
        matches!(error, SourceError::Name { .. } | SourceError::NoKey { .. }),
        "{error}"
    );
    std::fs::write(&path, "not a key").unwrap();
    let error = source.open("log.example").await.unwrap_err().to_string();
    assert!(error.contains("PKCS#8 PEM"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = source.open("log.example").await.unwrap_err();
    assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
    let absent = KeySource::Env("TEGULA_NO_SUCH_VARIABLE".to_owned());
    let error = absent.open("log.example").await.unwrap_err().to_string();
    assert!(error.contains("env:TEGULA_NO_SUCH_VARIABLE"), "{error}");
}

#[test]
fn the_ed25519_key_is_the_first() {
    let ed25519 = || {
        LogKey::Held(Box::new(
            SigningKey::ed25519_from_seed("log.example", &[7; 32]).unwrap(),
        ))
    };
    let ecdsa = || {
        LogKey::Held(Box::new(
            SigningKey::ecdsa_from_scalar("log.example", &[7; 32]).unwrap(),
        ))
    };
    let keys = in_order(vec![ecdsa(), ed25519()]).unwrap();
    assert_eq!(keys[0].verifier().kind(), KeyKind::Ed25519);
    for wrong in [
        vec![],
        vec![ecdsa()],
        vec![ed25519(), ed25519()],
        vec![ed25519(), ecdsa(), ecdsa()],
    ] {
        assert!(in_order(wrong).is_err());
    }
}
