//! Where a log's public objects are read.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use crate::FetchError;

/// A place from which the public objects of a log can be read. Nothing that it gives is trusted.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// The object at `path` (`tile/0/000`), or `None` if there is none.
    ///
    /// Bytes beyond `max_len` are not taken: the object is [`FetchError::TooLong`].
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError>;

    /// Several objects, in the order of `wanted`.
    async fn fetch_many(
        &self,
        wanted: Vec<(String, usize)>,
    ) -> Vec<Result<Option<Bytes>, FetchError>> {
        futures::stream::iter(wanted)
            .map(|(path, max_len)| async move { self.fetch(&path, max_len).await })
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// The URL or the directory, as it is shown to people and as a key is pinned to it.
    fn name(&self) -> String;
}

/// Checks that a path has segments of `[A-Za-z0-9._-]`, none of them empty, `.` or `..`.
pub(crate) fn check_path(path: &str) -> Result<(), FetchError> {
    let good = |segment: &str| {
        let chars = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(chars)
    };
    if path.split('/').all(good) {
        Ok(())
    } else {
        Err(FetchError::Path(path.to_owned()))
    }
}

/// Requests in flight at one time.
pub(crate) const AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for good in ["checkpoint", "log.json", "tile/0/x001/234.p/5", "a..b"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in [
            "", "/", "/etc", "a//b", "..", "a/../b", "./a", "a/", "a b", "a\\b", "a\0",
        ] {
            assert_eq!(check_path(bad), Err(FetchError::Path(bad.to_owned())));
        }
    }
}
