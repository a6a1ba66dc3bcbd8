//! Where the keys of a log are.
//!
//! | | |
//! |---|---|
//! | `PATH` | a file |
//! | `env:NAME` | a variable of the environment |
//! | `kms:KEY` | a key of AWS KMS, by its id, ARN or alias: it signs there, and never leaves |
//! | `secret:NAME` | a secret of AWS Secrets Manager, by its name or ARN |
//! | `ssm:NAME` | a parameter of AWS Systems Manager |
//!
//! But in KMS a key is PKCS#8 PEM, Ed25519 or ECDSA P-256, or the private key of a signed note (`PRIVATE+KEY+…`). The first one of a log
//! is an Ed25519 key; in KMS that is the key spec `ECC_NIST_EDWARDS25519`.

#[cfg(feature = "aws")]
mod aws;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tegula_sequencer::Signer;
use tegula_tlog::{KeyError, KeyKind, SigningKey, VerifierKey};

/// Where a key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
    /// In AWS KMS.
    Kms(String),
    /// In AWS Secrets Manager.
    Secret(String),
    /// In AWS Systems Manager.
    Ssm(String),
}

/// A key that was found.
#[derive(Clone, Debug)]
pub enum LogKey {
    /// It is held here.
    Held(Box<SigningKey>),
    /// A service signs with it.
    Remote(Arc<dyn Signer>),
}

/// Why there is no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// Not the text of a source.
    #[error("{0:?} is not a key, expected a file, env:NAME, kms:KEY, secret:NAME or ssm:NAME")]
    Form(String),
    /// It could not be read.
    #[error("the key {place}: {reason}")]
    Unreadable {
        /// The source.
        place: KeySource,
        /// Why.
        reason: String,
    },
    /// It is none that a log can sign with.
    #[error("the key {place}: {reason}")]
    NoKey {
        /// The source.
        place: KeySource,
        /// Why.
        reason: String,
    },
    /// It has a name of its own, which is not the log's.
    #[error("{place} is the key of {name:?}, the log's origin is {origin:?}")]
    Name {
        /// The source.
        place: KeySource,
        /// Whose key it is.
        name: String,
        /// Whose it should be.
        origin: String,
    },
}

impl FromStr for KeySource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (kind, name) = text.split_once(':').unwrap_or(("", text));
        if name.is_empty() {
            return Err(SourceError::Form(text.to_owned()));
        }
        let name = name.to_owned();
        Ok(match kind {
            "env" => Self::Env(name),
            "kms" => Self::Kms(name),
            "secret" => Self::Secret(name),
            "ssm" => Self::Ssm(name),
            _ => Self::File(text.into()),
        })
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Kms(name) => write!(f, "kms:{name}"),
            Self::Secret(name) => write!(f, "secret:{name}"),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
        }
    }
}

impl KeySource {
    /// The key, for a log of this name.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    pub async fn open(&self, origin: &str) -> Result<LogKey, SourceError> {
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path).map_err(|e| self.unreadable(&e))?,
            Self::Env(name) => variable(name).map_err(|error| self.unreadable(&error))?,
            Self::Kms(key) => {
                return remote::kms(key, origin)
                    .await
                    .map_err(|error| error.at(self));
            }
            Self::Secret(name) => remote::secret(name).await.map_err(|error| error.at(self))?,
            Self::Ssm(name) => remote::parameter(name)
                .await
                .map_err(|error| error.at(self))?,
        };
        let text = text.trim_start();
        let key = if text.starts_with("PRIVATE+KEY+") {
            SigningKey::from_note_key(text.trim_end())
        } else {
            SigningKey::from_pkcs8_pem(origin, text)
        };
        let key = key.map_err(|error| self.no_key(&error))?;
        if key.name() != origin {
            return Err(SourceError::Name {
                place: self.clone(),
                name: key.name().to_owned(),
                origin: origin.to_owned(),
            });
        }
        Ok(LogKey::Held(Box::new(key)))
    }

    fn unreadable(&self, error: &dyn fmt::Display) -> SourceError {
        SourceError::Unreadable {
            place: self.clone(),
            reason: error.to_string(),
        }
    }

    fn no_key(&self, error: &KeyError) -> SourceError {
        SourceError::NoKey {
            place: self.clone(),
            reason: error.to_string(),
        }
    }
}

impl LogKey {
    /// What verifies its signatures.
    pub fn verifier(&self) -> VerifierKey {
        match self {
            Self::Held(key) => key.verifier(),
            Self::Remote(key) => key.verifier(),
        }
    }

    /// What signs with it.
    pub fn signer(&self) -> Arc<dyn Signer> {
        match self {
            Self::Held(key) => Arc::new(SigningKey::clone(key)),
            Self::Remote(key) => Arc::clone(key),
        }
    }
}

/// The keys of a log in the order of their signatures: one Ed25519 key, and no more than one ECDSA P-256 key after it.
///
/// # Errors
///
/// What is wrong with them.
pub fn in_order(mut keys: Vec<LogKey>) -> Result<Vec<LogKey>, String> {
    keys.sort_by_key(|key| key.verifier().kind() != KeyKind::Ed25519);
    let kinds: Vec<_> = keys.iter().map(|key| key.verifier().kind()).collect();
    match kinds[..] {
        [KeyKind::Ed25519] | [KeyKind::Ed25519, KeyKind::EcdsaP256] => Ok(keys),
        _ => {
            Err("expected an Ed25519 key, and no more than one ECDSA P-256 key besides".to_owned())
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever starts the process says which variable holds the key"
)]
fn variable(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}

/// What a service said.
#[cfg_attr(
    not(feature = "aws"),
    expect(dead_code, reason = "then there is no service")
)]
enum RemoteError {
    /// Nothing that helps.
    Unreadable(String),
    /// It holds something else.
    NoKey(String),
}

impl RemoteError {
    fn at(self, place: &KeySource) -> SourceError {
        let place = place.clone();
        match self {
            Self::Unreadable(reason) => SourceError::Unreadable { place, reason },
            Self::NoKey(reason) => SourceError::NoKey { place, reason },
        }
    }
}

#[cfg(feature = "aws")]
use aws as remote;

/// Without AWS's services.
#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "where there are services they wait")]
mod remote {
    use super::{LogKey, RemoteError};

    const NONE: &str = "this program was built without the feature `aws`";

    pub(super) async fn kms(_key: &str, _origin: &str) -> Result<LogKey, RemoteError> {
        Err(RemoteError::Unreadable(NONE.to_owned()))
    }

    pub(super) async fn secret(_name: &str) -> Result<String, RemoteError> {
        Err(RemoteError::Unreadable(NONE.to_owned()))
    }

    pub(super) async fn parameter(_name: &str) -> Result<String, RemoteError> {
        Err(RemoteError::Unreadable(NONE.to_owned()))
    }
}

#[cfg(test)]
mod tests;
