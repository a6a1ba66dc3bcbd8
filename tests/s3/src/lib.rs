//! An object store for tests: as much of S3 over HTTP as Tegula uses, in memory, with faults and counts.
//!
//! One lock is held around each check and its write, so that of several conditional writes one wins. Signatures are not checked:
//! that is for other stand-ins.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "it serves tests, which stop where it fails"
)]

mod in_process;
pub mod oracle;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A store that listens on loopback until this is dropped, or is asked within the process.
#[derive(Debug)]
pub struct StandIn {
    listener: Option<(SocketAddr, JoinHandle<()>)>,
    shared: Arc<Shared>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Answered with this status and code, and not done.
    Refuse(u16, &'static str),
    /// Done, and answered with this status and code all the same.
    RefuseButDo(u16, &'static str),
    /// Done, and the connection ends without an answer.
    Lose,
    /// Not done, and the connection ends without an answer.
    Drop,
    /// Done as if it had no condition.
    IgnoreCondition,
    /// Done after this time.
    Slow(Duration),
}

/// A request, for who decides what happens to it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `PUT`, `DELETE`, `HEAD`, or `LIST`.
    pub what: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The key; of a list its prefix.
    pub key: String,
    /// Until when the object is locked, in governance mode.
    pub locked_until: Option<String>,
}

type Decide = Box<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<(String, String), Bytes>>,
    decide: Mutex<Option<Decide>>,
    asked: Mutex<Vec<Asked>>,
    date: Mutex<Option<String>>,
    /// All versions of those objects that are asked for, in their order.
    versions: Mutex<BTreeMap<(String, String), Vec<Bytes>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl StandIn {
    /// Starts one without objects; every bucket is there.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            listener: Some((address, task)),
            shared,
        }
    }

    /// One that does not listen: see [`StandIn::http_client`].
    pub fn silent() -> Self {
        Self {
            listener: None,
            shared: Arc::default(),
        }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        match &self.listener {
            Some((address, _)) => format!("http://{address}"),
            None => "http://in-process.invalid".to_owned(),
        }
    }

    /// Lets this decide what happens to each request from now on.
    pub fn decide(&self, decide: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) {
        *lock(&self.shared.decide) = Some(Box::new(decide));
    }

    /// Says this time, as in RFC 9110, with every answer from now on.
    pub fn say_date(&self, date: &str) {
        *lock(&self.shared.date) = Some(date.to_owned());
    }

    /// What was asked since this was called last.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.asked))
    }

    /// All keys, after their buckets.
    pub fn keys(&self) -> Vec<String> {
        let objects = lock(&self.shared.objects);
        objects
            .keys()
            .map(|(bucket, key)| format!("{bucket}/{key}"))
            .collect()
    }

    /// Keeps all versions of an object from now on.
    pub fn keep_versions(&self, bucket: &str, key: &str) {
        let at = (bucket.to_owned(), key.to_owned());
        lock(&self.shared.versions).insert(at, Vec::new());
    }

    /// The versions that were kept, in their order.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<Bytes> {
        let at = (bucket.to_owned(), key.to_owned());
        lock(&self.shared.versions)
            .get(&at)
            .cloned()
            .unwrap_or_default()
    }

    /// The bytes of an object.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let objects = lock(&self.shared.objects);
        objects.get(&(bucket.to_owned(), key.to_owned())).cloned()
    }

    /// Puts other bytes in the place of an object, or none.
    pub fn tamper(&self, bucket: &str, key: &str, bytes: Option<Bytes>) {
        let at = (bucket.to_owned(), key.to_owned());
        let mut objects = lock(&self.shared.objects);
        match bytes {
            Some(bytes) => drop(objects.insert(at, bytes)),
            None => drop(objects.remove(&at)),
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.listener {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let shared = Arc::clone(&shared);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map_err(io::Error::other)?;
                    answer(&shared, head, body.to_bytes()).await
                }
            });
            // It ends where the client leaves, and where an answer is to be lost.
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connection.await.unwrap_or_default();
        });
    }
}

