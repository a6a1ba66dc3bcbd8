//! `GET /search`: the search of a reader, made here for who cannot make it. The answer can carry all that it rests on, so that whoever gets it
//! checks it as if it had been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tegula_client::{
    CheckpointMemory, FetchError, Operator, ReadError, Reader, SearchOptions, Searched, Source,
};
use tegula_entries::{Domain, SearchKey};
use tegula_index::Key;
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{Hash, LeafIndex, Policy, VerifierKey, leaf_hash};
use tracing::warn;

use crate::error::ApiError;
use crate::log::Log;

/// `GET /search?sha=…&email=…&operator=and`
pub(crate) async fn search(
    State(log): State<Log>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(&query.unwrap_or_default())?;
    // Each may hold some bundles, and the objects of its proof.
    let turn = tokio::time::timeout(PATIENCE, log.searches().acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(ApiError::unavailable("too many searches are under way"));
    };
    let source = Arc::new(Recorder {
        store: log.store_handle(),
        read: Mutex::default(),
        records: AtomicBool::new(query.proof),
    });
    let policy = Policy::from_log_keys(log.keys().to_vec());
    let memory = CheckpointMemory::in_process();
    let reader = Reader::new(Arc::clone(&source) as _, policy, None, memory);
    let keys: Vec<_> = query.wanted.iter().map(|wanted| wanted.key()).collect();
    let options = SearchOptions {
        max_scanned: MAX_SCANNED,
    };
    let searched = reader.search(&keys, options).await.map_err(unsearched)?;
    let counts: u64 = searched.answers.iter().map(|answer| answer.count()).sum();
    if searched.answers.len() > 1 && counts > MAX_JOINED {
        return Err(ApiError::bad_request(format!(
            "the things asked for have {counts} entries, expected at most {MAX_JOINED} of several: ask for one, or search at the client"
        )));
    }
    let one_each = vec![1; keys.len()];
    let selected = reader.select(&searched, &one_each, query.operator, query.limit);
    let selected = selected.await.map_err(unsearched)?;
    // What was found is proven by what was read so far.
    source.records.store(false, Ordering::Relaxed);
    let bodies = match query.entries {
        true => bodies(&reader, &searched, &selected.newest).await?,
        false => HashMap::new(),
    };
    let listed = selected.newest.iter().map(|index| {
        let mut entry = json!({"logIndex": index.get()});
        if let (Some(body), Some(entry)) = (bodies.get(index), entry.as_object_mut()) {
            entry.insert("uuid".to_owned(), leaf_hash(body).to_string().into());
            entry.insert("body".to_owned(), STANDARD.encode(body).into());
        }
        entry
    });
    let entries: Value = listed.collect();
    let mut answer = answer(&searched, selected.count, &entries);
    if let (true, Some(answer)) = (query.proof, answer.as_object_mut()) {
        let (objects, omitted) = source.objects();
        answer.insert("objects".to_owned(), objects);
        answer.insert("omitted".to_owned(), omitted);
    }
    let room = log.answers().room().await?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (json, room.hold(answer.to_string().into())).into_response();
    let fresh = HeaderValue::from_static("public, max-age=1");
    response.headers_mut().insert(header::CACHE_CONTROL, fresh);
    Ok(response)
}

/// The bytes of the newest entries, as many as fit. Each bundle is read once; where they are many, those of the first ones.
async fn bodies(
    reader: &Reader,
    searched: &Searched,
    newest: &[LeafIndex],
) -> Result<HashMap<LeafIndex, Bytes>, ApiError> {
    let mut bodies = HashMap::new();
    let (mut left, mut left_to_read) = (MAX_BODIES, MAX_READ);
    let mut held: Option<(u64, Vec<(Bytes, Hash)>)> = None;
    for index in newest {
        let n = index.get() / 256;
        if held.as_ref().is_none_or(|(held, _)| *held != n) {
            let entries = reader.bundle_entries(&searched.checkpoint, n).await;
            let entries = entries.map_err(unsearched)?;
            let read: usize = entries.iter().map(|(entry, _)| entry.len()).sum();
            held = Some((n, entries));
            let Some(rest) = left_to_read.checked_sub(read) else {
                break;
            };
            left_to_read = rest;
        }
        let at = usize::try_from(index.get() % 256).unwrap_or(usize::MAX);
        let entry = held.as_ref().and_then(|(_, entries)| entries.get(at));
        let Some((entry, _)) = entry else { continue };
        let Some(rest) = left.checked_sub(entry.len()) else {
            break;
        };
        left = rest;
        // A copy: it must not hold the whole bundle.
        bodies.insert(*index, Bytes::copy_from_slice(entry));
    }
    Ok(bodies)
}

