//! What the router serves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tegula_entries::KINDS;
use tegula_sequencer::Sequencer;
use tegula_storage::Store;
use tegula_tlog::{LogDescription, VerifierKey};

use crate::allowed::AllowedKeys;
use crate::answers::Answers;
use crate::body::Bodies;
use crate::clients::Clients;
use crate::error::ApiError;
use crate::issuers::Issuers;
use crate::metrics::Metrics;

/// A log and how it is offered. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sequencer: Sequencer,
    store: Arc<dyn Store>,
    #[cfg(feature = "search")]
    keys: Vec<VerifierKey>,
    #[cfg(feature = "search")]
    searches: tokio::sync::Semaphore,
    log_id: [u8; 32],
    /// Kinds of entries, as `log.json` names them.
    entries: BTreeSet<String>,
    /// Bytes of an attestation that is kept.
    attestation_bytes: Option<u64>,
    options: Options,
    metrics: Metrics,
    bodies: Bodies,
    clients: Clients,
    answers: Answers,
    next_request: AtomicU64,
    request_prefix: u64,
}

/// The description of a new log with these keys, which takes Rekor's entries, or raw ones. Of Rekor's it keeps no attestations.
pub fn describe(origin: &str, keys: &[VerifierKey], raw: bool) -> LogDescription {
    let (entries, apis) = if raw {
        (vec!["raw".to_owned()], &["add"][..])
    } else {
        (
            KINDS.map(str::to_owned).to_vec(),
            &["rekor/v1", "rekor/v2"][..],
        )
    };
    LogDescription {
        format: LogDescription::FORMAT,
        origin: origin.to_owned(),
        keys: keys.iter().map(ToString::to_string).collect(),
        slot_format: tegula_sequencer::SLOT_VERSION,
        entries,
        apis: apis.iter().map(ToString::to_string).collect(),
        limits: tegula_tlog::Limits {
            entry_bytes: tegula_tlog::MAX_ENTRY_LEN as u64,
            batch_entries: 1_000,
            batch_bytes: 4 << 20,
            attestation_bytes: None,
        },
    }
}

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// How an entry that is in the log already is answered.
    pub duplicates: Duplicates,
    /// Whether writes need a bearer token: one of the log's own, or one of an issuer.
    pub require_token: bool,
    /// Whose tokens are taken beside the log's own. Where there are any, writes need a token.
    pub issuers: Option<Issuers>,
    /// Whose signatures are logged.
    pub allowed_keys: AllowedKeys,
    /// Entries a minute that each client may upload; 0 for no limit.
    pub client_rate: u32,
    /// Whether a proxy stands before it that says whom it forwards for.
    pub behind_proxy: bool,
    /// Bytes of request bodies that are held at one time, at least 4 MiB; further requests wait for their turn.
    pub max_body_bytes: usize,
    /// Bytes of bundles that are held at one time for clients that read them, at least 16 MiB; further readers wait for their turn.
    pub max_answer_bytes: usize,
    /// Seconds after which a request is given up.
    pub timeout_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::Existing,
            require_token: false,
            issuers: None,
            allowed_keys: AllowedKeys::default(),
            client_rate: 0,
            behind_proxy: false,
            max_body_bytes: 64 << 20,
            max_answer_bytes: 128 << 20,
            timeout_s: 30,
        }
    }
}

/// The answer to an entry that is in the log already.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Duplicates {
    /// 201 with the entry that is there and a fresh proof.
    Existing,
    /// 409, as Rekor v2 does.
    Conflict,
}

impl Log {
    /// Offers a log. `key` is its first key; what it takes is what `description` says. `seed` makes the request ids of this process unlike
    /// those of others.
    pub fn new(
        sequencer: Sequencer,
        store: Arc<dyn Store>,
        key: &VerifierKey,
        description: &LogDescription,
        options: Options,
        seed: u64,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                #[cfg(feature = "search")]
                searches: tokio::sync::Semaphore::new(crate::search::MAX_SEARCHES),
                #[cfg(feature = "search")]
                keys: crate::search::keys(&description.keys),
                log_id: key.full_key_id(),
                entries: description.entries.iter().cloned().collect(),
                attestation_bytes: description.limits.attestation_bytes,
                bodies: Bodies::new(options.max_body_bytes),
                clients: Clients::new(options.client_rate),
                answers: Answers::new(options.max_answer_bytes),
                options,
                metrics: Metrics::new(sequencer.clone()),
                next_request: AtomicU64::new(0),
                request_prefix: seed,
                sequencer,
            }),
        }
    }

    /// The log's writer.
    pub fn sequencer(&self) -> &Sequencer {
        &self.inner.sequencer
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    #[cfg(feature = "search")]
    pub(crate) fn store_handle(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner.store)
    }

    #[cfg(feature = "search")]
    pub(crate) fn searches(&self) -> &tokio::sync::Semaphore {
        &self.inner.searches
    }

    /// The keys that it is known by.
    #[cfg(feature = "search")]
    pub(crate) fn keys(&self) -> &[VerifierKey] {
        &self.inner.keys
    }

    /// The number of its tree in Rekor v1's words, which wants one: positive, and the log's own.
    pub(crate) fn tree_id(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.inner.log_id;
        (u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> 1)).max(1)
    }

    pub(crate) fn log_id(&self) -> &[u8; 32] {
        &self.inner.log_id
    }

    pub(crate) fn takes_raw(&self) -> bool {
        self.inner.entries.contains("raw")
    }

    pub(crate) fn takes_rekor(&self) -> bool {
        !self.takes_raw()
    }

    /// Whether it takes entries of a kind in a version; and if not, whether it takes others of that kind.
    pub(crate) fn takes(&self, kind: &str, version: &str) -> Result<(), ApiError> {
        let entries = &self.inner.entries;
        if entries.contains(&format!("{kind}/{version}")) {
            return Ok(());
        }
        let of_kind = |entry: &String| entry.split('/').next() == Some(kind);
        let message = if entries.iter().any(of_kind) {
            format!("entry kind '{kind}' does not support inserting entries of version '{version}'")
        } else {
            format!("entry kind '{kind}' is not enabled for submission on this server")
        };
        Err(ApiError::bad_request(message))
    }

    /// How long an attestation may be that is kept beside the log; 0 where none are.
    pub(crate) fn attestation_bytes(&self) -> u64 {
        self.inner.attestation_bytes.unwrap_or(0)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.inner.bodies
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.inner.clients
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.inner.answers
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Tells the metrics what housekeeping found: the number of damaged objects.
    pub fn report_damage(&self, damaged: usize) {
        self.inner.metrics.damaged(damaged);
    }

    pub(crate) fn next_request_id(&self) -> String {
        let number = self.inner.next_request.fetch_add(1, Ordering::Relaxed);
        format!(
            "{:08x}{number:08x}",
            self.inner.request_prefix & 0xffff_ffff
        )
    }
}
