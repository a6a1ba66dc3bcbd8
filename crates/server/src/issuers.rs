//! Who may write by a token of an `OpenID` Connect issuer: a JSON Web Token (RFC 7519) that names the log as its audience, signed by a key
//! which the issuer publishes, and that claims what the operator asks for.
//!
//! An issuer's keys are found as `OpenID` Connect Discovery 1.0 says, at `ISSUER/.well-known/openid-configuration`, kept for an hour, and
//! asked for again when a token names a key that is not among them, at most once a minute.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::error::ApiError;

/// The issuers whose tokens are taken, and what those have to claim. Written in JSON:
///
/// ```json
/// [{
///   "issuer": "https://token.actions.githubusercontent.com",
///   "audiences": ["log.example"],
///   "claims": {"repository": ["org/*"], "ref": ["refs/heads/main", "refs/tags/*"]}
/// }]
/// ```
///
/// A token has to name one of the audiences, and for each of the claims to have a value that fits one of its patterns, in which `*` stands
/// for anything. An issuer may be there several times, with other claims. Its URL is `https`, or `http` on this machine.
#[derive(Clone, Debug)]
pub struct Issuers(Arc<Vec<Issuer>>);

/// What is asked of the tokens of an issuer.
#[derive(Debug)]
struct Issuer {
    url: String,
    rules: Vec<Rule>,
    keys: RwLock<Keys>,
    /// One asks at a time.
    asking: Mutex<()>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    issuer: String,
    audiences: Vec<String>,
    claims: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
struct Rule {
    audiences: Vec<String>,
    claims: BTreeMap<String, Vec<String>>,
}

/// What is wrong with a list of issuers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct IssuersError(String);

/// An issuer's keys, as far as they are known.
#[derive(Clone, Debug, Default)]
struct Keys {
    keys: Arc<Vec<Key>>,
    /// When they were got.
    got: Option<Instant>,
    /// When they were asked for last, with an answer or without.
    asked: Option<Instant>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl FromStr for Issuers {
    type Err = IssuersError;

    fn from_str(json: &str) -> Result<Self, IssuersError> {
        let given: Vec<Given> = serde_json::from_str(json).map_err(|error| {
            let expected =
                r#"[{"issuer": "https://…", "audiences": ["…"], "claims": {"…": ["…"]}}]"#;
            IssuersError(format!("{error}, expected {expected}"))
        })?;
        if given.is_empty() {
            return Err(IssuersError("no issuer, expected one at least".to_owned()));
        }
        // Whoever has an account at the issuer could write otherwise, or had a token for anything else.
        let mut rules: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for given in given {
            let Given {
                issuer,
                audiences,
                claims,
            } = given;
            if !is_safe(&issuer) {
                let reason = format!("{issuer:?} is not an https URL without a query");
                return Err(IssuersError(reason));
            }
            if audiences.is_empty() {
                return Err(IssuersError(format!(
                    "{issuer}: no audience, expected one at least"
                )));
            }
            if claims.is_empty() {
                return Err(IssuersError(format!(
                    "{issuer}: no claim, expected one at least"
                )));
            }
            let rule = Rule { audiences, claims };
            rules.entry(issuer).or_default().push(rule);
        }
        let client = client()?;
        let issuers = rules.into_iter().map(|(url, rules)| Issuer {
            url,
            rules,
            keys: RwLock::default(),
            asking: Mutex::default(),
            client: client.clone(),
        });
        Ok(Self(Arc::new(issuers.collect())))
    }
}

impl Issuers {
    /// Whether this looks like a token of an issuer, and not like one of the log.
    pub(crate) fn are_asked(token: &str) -> bool {
        token.split('.').count() == 3
    }

