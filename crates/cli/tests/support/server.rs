//! A server that answers as it is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use super::World;

/// Method, path and body to status line, extra headers and body.
pub(crate) type Handler = Arc<dyn Fn(&str, &str, &[u8]) -> (String, String, Vec<u8>) + Send + Sync>;

/// Serves until the test ends; gives its URL.
pub(crate) fn start(handler: Handler) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let handler = Arc::clone(&handler);
            thread::spawn(move || answer(stream.unwrap(), &handler));
        }
    });
    url
}

/// Serves the objects of a log, and counts what was asked for.
pub(crate) fn serve(world: &World) -> (String, Arc<Mutex<Vec<String>>>) {
    let public = world.log().join("public");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let handler: Handler = Arc::new(move |_, path, _| {
        log.lock().unwrap().push(path.to_owned());
        match fs::read(public.join(path.trim_start_matches('/'))) {
            Ok(bytes) => ("200 OK".to_owned(), String::new(), bytes),
            Err(_) => ("404 Not Found".to_owned(), String::new(), Vec::new()),
        }
    });
    (start(handler), asked)
}

fn answer(mut stream: TcpStream, handler: &Handler) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(buffer.get(..n)?);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let (status, headers, answer) = handler(method, path, body.as_bytes());
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        stream
            .write_all(&[head.as_bytes(), &answer].concat())
            .ok()?;
        return Some(());
    }
}
