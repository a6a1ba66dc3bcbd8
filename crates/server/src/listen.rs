//! Sockets: how many, how slow, and how they end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::clients::Peer;
use crate::patience::Patient;

/// What connections may take.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Connections at one time; more wait in the system's queue.
    pub connections: usize,
    /// How long the headers of a request may take, also the first ones.
    pub header_time: Duration,
    /// How long a client may take for the next 64 KiB of an answer.
    pub write_time: Duration,
    /// How long requests have to end after the signal to stop.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_time: Duration::from_secs(15),
            write_time: Duration::from_secs(15),
            stop_time: Duration::from_secs(30),
        }
    }
}

/// Serves until `stop` is done; then takes no more connections, and returns when those that are open are idle or their time is over.
///
/// # Errors
///
/// None from single connections; those are told to the debug log.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let turns = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let turn = Arc::clone(&turns).acquire_owned().await;
            (turn, listener.accept().await)
        };
        let (turn, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as too many open files: others have to end first.
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        stream.set_nodelay(true).unwrap_or_default();
        let stream = Patient::new(stream, limits.write_time);
        let peer = Peer(address.ip());
        let service = router
            .clone()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                request
            });
        let service = TowerToHyperService::new(service);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    tokio::time::timeout(limits.stop_time, open.shutdown())
        .await
        .unwrap_or_default();
    Ok(())
}

/// Bytes that a connection buffers of a request, or of answers: as long as headers may be.
const BUFFER: usize = 64 << 10;
