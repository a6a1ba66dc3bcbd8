//! Which request goes where, and what all of them have in common.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderValue, Method, StatusCode, header};
use tracing::{Instrument, info, info_span};

use crate::error::ApiError;
use crate::log::Log;
use crate::{read, v1, write};

/// Everything that the log answers to, but for its metrics.
pub fn router(log: Log) -> Router {
    let router = Router::new();
    #[cfg(feature = "search")]
    let router = router.route("/search", get(crate::search::search).fallback(get_only));
    router
        .route(
            "/api/v2/log/entries",
            post(write::entry).fallback(post_only),
        )
        .route(
            "/api/v2/log/entries/batch",
            post(write::batch).fallback(post_only),
        )
        // What clients make of a base URL that ends with a slash.
        .route(
            "//api/v2/log/entries",
            post(write::entry).fallback(post_only),
        )
        .route(
            "/api/v1/log/entries",
            post(v1::create).get(v1::by_index).fallback(get_or_post),
        )
        .route(
            "/api/v1/log/entries/{uuid}",
            get(v1::by_uuid).fallback(get_only),
        )
        .route("/add", post(write::add).fallback(post_only))
        .route("/healthz", get(health).fallback(get_only))
        .fallback(any(read::object))
        .layer(from_fn_with_state(log.clone(), around))
        .with_state(log)
}

async fn health(State(log): State<Log>) -> Response {
    match log.sequencer().status().stopped {
        None => axum::Json(serde_json::json!({"status": "SERVING"})).into_response(),
        Some(reason) => ApiError::unavailable(reason.to_string()).into_response(),
    }
}

async fn post_only(method: Method) -> Response {
    if method == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        let methods = HeaderValue::from_static("POST, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = HeaderValue::from_static("authorization, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        return response;
    }
    ApiError::no_method(&method, "POST")
}

async fn get_or_post(method: Method) -> Response {
    if method == Method::OPTIONS {
        return post_only(method).await;
    }
    ApiError::no_method(&method, "GET or POST")
}

async fn get_only(method: Method) -> Response {
    ApiError::no_method(&method, "GET or HEAD")
}

/// A request id, a limit of time, CORS, and a line in the log.
async fn around(State(log): State<Log>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| is_request_id(id))
        .map_or_else(|| log.next_request_id(), str::to_owned);
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(200).collect();
    let span = info_span!("request", id, %method, path);
    let limit = Duration::from_secs(log.options().timeout_s);
    let upload = method == Method::POST;
    let timer = log.metrics().timer();
    let answered = tokio::time::timeout(limit, next.run(request))
        .instrument(span.clone())
        .await;
    let mut response = answered.unwrap_or_else(|_late| {
        // A commit that is under way goes on; a client that tries again finds its entry.
        ApiError::unavailable(format!("not answered within {} s", limit.as_secs())).into_response()
    });
    let status = response.status();
    log.metrics().answered(upload, status.as_u16(), timer);
    if upload || status.is_server_error() {
        span.in_scope(|| info!(status = status.as_u16(), "answered"));
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    let exposed = HeaderValue::from_static("x-log-index, x-request-id, etag, content-range");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}