fn answer(searched: &Searched, count: u64, entries: &Value) -> Value {
    let checkpoint = &searched.checkpoint;
    let index = searched.index.as_ref().map(|index| {
        json!({
            "treeSize": index.checkpoint().size().get(),
            "rootHash": index.checkpoint().root().to_string(),
            "checkpoint": String::from_utf8_lossy(index.checkpoint().note()),
            "covered": index.covered().get(),
        })
    });
    json!({
        "count": count,
        "entries": entries,
        "complete": searched.is_complete(),
        "searched": searched.proven.get(),
        "treeSize": checkpoint.size().get(),
        "rootHash": checkpoint.root().to_string(),
        "checkpoint": String::from_utf8_lossy(checkpoint.note()),
        "index": index,
    })
}

/// What is asked for, and how.
#[derive(Debug)]
struct Query {
    wanted: Vec<Wanted>,
    operator: Operator,
    limit: usize,
    entries: bool,
    proof: bool,
}

#[derive(Debug)]
enum Wanted {
    Leaf(Hash),
    Named(SearchKey),
}

impl Wanted {
    fn key(&self) -> Key {
        match self {
            Self::Leaf(leaf) => Key::leaf(leaf),
            Self::Named(key) => Key::new(key.domain as u8, key.value.as_bytes()),
        }
    }
}

impl Query {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parsed = Self {
            wanted: Vec::new(),
            operator: Operator::Or,
            limit: 100,
            entries: false,
            proof: false,
        };
        // Forms encode so. What is no UTF-8 stays as it cannot be found.
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let refused = |expected: &str| {
                let value: String = value.chars().take(200).collect();
                ApiError::bad_request(format!("{name}={value:?}: expected {expected}"))
            };
            let flag = || match &*value {
                "true" | "1" | "" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(refused("true or false")),
            };
            let named = |domain| Wanted::Named(SearchKey::new(domain, value.to_ascii_lowercase()));
            let hash = || {
                let hash = value.to_ascii_lowercase().parse::<Hash>();
                hash.map_err(|_not_hex| refused("64 hexadecimal digits"))
            };
            let wanted = match &*name {
                "sha" => Wanted::Named(digest(&value).ok_or_else(|| {
                    refused("a digest in hexadecimal, sha256, sha384 or sha512, with that and a colon before it or without")
                })?),
                "publicKey" => Wanted::Named(SearchKey::new(Domain::Key, hash()?.to_string())),
                "certificate" => {
                    Wanted::Named(SearchKey::new(Domain::Certificate, hash()?.to_string()))
                }
                "leaf" | "uuid" => Wanted::Leaf(hash()?),
                "email" | "subject" => named(Domain::Identity),
                "issuer" => named(Domain::Issuer),
                "subjectPrefix" => {
                    let prefix = SearchKey::identity_prefix(&value);
                    Wanted::Named(prefix.map_err(|error| refused(&error.to_string()))?)
                }
                "package" => Wanted::Named(SearchKey::new(Domain::Package, value)),
                "role" => Wanted::Named(SearchKey::new(Domain::Role, value)),
                "operator" => {
                    parsed.operator = match &*value {
                        "and" => Operator::And,
                        "or" => Operator::Or,
                        _ => return Err(refused("and, or or")),
                    };
                    continue;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit <= MAX_LIMIT);
                    let expected = format!("a number up to {MAX_LIMIT}");
                    parsed.limit = limit.ok_or_else(|| refused(&expected))?;
                    continue;
                }
                "entries" => {
                    parsed.entries = flag()?;
                    continue;
                }
                "proof" => {
                    parsed.proof = flag()?;
                    continue;
                }
                _ => {
                    return Err(refused(
                        "one of sha, publicKey, certificate, email, subject, subjectPrefix, issuer, package, role, leaf, operator, limit, entries and proof",
                    ));
                }
            };
            parsed.wanted.push(wanted);
        }
        if parsed.wanted.is_empty() || parsed.wanted.len() > MAX_WANTED {
            return Err(ApiError::bad_request(format!(
                "{} things to search for, expected 1 to {MAX_WANTED}: sha, publicKey, certificate, email, subject, subjectPrefix, issuer, package, role or leaf",
                parsed.wanted.len()
            )));
        }
        Ok(parsed)
    }
}

