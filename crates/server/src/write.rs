//! Uploads: one entry, a batch of them, or bytes as they are.

use std::fmt;
use std::marker::PhantomData;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tegula_entries::{Attestation, Entry, parse_request};
use tegula_sequencer::Receipt;

use crate::allowed::AllowedKeys;
use crate::answer::{Batch, TransparencyLogEntry};
use crate::body::MAX_BODY;
use crate::clients::{Client, Peer};
use crate::error::ApiError;
use crate::log::{Duplicates, Log};
use crate::tokens::authorize;
use crate::v1;

/// `POST /api/v2/log/entries`
pub(crate) async fn entry(
    State(log): State<Log>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    rekor_is_on(&log)?;
    authorize(&log, &headers, peer.map(|peer| peer.0)).await?;
    let body = log.bodies().read(body, MAX_BODY).await?;
    let entry = verified(&body.bytes, &log.options().allowed_keys)?;
    let receipt = log
        .sequencer()
        .submit(Bytes::copy_from_slice(entry.body()))
        .await?;
    log.metrics().uploaded(1, u64::from(receipt.duplicate));
    if receipt.duplicate && log.options().duplicates == Duplicates::Conflict {
        return Err(ApiError::conflict(receipt.index));
    }
    let answer = TransparencyLogEntry::new(log.log_id(), &entry, &receipt);
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    mark_duplicate(&mut response, &receipt);
    Ok(response)
}

/// `POST /api/v2/log/entries/batch`
pub(crate) async fn batch(
    State(log): State<Log>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    rekor_is_on(&log)?;
    let client = authorize(&log, &headers, peer.map(|peer| peer.0)).await?;
    let body = log.bodies().read(body, MAX_BODY).await?;
    // A thousand verifications take tenths of a second: not on a thread that others wait for. The body's room is free when they are done, and
    // not when the client has gone; and not before the attestations are stored, which are as long.
    let charged = log.clone();
    let verified = tokio::task::spawn_blocking(move || {
        verified_batch(&body.bytes, &charged, &client).map(|verified| (verified, body))
    });
    let ((verified, attestations), body) = verified
        .await
        .map_err(|error| ApiError::unavailable(error.to_string()))??;
    // Before the entries, as for one alone. One that cannot be kept fails the batch while none of it is logged: all of it can be sent again.
    v1::keep_attestations(&log, attestations).await?;
    drop(body);
    let bodies: Vec<Bytes> = verified.iter().flatten().cloned().collect();
    let receipts = if bodies.is_empty() {
        Vec::new()
    } else {
        log.sequencer().submit_batch(bodies).await?
    };
    let known = receipts.iter().filter(|receipt| receipt.duplicate).count();
    log.metrics().uploaded(receipts.len() as u64, known as u64);
    let published = receipts.first().map_or_else(
        || log.sequencer().published(),
        |receipt| receipt.published.clone(),
    );
    let mut receipts = receipts.into_iter();
    let entries = verified.into_iter().map(|verified| {
        let receipt = verified.map(|_| receipts.next());
        receipt.and_then(|receipt| receipt.ok_or_else(|| "it was not logged".to_owned()))
    });
    let answer = Batch::new(&published, entries.collect());
    Ok(Json(answer).into_response())
}

/// `POST /add`
pub(crate) async fn add(
    State(log): State<Log>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !log.takes_raw() {
        let message = "this log takes no raw entries: its log.json does not name the kind raw";
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    if log.options().allowed_keys.are_named() {
        let message =
            "this log takes entries that named keys have signed, and raw ones have no signatures";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    authorize(&log, &headers, peer.map(|peer| peer.0)).await?;
    let body = log.bodies().read(body, tegula_tlog::MAX_ENTRY_LEN).await?;
    let receipt = log.sequencer().submit(body.bytes.clone()).await?;
    log.metrics().uploaded(1, u64::from(receipt.duplicate));
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (text, receipt.index.to_string()).into_response();
    mark_duplicate(&mut response, &receipt);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchRequest<'a> {
    #[serde(borrow)]
    requests: Requests<'a>,
}

/// The first of the requests, as they are written, and how many there are: of a million tiny ones it holds no more than may be.
struct Requests<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Requests<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CountedVisitor(PhantomData))
    }
}

struct CountedVisitor<'a>(PhantomData<&'a RawValue>);

impl<'de: 'a, 'a> Visitor<'de> for CountedVisitor<'a> {
    type Value = Requests<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of 1 to {MAX_BATCH} requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut requests: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < MAX_BATCH {
            match requests.next_element()? {
                Some(request) => first.push(request),
                None => break,
            }
        }
        let mut count = first.len();
        while requests.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Requests { first, count })
    }
}

/// What is logged of a request.
fn verified(request: &[u8], allowed: &AllowedKeys) -> Result<Entry, ApiError> {
    let entry = parse_request(request)?.verify()?;
    allowed.check(&entry)?;
    Ok(entry)
}

/// Whether it names its kind, as Rekor v1's proposed entries do.
fn is_v1(request: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "apiVersion")]
        _version: IgnoredAny,
        #[serde(rename = "kind")]
        _kind: IgnoredAny,
    }
    serde_json::from_slice::<Named>(request).is_ok()
}

/// What is logged of each request of a batch, or why it is refused.
type Bodies = Vec<Result<Bytes, String>>;

/// The bodies of a batch of requests, and what is kept beside them.
fn verified_batch(
    requests: &[u8],
    log: &Log,
    client: &Client,
) -> Result<(Bodies, Vec<Attestation>), ApiError> {
    let batch: BatchRequest<'_> = serde_json::from_slice(requests).map_err(|error| {
        ApiError::bad_request(format!(
            "request is not valid: expected {{\"requests\": [...]}}: {error}"
        ))
    })?;
    let Requests { first, count } = batch.requests;
    if count == 0 || count > MAX_BATCH {
        return Err(ApiError::bad_request(format!(
            "a batch of {count} requests, expected 1 to {MAX_BATCH}"
        )));
    }
    // One was taken before it was read.
    log.clients().take_rest(client, count)?;
    let allowed = &log.options().allowed_keys;
    let mut attestations = Vec::new();
    let verified = first.iter().map(|request| {
        let request = request.get().as_bytes();
        let entry = if is_v1(request) {
            v1::verified(request, log)
        } else {
            verified(request, allowed)
        };
        let entry = entry.map_err(ApiError::into_message)?;
        attestations.extend(v1::kept(log, &entry));
        Ok(Bytes::from(entry.into_body()))
    });
    let verified = verified.collect();
    Ok((verified, attestations))
}

pub(crate) fn rekor_is_on(log: &Log) -> Result<(), ApiError> {
    if log.takes_rekor() {
        return Ok(());
    }
    let message = "this log takes raw entries alone, by POST /add";
    Err(ApiError::new(StatusCode::NOT_FOUND, message))
}

pub(crate) fn mark_duplicate(response: &mut Response, receipt: &Receipt) {
    if receipt.duplicate {
        let index = HeaderValue::from(receipt.index.get());
        response.headers_mut().insert("x-log-index", index);
    }
}

const MAX_BATCH: usize = 1_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use super::*;

    #[test]
    fn of_a_million_tiny_requests_a_thousand_are_held() {
        let json = format!("{{\"requests\":[{}1]}}", "1,".repeat(1_000_000));
        let batch: BatchRequest<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(batch.requests.count, 1_000_001);
        assert!(batch.requests.first.capacity() <= 2 * MAX_BATCH);
        assert!(serde_json::from_str::<BatchRequest<'_>>("{\"requests\":7}").is_err());
    }
}
