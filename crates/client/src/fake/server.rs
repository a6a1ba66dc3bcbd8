//! A server for tests.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request after the other with bytes that were written beforehand; an empty answer closes the connection.
#[derive(Debug)]
pub(crate) struct Server {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(answers: Vec<impl AsRef<[u8]>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<Vec<u8>> = answers.iter().map(|a| a.as_ref().to_vec()).collect();
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                log.lock().unwrap().push(request);
                // One connection a request, so that the answers are in the order of the requests.
                let line = answer.iter().position(|byte| *byte == b'\n');
                let (status, rest) = answer.split_at(line.map_or(0, |end| end + 1));
                let close: &[u8] = if status.is_empty() {
                    b""
                } else {
                    b"connection: close\r\n"
                };
                stream
                    .write_all(&[status, close, rest].concat())
                    .await
                    .unwrap();
                stream.shutdown().await.ok();
            }
        });
        Self { base, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let line = line.to_ascii_lowercase();
                line.strip_prefix("content-length: ")
                    .map(|n| n.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the request ended early");
        bytes.extend_from_slice(&buffer[..n]);
    }
}
