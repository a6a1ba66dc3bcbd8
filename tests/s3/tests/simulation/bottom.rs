//! Buckets, asked within the process through the SDK.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tegula_s3_stand_in::StandIn;
use tegula_storage::{ObjectPath, S3, S3Keys, S3Options, Store};
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// A store in two buckets.
#[derive(Clone, Debug)]
pub(crate) struct Bottom {
    buckets: Arc<StandIn>,
    s3: S3,
}

pub(crate) const POWER_IS_CUT: bool = false;

pub(crate) const SLOTS_STAY: bool = true;

/// Each request goes through the SDK.
pub(crate) const EACH_OF: u64 = 10;

pub(crate) fn peek(bottom: &Bottom, path: &ObjectPath) -> Option<Bytes> {
    bottom.buckets.get("log-public", path.as_str())
}

impl Bottom {
    pub(crate) fn new() -> Self {
        let buckets = StandIn::silent();
        let address = format!(
            "s3://log-public?private=s3://log-private&endpoint={}",
            buckets.endpoint()
        );
        let keys = S3Keys {
            id: "id".to_owned(),
            secret: "secret".to_owned(),
            session: None,
        };
        let http = buckets.http_client();
        Self {
            s3: S3::over(http, address.parse().unwrap(), keys, S3Options::default()),
            buckets: Arc::new(buckets),
        }
    }

    #[expect(clippy::unused_self, reason = "as memory has it")]
    pub(crate) fn power_cut(&self, _seed: u64) {
        panic!("nothing in a bucket is lost");
    }

    /// Conditions are all that it has.
    #[expect(clippy::unused_self, reason = "as memory has it")]
    pub(crate) fn violations(&self) -> Vec<String> {
        Vec::new()
    }

    pub(crate) fn tamper_slot(&self, start: u64, bytes: Option<Bytes>) {
        let key = format!("wal/{start:020}");
        self.buckets.tamper("log-private", &key, bytes);
    }
}

/// The SDK makes timers, which want a runtime. Nobody drives it: no time passes, and none of them ever rings.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

/// What has to be at hand while a future is polled.
pub(crate) fn reach() -> EnterGuard<'static> {
    RUNTIME.enter()
}

/// The store, as processes have it.
pub(crate) fn store(bottom: &Bottom) -> Arc<dyn Store> {
    Arc::new(bottom.s3.clone())
}
