//! Objects of the index: from the cache or the log, and checked before they are used or kept.

use bytes::Bytes;
use tegula_index::{IndexError, IndexPath};

use super::wrong;
use crate::cache::KeyCache;
use crate::{ReadError, Reader};

/// The bytes of an object, of which nothing is known yet.
#[derive(Debug)]
pub(super) struct Unchecked {
    path: IndexPath,
    bytes: Bytes,
    is_cached: bool,
}

impl Reader {
    /// An object, from the cache if that has one.
    pub(super) async fn unchecked(
        &self,
        path: IndexPath,
        cache: Option<&KeyCache>,
    ) -> Result<Unchecked, ReadError> {
        let cached = cache.and_then(|cache| cache.load_index(&path));
        let is_cached = cached.is_some();
        let bytes = match cached {
            Some(bytes) => Bytes::from(bytes),
            None => self.fetch_index(&path).await?,
        };
        Ok(Unchecked {
            path,
            bytes,
            is_cached,
        })
    }

    /// What a check makes of an object. What the log gave is then kept; what the cache had and is wrong goes, and the log is asked.
    pub(super) async fn checked<T: Send>(
        &self,
        object: Unchecked,
        cache: Option<&KeyCache>,
        mut check: impl FnMut(&[u8]) -> Result<T, IndexError> + Send,
    ) -> Result<T, ReadError> {
        let Unchecked {
            path,
            mut bytes,
            is_cached,
        } = object;
        if is_cached {
            if let Ok(checked) = check(&bytes) {
                return Ok(checked);
            }
            cache.inspect(|cache| cache.remove_index(&path));
            bytes = self.fetch_index(&path).await?;
        }
        let checked = check(&bytes).map_err(|error| wrong(&error))?;
        cache.inspect(|cache| cache.store_index(&path, &bytes));
        Ok(checked)
    }

    async fn fetch_index(&self, path: &IndexPath) -> Result<Bytes, ReadError> {
        let fetched = self.source.fetch(&path.to_string(), path.max_len()).await?;
        fetched.ok_or_else(|| {
            ReadError::Io(format!(
                "the log has no {path}, though the checkpoint of its index needs it"
            ))
        })
    }
}