fn digest(text: &str) -> Option<SearchKey> {
    let lower = text.to_ascii_lowercase();
    let (name, hex) = match lower.split_once(':') {
        Some((name, hex)) => (Some(name), hex),
        None => (None, lower.as_str()),
    };
    let known = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
    let algorithm = known.into_iter().find(|(algorithm, digits)| {
        hex.len() == *digits && name.is_none_or(|name| name == *algorithm)
    });
    let (algorithm, _) = algorithm.filter(|_| hex.bytes().all(|c| c.is_ascii_hexdigit()))?;
    Some(SearchKey::new(Domain::Digest, format!("{algorithm}:{hex}")))
}

/// What was wrong is with the log, never with who asked.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn unsearched(error: ReadError) -> ApiError {
    warn!(%error, "a search failed");
    ApiError::unavailable(format!(
        "the search cannot be answered at the moment: {error}"
    ))
}

/// The log's store as a place to read it from, which remembers what was read.
struct Recorder {
    store: Arc<dyn Store>,
    read: Mutex<Read>,
    records: AtomicBool,
}

/// Objects that were read, as many as fit into an answer, and the paths of the others.
#[derive(Default)]
struct Read {
    objects: BTreeMap<String, Bytes>,
    omitted: BTreeSet<String>,
    bytes: usize,
}

impl Recorder {
    fn record(&self, path: &str, bytes: &Bytes) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.objects.contains_key(path) {
            return;
        }
        if read.bytes.saturating_add(bytes.len()) > MAX_OBJECTS {
            read.omitted.insert(path.to_owned());
            return;
        }
        read.bytes += bytes.len();
        read.objects.insert(path.to_owned(), bytes.clone());
    }

    /// All that was read, in base64 by path; and the paths of what does not fit, to be read there.
    fn objects(&self) -> (Value, Value) {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = read.objects.iter();
        let objects = objects.map(|(path, bytes)| (path.clone(), STANDARD.encode(bytes)));
        (objects.collect(), read.omitted.iter().cloned().collect())
    }
}

#[async_trait]
impl Source for Recorder {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        let failed = |reason: String| FetchError::Io {
            place: path.to_owned(),
            reason,
        };
        let place = ObjectPath::public(path).map_err(|_wrong| FetchError::Path(path.to_owned()))?;
        let found = self.store.read(&place).await;
        let found = found.map_err(|error| failed(error.to_string()))?;
        let Some(bytes) = found.map(|object| object.bytes) else {
            return Ok(None);
        };
        if bytes.len() > max_len {
            return Err(FetchError::TooLong {
                place: path.to_owned(),
                max_len,
            });
        }
        if self.records.load(Ordering::Relaxed) {
            self.record(path, &bytes);
        }
        Ok(Some(bytes))
    }

    fn name(&self) -> String {
        "the log".to_owned()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Things that are searched for together.
const MAX_WANTED: usize = 16;
/// Entries that are listed.
const MAX_LIMIT: usize = 1_000;
/// Entries of several things that are joined: 8 MB of indexes.
const MAX_JOINED: u64 = 1_000_000;
/// Entries that are read where the index does not cover them.
const MAX_SCANNED: u64 = 4_096;
/// Bytes of entries after which no more of them are in an answer: they are listed all the same.
const MAX_BODIES: usize = 4 << 20;
/// Bytes of bundles that are read for them.
const MAX_READ: usize = 32 << 20;
/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Searches that are made at one time.
pub(crate) const MAX_SEARCHES: usize = 4;
/// Bytes of objects in an answer.
const MAX_OBJECTS: usize = 4 << 20;

/// The keys of a log, as its description has them.
pub(crate) fn keys(described: &[String]) -> Vec<VerifierKey> {
    described
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect()
}
