//! Which log: a URL, a directory, or a bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tegula_client::{DirectorySource, HttpOptions, HttpSource, Source};

use crate::buckets::{self, Buckets};
use crate::exit::CliError;

/// What `--log` names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LogPlace {
    Url(String),
    Directory(PathBuf),
    Buckets(Buckets),
}

impl LogPlace {
    /// `https://log.example`, `file:///srv/log`, the path of a directory, or `s3://log-public`.
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if text.starts_with("s3://") {
            return buckets::parse(text).map(Self::Buckets);
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::Directory(path.into()));
        }
        if text.is_empty() || (text.contains("://") && !Path::new(text).exists()) {
            return Err(CliError::usage(format!(
                "{text:?} is not a log, expected an http or https URL, a directory or s3://BUCKET"
            )));
        }
        Ok(Self::Directory(text.into()))
    }

    pub(crate) async fn source(&self, options: HttpOptions) -> Result<Arc<dyn Source>, CliError> {
        Ok(match self {
            Self::Url(url) => Arc::new(HttpSource::new(url, options)?),
            Self::Buckets(buckets) => buckets.source(&options).await,
            Self::Directory(path) => Arc::new(DirectorySource::new(path)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_directories_are_told_apart() {
        let url = |text: &str| LogPlace::Url(text.to_owned());
        let directory = |text: &str| LogPlace::Directory(text.into());
        for (text, expected) in [
            ("http://127.0.0.1:3003", url("http://127.0.0.1:3003")),
            ("https://log.example/x", url("https://log.example/x")),
            ("file:///srv/log", directory("/srv/log")),
            ("./log", directory("./log")),
            ("log", directory("log")),
        ] {
            assert_eq!(LogPlace::parse(text).unwrap(), expected);
        }
        for bad in ["", "ftp://x", "s3://b"] {
            assert!(LogPlace::parse(bad).is_err(), "{bad}");
        }
    }
}
