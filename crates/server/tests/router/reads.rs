//! Reading, and what all requests have in common.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use tegula_server::metrics_router;
use tower::ServiceExt;

use crate::served::{ENTRIES, Served};

#[tokio::test]
async fn static_objects_are_served_as_a_web_server_would() {
    let log = Served::raw().await;
    for n in 0..3 {
        log.post("/add", format!("entry {n}")).await;
    }
    for prefix in ["/", "/api/v2/", "//api/v2/"] {
        let (status, headers, note) = log
            .ask(Method::GET, &format!("{prefix}checkpoint"), &[])
            .await;
        assert_eq!(status, StatusCode::OK);
        assert!(note.starts_with(b"log.example\n3\n"));
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(headers["cache-control"], "public, max-age=1");
        assert_eq!(headers["access-control-allow-origin"], "*");
    }
    let (status, headers, tile) = log.ask(Method::GET, "/tile/0/000.p/3", &[]).await;
    assert_eq!((status, tile.len()), (StatusCode::OK, 96));
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(
        headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let etag = headers["etag"].to_str().unwrap().to_owned();

    let (status, headers, body) = log.ask(Method::HEAD, "/tile/0/000.p/3", &[]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers["content-length"], "96");
    let (status, _, body) = log
        .ask(Method::GET, "/tile/0/000.p/3", &[("if-none-match", &etag)])
        .await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    for (range, part, content_range) in [
        ("bytes=0-31", &tile[..32], "bytes 0-31/96"),
        ("bytes=64-", &tile[64..], "bytes 64-95/96"),
        ("bytes=-1", &tile[95..], "bytes 95-95/96"),
        ("bytes=90-1000", &tile[90..], "bytes 90-95/96"),
    ] {
        let (status, headers, body) = log
            .ask(Method::GET, "/tile/0/000.p/3", &[("range", range)])
            .await;
        assert_eq!(
            (status, body.as_slice()),
            (StatusCode::PARTIAL_CONTENT, part),
            "{range}"
        );
        assert_eq!(headers["content-range"], content_range);
    }
    let beyond = log
        .ask(Method::GET, "/tile/0/000.p/3", &[("range", "bytes=96-")])
        .await;
    assert_eq!(
        (beyond.0, &beyond.1["content-range"]),
        (
            StatusCode::RANGE_NOT_SATISFIABLE,
            &"bytes */96".parse().unwrap()
        )
    );
    let range = [("range", "bytes=0-31")];
    let head = log.ask(Method::HEAD, "/tile/0/000.p/3", &range).await;
    assert_eq!(
        (head.0, &head.1["content-length"]),
        (StatusCode::OK, &"96".parse().unwrap())
    );
}

#[tokio::test]
async fn a_range_that_is_none_is_passed_over() {
    let log = Served::raw().await;
    log.post("/add", "alpha").await;
    for range in [
        "lines=1-2",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=+0-1",
        "bytes=0-+1",
        "bytes=-+1",
        "bytes= 0-1",
        "bytes=0 -1",
        "bytes=0-1 ",
        "bytes=0x0-1",
        "bytes=2-1",
        "bytes=0-0,1-1",
        "bytes=0-18446744073709551616",
        "bytes=18446744073709551616-",
        "Bytes=0-1",
        "\t",
    ] {
        let (status, headers, body) = log
            .ask(Method::GET, "/tile/entries/000.p/1", &[("range", range)])
            .await;
        assert_eq!(
            (status, body.as_slice()),
            (StatusCode::OK, &b"\0\x05alpha"[..]),
            "{range}"
        );
        assert!(!headers.contains_key("content-range"), "{range}");
    }
    for range in [
        "bytes=7-",
        "bytes=7-7",
        "bytes=-0",
        "bytes=18446744073709551615-",
        "bytes=18446744073709551615-18446744073709551615",
    ] {
        let (status, headers, _) = log
            .ask(Method::GET, "/tile/entries/000.p/1", &[("range", range)])
            .await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(headers["content-range"], "bytes */7", "{range}");
    }
}

#[tokio::test]
async fn nothing_else_can_be_named() {
    let log = Served::raw().await;
    log.post("/add", "alpha").await;
    for path in [
        "/",
        "/private/wal/00000000000000000000",
        "/wal/00000000000000000000",
        "/../private/base",
        "/tile/../checkpoint",
        "/tile/0/0",
        "/tile/0/001",
        "/keys/ed25519.pem",
        "/%2e%2e/private",
        "/api/v2/api/v2/checkpoint",
        "/checkpoint/",
        "/tokens.json",
    ] {
        let (status, _, body) = log.ask(Method::GET, path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(error["code"], 5, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/checkpoint"),
        (Method::DELETE, "/tile/0/000.p/1"),
        (Method::GET, ENTRIES),
        (Method::PUT, "/add"),
        (Method::POST, "/healthz"),
    ] {
        let (status, headers, body) = log.ask(method.clone(), path, &[]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(headers.contains_key("allow"));
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(error["code"], 12, "{method} {path}");
    }
    let (status, headers, _) = log.ask(Method::OPTIONS, "/checkpoint", &[]).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(headers.contains_key("access-control-allow-methods"));
    let (status, _, body) = log.ask(Method::GET, "/healthz", &[]).await;
    assert_eq!(
        (status, body.as_slice()),
        (StatusCode::OK, br#"{"status":"SERVING"}"#.as_slice())
    );
}

#[tokio::test]
async fn requests_have_ids() {
    let log = Served::raw().await;
    let (_, headers, _) = log
        .ask(Method::GET, "/checkpoint", &[("x-request-id", "mine-1")])
        .await;
    assert_eq!(headers["x-request-id"], "mine-1");
    for bad in ["with space", "", &"x".repeat(65)] {
        let (_, headers, _) = log
            .ask(Method::GET, "/checkpoint", &[("x-request-id", bad)])
            .await;
        assert_ne!(headers["x-request-id"], bad);
    }
}

#[tokio::test]
async fn prometheus_is_told() {
    let log = Served::raw().await;
    for entry in ["alpha", "beta", "alpha"] {
        log.post("/add", entry).await;
    }
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = metrics_router(log.log.clone()).oneshot(request).await;
    let text = response.unwrap().into_body().collect().await.unwrap();
    let text = String::from_utf8(text.to_bytes().to_vec()).unwrap();
    for line in [
        "# TYPE tegula_published_size gauge",
        "tegula_published_size 2",
        "tegula_stopped 0",
        "# TYPE tegula_slots counter",
        "tegula_slots_total 2",
        "tegula_checkpoints_total 2",
        "tegula_entries_total 3",
        "tegula_duplicates_total 1",
        "tegula_http_requests_total{kind=\"write\",status=\"200\"} 3",
        "tegula_upload_seconds_count 3",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    // Not where the public reads.
    assert_eq!(
        log.ask(Method::GET, "/metrics", &[]).await.0,
        StatusCode::NOT_FOUND
    );
}