async fn answer(shared: &Shared, head: Parts, body: Bytes) -> io::Result<Response<Full<Bytes>>> {
    let path = decoded(head.uri.path().trim_start_matches('/'));
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let query = query(head.uri.query().unwrap_or_default());
    let list = key.is_empty() && query.contains_key("list-type");
    let what = match (&head.method, list) {
        (_, true) => "LIST",
        (&Method::GET, _) => "GET",
        (&Method::HEAD, _) => "HEAD",
        (&Method::PUT, _) => "PUT",
        (&Method::DELETE, _) => "DELETE",
        (method, _) => panic!("{method} {path} is not what Tegula asks"),
    };
    let asked = Asked {
        what,
        bucket: bucket.to_owned(),
        key: match list {
            true => query.get("prefix").cloned().unwrap_or_default(),
            false => key.to_owned(),
        },
        locked_until: locked_until(&head.headers),
    };
    let fault = lock(&shared.decide)
        .as_ref()
        .and_then(|decide| decide(&asked));
    lock(&shared.asked).push(asked);
    match fault {
        Some(Fault::Refuse(status, code)) => return Ok(error(status, code)),
        Some(Fault::Drop) => return Err(io::Error::other("dropped")),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let mut headers = head.headers;
    if fault == Some(Fault::IgnoreCondition) {
        headers.remove(http::header::IF_NONE_MATCH);
        headers.remove(http::header::IF_MATCH);
    }
    let at = (bucket.to_owned(), key.to_owned());
    let answer = {
        let mut objects = lock(&shared.objects);
        match what {
            "LIST" => listed(&objects, bucket, &query),
            "PUT" => {
                let answer = put(&mut objects, at.clone(), &headers, body.clone());
                if answer.status() == StatusCode::OK
                    && let Some(versions) = lock(&shared.versions).get_mut(&at)
                {
                    versions.push(body);
                }
                answer
            }
            "DELETE" => {
                objects.remove(&at);
                Response::builder()
                    .status(204)
                    .body(Full::default())
                    .unwrap()
            }
            _ => got(objects.get(&at), &headers, what == "HEAD"),
        }
    };
    let mut answer = answer;
    if let Some(date) = &*lock(&shared.date) {
        let date = HeaderValue::from_str(date).unwrap();
        answer.headers_mut().insert(http::header::DATE, date);
    }
    match fault {
        Some(Fault::Lose) => Err(io::Error::other("lost")),
        Some(Fault::RefuseButDo(status, code)) => Ok(error(status, code)),
        _ => Ok(answer),
    }
}

/// As S3, which locks nothing whose checksum it is not told.
fn locked_until(headers: &HeaderMap) -> Option<String> {
    let header = |name| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let until = header("x-amz-object-lock-retain-until-date")?;
    let mode = header("x-amz-object-lock-mode");
    assert_eq!(mode.as_deref(), Some("GOVERNANCE"));
    assert!(header("x-amz-checksum-crc32").is_some(), "no checksum");
    Some(until)
}

fn put(
    objects: &mut BTreeMap<(String, String), Bytes>,
    at: (String, String),
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let header = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap())
    };
    let now = objects.get(&at).map(etag);
    if header("if-none-match") == Some("*") && now.is_some() {
        return error(412, "PreconditionFailed");
    }
    match (header("if-match"), &now) {
        (Some(_), None) => return error(404, "NoSuchKey"),
        (Some(expected), Some(now)) if expected != now => return error(412, "PreconditionFailed"),
        _ => {}
    }
    let tag = etag(&body);
    objects.insert(at, body);
    Response::builder()
        .header("etag", tag)
        .body(Full::default())
        .unwrap()
}

fn got(object: Option<&Bytes>, headers: &HeaderMap, head: bool) -> Response<Full<Bytes>> {
    let Some(bytes) = object else {
        return error(404, "NoSuchKey");
    };
    let range = headers.get("range").map(|range| range.to_str().unwrap());
    let (status, part) = match range.and_then(|range| range.strip_prefix("bytes=")) {
        None => (200, bytes.clone()),
        Some(_) if bytes.is_empty() => return error(416, "InvalidRange"),
        Some(range) => {
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            (
                206,
                bytes.slice(first..bytes.len().min(last.saturating_add(1))),
            )
        }
    };
    let len = part.len();
    let body = if head { Bytes::new() } else { part };
    Response::builder()
        .status(status)
        .header("etag", etag(bytes))
        .header("content-length", len)
        .body(Full::new(body))
        .unwrap()
}

fn listed(
    objects: &BTreeMap<(String, String), Bytes>,
    bucket: &str,
    query: &BTreeMap<String, String>,
) -> Response<Full<Bytes>> {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let after = text("start-after").max(text("continuation-token"));
    let most = query
        .get("max-keys")
        .map_or(1000, |max| max.parse().unwrap())
        .min(1000);
    let prefix = text("prefix");
    let mut keys = objects
        .keys()
        .filter(|(of, key)| of == bucket && key.starts_with(prefix) && key.as_str() > after);
    let some: Vec<_> = keys.by_ref().take(most).map(|(_, key)| key).collect();
    let more = keys.next().is_some();
    let contents: String = some
        .iter()
        .map(|key| format!("<Contents><Key>{key}</Key><Size>0</Size></Contents>"))
        .collect();
    let next = match some.last() {
        Some(last) if more => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
        _ => String::new(),
    };
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name><KeyCount>{}</KeyCount><IsTruncated>{more}</IsTruncated>{next}{contents}</ListBucketResult>"#,
        some.len()
    );
    Response::builder()
        .header("content-type", "application/xml")
        .body(Full::new(xml.into()))
        .unwrap()
}

fn error(status: u16, code: &str) -> Response<Full<Bytes>> {
    let xml = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>as the test wants</Message></Error>"#
    );
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/xml")
        .body(Full::new(xml.into()))
        .unwrap()
}

fn etag(bytes: &Bytes) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