    /// Whose token it is, if it is good for writing: `ISSUER SUBJECT`.
    pub(crate) async fn check(&self, token: &str) -> Result<String, ApiError> {
        if token.len() > MAX_TOKEN {
            let message = format!(
                "the token has {} bytes, expected at most {MAX_TOKEN}",
                token.len()
            );
            return Err(unauthorized(message));
        }
        let header = decode_header(token)
            .map_err(|error| unauthorized(format!("the token is not a JSON Web Token: {error}")))?;
        // RFC 7515, section 4.1.11: what has to be understood to verify it, and is not.
        if part(token, 0).is_some_and(|header: Map<String, Value>| header.contains_key("crit")) {
            return Err(unauthorized(
                "the token has critical extensions (crit), expected none",
            ));
        }
        // It only chooses whose keys are asked.
        let named = part(token, 1).and_then(|claims: Map<String, Value>| {
            claims.get("iss").and_then(Value::as_str).map(str::to_owned)
        });
        let named = named.ok_or_else(|| unauthorized("the token names no issuer (iss)"))?;
        let issuer = self.0.iter().find(|issuer| issuer.url == named);
        let issuer = issuer.ok_or_else(|| {
            let named: String = named.chars().take(200).collect();
            unauthorized(format!("this log takes no tokens of {named:?}"))
        })?;
        let claims = issuer.verify(token, &header).await?;
        let met = issuer.rules.iter().any(|rule| rule.is_met_by(&claims));
        if !met {
            let message = "the token does not claim what this log asks for";
            return Err(ApiError::new(StatusCode::FORBIDDEN, message));
        }
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Ok(format!("{named} {subject}"))
    }
}

impl Issuer {
    /// What a token claims, once it is known to be the issuer's, and of now.
    async fn verify(&self, token: &str, header: &Header) -> Result<Map<String, Value>, ApiError> {
        let mut keys = self.fresh(false).await?;
        if keys.fitting(header).is_empty() {
            keys = self.fresh(true).await?;
        }
        let mut validation = Validation::new(header.alg);
        let audiences = self.rules.iter().flat_map(|rule| &rule.audiences);
        validation.set_audience(&audiences.collect::<Vec<_>>());
        validation.set_issuer(&[&self.url]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_S;
        let mut refused = unauthorized(format!("{} has no key that the token names", self.url));
        for key in keys.fitting(header) {
            match decode::<Map<String, Value>>(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => refused = unauthorized(reason(error.kind())),
            }
        }
        Err(refused)
    }

    /// The issuer's keys: those that are known, unless they are old, or one is missing among them.
    async fn fresh(&self, missing: bool) -> Result<Keys, ApiError> {
        let known = self.known();
        if let Some(known) = known.serve(missing) {
            return self.believed(known);
        }
        let _asking = self.asking.lock().await;
        let known = self.known();
        if let Some(known) = known.serve(missing) {
            return self.believed(known);
        }
        let got = tokio::time::timeout(PATIENCE, self.ask()).await;
        let got = got
            .unwrap_or_else(|_elapsed| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        let now = Instant::now();
        let keys = match got {
            Ok(keys) => Keys {
                keys: Arc::new(keys),
                got: Some(now),
                asked: Some(now),
            },
            Err(reason) => {
                warn!(issuer = self.url, reason, "the issuer's keys cannot be got");
                Keys {
                    asked: Some(now),
                    ..known
                }
            }
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        self.believed(keys)
    }

    fn believed(&self, keys: Keys) -> Result<Keys, ApiError> {
        if keys.got.is_none_or(|got| got.elapsed() > FORGOTTEN) {
            // What went wrong is the operator's to know.
            let message = format!("the keys of {} cannot be got at the moment", self.url);
            return Err(ApiError::unavailable(message));
        }
        Ok(keys)
    }

    fn known(&self) -> Keys {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask(&self) -> Result<Vec<Key>, String> {
        #[derive(Deserialize)]
        struct Configuration {
            issuer: String,
            jwks_uri: String,
        }
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let at = format!(
            "{}/.well-known/openid-configuration",
            self.url.trim_end_matches('/')
        );
        let configuration: Configuration = self.get(&at).await?;
        if configuration.issuer != self.url {
            return Err(format!("{at} is of the issuer {:?}", configuration.issuer));
        }
        if !is_safe(&configuration.jwks_uri) {
            return Err(format!(
                "{at}: {:?} is not an https URL",
                configuration.jwks_uri
            ));
        }
        let set: Set = self.get(&configuration.jwks_uri).await?;
        // A set may have keys of kinds to come, which are not ours to judge.
        Ok(set.keys.into_iter().filter_map(Key::parse).collect())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, at: &str) -> Result<T, String> {
        let uri: Uri = at.parse().map_err(|error| format!("{at}: {error}"))?;
        let answer = self.client.get(uri).await;
        let answer = answer.map_err(|error| format!("{at}: {}", causes(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{at}: {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT)
            .collect()
            .await;
        let body = body.map_err(|error| format!("{at}: {error}"))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("{at}: {error}"))
    }
}

impl Keys {
    /// These, where there is no need to ask, or where it was asked a moment ago: nobody waits behind others for an issuer that does not answer.
    fn serve(&self, missing: bool) -> Option<Self> {
        let young = |at: Option<Instant>, age| at.is_some_and(|at| at.elapsed() < age);
        let again = if self.got.is_some() { AGAIN } else { SOON };
        let enough = young(self.got, OLD) && !missing;
        (enough || young(self.asked, again)).then(|| self.clone())
    }

    /// The keys that may have signed a token.
    fn fitting(&self, header: &Header) -> Vec<&Key> {
        let fits = |key: &&Key| {
            let named = header.kid.is_none() || key.id == header.kid;
            named && key.algorithms.contains(&header.alg)
        };
        self.keys.iter().filter(fits).take(MAX_TRIED).collect()
    }
}

impl Key {
    /// A key for signatures, of a kind that this log knows. Secrets that are shared are none.
    fn parse(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let all: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
            _ => return None,
        };
        let for_signatures = matches!(
            jwk.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        let only = jwk.common.key_algorithm.map(|only| only.to_string());
        let algorithms = all.iter().copied().filter(|algorithm| {
            let name = format!("{algorithm:?}");
            only.as_ref().is_none_or(|only| *only == name)
        });
        let algorithms: Vec<_> = algorithms.collect();
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (for_signatures && !algorithms.is_empty()).then(|| Self {
            id: jwk.common.key_id.clone(),
            algorithms,
            key,
        })
    }
}

impl Rule {
    /// What a token does not say it does not claim.
    fn is_met_by(&self, claims: &Map<String, Value>) -> bool {
        let is_for = |audience: &String| match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| one == audience.as_str()),
            Some(one) => one == audience.as_str(),
            None => false,
        };
        let claimed = |(name, patterns): (&String, &Vec<String>)| {
            let fits_one = |text: &str| patterns.iter().any(|pattern| fits(pattern, text));
            match claims.get(name) {
                Some(Value::String(text)) => fits_one(text),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => fits_one(&value.to_string()),
                Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(fits_one),
                Some(Value::Null | Value::Object(_)) | None => false,
            }
        };
        self.audiences.iter().any(is_for) && self.claims.iter().all(claimed)
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(begin) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(end)
}

/// A part of a token, not verified.
fn part<T: serde::de::DeserializeOwned>(token: &str, at: usize) -> Option<T> {
    let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(at)?).ok()?;
    serde_json::from_slice(&part).ok()
}

/// Keys that anybody on the way could change are none.
fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let local = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let scheme = uri.scheme_str();
    (scheme == Some("https") || (scheme == Some("http") && local)) && uri.query().is_none()
}

fn client() -> Result<Client<HttpsConnector<HttpConnector>, Empty<Bytes>>, IssuersError> {
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| IssuersError(format!("no certificates to trust: {error}")))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn unauthorized(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, message)
}

fn reason(error: &ErrorKind) -> String {
    match error {
        ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
        ErrorKind::InvalidAudience => "the token is for another audience".to_owned(),
        ErrorKind::InvalidSignature => "the token's signature is not its issuer's".to_owned(),
        other => format!("the token is refused: {}", shown(other)),
    }
}

fn shown(error: &dyn fmt::Debug) -> String {
    format!("{error:?}").chars().take(200).collect()
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Bytes of a token; those of GitHub and GitLab have some 1,500.
const MAX_TOKEN: usize = 16 << 10;
/// Bytes of an issuer's documents.
const MAX_DOCUMENT: usize = 1 << 20;
/// Keys that a token without a key's name is tried with.
const MAX_TRIED: usize = 16;
/// For clocks that differ.
const LEEWAY_S: u64 = 60;
/// For both of the issuer's documents.
const PATIENCE: Duration = Duration::from_secs(5);
/// After which keys are asked for again.
const OLD: Duration = Duration::from_secs(3600);
/// After which they are not believed any more, though the issuer does not answer.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// Between two questions about a key that is missing.
const AGAIN: Duration = Duration::from_secs(60);
/// Between two questions to an issuer that never answered.
const SOON: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_met_by_what_is_claimed() {
        let token = serde_json::json!({
            "aud": ["other", "log"], "repository": "org/tool", "ref": "refs/tags/v1.2", "verified": true, "run": 7,
            "groups": ["staff", "release"], "nothing": null,
        });
        let token = token.as_object().unwrap();
        for (claims, met) in [
            (r#"{"repository": ["org/tool"]}"#, true),
            (r#"{"repository": ["org/*"]}"#, true),
            (r#"{"repository": ["other/*", "*/tool"]}"#, true),
            (
                r#"{"repository": ["o*g/*ol"], "ref": ["refs/tags/v*"]}"#,
                true,
            ),
            (
                r#"{"verified": ["true"], "run": ["7"], "groups": ["release"]}"#,
                true,
            ),
            (r#"{"repository": ["org"]}"#, false),
            (r#"{"repository": ["org/tools*"]}"#, false),
            (r#"{"repository": ["*org"]}"#, false),
            (
                r#"{"repository": ["org/*"], "ref": ["refs/heads/*"]}"#,
                false,
            ),
            (r#"{"actor": ["*"]}"#, false),
            (r#"{"nothing": ["*"]}"#, false),
            (r#"{"repository": []}"#, false),
        ] {
            let rule = |audience: &str| Rule {
                audiences: vec![audience.to_owned()],
                claims: serde_json::from_str(claims).unwrap(),
            };
            assert_eq!(rule("log").is_met_by(token), met, "{claims}");
            assert!(!rule("lo").is_met_by(token), "{claims}");
        }
        // Not each star may have the same text.
        assert!(!fits("ab*ba", "aba"));
    }

    #[test]
    fn what_is_wrong_with_a_list_is_named() {
        for (json, expected) in [
            ("{}", "invalid type: map"),
            ("[]", "no issuer, expected one at least"),
            (r#"[{"issuer": "https://a"}]"#, "missing field `audiences`"),
            (
                r#"[{"issuer": "https://a", "audiences": ["b"], "claims": {"c": ["d"]}, "e": 1}]"#,
                "unknown field `e`",
            ),
            (
                r#"[{"issuer": "http://a", "audiences": ["b"], "claims": {"c": ["d"]}}]"#,
                "\"http://a\" is not an https URL",
            ),
            (
                r#"[{"issuer": "a", "audiences": ["b"], "claims": {"c": ["d"]}}]"#,
                "\"a\" is not an https URL",
            ),
            (
                r#"[{"issuer": "https://a", "audiences": [], "claims": {"c": ["d"]}}]"#,
                "https://a: no audience",
            ),
            (
                r#"[{"issuer": "https://a", "audiences": ["b"], "claims": {}}]"#,
                "https://a: no claim",
            ),
        ] {
            let error = json.parse::<Issuers>().unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn shared_secrets_are_no_keys() {
        let parsed = |json: &str| Key::parse(serde_json::from_str(json).unwrap());
        let p256 = |more: &str| {
            format!(
                r#"{{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"{more}}}"#
            )
        };
        assert!(parsed(&p256("")).is_some());
        assert!(parsed(&p256(r#","alg":"ES256","use":"sig""#)).is_some());
        assert!(parsed(&p256(r#","use":"enc""#)).is_none());
        assert!(parsed(&p256(r#","alg":"ES384""#)).is_none());
        assert!(parsed(r#"{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}"#).is_none());
        assert!(parsed(r#"{"kty":"new"}"#).is_none());
    }
}
