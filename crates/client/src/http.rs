//! A log behind a URL.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};

use crate::source::check_path;
use crate::{FetchError, Source};

/// How requests are made.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The time that one request may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often a request is made again after a failure that may pass.
    pub retries: u32,
    /// The wait before the first repetition; each later one waits twice as long, up to [`HttpOptions::MAX_WAIT`].
    pub first_wait: Duration,
}

impl HttpOptions {
    /// No repetition waits longer, whatever a server asks for.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// The wait before the `n`-th repetition, `n` from 0.
    fn wait(&self, n: u32) -> Duration {
        let factor = 1_u32.checked_shl(n).unwrap_or(u32::MAX);
        self.first_wait.saturating_mul(factor).min(Self::MAX_WAIT)
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            retries: 3,
            first_wait: Duration::from_millis(200),
        }
    }
}

/// A log that is read over HTTP, with TLS where the URL says so.
#[derive(Clone, Debug)]
pub struct HttpSource {
    http: Http,
}

impl HttpSource {
    /// The log at `url`, an `http` or `https` URL; a path in it is a prefix.
    ///
    /// # Errors
    ///
    /// [`FetchError::Io`] if it is not such a URL.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self, FetchError> {
        Http::new(url, options).map(|http| Self { http })
    }
}

#[async_trait]
impl Source for HttpSource {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        check_path(path)?;
        let url = self.http.at(path);
        let answer = self
            .http
            .send(&url, max_len, || self.http.get(path))
            .await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => Err(FetchError::Status {
                place: url,
                status: status.as_u16(),
            }),
        }
    }

    fn name(&self) -> String {
        self.http.base.clone()
    }
}

/// What reading and writing share: a client, a base URL, limits and repetitions.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    /// Without a slash at its end, and without a name and password: this is what is shown and kept.
    pub(crate) base: String,
    /// The same with the name and password of the URL, where it has them.
    secret_base: String,
    options: HttpOptions,
}

/// An answer whose body was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Bytes,
}

impl Http {
    pub(crate) fn new(url: &str, options: HttpOptions) -> Result<Self, FetchError> {
        let refused = |reason: &str| FetchError::Io {
            place: without_userinfo(url),
            reason: reason.to_owned(),
        };
        let parsed = Url::parse(url).map_err(|error| refused(&error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(refused("expected an http or https URL"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(refused("expected a URL without a query or fragment"));
        }
        let client = Client::builder()
            .user_agent(concat!("tegula/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            .connect_timeout(options.timeout.min(CONNECT_TIMEOUT))
            .build()
            .map_err(|error| refused(&causes(&error)))?;
        let secret_base = parsed.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            base: without_userinfo(&secret_base),
            secret_base,
            options,
        })
    }

    /// Where `path` is, for messages.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}/{path}", self.secret_base))
    }

    /// With a token in the place of the URL's name and password, where there is one.
    pub(crate) fn post(&self, path: &str, token: Option<&str>) -> RequestBuilder {
        match token {
            Some(token) => self.client.post(self.at(path)).bearer_auth(token),
            None => self.client.post(format!("{}/{path}", self.secret_base)),
        }
    }

    /// Makes a request until it is answered with something that will not pass, or the repetitions are used up.
    pub(crate) async fn send(
        &self,
        place: &str,
        max_len: usize,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, FetchError> {
        let mut n = 0;
        loop {
            let outcome = self.send_once(place, max_len, request()).await;
            let wait = match &outcome {
                Ok(answer) => may_pass(answer.status)
                    .then(|| retry_after(&answer.headers).unwrap_or_else(|| self.options.wait(n))),
                Err(FetchError::Io { .. }) => Some(self.options.wait(n)),
                Err(_) => None,
            };
            match wait {
                Some(wait) if n < self.options.retries => {
                    tokio::time::sleep(wait.min(HttpOptions::MAX_WAIT)).await;
                    n += 1;
                }
                _ => return outcome,
            }
        }
    }

    async fn send_once(
        &self,
        place: &str,
        max_len: usize,
        request: RequestBuilder,
    ) -> Result<Answer, FetchError> {
        let failed = |error: &reqwest::Error| FetchError::Io {
            place: place.to_owned(),
            reason: causes(error),
        };
        let response = request.send().await.map_err(|error| failed(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        // An error's body is a message: cut, never refused for its length.
        let limit = if status.is_success() {
            Limit::Refuse(max_len)
        } else {
            Limit::Cut(MAX_ERROR_LEN)
        };
        let body = read_body(place, response, limit).await?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

#[derive(Copy, Clone)]
enum Limit {
    Refuse(usize),
    Cut(usize),
}

/// The declared length is only a hint: what counts is what comes.
async fn read_body(place: &str, mut response: Response, limit: Limit) -> Result<Bytes, FetchError> {
    let (Limit::Refuse(max_len) | Limit::Cut(max_len)) = limit;
    let mut body = BytesMut::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| FetchError::Io {
            place: place.to_owned(),
            reason: causes(&error),
        })?;
        let Some(chunk) = chunk else { break };
        let room = max_len.saturating_sub(body.len());
        match limit {
            _ if chunk.len() <= room => body.extend_from_slice(&chunk),
            Limit::Refuse(_) => {
                return Err(FetchError::TooLong {
                    place: place.to_owned(),
                    max_len,
                });
            }
            Limit::Cut(_) => {
                body.extend_from_slice(chunk.get(..room).unwrap_or_default());
                break;
            }
        }
    }
    Ok(body.freeze())
}

fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// `Retry-After` in seconds; the form with a date is passed over.
pub(crate) fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// A URL that may be shown: `https://name:password@log.example/x` is `https://log.example/x`. It need not be one that parses.
pub fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// An error with all its causes, which reqwest leaves out. The URL is said elsewhere.
fn causes(error: &reqwest::Error) -> String {
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "the request timed out".to_owned(),
        (false, true) => "cannot connect".to_owned(),
        (false, false) => "the request failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer messages are cut.
const MAX_ERROR_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests;
