//! Static objects: the checkpoint, tiles, bundles and `log.json`, as any web server would give them.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use sha2::{Digest, Sha256};
use tegula_index::IndexPath;
use tegula_storage::ObjectPath;
use tegula_tlog::{Hash, TileKind, TilePath};

use crate::answers::{MAX_ANSWER, Room};
use crate::error::ApiError;
use crate::log::Log;

/// `GET` and `HEAD` at `/` and below `/api/v2/`.
pub(crate) async fn object(
    State(log): State<Log>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = uri.path();
    let kind = Kind::of(asked).ok_or_else(|| ApiError::not_found(asked))?;
    if method == Method::OPTIONS {
        return Ok(preflight());
    }
    if method != Method::GET && method != Method::HEAD {
        return Ok(ApiError::no_method(&method, "GET or HEAD"));
    }
    let path = ObjectPath::public(kind.path())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    // Before it is read. What is small is answered whatever else goes on.
    let room = match kind.is_large() {
        true => Some(log.answers().room().await?),
        false => None,
    };
    let object = log
        .store()
        .read(&path)
        .await
        .map_err(|error| ApiError::unavailable(error.to_string()))?;
    let bytes = object.ok_or_else(|| ApiError::not_found(asked))?.bytes;
    if bytes.len() > kind.max_len() {
        return Err(ApiError::unavailable(format!(
            "{asked} is damaged: {} bytes, expected at most {}",
            bytes.len(),
            kind.max_len()
        )));
    }
    let etag = kind.etag(&bytes, log.log_id());
    let part = part(&bytes, &etag, &method, &headers);
    Ok(answer(&kind, part, &etag, &method, room))
}

/// What may be read. Nothing else has a path, so that nothing private can be named.
enum Kind {
    Checkpoint,
    Description,
    Tile(TilePath),
    IndexCheckpoint,
    /// A tile or bundle of the index log.
    IndexTile(TilePath),
    Index(IndexPath),
    /// By the SHA-256 of its bytes.
    Attestation(Hash),
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        let path = path.trim_start_matches('/');
        let path = path.strip_prefix("api/v2/").unwrap_or(path);
        match path {
            "checkpoint" => Some(Self::Checkpoint),
            "log.json" => Some(Self::Description),
            "index/v1/checkpoint" => Some(Self::IndexCheckpoint),
            path => {
                if let Some(sha256) = path.strip_prefix(ATTESTATIONS) {
                    return sha256.parse().ok().map(Self::Attestation);
                }
                if let Some(tile) = path.strip_prefix(INDEX).and_then(|path| path.parse().ok()) {
                    return Some(Self::IndexTile(tile));
                }
                let index = path.parse().ok().map(Self::Index);
                index.or_else(|| path.parse().ok().map(Self::Tile))
            }
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Description => "log.json".to_owned(),
            Self::Tile(path) => path.to_string(),
            Self::IndexCheckpoint => format!("{INDEX}checkpoint"),
            Self::IndexTile(path) => format!("{INDEX}{path}"),
            Self::Index(path) => path.to_string(),
            Self::Attestation(sha256) => format!("{ATTESTATIONS}{sha256}"),
        }
    }

    /// Whether it may be large.
    fn is_large(&self) -> bool {
        match self {
            Self::Tile(path) => path.kind() == TileKind::Entries,
            Self::Attestation(_) | Self::Index(_) => true,
            Self::IndexTile(path) => path.kind() == TileKind::Entries,
            Self::Checkpoint | Self::IndexCheckpoint | Self::Description => false,
        }
    }

    /// The most bytes that a sound object has.
    fn max_len(&self) -> usize {
        match self {
            Self::Tile(path) if path.kind() != TileKind::Entries => 32 * 256,
            Self::Checkpoint | Self::IndexCheckpoint | Self::Description => 1 << 20,
            // Bundles of it have 80 bytes an entry.
            Self::IndexTile(_) => 82 * 256,
            Self::Index(path) => path.max_len().min(MAX_ANSWER),
            Self::Tile(_) | Self::Attestation(_) => MAX_ANSWER,
        }
    }

    /// What never changes at its path is known by the log and its length: to hash 16 MiB takes longer than to read them.
    fn etag(&self, bytes: &[u8], log_id: &[u8; 32]) -> String {
        match self {
            Self::Checkpoint | Self::IndexCheckpoint | Self::Description => {
                let digest = Hash(Sha256::digest(bytes).into()).to_string();
                format!("\"{}\"", digest.get(..32).unwrap_or_default())
            }
            Self::Tile(_) | Self::IndexTile(_) | Self::Index(_) | Self::Attestation(_) => {
                let log = Hash(*log_id).to_string();
                format!("\"{}-{}\"", log.get(..16).unwrap_or_default(), bytes.len())
            }
        }
    }

    fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Checkpoint | Self::IndexCheckpoint => "text/plain; charset=utf-8",
            Self::Description => "application/json",
            Self::Tile(_) | Self::IndexTile(_) | Self::Index(_) | Self::Attestation(_) => {
                "application/octet-stream"
            }
        })
    }

    fn cache_control(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Checkpoint | Self::IndexCheckpoint => "public, max-age=1",
            Self::Description => "public, max-age=60",
            Self::Tile(_) | Self::IndexTile(_) | Self::Index(_) | Self::Attestation(_) => {
                "public, max-age=31536000, immutable"
            }
        })
    }
}

