//! An issuer of `OpenID` Connect for tests. Its tokens are made without the library that checks them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a test stops where it fails"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

/// An issuer that listens on loopback until the test ends.
#[derive(Clone, Debug)]
pub struct Issuer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: String,
    keys: Mutex<Vec<TokenKey>>,
    asked: AtomicUsize,
    /// What is answered instead.
    fault: Mutex<Option<(StatusCode, String)>>,
}

#[derive(Debug)]
struct TokenKey {
    id: String,
    key: Secret,
}

#[derive(Debug)]
enum Secret {
    Es256(Box<SigningKey>),
    Rs256(Box<RsaKeyPair>),
}

impl Issuer {
    /// With one key of P-256.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self(Arc::new(Inner {
            url: format!("http://{}", listener.local_addr().unwrap()),
            keys: Mutex::default(),
            asked: AtomicUsize::new(0),
            fault: Mutex::default(),
        }));
        issuer.leave_for_p256("one", 1);
        let router = Router::new().fallback(document).with_state(issuer.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        issuer
    }

    /// Its name.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// How many documents were got from it.
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Signs with another key from now on, and publishes that alone.
    pub fn leave_for_p256(&self, id: &str, seed: u8) {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        self.leave_for(id, Secret::Es256(Box::new(key)));
    }

    /// The same with RSA, as most issuers have it.
    pub fn leave_for_rsa(&self, id: &str) {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        self.leave_for(id, Secret::Rs256(Box::new(key)));
    }

    fn leave_for(&self, id: &str, key: Secret) {
        let id = id.to_owned();
        *self.0.keys.lock().unwrap() = vec![TokenKey { id, key }];
    }

    /// Answers this to everything; or the truth again.
    pub fn fail(&self, fault: Option<(StatusCode, &str)>) {
        *self.0.fault.lock().unwrap() = fault.map(|(status, body)| (status, body.to_owned()));
    }

    /// A token of the next minutes that claims this.
    pub fn token(&self, claims: &Value) -> String {
        let keys = self.0.keys.lock().unwrap();
        let algorithm = match &keys[0].key {
            Secret::Es256(_) => "ES256",
            Secret::Rs256(_) => "RS256",
        };
        let header = json!({"typ": "JWT", "alg": algorithm, "kid": keys[0].id});
        drop(keys);
        self.token_with(&header, claims)
    }

    /// With any header.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut all =
            json!({"iss": self.url(), "sub": "subject", "iat": now, "nbf": now, "exp": now + 600});
        for (name, value) in claims.as_object().unwrap() {
            // A time is given by how many seconds there are to it.
            all[name] = match (name.as_str(), value.as_i64()) {
                ("exp" | "nbf", Some(seconds)) => now.saturating_add_signed(seconds).into(),
                _ => value.clone(),
            };
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(&all));
        let keys = self.0.keys.lock().unwrap();
        let signature = match &keys[0].key {
            Secret::Es256(key) => {
                let signature: Signature = key.sign(signed.as_bytes());
                signature.to_bytes().to_vec()
            }
            Secret::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    signed.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn key_set(&self) -> Value {
        let keys = self.0.keys.lock().unwrap();
        let keys = keys.iter().map(|TokenKey { id, key }| match key {
            Secret::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let bytes = point.as_bytes();
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": number(&bytes[1..33]), "y": number(&bytes[33..])})
            }
            Secret::Rs256(key) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = key.public_key().into();
                let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": id, "n": number(&public.n), "e": number(&public.e)})
            }
        });
        let mut keys: Vec<_> = keys.collect();
        keys.push(json!({"kty": "of times to come", "kid": "new"}));
        json!({ "keys": keys })
    }
}

async fn document(State(issuer): State<Issuer>, uri: Uri) -> (StatusCode, String) {
    issuer.0.asked.fetch_add(1, Ordering::SeqCst);
    if let Some(fault) = issuer.0.fault.lock().unwrap().clone() {
        return fault;
    }
    let url = issuer.url();
    let body = match uri.path() {
        "/.well-known/openid-configuration" => {
            json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "response_types_supported": ["id_token"]})
        }
        "/keys" => issuer.key_set(),
        _ => return (StatusCode::NOT_FOUND, String::new()),
    };
    (StatusCode::OK, body.to_string())
}
