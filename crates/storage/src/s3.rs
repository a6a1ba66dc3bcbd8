use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ObjectLockMode;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Condition, Created, MAX_OBJECT_BYTES, Object, ObjectPath, Replaced, Root, SlotCreated, Store,
    StoreError, Version,
};

mod address;
mod clock;
mod outcome;

use address::Place;
pub use address::{AddressError, S3Address};
use clock::StoreClock;
use outcome::{Outcome, Said, outcome};

/// A store in two buckets of S3, or of a store that speaks its language, or in two prefixes of one bucket.
///
/// ```text
/// s3://log-public?private=s3://log-private
/// <public bucket>/tile/0/000
/// <private bucket>/wal/00000000000000000000
/// ```
///
/// Everything rests on two conditions: that `If-None-Match: *` makes an object only where none is, and `If-Match` replaces only
/// what was read. [`S3::probe`] tries both, and a store that ignores them is refused.
///
/// What was written is durable when it is answered, so there is nothing to sync. Slots stay for ever: there is no floor.
///
/// A write is never sent twice by this store, nor by the SDK: a repetition of one that happened would be refused because of itself. What
/// is answered with 412 did not happen by this request; what is not answered, or with 409 or 5xx, is `Unknown`. Reads are repeated.
#[derive(Clone)]
pub struct S3 {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    address: S3Address,
    options: S3Options,
    turns: Semaphore,
    clock: StoreClock,
    asked: Asked,
}

/// What was asked so far.
#[derive(Debug, Default)]
struct Asked {
    reads: AtomicU64,
    writes: AtomicU64,
    lists: AtomicU64,
    removals: AtomicU64,
}

/// How many requests an [`S3`] has made, as they are paid for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct S3Requests {
    /// GET.
    pub reads: u64,
    /// PUT.
    pub writes: u64,
    /// LIST.
    pub lists: u64,
    /// DELETE, which costs nothing.
    pub removals: u64,
}

/// How an [`S3`] is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Options {
    /// The time that one request may take, from connecting to the last byte; 10 s unless it is said.
    pub request_time: Duration,
    /// Requests under way at one time; 256 unless it is said.
    pub requests: usize,
    /// How often a read is made again after a failure that may pass; 4 unless it is said.
    pub read_again: u32,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            request_time: Duration::from_secs(10),
            requests: 256,
            read_again: 4,
        }
    }
}

/// Who asks.
#[derive(Clone)]
pub struct S3Keys {
    /// The access key's id.
    pub id: String,
    /// The access key.
    pub secret: String,
    /// The token of a session, as functions have one.
    pub session: Option<String>,
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Keys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl S3 {
    /// The store at an address, for whoever these keys are. Nothing is asked yet: see [`S3::probe`].
    pub fn new(address: S3Address, keys: S3Keys, options: S3Options) -> Self {
        Self::over(http_client(), address, keys, options)
    }

    /// As [`S3::new`], over another transport: tests have a store in their own process.
    pub fn over(
        http: SharedHttpClient,
        address: S3Address,
        keys: S3Keys,
        options: S3Options,
    ) -> Self {
        let keys = Credentials::new(keys.id, keys.secret, keys.session, None, "tegula");
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .build();
        Self::with(&base, address, options)
    }

    /// The store at an address, for whoever this process is: by the environment, a profile, a web identity, or the machine's role,
    /// as for any tool of AWS. Where the address says no region or endpoint the environment or the profile does.
    pub async fn connect(address: S3Address, options: S3Options) -> Self {
        // Not that of the machine: where there is none, asking for it takes seconds.
        let region = RegionProviderChain::first_try(
            address
                .region()
                .map(|region| Region::new(region.to_owned())),
        )
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(REGION));
        let base = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .region(region)
            .load()
            .await;
        Self::with(&base, address, options)
    }

