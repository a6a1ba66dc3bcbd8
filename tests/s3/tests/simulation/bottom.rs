//! Buckets, asked within the process through the SDK.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tegula_s3_stand_in::StandIn;
use tegula_storage::{
    Condition, Created, Object, ObjectPath, Replaced, Root, S3, S3Keys, S3Options, SlotCreated,
    Store, StoreError, Version,
};
use tokio::runtime::{Builder, Handle, Runtime};

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

/// A future that is polled within the runtime's reach, whoever polls it.
struct Within<'a, T> {
    future: BoxFuture<'a, T>,
    runtime: &'static Handle,
}

impl<T> Future for Within<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let _reach = self.runtime.enter();
        self.future.as_mut().poll(cx)
    }
}

fn within<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Within<'a, T> {
    Within {
        future: future.boxed(),
        runtime: RUNTIME.handle(),
    }
}

#[async_trait]
impl Store for Bottom {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        within(self.s3.read(path)).await
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        within(self.s3.create(path, bytes)).await
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        within(self.s3.replace(path, expected, bytes)).await
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        within(self.s3.remove(path)).await
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        within(self.s3.list(root, prefix, after, limit)).await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        within(self.s3.create_slot(start, bytes)).await
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        within(self.s3.read_slot(start)).await
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        within(self.s3.read_slot_head(start, max_len)).await
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        within(self.s3.slots(from, limit)).await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        within(self.s3.floor()).await
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        within(self.s3.raise_floor(floor)).await
    }

    fn keeps_slots(&self) -> bool {
        self.s3.keeps_slots()
    }

    async fn cut_slot(&self, start: u64, len: usize) -> Result<(), StoreError> {
        within(self.s3.cut_slot(start, len)).await
    }

    fn time_ms(&self) -> Option<u64> {
        self.s3.time_ms()
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        within(self.s3.remove_slot(start)).await
    }

    async fn sync(&self, paths: &[ObjectPath]) -> Result<(), StoreError> {
        within(self.s3.sync(paths)).await
    }

    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        within(self.s3.rebuild(path, bytes)).await
    }

    fn condition(&self) -> Condition {
        self.s3.condition()
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        within(self.s3.recovered()).await
    }
}