/// What of an object is answered.
enum Part {
    Whole(Bytes),
    Range { bytes: Bytes, of: String },
    NotModified,
    Unsatisfiable { len: usize },
}

fn part(bytes: &Bytes, etag: &str, method: &Method, asked: &HeaderMap) -> Part {
    let len = bytes.len();
    if matches(asked, header::IF_NONE_MATCH, etag) {
        return Part::NotModified;
    }
    // Ranges are of GET alone (RFC 9110, section 14.2).
    let range = match *method {
        Method::GET => range(asked, etag, len),
        _ => Range::Whole,
    };
    match range {
        Range::Whole => Part::Whole(bytes.clone()),
        // A copy: the part must not hold the memory of the whole.
        Range::Part(start, end) => Part::Range {
            bytes: Bytes::copy_from_slice(bytes.get(start..end).unwrap_or_default()),
            of: format!("bytes {start}-{}/{len}", end - 1),
        },
        Range::Unsatisfiable => Part::Unsatisfiable { len },
    }
}

fn answer(kind: &Kind, part: Part, etag: &str, method: &Method, room: Option<Room>) -> Response {
    let (status, bytes, content_range) = match part {
        Part::Whole(bytes) => (StatusCode::OK, bytes, None),
        Part::Range { bytes, of } => (StatusCode::PARTIAL_CONTENT, bytes, Some(of)),
        Part::NotModified => (StatusCode::NOT_MODIFIED, Bytes::new(), None),
        Part::Unsatisfiable { len } => {
            let message = format!("the object has {len} bytes, none of which are in the range");
            let mut refused =
                ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, message).into_response();
            let content_range = format!("bytes */{len}");
            set(&mut refused, header::CONTENT_RANGE, &content_range);
            return refused;
        }
    };
    let content_length = bytes.len();
    let body = match (*method == Method::HEAD, room) {
        (true, _) => Body::empty(),
        (false, Some(room)) => room.hold(bytes),
        (false, None) => Body::from(bytes),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.content_type());
    headers.insert(header::CACHE_CONTROL, kind.cache_control());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content_length));
    }
    set(&mut response, header::ETAG, etag);
    if let Some(content_range) = content_range {
        set(&mut response, header::CONTENT_RANGE, &content_range);
    }
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn matches(asked: &HeaderMap, name: header::HeaderName, etag: &str) -> bool {
    let value = asked.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        value
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag == etag)
    })
}

enum Range {
    Whole,
    Part(usize, usize),
    Unsatisfiable,
}

/// One range of bytes (RFC 9110, section 14). Anything else is answered whole, as it may be.
fn range(asked: &HeaderMap, etag: &str, len: usize) -> Range {
    let text = asked
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    let Some((first, last)) = text
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|text| text.split_once('-'))
    else {
        return Range::Whole;
    };
    if asked.contains_key(header::IF_RANGE) && !matches(asked, header::IF_RANGE, etag) {
        return Range::Whole;
    }
    let (start, end) = match (position(first), position(last)) {
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(len)),
        (Some(start), None) if last.is_empty() => (start, len),
        (None, Some(count)) if first.is_empty() => (len.saturating_sub(count), len),
        _ => return Range::Whole,
    };
    if start < end {
        Range::Part(start, end)
    } else {
        Range::Unsatisfiable
    }
}

/// Digits alone: the standard library would take a sign.
fn position(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    let allowed = HeaderValue::from_static("authorization, content-type, range, if-none-match");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("86400"),
    );
    response
}

/// Where attestations are: tiles-format.md, section 1.
const ATTESTATIONS: &str = "attestations/sha256/";

/// Where the search index is: tiles-format.md, section 13.
const INDEX: &str = "index/v1/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_does_not_hold_the_memory_of_the_whole() {
        let whole = Bytes::from(vec![7; 1000]);
        let asked = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-9"))]);
        let part = part(&whole, "etag", &Method::GET, &asked);
        assert!(matches!(&part, Part::Range { bytes, .. } if bytes.len() == 10));
        assert!(whole.is_unique());
    }
}
