//! A log in a bucket, read without a CDN.

use async_trait::async_trait;
use bytes::Bytes;
use tegula_storage::{S3, S3Address, S3Options, StoreError};

use crate::source::check_path;
use crate::{FetchError, HttpOptions, Source};

/// The public objects of a log in a bucket of S3, for whoever may read them there.
#[derive(Clone, Debug)]
pub struct BucketSource {
    store: S3,
    name: String,
}

impl BucketSource {
    /// The log at an address, of which only the public part is used.
    pub async fn new(address: &S3Address, options: &HttpOptions) -> Self {
        let address = address.public_part();
        let mut s3 = S3Options::default();
        s3.request_time = options.timeout;
        s3.read_again = options.retries;
        Self {
            name: address.to_string(),
            store: S3::connect(address, s3).await,
        }
    }
}

#[async_trait]
impl Source for BucketSource {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        check_path(path)?;
        let place = || format!("{} {path}", self.name);
        let fetched = self.store.fetch(path, max_len).await;
        fetched.map_err(|error| match error {
            StoreError::Invalid(_) => FetchError::TooLong {
                place: place(),
                max_len,
            },
            other => FetchError::Io {
                place: place(),
                reason: other.to_string(),
            },
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