    fn with(base: &SdkConfig, address: S3Address, options: S3Options) -> Self {
        let clock = StoreClock::default();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(options.request_time.min(CONNECT_TIME))
            .operation_attempt_timeout(options.request_time)
            .operation_timeout(options.request_time)
            .build();
        let region = address
            .region()
            .map(|region| Region::new(region.to_owned()));
        let region = region.or_else(|| base.region().cloned());
        let mut config = aws_sdk_s3::config::Builder::from(base)
            .region(region.unwrap_or_else(|| Region::new(REGION)))
            .interceptor(clock.clone())
            .force_path_style(address.path_style())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // AWS wants them where a bucket locks its objects. Not every other store knows them; TLS and the log's own hashes are enough.
            .request_checksum_calculation(match (address.endpoint(), address.lock_days()) {
                (Some(_), None) => RequestChecksumCalculation::WhenRequired,
                _ => RequestChecksumCalculation::WhenSupported,
            })
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = address.endpoint() {
            config = config.endpoint_url(endpoint);
        }
        Self {
            inner: Arc::new(Inner {
                client: Client::from_conf(config.build()),
                turns: Semaphore::new(options.requests.max(1)),
                clock,
                asked: Asked::default(),
                address,
                options,
            }),
        }
    }

    /// Tries in both places whether conditions are kept. `unique` is a name that nobody else uses at the same time.
    ///
    /// # Errors
    ///
    /// `Invalid` if they are not, and whatever else is in the way.
    pub async fn probe(&self, unique: &str) -> Result<(), StoreError> {
        for root in [Root::Public, Root::Private] {
            let path = ObjectPath::new(root, format!("probe/{unique}"));
            let path = path.map_err(|error| StoreError::invalid(error.to_string()))?;
            let tried = self.try_conditions(&path).await;
            let removed = self.remove(&path).await;
            tried?;
            removed?;
        }
        Ok(())
    }

    async fn try_conditions(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let ignored = |condition: &str| {
            Err(StoreError::invalid(format!(
                "{} ignores {condition}: a log in it could fork",
                self.inner.address
            )))
        };
        if self.create(path, "first".into()).await? == Created::Exists {
            return Err(StoreError::refused(format!("{path} is there already")));
        }
        if self.create(path, "second".into()).await? == Created::Created {
            return ignored("If-None-Match: *");
        }
        let first = self.read(path).await?;
        let version = first.filter(|object| object.bytes == "first");
        let Some(version) = version.map(|object| object.version) else {
            return ignored("If-None-Match: *");
        };
        let third = self.replace(path, Some(&version), "third".into()).await?;
        if third == Replaced::Changed {
            return Err(StoreError::invalid(format!(
                "{} does not replace what was read",
                self.inner.address
            )));
        }
        match self.replace(path, Some(&version), "fourth".into()).await? {
            Replaced::Changed => Ok(()),
            Replaced::Replaced(_) => ignored("If-Match"),
        }
    }

    /// The requests that were made through this store and its clones.
    pub fn requests(&self) -> S3Requests {
        let asked = &self.inner.asked;
        S3Requests {
            reads: asked.reads.load(Ordering::Relaxed),
            writes: asked.writes.load(Ordering::Relaxed),
            lists: asked.lists.load(Ordering::Relaxed),
            removals: asked.removals.load(Ordering::Relaxed),
        }
    }

