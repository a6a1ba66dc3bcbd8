//! Writing to a log: what `tegula upload` sends.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::{StatusCode, header};
use serde::Deserialize;
use tegula_tlog::{
    Checkpoint, Hash, LeafIndex, Policy, TlogProof, TreeSize, leaf_hash, verify_inclusion,
};

use crate::http::{Answer, Http, retry_after, without_userinfo};
use crate::{FetchError, HttpOptions, ReadError};

/// The write interface of a log.
///
/// A request that fails in a way which may pass (no connection, 429, 5xx) is sent again: a log answers an entry that it already
/// holds with the index that it has, so sending twice logs once. `Retry-After` is honoured.
#[derive(Clone, Debug)]
pub struct Api {
    http: Http,
    token: Option<String>,
}

impl Api {
    /// The log at `url`, and the bearer token where it asks for one.
    ///
    /// # Errors
    ///
    /// As [`HttpSource::new`](crate::HttpSource::new), and a token that no header can hold.
    pub fn new(url: &str, token: Option<String>, options: HttpOptions) -> Result<Self, FetchError> {
        let fits = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
        if !token.as_ref().is_none_or(fits) {
            return Err(FetchError::Io {
                place: without_userinfo(url),
                reason: "the token has characters that are not printable ASCII".to_owned(),
            });
        }
        Ok(Self {
            http: Http::new(url, options)?,
            token,
        })
    }

    /// Uploads one request of Rekor v2: `POST /api/v2/log/entries`.
    ///
    /// # Errors
    ///
    /// [`ApiError`]; the answer is parsed, but nothing in it is verified yet.
    pub async fn upload(&self, request: &str) -> Result<Uploaded, ApiError> {
        let answer = self
            .post("api/v2/log/entries", request.to_owned().into(), JSON)
            .await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Uploaded::parse(&answer),
            _ => Err(ApiError::of(&answer)),
        }
    }

    /// Uploads one proposed entry of Rekor v1: `POST /api/v1/log/entries`.
    ///
    /// # Errors
    ///
    /// As [`Api::upload`].
    pub async fn propose(&self, proposed: &str) -> Result<Uploaded, ApiError> {
        let answer = self
            .post("api/v1/log/entries", proposed.to_owned().into(), JSON)
            .await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Uploaded::parse_v1(&answer),
            _ => Err(ApiError::of(&answer)),
        }
    }

    /// Uploads several requests of Rekor v2 at once: `POST /api/v2/log/entries/batch`.
    ///
    /// # Errors
    ///
    /// As [`Api::upload`], for the batch as a whole.
    pub async fn upload_batch(&self, requests: &[String]) -> Result<BatchUploaded, ApiError> {
        let body = format!("{{\"requests\":[{}]}}", requests.join(","));
        let answer = self
            .post("api/v2/log/entries/batch", body.into(), JSON)
            .await?;
        if answer.status != StatusCode::OK {
            return Err(ApiError::of(&answer));
        }
        let batch = BatchUploaded::parse(&answer.body)?;
        if batch.entries.len() != requests.len() {
            return Err(ApiError::Malformed(format!(
                "{} answers to {} requests",
                batch.entries.len(),
                requests.len()
            )));
        }
        Ok(batch)
    }

    /// Adds bytes as they are, where the log takes them: `POST /add`. The index comes back, and whether it had been there before.
    ///
    /// # Errors
    ///
    /// As [`Api::upload`].
    pub async fn add(&self, entry: Bytes) -> Result<Added, ApiError> {
        let answer = self.post("add", entry, OCTETS).await?;
        if answer.status != StatusCode::OK {
            return Err(ApiError::of(&answer));
        }
        let text = str::from_utf8(&answer.body).unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        let index = text
            .parse()
            .map_err(|_error| ApiError::Malformed(format!("{text:?} is not an index")))?;
        Ok(Added {
            index,
            duplicate: log_index_header(&answer) == Some(index),
        })
    }

    async fn post(
        &self,
        path: &str,
        body: Bytes,
        content_type: &'static str,
    ) -> Result<Answer, ApiError> {
        let url = self.http.at(path);
        let request = || {
            self.http
                .post(path, self.token.as_deref())
                .header(header::CONTENT_TYPE, content_type)
                .body(body.clone())
        };
        Ok(self.http.send(&url, MAX_ANSWER_LEN, request).await?)
    }
}

/// Why an upload was not answered with an entry.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The network failed. The entry may be in the log: send it again.
    #[error("{0}")]
    Io(FetchError),
    /// The log refuses the entry or the request, and always will.
    #[error("the log refused the upload with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The log's words.
        message: String,
    },
    /// The log wants a token, or another one.
    #[error("the log did not accept the token: {0}")]
    Unauthorized(String),
    /// The entry is in the log, and the log is set to say so in this way.
    #[error("the entry is in the log already{}", index.map(|index| format!(", at index {index}")).unwrap_or_default())]
    Exists {
        /// Where it is, if the log said so.
        index: Option<LeafIndex>,
    },
    /// The log cannot take it now, also after some repetitions.
    #[error("the log is not available, status {status}: {message}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The log's words.
        message: String,
        /// When the log wishes to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is not one that a log gives.
    #[error("the log's answer is malformed: {0}")]
    Malformed(String),
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        Self::Io(error)
    }
}

