//! Clients that send or take too little, too slowly: they cost no more than they may, and no others their turn.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use tegula_server::{Limits, Options, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot::Sender;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::served::Served;

/// Room for one body of 4 MiB.
fn little_room() -> Options {
    Options {
        max_body_bytes: 0,
        max_answer_bytes: 0,
        ..Options::default()
    }
}

/// Bytes, one piece in each interval, of a body that is announced as longer than they are.
fn trickle(piece: Vec<u8>, count: usize, interval: Duration) -> Body {
    let pieces = stream::iter(vec![piece; count]).then(move |piece| async move {
        tokio::time::sleep(interval).await;
        Ok::<_, Infallible>(Bytes::from(piece))
    });
    Body::from_stream(pieces)
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_only_announced_take_no_room() {
    let log = Served::new(&["raw"], little_room()).await;
    let silent: Vec<_> = (0..100)
        .map(|_| {
            let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            let request = Request::post("/add").body(body).unwrap();
            tokio::spawn(log.router.clone().oneshot(request))
        })
        .collect();
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(log.post("/add", "an entry").await.0, StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(1));
    for silent in silent {
        let answer = silent.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.headers()["connection"], "close");
    }
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_body_has_to_come_at_a_least_rate() {
    let log = Served::new(&["raw"], Options::default()).await;
    let slow = trickle(vec![b'x'; 100], 60, Duration::from_secs(1));
    let message = log.refused("/add", slow, 408, 4).await;
    assert_eq!(
        message,
        "the request body is too slow: 500 bytes in 5 s, expected at least 81920"
    );
    // A good beginning is not enough.
    let log = Served::rekor().await;
    let begins_well = Body::from_stream(
        stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; 1 << 20]))])
            .chain(stream::pending()),
    );
    let message = log
        .refused("/api/v2/log/entries", begins_well, 408, 4)
        .await;
    assert!(message.contains(" 0 bytes in 5 s"), "{message}");
    let fair = trickle(vec![b' '; 20 << 10], 25, Duration::from_secs(1));
    let message = log.refused("/api/v2/log/entries", fair, 400, 3).await;
    assert!(message.starts_with("invalid type"), "{message}");
}

/// Who is cut off while sending does not read the answer.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_is_read_before_it_is_refused() {
    let log = Served::rekor().await;
    let sent = Arc::new(AtomicUsize::new(0));
    for (pieces, least) in [(5, 5), (100, 16)] {
        sent.store(0, Ordering::Relaxed);
        let counter = Arc::clone(&sent);
        let body = stream::iter(0..pieces).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b' '; 1 << 20]))
        });
        let message = log
            .refused("/api/v2/log/entries", Body::from_stream(body), 400, 3)
            .await;
        assert_eq!(message, "the request body is larger than 4194304 bytes");
        let sent = sent.load(Ordering::Relaxed);
        assert!((least..=least + 1).contains(&sent), "{sent}");
    }
}

/// The room of an answer is taken until its last byte is gone, and no longer.
#[tokio::test(start_paused = true)]
async fn long_answers_have_a_room_that_small_ones_do_not_need() {
    let log = Served::new(&["raw"], little_room()).await;
    log.post("/add", vec![7; 60_000]).await;
    let bundle = "/tile/entries/000.p/1";
    let request = || Request::get(bundle).body(Body::empty()).unwrap();
    let held = log.router.clone().oneshot(request()).await.unwrap();
    assert_eq!(held.status(), StatusCode::OK);
    let bytes = held.into_body().collect().await.unwrap().to_bytes();
    let part = bytes.slice(..1);
    drop(bytes);

    let (status, headers, body) = log.ask(Method::GET, bundle, &[]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["retry-after"], "5");
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["message"], "too many long answers are under way");
    for small in ["/checkpoint", "/log.json", "/tile/0/000.p/1", "/healthz"] {
        assert_eq!(log.ask(Method::GET, small, &[]).await.0, StatusCode::OK);
    }
    drop(part);
    assert_eq!(log.ask(Method::GET, bundle, &[]).await.0, StatusCode::OK);
    // One that has no bytes holds nothing.
    for asked in [&[("range", "bytes=0-0")][..], &[("if-none-match", "*")]] {
        log.ask(Method::GET, bundle, asked).await;
    }
    log.ask(Method::HEAD, bundle, &[]).await;
    assert_eq!(log.ask(Method::GET, bundle, &[]).await.0, StatusCode::OK);
}

/// What is not known before it is read is its length; then it holds no more than that.
#[tokio::test(start_paused = true)]
async fn answers_hold_no_more_room_than_they_take() {
    let options = Options {
        max_answer_bytes: 18 << 20,
        ..Options::default()
    };
    let log = Served::new(&["raw"], options).await;
    log.post("/add", "short").await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let request = Request::get("/tile/entries/000.p/1").body(Body::empty());
        let answer = log.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer);
    }
}

/// Not only in the router: what a connection has taken over and not written counts as well.
#[tokio::test]
async fn clients_that_do_not_read_hold_their_room() {
    let log = Served::new(&["raw"], little_room()).await;
    for n in 0..200_u8 {
        log.post("/add", vec![n; 60_000]).await;
    }
    let (address, stop, serving) = serve(&log, Limits::default()).await;
    let ask = b"GET /tile/entries/000.p/200 HTTP/1.1\r\nhost: log\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(ask).await.unwrap();
        idle.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut reads = TcpStream::connect(address).await.unwrap();
    reads.write_all(ask).await.unwrap();
    let mut answer = [0; 12];
    reads.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
    drop((idle, reads, stop));
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let log = Served::new(&["raw"], Options::default()).await;
    for n in 0..150_u8 {
        log.post("/add", vec![n; 60_000]).await;
    }
    let limits = Limits {
        write_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let (address, stop, serving) = serve(&log, limits).await;
    let ask = b"GET /tile/entries/000.p/150 HTTP/1.1\r\nhost: log\r\n\r\n";
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut reads = TcpStream::connect(address).await.unwrap();
    // More than the system takes for it.
    for _ in 0..4 {
        idle.write_all(ask).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut got = Vec::new();
    let ended = idle.read_to_end(&mut got).await;
    assert!(got.len() < 4 * 9_000_300, "{ended:?} after {}", got.len());

    // One that waits between its requests is not one that does not read.
    for _ in 0..2 {
        reads.write_all(ask).await.unwrap();
        let mut answer = vec![0; 9_000_300];
        reads.read_exact(&mut answer).await.unwrap();
        let mut rest = vec![0; 1 << 20];
        while reads.read(&mut rest).await.unwrap() == rest.len() {}
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    drop((reads, stop));
    serving.await.unwrap().unwrap();
}

/// Serves until what is given second is dropped.
async fn serve(
    log: &Served,
    limits: Limits,
) -> (SocketAddr, Sender<()>, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let limits = Limits {
        stop_time: Duration::from_secs(1),
        ..limits
    };
    let serving = tokio::spawn(listen(listener, log.router.clone(), limits, async {
        stopped.await.unwrap_or_default();
    }));
    (address, stop, serving)
}
