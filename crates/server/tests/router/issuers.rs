//! Tokens of issuers.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tegula_issuer_stand_in::Issuer;
use tegula_server::{Options, add_token};

use crate::served::Served;

/// A log that takes tokens of this issuer for `log` that are of `org`.
async fn served(issuer: &Issuer, require_token: bool) -> Served {
    let issuers = json!([
        {"issuer": issuer.url(), "audiences": ["log"], "claims": {"repository": ["org/*"]}},
        {"issuer": issuer.url(), "audiences": ["web"], "claims": {"repository": ["web/*"]}},
        {"issuer": "https://issuer.invalid", "audiences": ["log"], "claims": {"sub": ["*"]}},
    ]);
    let options = Options {
        require_token,
        issuers: Some(issuers.to_string().parse().unwrap()),
        ..Options::default()
    };
    Served::new(&["raw"], options).await
}

async fn upload(log: &Served, token: &str) -> (StatusCode, String) {
    let request = Request::post("/add").header("authorization", format!("Bearer {token}"));
    let (status, _, body) = log.send(request.body(Body::from("alpha")).unwrap()).await;
    let message = serde_json::from_slice(&body)
        .map_or(Value::Null, |answer: Value| answer["message"].clone());
    (status, message.as_str().unwrap_or_default().to_owned())
}

async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

fn good() -> Value {
    json!({"aud": "log", "repository": "org/tool"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_token_is_its_issuers_of_now_and_for_this_log() {
    let issuer = Issuer::start().await;
    let log = served(&issuer, false).await;
    let (ok, refused, forbidden) = (
        StatusCode::OK,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    );
    for (claims, status, expected) in [
        (good(), ok, ""),
        (with("aud", json!(["other", "log"])), ok, ""),
        (with("exp", json!(-30)), ok, ""),
        (with("exp", json!(-90)), refused, "has expired"),
        (with("nbf", json!(90)), refused, "not valid yet"),
        (with("aud", json!("other")), refused, "another audience"),
        (with("aud", json!(null)), refused, "the token is refused"),
        (with("exp", json!(null)), refused, "the token is refused"),
        (
            with("iss", json!("https://other.example")),
            refused,
            "takes no tokens of \"https://other.example\"",
        ),
        (with("iss", json!(7)), refused, "names no issuer"),
        (
            with("repository", json!("other/tool")),
            forbidden,
            "does not claim",
        ),
        // The claims of one rule, and the audience of the other.
        (with("aud", json!("web")), forbidden, "does not claim"),
        (json!({"aud": "web", "repository": "web/site"}), ok, ""),
    ] {
        let (status_got, message) = upload(&log, &issuer.token(&claims)).await;
        assert_eq!(status_got, status, "{claims}: {message}");
        assert!(message.contains(expected), "{claims}: {message}");
    }
}

#[tokio::test]
async fn a_token_that_was_changed_or_unsigned_is_refused() {
    let issuer = Issuer::start().await;
    let log = served(&issuer, false).await;
    let token = issuer.token(&good());
    let parts: Vec<&str> = token.split('.').collect();
    let other = issuer.token(&with("repository", json!("org/other")));
    let other: Vec<&str> = other.split('.').collect();
    let forged = Issuer::start().await;
    forged.leave_for_p256("one", 2);
    let forged = forged.token(&with("iss", json!(issuer.url())));
    // HMAC with a public key for its secret, and none at all.
    let hmac = issuer.token_with(&json!({"alg": "HS256", "kid": "one"}), &good());
    let none = issuer.token_with(&json!({"alg": "none", "kid": "one"}), &good());
    let rsa = issuer.token_with(&json!({"alg": "RS256", "kid": "one"}), &good());
    let critical = json!({"alg": "ES256", "kid": "one", "crit": ["new"], "new": 1});
    let critical = issuer.token_with(&critical, &good());
    for (what, token) in [
        ("payload", [parts[0], other[1], parts[2]].join(".")),
        ("signature", [parts[0], parts[1], other[2]].join(".")),
        ("no signature", [parts[0], parts[1], ""].join(".")),
        ("forged", forged),
        ("hmac", hmac),
        ("none", none),
        ("rsa", rsa),
        ("critical", critical),
        ("two parts", [parts[0], parts[1]].join(".")),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("long", format!("{token}{}", "a".repeat(20_000))),
    ] {
        let (status, message) = upload(&log, &token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {message}");
        assert!(!message.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn an_issuer_may_leave_a_key_and_is_not_asked_for_each_token() {
    let issuer = Issuer::start().await;
    let log = served(&issuer, false).await;
    for _ in 0..3 {
        assert_eq!(upload(&log, &issuer.token(&good())).await.0, StatusCode::OK);
    }
    assert_eq!(issuer.asked(), 2);
    issuer.leave_for_rsa("two");
    // It was asked a moment ago: tokens that name strange keys do not make it be asked again at once.
    let token = issuer.token(&good());
    for _ in 0..3 {
        let (status, message) = upload(&log, &token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(
            message.contains("has no key that the token names"),
            "{message}"
        );
    }
    assert_eq!(issuer.asked(), 2);
    later(61).await;
    let (status, message) = upload(&log, &token).await;
    assert_eq!(status, StatusCode::OK, "{message}");
    assert_eq!(issuer.asked(), 4);
}

#[tokio::test]
async fn an_issuer_that_fails_is_no_reason_to_believe() {
    let issuer = Issuer::start().await;
    issuer.fail(Some((StatusCode::OK, "{\"secret\": 1}")));
    let log = served(&issuer, false).await;
    let (status, message) = upload(&log, &issuer.token(&good())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = format!("the keys of {} cannot be got at the moment", issuer.url());
    assert_eq!(message, expected);
    // It is not asked by each, and soon again; the keys that it had are good for a day.
    issuer.fail(None);
    let (status, _) = upload(&log, &issuer.token(&good())).await;
    assert_eq!(
        (status, issuer.asked()),
        (StatusCode::SERVICE_UNAVAILABLE, 1)
    );
    later(6).await;
    assert_eq!(upload(&log, &issuer.token(&good())).await.0, StatusCode::OK);
    issuer.fail(Some((StatusCode::INTERNAL_SERVER_ERROR, "")));
    for (hours, status) in [(2, StatusCode::OK), (23, StatusCode::SERVICE_UNAVAILABLE)] {
        later(hours * 3600).await;
        let (got, message) = upload(&log, &issuer.token(&good())).await;
        assert_eq!(got, status, "{hours} hours: {message}");
    }
    later(6).await;
    let large = format!("{{\"issuer\": \"{}\"}}", "a".repeat(2 << 20));
    issuer.fail(Some((StatusCode::OK, &large)));
    let (status, _) = upload(&log, &issuer.token(&good())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_logs_own_tokens_stand_beside_them() {
    let issuer = Issuer::start().await;
    let log = served(&issuer, true).await;
    let own = add_token(&log.store, "ci", [1; 32], 0).await.unwrap();
    assert_eq!(upload(&log, &own).await.0, StatusCode::OK);
    assert_eq!(upload(&log, &issuer.token(&good())).await.0, StatusCode::OK);
    assert_eq!(upload(&log, "tegula_00").await.0, StatusCode::UNAUTHORIZED);
    // Where own tokens are not asked for they are not taken.
    let log = served(&issuer, false).await;
    let own = add_token(&log.store, "ci", [1; 32], 0).await.unwrap();
    assert_eq!(upload(&log, &own).await.0, StatusCode::UNAUTHORIZED);
}