impl ApiError {
    fn of(answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let message = error_message(&answer.body);
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Unauthorized(message),
            StatusCode::CONFLICT => Self::Exists {
                index: log_index_header(answer),
            },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Unavailable {
                status,
                message,
                retry_after: retry_after(&answer.headers),
            },
            _ if answer.status.is_server_error() => Self::Unavailable {
                status,
                message,
                retry_after: retry_after(&answer.headers),
            },
            _ => Self::Refused { status, message },
        }
    }
}

/// Bytes that the log says it holds.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Added {
    /// Their index.
    pub index: LeafIndex,
    /// Whether they had been there before.
    pub duplicate: bool,
}

/// An entry that the log says it holds, with its proof: Rekor's `TransparencyLogEntry`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uploaded {
    /// Its index.
    pub index: LeafIndex,
    /// Whether it had been there before.
    pub duplicate: bool,
    /// The leaf's bytes.
    pub body: Vec<u8>,
    /// Which log it is: the whole key id.
    pub log_id: Hash,
    /// The inclusion proof.
    pub proof: Vec<Hash>,
    /// The tree's size that the proof is for.
    pub size: TreeSize,
    /// The root that the proof leads to.
    pub root: Hash,
    /// The signed checkpoint of that tree.
    pub checkpoint: Vec<u8>,
    /// The answer as it came.
    pub json: Bytes,
}

impl Uploaded {
    /// Verifies the proof and the checkpoint.
    ///
    /// # Errors
    ///
    /// [`ReadError::Verification`] or [`ReadError::Policy`].
    pub fn verify(&self, policy: &Policy) -> Result<Checkpoint, ReadError> {
        let (checkpoint, _) = policy.check(&self.checkpoint)?;
        if (checkpoint.size, checkpoint.root) != (self.size, self.root) {
            return Err(ReadError::Verification(format!(
                "the answer's proof is for the tree of size {}, its checkpoint for size {}, or their roots differ",
                self.size, checkpoint.size
            )));
        }
        let leaf = leaf_hash(&self.body);
        verify_inclusion(self.index, self.size, &leaf, &self.proof, &self.root).map_err(
            |error| ReadError::Verification(format!("the proof of entry {}: {error}", self.index)),
        )?;
        Ok(checkpoint)
    }

    /// The proof as a file that can be checked offline.
    #[must_use]
    pub fn tlog_proof(&self) -> TlogProof {
        TlogProof {
            extra: None,
            index: self.index,
            hashes: self.proof.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    fn parse(answer: &Answer) -> Result<Self, ApiError> {
        let entry: TransparencyLogEntry = json(&answer.body)?;
        let proof = entry.inclusion_proof;
        if proof.log_index != entry.log_index {
            return Err(ApiError::Malformed(format!(
                "the entry's index is {}, its proof's {}",
                entry.log_index, proof.log_index
            )));
        }
        Ok(Self {
            index: number("logIndex", &entry.log_index)?,
            duplicate: log_index_header(answer).is_some(),
            body: base64("canonicalizedBody", &entry.canonicalized_body)?,
            log_id: hash("logId.keyId", &entry.log_id.key_id)?,
            proof: hashes(&proof.hashes)?,
            size: number("treeSize", &proof.tree_size)?,
            root: hash("rootHash", &proof.root_hash)?,
            checkpoint: proof.checkpoint.envelope.into_bytes(),
            json: answer.body.clone(),
        })
    }
}

impl Uploaded {
    /// Rekor v1's `LogEntry`: an object with one key, which names the entry.
    fn parse_v1(answer: &Answer) -> Result<Self, ApiError> {
        let entries: HashMap<String, LogEntry> = json(&answer.body)?;
        let count = entries.len();
        let one = entries.into_values().next().filter(|_| count == 1);
        let entry =
            one.ok_or_else(|| ApiError::Malformed(format!("{count} entries, expected 1")))?;
        let proof = entry.verification.inclusion_proof;
        if proof.log_index != entry.log_index {
            return Err(ApiError::Malformed(format!(
                "the entry's index is {}, its proof's {}",
                entry.log_index, proof.log_index
            )));
        }
        let hex = |field: &str, text: &str| {
            let hash: Result<Hash, _> = text.parse();
            hash.map_err(|error| ApiError::Malformed(format!("{field}: {error}")))
        };
        let hashes = proof.hashes.iter().map(|text| hex("hashes", text));
        Ok(Self {
            index: number("logIndex", &entry.log_index.to_string())?,
            duplicate: log_index_header(answer).is_some(),
            body: base64("body", &entry.body)?,
            log_id: hex("logID", &entry.log_id)?,
            proof: hashes.collect::<Result<_, _>>()?,
            size: number("treeSize", &proof.tree_size.to_string())?,
            root: hex("rootHash", &proof.root_hash)?,
            checkpoint: proof.checkpoint.into_bytes(),
            json: answer.body.clone(),
        })
    }
}

/// The answer to a batch: one checkpoint, and for each request an index and a proof, or an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchUploaded {
    /// The tree's size that the proofs are for.
    pub size: TreeSize,
    /// The root that the proofs lead to.
    pub root: Hash,
    /// The signed checkpoint of that tree.
    pub checkpoint: Vec<u8>,
    /// In the order of the requests: where the entry is, or the log's words why it is not.
    pub entries: Vec<Result<BatchEntry, String>>,
}

/// One entry of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchEntry {
    /// Its index.
    pub index: LeafIndex,
    /// Its inclusion proof.
    pub proof: Vec<Hash>,
}

