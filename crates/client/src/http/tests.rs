use super::*;
use crate::fake::Server;

fn quick() -> HttpOptions {
    HttpOptions {
        timeout: Duration::from_secs(5),
        retries: 3,
        first_wait: Duration::from_millis(1),
    }
}

#[tokio::test]
async fn an_object_is_there_or_not() {
    let server = Server::start(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    ])
    .await;
    let source = HttpSource::new(&server.url("/prefix/"), quick()).unwrap();
    assert_eq!(source.name(), server.url("/prefix"));
    assert_eq!(
        source.fetch("a", 3).await,
        Ok(Some(Bytes::from_static(b"abc")))
    );
    assert_eq!(source.fetch("tile/0/000", 3).await, Ok(None));
    assert_eq!(
        source.fetch("c", 3).await,
        Ok(Some(Bytes::from_static(b"abc")))
    );
    let requests = server.requests();
    assert!(
        requests[0].starts_with("GET /prefix/a HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(requests[1].starts_with("GET /prefix/tile/0/000 HTTP/1.1\r\n"));
    assert!(requests[0].contains("user-agent: tegula/"));
}

#[tokio::test]
async fn more_than_an_object_can_have_is_not_taken() {
    let server = Server::start(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n",
    ])
    .await;
    let source = HttpSource::new(&server.url(""), quick()).unwrap();
    for _ in 0..2 {
        let error = source.fetch("a", 3).await.unwrap_err();
        assert!(
            matches!(error, FetchError::TooLong { max_len: 3, .. }),
            "{error}"
        );
    }
    assert_eq!(
        server.requests().len(),
        2,
        "what is too long is not fetched again"
    );
}

/// A log may serve its bundles so, asked or not.
#[tokio::test]
async fn what_is_compressed_counts_as_what_it_unpacks_to() {
    // "abc"
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0";
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let whole = [head.as_bytes(), packed].concat();
    let broken = [head.as_bytes(), &packed[..20], &[7; 3]].concat();
    let server = Server::start(vec![whole.clone(), whole, broken]).await;
    let options = HttpOptions {
        retries: 0,
        ..quick()
    };
    let source = HttpSource::new(&server.url(""), options).unwrap();
    let fetched = source.fetch("a", 3).await;
    assert_eq!(fetched, Ok(Some(Bytes::from_static(b"abc"))));
    let error = source.fetch("a", 2).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong { .. }), "{error}");
    let error = source.fetch("a", 3).await.unwrap_err();
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
    let asked = server.requests().remove(0);
    assert!(asked.contains("accept-encoding: gzip"), "{asked}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let server = Server::start(vec![
        "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
    ])
    .await;
    let source = HttpSource::new(&server.url(""), quick()).unwrap();
    assert_eq!(
        source.fetch("a", 1).await,
        Ok(Some(Bytes::from_static(b"a")))
    );
    let error = source.fetch("b", 1).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 403, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn repetitions_end() {
    let busy = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(vec![busy; 9]).await;
    let source = HttpSource::new(&server.url(""), quick()).unwrap();
    let error = source.fetch("a", 1).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 500, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
    let server = Server::start(vec![cut; 4]).await;
    let source = HttpSource::new(&server.url(""), quick()).unwrap();
    let error = source.fetch("a", 9).await.unwrap_err();
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let options = HttpOptions {
        retries: 0,
        ..quick()
    };
    let source = HttpSource::new("http://127.0.0.1:1", options).unwrap();
    let error = source.fetch("a", 1).await.unwrap_err().to_string();
    assert!(
        error.starts_with("http://127.0.0.1:1/a: cannot connect"),
        "{error}"
    );
}

#[test]
fn only_urls_of_logs_are_taken() {
    for bad in [
        "",
        "x",
        "ftp://h",
        "http://",
        "http://h/?q",
        "http://h/#f",
        "file:///x",
    ] {
        assert!(HttpSource::new(bad, quick()).is_err(), "{bad}");
    }
}

#[test]
fn waits_double_up_to_a_bound() {
    let options = HttpOptions::default();
    let waits: Vec<_> = [0, 1, 2, 9, 40].map(|n| options.wait(n).as_millis()).into();
    assert_eq!(waits, [200, 400, 800, 30_000, 30_000]);
}

#[test]
fn urls_are_shown_without_their_passwords() {
    for (url, shown) in [
        ("https://u:p@log.example/x", "https://log.example/x"),
        ("https://u:p@q@log.example", "https://log.example"),
        ("https://u@log.example:1/a@b", "https://log.example:1/a@b"),
        ("https://log.example/a@b", "https://log.example/a@b"),
        ("http://u:p@[::1]:3000/", "http://[::1]:3000/"),
        ("ftp://u:p@x y", "ftp://x y"),
        ("log", "log"),
        ("a@b", "a@b"),
    ] {
        assert_eq!(without_userinfo(url), shown);
        let failed = HttpSource::new(url, quick()).map(|source| source.name());
        let said = failed.unwrap_or_else(|error| error.to_string());
        assert!(said.starts_with(shown.trim_end_matches('/')), "{said}");
    }
}

#[tokio::test]
async fn a_password_is_sent_and_not_shown() {
    let server = Server::start(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n",
    ])
    .await;
    let url = server.url("").replacen("http://", "http://u:secret@", 1);
    let source = HttpSource::new(&url, quick()).unwrap();
    source.fetch("a", 3).await.unwrap();
    let error = source.fetch("a", 3).await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!source.name().contains("secret"));
    // `u:secret`
    let sent = "authorization: Basic dTpzZWNyZXQ=\r\n";
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.contains(sent))
    );
}
