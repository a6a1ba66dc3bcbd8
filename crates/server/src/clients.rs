//! How much each client may upload: a bucket that fills by so many entries a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::error::ApiError;

/// Whose connection a request came by; put into its extensions by whoever has the socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub IpAddr);

/// Who uploads: as far as it is known by a token, or else by address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Client {
    Token(String),
    Address(IpAddr),
    /// There is no socket: who stands before it limits.
    Unknown,
}

impl Client {
    /// By the name of a token; or the peer, or whom a proxy names that is in front of it.
    pub(crate) fn of(
        token: Option<String>,
        peer: Option<Peer>,
        headers: &HeaderMap,
        behind_proxy: bool,
    ) -> Self {
        if let Some(token) = token {
            return Self::Token(token);
        }
        // The last one is what the proxy itself saw; what is before it anybody may have written.
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let forwarded = forwarded
            .filter(|_| behind_proxy)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.rsplit(',').next())
            .and_then(|address| address.trim().parse().ok());
        match forwarded.or_else(|| peer.map(|peer| peer.0)) {
            Some(address) => Self::Address(network(address)),
            None => Self::Unknown,
        }
    }
}

/// Of IPv6 what one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !(u128::MAX >> 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// What each client has left.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Entries a minute, and at most at once; 0 for no limit.
    per_minute: u32,
    buckets: Mutex<HashMap<Client, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Clients {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            buckets: Mutex::default(),
        }
    }

    /// Takes one entry from what a client has left.
    pub(crate) fn take_first(&self, client: &Client) -> Result<(), ApiError> {
        self.take(client, 1)
    }

    /// Takes the others of a batch of so many, of which one was taken. More than a minute's worth takes all that a minute has.
    pub(crate) fn take_rest(&self, client: &Client, batch: usize) -> Result<(), ApiError> {
        let batch = u32::try_from(batch).unwrap_or(u32::MAX);
        self.take(client, batch.min(self.per_minute).saturating_sub(1))
    }

    fn take(&self, client: &Client, entries: u32) -> Result<(), ApiError> {
        if self.per_minute == 0 || *client == Client::Unknown {
            return Ok(());
        }
        let most = f64::from(self.per_minute);
        let wanted = f64::from(entries);
        let now = Instant::now();
        let filled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + since * most / 60.0).min(most)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_CLIENTS {
            // Those that are full are as good as unknown.
            buckets.retain(|_, bucket| filled(bucket) < most);
            if buckets.len() >= MAX_CLIENTS {
                // And then the half that has most left: whoever asks little from many addresses does not have forgotten what others have used.
                let mut left: Vec<f64> = buckets.values().map(filled).collect();
                let half = left.len() / 2;
                let median = *left.select_nth_unstable_by(half, f64::total_cmp).1;
                buckets.retain(|_, bucket| filled(bucket) < median);
            }
        }
        let left = buckets.get(client).map_or(most, filled);
        if left < wanted {
            let seconds = ((wanted - left) * 60.0 / most).ceil();
            return Err(ApiError::too_many(self.per_minute, seconds));
        }
        let left = left - wanted;
        buckets.insert(client.clone(), Bucket { left, at: now });
        Ok(())
    }
}

impl ApiError {
    fn too_many(per_minute: u32, wait_s: f64) -> Self {
        // At most a minute, and whole.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and 60"
        )]
        let wait_s = wait_s.clamp(1.0, 60.0) as u64;
        let message = format!("more than {per_minute} entries a minute from one client");
        Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(wait_s)
    }
}

/// Some megabytes.
const MAX_CLIENTS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> Client {
        let peer = Peer(text.parse().unwrap());
        Client::of(None, Some(peer), &HeaderMap::new(), false)
    }

    #[tokio::test(start_paused = true)]
    async fn each_client_has_its_own_bucket_that_fills() {
        let clients = Clients::new(60);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        clients.take(&one, 59).unwrap();
        clients.take(&one, 1).unwrap();
        assert!(clients.take(&one, 1).is_err());
        clients.take(&other, 60).unwrap();
        tokio::time::advance(Duration::from_millis(1_100)).await;
        clients.take(&one, 1).unwrap();
        assert!(clients.take(&one, 1).is_err());
        // A batch that is larger than all takes all.
        tokio::time::advance(Duration::from_secs(61)).await;
        clients.take_first(&one).unwrap();
        clients.take_rest(&one, 1_000).unwrap();
        assert!(clients.take(&one, 1).is_err());
        for unlimited in [Clients::new(0), Clients::new(1)] {
            let who = if unlimited.per_minute == 0 {
                one.clone()
            } else {
                Client::Unknown
            };
            for _ in 0..9 {
                unlimited.take(&who, 9).unwrap();
            }
        }
    }

    /// A subscriber with a /48 has as many networks as are remembered.
    #[tokio::test(start_paused = true)]
    async fn what_a_client_has_used_is_not_forgotten_for_many_others() {
        let clients = Clients::new(60);
        let one = address("192.0.2.1");
        clients.take(&one, 60).unwrap();
        for n in 0..200_000_u128 {
            let peer = Peer(IpAddr::V6((n << 64).into()));
            let other = Client::of(None, Some(peer), &HeaderMap::new(), false);
            clients.take(&other, 1).unwrap();
        }
        assert!(clients.take(&one, 1).is_err());
        assert!(clients.buckets.lock().unwrap().len() <= MAX_CLIENTS);
    }

    #[tokio::test(start_paused = true)]
    async fn many_clients_take_no_more_memory() {
        let clients = Clients::new(2);
        for n in 0..200_000_u32 {
            let peer = Peer(IpAddr::V4(n.into()));
            let client = Client::of(None, Some(peer), &HeaderMap::new(), false);
            clients.take(&client, 1).unwrap();
        }
        assert!(clients.buckets.lock().unwrap().len() <= MAX_CLIENTS);
    }

    #[test]
    fn a_client_is_known_by_its_token_its_network_or_its_proxy() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "198.51.100.7, 192.0.2.9".parse().unwrap(),
        );
        let peer = Some(Peer("127.0.0.1".parse().unwrap()));
        assert_eq!(Client::of(None, peer, &headers, true), address("192.0.2.9"));
        assert_eq!(
            Client::of(None, peer, &headers, false),
            address("127.0.0.1")
        );
        headers.append("x-forwarded-for", "not an address".parse().unwrap());
        assert_eq!(Client::of(None, peer, &headers, true), address("127.0.0.1"));
        let alice = Client::of(Some("alice".to_owned()), peer, &headers, true);
        assert_eq!(alice, Client::Token("alice".to_owned()));
    }
}
