//! Rekor v1's API, as far as it needs nothing beside the log: uploads of every kind, and entries by index and by UUID.
//!
//! What is not there: signed entry timestamps and integrated times (0), and every other operation. An entry is found by UUID as long as it
//! is among those that are searched for duplicates.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tegula_entries::{Attestation, Entry, EntryError, StoredEntry, parse_proposed_v1};
use tegula_sequencer::Logged;
use tegula_storage::ObjectPath;
use tegula_tlog::{Hash, LeafIndex, leaf_hash};
use tracing::warn;

use crate::answers::Room;
use crate::body::MAX_BODY;
use crate::clients::Peer;
use crate::error::ApiError;
use crate::log::{Duplicates, Log};
use crate::tokens::authorize;
use crate::write::{mark_duplicate, rekor_is_on};

/// `POST /api/v1/log/entries`
pub(crate) async fn create(
    State(log): State<Log>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, V1Error> {
    rekor_is_on(&log)?;
    authorize(&log, &headers, peer.map(|peer| peer.0)).await?;
    let body = log.bodies().read(body, MAX_BODY).await?;
    // Packages are unpacked, and may have thousands of members: not on a thread that others wait for.
    let asked = log.clone();
    let entry = tokio::task::spawn_blocking(move || {
        verified(&body.bytes, &asked).map(|entry| (entry, body))
    });
    let (entry, sent) = entry
        .await
        .map_err(|error| ApiError::unavailable(error.to_string()))??;
    keep_attestations(&log, kept(&log, &entry)).await?;
    drop(sent);
    let body = Bytes::from(entry.into_body());
    let receipt = log.sequencer().submit(body.clone()).await?;
    log.metrics().uploaded(1, u64::from(receipt.duplicate));
    let id = EntryId::new(&log, leaf_hash(&body));
    let known = receipt.clone();
    let status = match receipt.duplicate {
        true if log.options().duplicates == Duplicates::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::CREATED,
    };
    let mut response = if status == StatusCode::CONFLICT {
        let message =
            format!("an equivalent entry already exists in the transparency log with UUID {id}");
        V1Error(ApiError::new(status, message)).into_response()
    } else {
        let logged = Logged {
            entry: body,
            receipt,
        };
        (status, Json(log_entry(&log, &logged, None))).into_response()
    };
    mark_duplicate(&mut response, &known);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::LOCATION, format!("/api/v1/log/entries/{id}")),
        (header::ETAG, id.to_string()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// What is logged of a proposed entry.
pub(crate) fn verified(proposed: &[u8], log: &Log) -> Result<Entry, ApiError> {
    let refused =
        |error: EntryError| ApiError::bad_request(format!("error processing entry: {error}"));
    let proposed = parse_proposed_v1(proposed).map_err(refused)?;
    log.takes(proposed.kind(), proposed.version())?;
    let entry = proposed.verify().map_err(refused)?;
    log.options().allowed_keys.check(&entry)?;
    Ok(entry)
}

/// What is kept for an entry. An attestation that is too long is not, which is no reason to refuse the entry.
pub(crate) fn kept(log: &Log, entry: &Entry) -> Option<Attestation> {
    let attestation = entry.attestation()?;
    let fits = attestation.bytes.len() as u64 <= log.attestation_bytes();
    fits.then(|| attestation.clone())
}

/// Before the entries: what refers to one is then never without it.
pub(crate) async fn keep_attestations(
    log: &Log,
    attestations: impl IntoIterator<Item = Attestation>,
) -> Result<(), ApiError> {
    let kept = attestations.into_iter().map(|attestation| {
        let log = log.clone();
        async move { keep_attestation(&log, attestation).await }.boxed()
    });
    let mut kept = stream::iter(kept).buffer_unordered(AT_ONCE);
    while let Some(kept) = kept.next().await {
        kept?;
    }
    Ok(())
}

async fn keep_attestation(log: &Log, attestation: Attestation) -> Result<(), ApiError> {
    let path = attestation_path(&attestation.sha256)?;
    let kept = async {
        log.store().create(&path, attestation.bytes.into()).await?;
        log.store().sync(std::slice::from_ref(&path)).await
    };
    kept.await.map_err(|error| {
        warn!(%error, "an attestation cannot be kept");
        ApiError::unavailable("the attestation cannot be kept at the moment")
    })
}

/// What was kept for an entry; `None` where nothing was, or where it is not what the entry refers to.
async fn attestation(log: &Log, entry: &[u8]) -> Option<Bytes> {
    if log.attestation_bytes() == 0 {
        return None;
    }
    let sha256 = StoredEntry::parse(entry).ok()?.attestation()?;
    let path = attestation_path(&sha256).ok()?;
    let object = log.store().read(&path).await.ok()??;
    (<[u8; 32]>::from(Sha256::digest(&object.bytes)) == sha256).then_some(object.bytes)
}

fn attestation_path(sha256: &[u8; 32]) -> Result<ObjectPath, ApiError> {
    let path = ObjectPath::public(format!("attestations/sha256/{}", Hash(*sha256)));
    path.map_err(|error| ApiError::unavailable(error.to_string()))
}

/// `GET /api/v1/log/entries?logIndex=N`
pub(crate) async fn by_index(
    State(log): State<Log>,
    RawQuery(query): RawQuery,
) -> Result<Response, V1Error> {
    rekor_is_on(&log)?;
    let query = query.unwrap_or_default();
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("logIndex="));
    let given = given.ok_or_else(|| unprocessable("logIndex in query is required".to_owned()))?;
    let index = given.parse().ok().and_then(LeafIndex::new);
    let index = index.ok_or_else(|| {
        let given: String = given.chars().take(100).collect();
        unprocessable(format!(
            "logIndex in query must be of type integer, at least 0: {given:?}"
        ))
    })?;
    let room = log.answers().room().await?;
    let logged = log.sequencer().entry(index).await?;
    Ok(found(&log, logged, room).await)
}

/// `GET /api/v1/log/entries/{entryUUID}`
pub(crate) async fn by_uuid(
    State(log): State<Log>,
    Path(uuid): Path<String>,
) -> Result<Response, V1Error> {
    rekor_is_on(&log)?;
    let id: EntryId = uuid.parse()?;
    let room = log.answers().room().await?;
    if id.tree.is_some_and(|tree| tree != log.tree_id()) {
        return Ok(found(&log, None, room).await);
    }
    let index = log.sequencer().find(&id.leaf).await?;
    let logged = match index {
        Some(index) => log.sequencer().entry(index).await?,
        None => None,
    };
    Ok(found(&log, logged, room).await)
}

/// What Rekor answers: of what is not there, nothing.
async fn found(log: &Log, logged: Option<Logged>, room: Room) -> Response {
    let mut response = match logged {
        Some(logged) => {
            let attestation = attestation(log, &logged.entry).await;
            let json = log_entry(log, &logged, attestation.as_deref()).to_string();
            let json_type = [(header::CONTENT_TYPE, "application/json")];
            (json_type, room.hold(json.into())).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// Where an entry is, in Rekor v1's words: the tree, and the leaf hash.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct EntryId {
    tree: Option<u64>,
    leaf: Hash,
}

impl EntryId {
    fn new(log: &Log, leaf: Hash) -> Self {
        Self {
            tree: Some(log.tree_id()),
            leaf,
        }
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(tree) = self.tree {
            write!(f, "{tree:016x}")?;
        }
        self.leaf.fmt(f)
    }
}

impl FromStr for EntryId {
    type Err = V1Error;

    fn from_str(text: &str) -> Result<Self, V1Error> {
        let refused = || {
            let text: String = text.chars().take(100).collect();
            unprocessable(format!(
                "entryUUID in path should match '^([0-9a-fA-F]{{64}}|[0-9a-fA-F]{{80}})$': {text:?}"
            ))
        };
        let (tree, leaf) = match text.len() {
            64 => (None, text),
            80 => text
                .split_at_checked(16)
                .map(|(tree, leaf)| (Some(tree), leaf))
                .ok_or_else(refused)?,
            _ => return Err(refused()),
        };
        let leaf = leaf
            .to_ascii_lowercase()
            .parse()
            .map_err(|_not_hex| refused())?;
        let tree = tree.map(|tree| u64::from_str_radix(tree, 16)).transpose();
        let tree = tree.map_err(|_not_hex| refused())?;
        if tree.is_some_and(|tree| tree == 0 || tree > MAX_TREE_ID) {
            let message = format!("{text} is not a valid TreeID");
            return Err(ApiError::bad_request(format!("validation error: {message}")).into());
        }
        Ok(Self { tree, leaf })
    }
}

/// Rekor v1's `LogEntry`: an object with one key.
fn log_entry(log: &Log, logged: &Logged, attestation: Option<&[u8]>) -> Value {
    let receipt = &logged.receipt;
    let published = &receipt.published;
    let id = EntryId::new(log, leaf_hash(&logged.entry));
    let proof = InclusionProof {
        checkpoint: String::from_utf8_lossy(&published.checkpoint).into_owned(),
        hashes: receipt.proof.iter().map(Hash::to_string).collect(),
        log_index: receipt.index.get(),
        root_hash: published.root.to_string(),
        tree_size: published.size.get(),
    };
    let mut entry = json!({
        "body": STANDARD.encode(&logged.entry),
        // No time is signed yet.
        "integratedTime": 0,
        "logID": Hash(*log.log_id()).to_string(),
        "logIndex": receipt.index.get(),
        "verification": {"inclusionProof": proof},
    });
    if let (Some(attestation), Some(fields)) = (attestation, entry.as_object_mut()) {
        let data = json!({"data": STANDARD.encode(attestation)});
        fields.insert("attestation".to_owned(), data);
    }
    json!({ id.to_string(): entry })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// An error as Rekor v1 has it: `{"code", "message"}`, where the code is the status.
#[derive(Debug)]
pub(crate) struct V1Error(ApiError);

impl<E: Into<ApiError>> From<E> for V1Error {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for V1Error {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let body = json!({"code": status.as_u16(), "message": self.0.message()});
        let (head, _) = self.0.into_response().into_parts();
        Response::from_parts(head, Body::from(body.to_string()))
    }
}

fn unprocessable(message: String) -> V1Error {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message).into()
}

/// Attestations that are stored together.
const AT_ONCE: usize = 16;

/// A positive number of 64 bits with a sign.
const MAX_TREE_ID: u64 = i64::MAX as u64;
