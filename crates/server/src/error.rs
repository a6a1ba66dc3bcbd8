//! Errors, as Rekor's gateway has them: `{"code", "message", "details"}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tegula_entries::EntryError;
use tegula_sequencer::Error;
use tegula_tlog::LeafIndex;

/// An error as the router answers it, for whoever stands before it.
pub fn error_response(status: StatusCode, message: &str) -> Response {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable(message),
        _ => ApiError::new(status, message),
    }
    .into_response()
}

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    retry_after_s: Option<u64>,
    log_index: Option<LeafIndex>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after_s: None,
            log_index: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path:?}"),
        )
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    pub(crate) fn too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// When to come back.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What is said of one entry of a batch.
    pub(crate) fn into_message(self) -> String {
        self.message
    }

    /// A method that a path does not have.
    pub(crate) fn no_method(method: &Method, expected: &'static str) -> Response {
        let message = format!("{method} is not possible here, expected {expected}");
        let mut refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
        let allow = match expected {
            "POST" => "POST, OPTIONS",
            "GET or POST" => "GET, HEAD, POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        };
        let allow = HeaderValue::from_static(allow);
        refused.headers_mut().insert(header::ALLOW, allow);
        refused
    }

    pub(crate) fn conflict(index: LeafIndex) -> Self {
        Self {
            log_index: Some(index),
            ..Self::new(
                StatusCode::CONFLICT,
                format!(
                    "an equivalent entry already exists in the transparency log with index {index}"
                ),
            )
        }
    }

    /// The code of gRPC that belongs to the status.
    fn code(&self) -> u8 {
        match self.status {
            StatusCode::BAD_REQUEST | StatusCode::RANGE_NOT_SATISFIABLE => 3,
            StatusCode::REQUEST_TIMEOUT => 4,
            StatusCode::NOT_FOUND => 5,
            StatusCode::CONFLICT => 6,
            StatusCode::FORBIDDEN => 7,
            StatusCode::TOO_MANY_REQUESTS => 8,
            StatusCode::METHOD_NOT_ALLOWED => 12,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            StatusCode::UNAUTHORIZED => 16,
            _ => 13,
        }
    }
}

/// The reason of a refusal, as Rekor begins it.
fn reason(error: &EntryError) -> String {
    match error {
        EntryError::Json(_) | EntryError::InvalidType => error.to_string(),
        other => format!("invalid hashedrekord request: {other}"),
    }
}

impl From<EntryError> for ApiError {
    fn from(error: EntryError) -> Self {
        Self::bad_request(reason(&error))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Rejected(_) => Self::bad_request(error.to_string()),
            Error::Overloaded { retry_after } => Self {
                retry_after_s: Some(retry_after.as_secs().max(1)),
                ..Self::unavailable(error.to_string())
            },
            Error::Unavailable(_) | Error::Corrupt(_) | Error::Fatal(_) => {
                Self::unavailable(error.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"code": self.code(), "message": self.message, "details": []});
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(index) = self.log_index {
            headers.insert("x-log-index", HeaderValue::from(index.get()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

const RETRY_AFTER_S: u64 = 5;
