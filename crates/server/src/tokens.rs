//! Who may write: bearer tokens, of which the log keeps hashes alone, in `private/tokens.json`.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tegula_storage::{ObjectPath, Replaced, Store, StoreError};
use tracing::warn;

use crate::clients::{Client, Peer};
use crate::error::ApiError;
use crate::issuers::Issuers;
use crate::log::{Log, Options};

/// A token that is accepted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of the token, 64 hexadecimal digits.
    pub sha256: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Why the tokens could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is a token of this name.
    #[error("there is a token named {0:?} already")]
    Exists(String),
    /// There is no token of this name.
    #[error("there is no token named {0:?}")]
    Unknown(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not one of tokens.
    #[error("private/tokens.json: {0}")]
    File(#[from] serde_json::Error),
    /// Others change them all the time.
    #[error("private/tokens.json was changed by another process, try again")]
    Busy,
}

/// All tokens.
///
/// # Errors
///
/// [`TokenError::Store`] or [`TokenError::File`].
pub async fn list_tokens(store: &dyn Store) -> Result<Vec<Token>, TokenError> {
    let object = store.read(&path()?).await?;
    match object {
        Some(object) => Ok(serde_json::from_slice(&object.bytes)?),
        None => Ok(Vec::new()),
    }
}

/// Makes a token of 32 random bytes; what is returned is not kept anywhere.
///
/// # Errors
///
/// [`TokenError`].
pub async fn add_token(
    store: &dyn Store,
    name: &str,
    random: [u8; 32],
    now_ms: u64,
) -> Result<String, TokenError> {
    let secret = format!("tegula_{}", tegula_tlog::Hash(random));
    let token = Token {
        name: name.to_owned(),
        sha256: hash(&secret),
        created_ms: now_ms,
    };
    change(store, |tokens| {
        if tokens.iter().any(|token| token.name == name) {
            return Err(TokenError::Exists(name.to_owned()));
        }
        tokens.push(token);
        Ok(())
    })
    .await?;
    Ok(secret)
}

/// Takes a token away: the next request with it is refused.
///
/// # Errors
///
/// [`TokenError`].
pub async fn revoke_token(store: &dyn Store, name: &str) -> Result<(), TokenError> {
    change(store, |tokens| {
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        Ok(())
    })
    .await
}

async fn change(
    store: &dyn Store,
    change: impl FnOnce(&mut Vec<Token>) -> Result<(), TokenError> + Send,
) -> Result<(), TokenError> {
    let path = path()?;
    let object = store.read(&path).await?;
    let mut tokens: Vec<Token> = match &object {
        Some(object) => serde_json::from_slice(&object.bytes)?,
        None => Vec::new(),
    };
    change(&mut tokens)?;
    let json = Bytes::from(serde_json::to_vec_pretty(&tokens)?);
    let version = object.as_ref().map(|object| &object.version);
    match store.replace(&path, version, json).await? {
        Replaced::Replaced(_) => Ok(store.sync(std::slice::from_ref(&path)).await?),
        Replaced::Changed => Err(TokenError::Busy),
    }
}

/// Who writes, if they may: whether by a token, which the file has, read each time, so that one can be revoked at once; and whether there is
/// some left of what they may upload, of which one entry is taken.
pub(crate) async fn authorize(
    log: &Log,
    headers: &HeaderMap,
    peer: Option<Peer>,
) -> Result<Client, ApiError> {
    let token = token(log, headers).await?;
    let client = Client::of(token, peer, headers, log.options().behind_proxy);
    log.clients().take_first(&client)?;
    Ok(client)
}

/// Whose the token is, where one is needed.
async fn token(log: &Log, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Options {
        require_token,
        issuers,
        ..
    } = log.options();
    if !require_token && issuers.is_none() {
        return Ok(None);
    }
    let unauthorized = |message| ApiError::new(StatusCode::UNAUTHORIZED, message);
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        // The name of a scheme is of any case (RFC 9110, section 11.1).
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let given = given.ok_or_else(|| unauthorized("this log needs a bearer token to write"))?;
    match issuers {
        Some(issuers) if Issuers::are_asked(given) || !require_token => {
            issuers.check(given).await.map(Some)
        }
        _ => own_token(log, given).await.map(Some),
    }
}

/// The name of one of the log's own tokens.
async fn own_token(log: &Log, given: &str) -> Result<String, ApiError> {
    let tokens = list_tokens(log.store()).await.map_err(|error| {
        warn!(%error, "the tokens cannot be read");
        ApiError::unavailable("the tokens of this log cannot be read at the moment")
    })?;
    let given = hash(given);
    let known = tokens.into_iter().find(|token| token.sha256 == given);
    known.map(|token| token.name).ok_or_else(|| {
        let message = "the bearer token is not known, or was revoked";
        ApiError::new(StatusCode::UNAUTHORIZED, message)
    })
}

fn hash(secret: &str) -> String {
    tegula_tlog::Hash(Sha256::digest(secret).into()).to_string()
}

fn path() -> Result<ObjectPath, StoreError> {
    ObjectPath::private("tokens.json").map_err(|error| StoreError::invalid(error.to_string()))
}