    /// The public object at a path, for whoever reads alone; `None` if there is none, and `Invalid` if it is longer than `max_len`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, StoreError> {
        let at = self.at(Root::Public, path)?;
        let object = self.get_up_to(at, None, max_len).await?;
        Ok(object.map(|object| object.bytes))
    }

    /// The turn of a request, which is counted.
    async fn turn(&self, asked: &AtomicU64) -> Option<SemaphorePermit<'_>> {
        asked.fetch_add(1, Ordering::Relaxed);
        self.inner.turns.acquire().await.ok()
    }

    fn at(&self, root: Root, path: &str) -> Result<(String, String), StoreError> {
        let place = self.place(root)?;
        Ok((place.bucket().to_owned(), place.key(path)))
    }

    fn place(&self, root: Root) -> Result<&Place, StoreError> {
        let none = || {
            StoreError::invalid(format!(
                "{} has no private=s3://BUCKET[/PREFIX], the place for slots: it can only be read",
                self.inner.address
            ))
        };
        self.inner.address.place(root).ok_or_else(none)
    }

    async fn put(
        &self,
        (bucket, key): (String, String),
        bytes: Bytes,
        condition: If<'_>,
    ) -> Outcome<Version> {
        let _turn = self.turn(&self.inner.asked.writes).await;
        let request = self.inner.client.put_object().bucket(&bucket).key(&key);
        let request = match condition {
            If::Absent => request.if_none_match("*"),
            If::Version(version) => {
                let Ok(tag) = std::str::from_utf8(version.token()) else {
                    return Outcome::Precondition;
                };
                request.if_match(tag)
            }
        };
        let locked_until = match self.locked_until(&bucket, &key) {
            Ok(until) => until,
            Err(error) => return Outcome::Failed(error),
        };
        let (content_type, cache_control) = headers(&key);
        let sent = request
            .content_type(content_type)
            .set_cache_control(cache_control.map(str::to_owned))
            .set_object_lock_mode(locked_until.map(|_| ObjectLockMode::Governance))
            .set_object_lock_retain_until_date(locked_until)
            .body(ByteStream::from(bytes))
            .send()
            .await;
        outcome(sent, &key, Said::Written).and_then(|answer| {
            let tag = answer.e_tag().map(str::to_owned);
            tag.map(|tag| Version::new(tag.into_bytes()))
                .ok_or_else(|| {
                    StoreError::unknown(format!("{key} was written, and no ETag answered"))
                })
        })
    }

    /// Until when an object is locked by the store's clock, if it is one that nothing supersedes: a full tile or bundle.
    fn locked_until(&self, bucket: &str, key: &str) -> Result<Option<DateTime>, StoreError> {
        let Some(days) = self.inner.address.lock_days() else {
            return Ok(None);
        };
        let place = self.place(Root::Public)?;
        let path = place.path(key).filter(|_| place.bucket() == bucket);
        if !path.is_some_and(|path| path.starts_with("tile/") && !path.contains(".p/")) {
            return Ok(None);
        }
        let now_ms = self.time_ms().and_then(|now_ms| i64::try_from(now_ms).ok());
        let now_ms = now_ms.ok_or_else(|| {
            StoreError::refused(format!(
                "{key} is to be locked, and the store told no time yet"
            ))
        })?;
        let until_ms = now_ms.saturating_add(i64::from(days) * DAY_MS);
        Ok(Some(DateTime::from_millis(until_ms)))
    }

    /// Bytes and version; `None` if there is no object.
    async fn get(
        &self,
        at: (String, String),
        head: Option<usize>,
    ) -> Result<Option<Object>, StoreError> {
        self.get_up_to(at, head, MAX_OBJECT_BYTES).await
    }

    async fn get_up_to(
        &self,
        (bucket, key): (String, String),
        head: Option<usize>,
        max_len: usize,
    ) -> Result<Option<Object>, StoreError> {
        if head == Some(0) {
            // No range says nothing; whether it is there has to be asked otherwise.
            let object = Box::pin(self.get_up_to((bucket, key), Some(1), max_len)).await?;
            return Ok(object.map(|object| Object {
                bytes: Bytes::new(),
                ..object
            }));
        }
        let mut again = 0;
        loop {
            match self.get_once(&bucket, &key, head, max_len).await {
                Err(StoreError::Refused(_) | StoreError::Unknown(_))
                    if again < self.inner.options.read_again =>
                {
                    tokio::time::sleep(AGAIN * 2_u32.pow(again)).await;
                    again += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn get_once(
        &self,
        bucket: &str,
        key: &str,
        head: Option<usize>,
        max_len: usize,
    ) -> Result<Option<Object>, StoreError> {
        let _turn = self.turn(&self.inner.asked.reads).await;
        // The SDK's own limits end where the answer begins: one that stops in the midst would be waited for for ever.
        let limit = self.inner.options.request_time;
        let got = tokio::time::timeout(limit, self.get_whole(bucket, key, head, max_len)).await;
        got.unwrap_or_else(|_elapsed| {
            let limit = limit.as_secs_f64();
            Err(StoreError::refused(format!(
                "{key}: no whole answer within {limit} s"
            )))
        })
    }

    async fn get_whole(
        &self,
        bucket: &str,
        key: &str,
        head: Option<usize>,
        max_len: usize,
    ) -> Result<Option<Object>, StoreError> {
        let get = |range: Option<String>| {
            let request = self.inner.client.get_object().bucket(bucket).key(key);
            request.set_range(range).send()
        };
        let range = head.map(|len| format!("bytes=0-{}", len - 1));
        let mut answered = outcome(get(range).await, key, Said::Read);
        if matches!(answered, Outcome::NoRange) {
            // An empty object has no range.
            answered = outcome(get(None).await, key, Said::Read);
        }
        let mut answer = match answered {
            Outcome::Done(answer) => answer,
            Outcome::Absent | Outcome::Precondition => return Ok(None),
            Outcome::NoRange => {
                return Err(StoreError::refused(format!("{key} was answered strangely")));
            }
            Outcome::Failed(error) => return Err(error),
        };
        // What has no version could be replaced by whoever has not read it.
        let tag = answer.e_tag.take().filter(|tag| !tag.is_empty());
        let tag = tag.ok_or_else(|| StoreError::invalid(format!("{key} has no ETag")))?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map_err(|error| {
                StoreError::refused(format!("{key} ended in the midst: {error}"))
            })?;
            if bytes.len() + chunk.len() > max_len {
                return Err(StoreError::invalid(format!(
                    "{key} is longer than {max_len} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        let expected = answer
            .content_length
            .and_then(|len| usize::try_from(len).ok());
        if expected.is_some_and(|len| len != bytes.len()) {
            return Err(StoreError::refused(format!(
                "{key} is {} bytes of {expected:?}",
                bytes.len()
            )));
        }
        // A store may not keep to the range.
        bytes.truncate(head.unwrap_or(usize::MAX));
        Ok(Some(Object {
            bytes: bytes.freeze(),
            version: Version::new(tag.into_bytes()),
        }))
    }

    /// At most `limit` keys below a prefix, after one, without the place's own prefix.
    async fn keys(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let place = self.place(root)?;
        // Slots are not objects: they are listed where they are asked for.
        let slots = root == Root::Public || prefix == SLOTS;
        let mut found: Vec<String> = Vec::new();
        let mut after = after.map(|after| place.key(after));
        while found.len() < limit {
            let most = (limit - found.len()).min(PAGE);
            let page = self
                .page(place.bucket(), &place.key(prefix), after.clone(), most)
                .await?;
            let Some(last) = page.keys.last().cloned() else {
                break;
            };
            let own = page.keys.iter().filter_map(|key| place.path(key));
            // Some stores take a prefix for a directory.
            let own = own.filter(|path| path.starts_with(prefix));
            let own = own.filter(|path| slots || !path.starts_with(SLOTS));
            found.extend(own.map(str::to_owned));
            after = Some(last);
            if !page.more {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<String>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let mut again = 0;
        loop {
            let sent = {
                let _turn = self.turn(&self.inner.asked.lists).await;
                self.inner
                    .client
                    .list_objects_v2()
                    .bucket(bucket)
                    .prefix(prefix)
                    .set_start_after(after.clone())
                    .max_keys(i32::try_from(most).unwrap_or(i32::MAX))
                    .send()
                    .await
            };
            match outcome(sent, prefix, Said::Read) {
                Outcome::Done(answer) => {
                    let more = answer.is_truncated().unwrap_or(false);
                    let keys = answer.contents.unwrap_or_default().into_iter();
                    let keys = keys.filter_map(|object| object.key).collect();
                    return Ok(Page { keys, more });
                }
                Outcome::Failed(StoreError::Refused(_) | StoreError::Unknown(_))
                    if again < self.inner.options.read_again =>
                {
                    tokio::time::sleep(AGAIN * 2_u32.pow(again)).await;
                    again += 1;
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::Absent | Outcome::Precondition | Outcome::NoRange => {
                    return Err(StoreError::refused(format!("there is no bucket {bucket}")));
                }
            }
        }
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3")
            .field(&self.inner.address.to_string())
            .finish()
    }
}

/// What an object has to be, to be written.
enum If<'a> {
    Absent,
    Version(&'a Version),
}

struct Page {
    keys: Vec<String>,
    more: bool,
}

#[async_trait]
impl Store for S3 {
    async fn read(&self, path: &ObjectPath) -> Result<Option<Object>, StoreError> {
        self.get(self.at(path.root(), path.as_str())?, None).await
    }

    async fn read_many(&self, paths: &[ObjectPath]) -> Vec<Result<Option<Object>, StoreError>> {
        join_all(paths.iter().map(|path| self.read(path))).await
    }

    async fn create(&self, path: &ObjectPath, bytes: Bytes) -> Result<Created, StoreError> {
        check_length(path, &bytes)?;
        let at = self.at(path.root(), path.as_str())?;
        match self.put(at, bytes, If::Absent).await {
            Outcome::Done(_) => Ok(Created::Created),
            Outcome::Precondition => Ok(Created::Exists),
            other => Err(other.unexpected(path)),
        }
    }

    async fn create_many(
        &self,
        objects: Vec<(ObjectPath, Bytes)>,
    ) -> Vec<Result<Created, StoreError>> {
        let create =
            |(path, bytes): (ObjectPath, Bytes)| async move { self.create(&path, bytes).await };
        join_all(objects.into_iter().map(create)).await
    }

    async fn replace(
        &self,
        path: &ObjectPath,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Replaced, StoreError> {
        check_length(path, &bytes)?;
        let at = self.at(path.root(), path.as_str())?;
        match self
            .put(at, bytes, expected.map_or(If::Absent, If::Version))
            .await
        {
            Outcome::Done(version) => Ok(Replaced::Replaced(version)),
            Outcome::Precondition | Outcome::Absent => Ok(Replaced::Changed),
            other => Err(other.unexpected(path)),
        }
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let _turn = self.turn(&self.inner.asked.removals).await;
        let (bucket, key) = self.at(path.root(), path.as_str())?;
        let sent = self
            .inner
            .client
            .delete_object()
            .bucket(bucket)
            .key(&key)
            .send();
        match outcome(sent.await, &key, Said::Written) {
            Outcome::Done(_) | Outcome::Absent => Ok(()),
            other => Err(other.unexpected(path)),
        }
    }

    async fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        // No path begins so.
        let slots = root == Root::Private && prefix.starts_with(SLOTS);
        if slots || !prefix.bytes().all(is_plain) {
            return Ok(Vec::new());
        }
        let after = after.map(plain);
        self.keys(root, prefix, after.as_deref(), limit).await
    }

    async fn create_slot(&self, start: u64, bytes: Bytes) -> Result<SlotCreated, StoreError> {
        check_length(&format_args!("slot {start}"), &bytes)?;
        let at = self.at(Root::Private, &slot(start))?;
        match self.put(at, bytes, If::Absent).await {
            Outcome::Done(_) => Ok(SlotCreated::Created),
            Outcome::Precondition => Ok(SlotCreated::Exists),
            other => Err(other.unexpected(&format_args!("slot {start}"))),
        }
    }

    async fn read_slot(&self, start: u64) -> Result<Option<Bytes>, StoreError> {
        let object = self
            .get(self.at(Root::Private, &slot(start))?, None)
            .await?;
        Ok(object.map(|object| object.bytes))
    }

    async fn read_slot_head(
        &self,
        start: u64,
        max_len: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        let at = self.at(Root::Private, &slot(start))?;
        let object = self.get(at, Some(max_len.min(MAX_OBJECT_BYTES))).await?;
        Ok(object.map(|object| object.bytes))
    }

    async fn slots(&self, from: u64, limit: usize) -> Result<Vec<u64>, StoreError> {
        let after = from.checked_sub(1).map(slot);
        let names = self
            .keys(Root::Private, SLOTS, after.as_deref(), limit)
            .await?;
        let starts = names.iter().filter_map(|name| {
            let digits = name.strip_prefix(SLOTS)?;
            let start = digits.parse().ok()?;
            (slot(start) == *name).then_some(start)
        });
        Ok(starts.collect())
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn raise_floor(&self, floor: u64) -> Result<(), StoreError> {
        match floor {
            0 => Ok(()),
            _ => Err(StoreError::invalid(format!(
                "slots stay in {}: there is no floor to be raised to {floor}",
                self.inner.address
            ))),
        }
    }

    async fn remove_slot(&self, start: u64) -> Result<(), StoreError> {
        Err(StoreError::invalid(format!(
            "slot {start} stays in {}: names are taken once",
            self.inner.address
        )))
    }

    async fn sync(&self, _paths: &[ObjectPath]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn sync_all(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// No power cut tears what is here; but an object may have been damaged or lost by other means, and `fsck --repair` puts it right.
    /// A policy that lets nobody overwrite says so.
    async fn rebuild(&self, path: &ObjectPath, bytes: Bytes) -> Result<(), StoreError> {
        for _ in 0..MAX_REBUILDS {
            let found = self.read(path).await?;
            let version = match &found {
                Some(object) if object.bytes == bytes => return Ok(()),
                found => found.as_ref().map(|object| &object.version),
            };
            if let Replaced::Replaced(_) = self.replace(path, version, bytes.clone()).await? {
                return Ok(());
            }
        }
        Err(StoreError::refused(format!(
            "{path} was changed again and again while it was rebuilt"
        )))
    }

    fn keeps_slots(&self) -> bool {
        true
    }

    async fn cut_slot(&self, start: u64, len: usize) -> Result<(), StoreError> {
        let at = self.at(Root::Private, &slot(start))?;
        let Some(object) = self.get(at.clone(), None).await? else {
            return Err(StoreError::invalid(format!("there is no slot {start}")));
        };
        if object.bytes.len() <= len {
            return Ok(());
        }
        let head = object.bytes.slice(..len);
        match self.put(at, head, If::Version(&object.version)).await {
            Outcome::Done(_) => Ok(()),
            // By another, to the same.
            Outcome::Precondition => Ok(()),
            other => Err(other.unexpected(&format_args!("slot {start}"))),
        }
    }

    fn time_ms(&self) -> Option<u64> {
        self.inner.clock.now_ms()
    }

    fn condition(&self) -> Condition {
        Condition::Clean
    }

    async fn recovered(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// What a web server, or a CDN, is to say with an object (tiles-format.md section 1).
fn headers(key: &str) -> (&'static str, Option<&'static str>) {
    match key.rsplit('/').next() {
        Some("checkpoint") => ("text/plain; charset=utf-8", Some("public, max-age=1")),
        Some("log.json") => ("application/json", Some("public, max-age=60")),
        _ if key.contains("tile/") || key.contains("index/v1/") => {
            (OCTETS, Some("public, max-age=31536000, immutable"))
        }
        _ => (OCTETS, None),
    }
}

/// A text after which the same paths come, and which any store can say in XML.
fn plain(after: &str) -> String {
    let Some(at) = after.bytes().position(|byte| !is_plain(byte)) else {
        return after.to_owned();
    };
    let (begin, rest) = after.as_bytes().split_at(at);
    let begin = String::from_utf8_lossy(begin);
    // What is not plain comes before every character of a path, or behind all of them.
    match rest.first() {
        Some(byte) if *byte > b'~' => format!("{begin}~"),
        _ => begin.into_owned(),
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

fn slot(start: u64) -> String {
    format!("{SLOTS}{start:020}")
}

fn check_length(name: &dyn fmt::Display, bytes: &Bytes) -> Result<(), StoreError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(StoreError::invalid(format!(
            "{name} of {} bytes is longer than {MAX_OBJECT_BYTES}",
            bytes.len()
        )));
    }
    Ok(())
}

const OCTETS: &str = "application/octet-stream";
const SLOTS: &str = "wal/";
#[cfg(test)]
mod tests;

/// Keys that are listed together, at most.
const PAGE: usize = 1_000;
/// Before a read is made again; twice as long each time.
const AGAIN: Duration = Duration::from_millis(25);
/// How often an object is read and replaced while others change it.
const MAX_REBUILDS: u32 = 3;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Where nothing says another one.
const REGION: &str = "us-east-1";
const CONNECT_TIME: Duration = Duration::from_secs(3);