impl BatchUploaded {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let message: BatchAnswer = json(body)?;
        let entry = |entry: BatchAnswerEntry| match entry {
            BatchAnswerEntry::Logged {
                log_index,
                hashes: proof,
            } => Ok(Ok(BatchEntry {
                index: number("logIndex", &log_index)?,
                proof: hashes(&proof)?,
            })),
            BatchAnswerEntry::Refused { error } => Ok(Err(match error {
                serde_json::Value::String(text) => printable(&text),
                other => message_of(&other).unwrap_or_else(|| other.to_string()),
            })),
        };
        Ok(Self {
            size: number("treeSize", &message.tree_size)?,
            root: hash("rootHash", &message.root_hash)?,
            checkpoint: message.checkpoint.into_bytes(),
            entries: message
                .entries
                .into_iter()
                .map(entry)
                .collect::<Result<_, ApiError>>()?,
        })
    }
}

/// Checks a proof that was kept, without any log.
///
/// # Errors
///
/// [`ReadError::Verification`] or [`ReadError::Policy`].
pub fn verify_proof(
    proof: &TlogProof,
    leaf: &Hash,
    policy: &Policy,
) -> Result<Checkpoint, ReadError> {
    let (checkpoint, _) = policy.check(&proof.checkpoint)?;
    verify_inclusion(
        proof.index,
        checkpoint.size,
        leaf,
        &proof.hashes,
        &checkpoint.root,
    )
    .map_err(|error| {
        ReadError::Verification(format!("the proof of entry {}: {error}", proof.index))
    })?;
    Ok(checkpoint)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransparencyLogEntry {
    log_index: String,
    log_id: LogId,
    inclusion_proof: InclusionProof,
    canonicalized_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    log_index: String,
    root_hash: String,
    tree_size: String,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    body: String,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: ProofV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofV1 {
    checkpoint: String,
    #[serde(default)]
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

#[derive(Deserialize)]
struct Envelope {
    envelope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    checkpoint: String,
    tree_size: String,
    root_hash: String,
    entries: Vec<BatchAnswerEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum BatchAnswerEntry {
    Refused {
        error: serde_json::Value,
    },
    #[serde(rename_all = "camelCase")]
    Logged {
        log_index: String,
        hashes: Vec<String>,
    },
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Malformed(error.to_string()))
}

fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_error| ApiError::Malformed(format!("{field} is {text:?}, expected a number")))
}

fn base64(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(text)
        .map_err(|error| ApiError::Malformed(format!("{field}: {error}")))
}

fn hash(field: &str, text: &str) -> Result<Hash, ApiError> {
    let bytes = base64(field, text)?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|bytes| {
        ApiError::Malformed(format!("{field} is {} bytes, expected 32", bytes.len()))
    })?;
    Ok(Hash(bytes))
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, ApiError> {
    texts.iter().map(|text| hash("hashes", text)).collect()
}

fn log_index_header(answer: &Answer) -> Option<LeafIndex> {
    answer
        .headers
        .get("x-log-index")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The `message` of an error, or the beginning of what came instead.
fn error_message(body: &[u8]) -> String {
    let value = serde_json::from_slice(body).unwrap_or(serde_json::Value::Null);
    message_of(&value).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text: String = text.trim().chars().take(200).collect();
        text.escape_debug().to_string()
    })
}

fn message_of(value: &serde_json::Value) -> Option<String> {
    value.get("message")?.as_str().map(printable)
}

/// Words from outside, without what could steer a terminal.
fn printable(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(1000).map(printable).collect()
}

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";
/// A thousand proofs of 40 hashes take 2 MB.
const MAX_ANSWER_LEN: usize = 16 << 20;

#[cfg(test)]
mod tests;
