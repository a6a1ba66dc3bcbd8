//! Buckets of S3, where this program was built with them.

use std::sync::Arc;

use tegula_client::{HttpOptions, Source};
use tegula_storage::Store;

use crate::exit::CliError;

pub(crate) use built::Buckets;

/// What begins with `s3://`.
pub(crate) fn parse(text: &str) -> Result<Buckets, CliError> {
    built::parse(text)
}

impl Buckets {
    /// The store, for whoever this process is; both conditions on which a log rests are tried.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Store>, CliError> {
        built::connect(self).await
    }

    /// The public objects.
    pub(crate) async fn source(&self, options: &HttpOptions) -> Arc<dyn Source> {
        built::source(self, options).await
    }
}

#[cfg(feature = "s3")]
mod built {
    use std::fmt;

    use tegula_client::BucketSource;
    use tegula_storage::{S3, S3Address, S3Options};
    use tegula_tlog::Hash;

    use super::{Arc, CliError, HttpOptions, Source, Store};
    use crate::env::random;

    /// A log's address.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub(crate) struct Buckets(S3Address);

    impl fmt::Display for Buckets {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    pub(super) fn parse(text: &str) -> Result<Buckets, CliError> {
        text.parse().map(Buckets).map_err(CliError::usage)
    }

    pub(super) async fn connect(Buckets(address): &Buckets) -> Result<Arc<dyn Store>, CliError> {
        if !address.has_private() {
            return Err(CliError::usage(format!(
                "{address} says no private=s3://BUCKET[/PREFIX], the place for slots, which nobody else may read"
            )));
        }
        let store = S3::connect(address.clone(), S3Options::default()).await;
        let unique = Hash(random()?).to_string();
        store.probe(&unique).await.map_err(CliError::io)?;
        Ok(Arc::new(store))
    }

    pub(super) async fn source(
        Buckets(address): &Buckets,
        options: &HttpOptions,
    ) -> Arc<dyn Source> {
        Arc::new(BucketSource::new(address, options).await)
    }
}

#[cfg(not(feature = "s3"))]
mod built {
    use std::fmt;

    use super::{Arc, CliError, HttpOptions, Source, Store};

    /// There are none.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub(crate) enum Buckets {}

    impl fmt::Display for Buckets {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }

    pub(super) fn parse(text: &str) -> Result<Buckets, CliError> {
        Err(CliError::usage(format!(
            "{text:?}: this program was built without buckets; build it with `--features s3`"
        )))
    }

    #[expect(clippy::unused_async, reason = "where there are buckets it waits")]
    pub(super) async fn connect(buckets: &Buckets) -> Result<Arc<dyn Store>, CliError> {
        match *buckets {}
    }

    #[expect(clippy::unused_async, reason = "where there are buckets it waits")]
    pub(super) async fn source(buckets: &Buckets, _: &HttpOptions) -> Arc<dyn Source> {
        match *buckets {}
    }
}
