//! A log in a directory, read without its server.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::source::check_path;
use crate::{FetchError, Source};

/// The public objects of a log below a directory.
///
/// The directory is that of `tegula serve`, whose public objects are in `public/`, or a copy of the public objects alone.
#[derive(Clone, Debug)]
pub struct DirectorySource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Canonical: without symbolic links.
    root: PathBuf,
    public: PathBuf,
}

impl DirectorySource {
    /// The log in the directory `root`.
    ///
    /// # Errors
    ///
    /// [`FetchError::Io`] if it cannot be read, or is not a directory.
    pub fn new(root: &Path) -> Result<Self, FetchError> {
        let failed = |error: &io::Error| FetchError::Io {
            place: root.display().to_string(),
            reason: error.to_string(),
        };
        let root = root.canonicalize().map_err(|error| failed(&error))?;
        if !root.is_dir() {
            return Err(FetchError::Io {
                place: root.display().to_string(),
                reason: "is not a directory".to_owned(),
            });
        }
        let public = root.join("public");
        let public = if public.is_dir() {
            public
        } else {
            root.clone()
        };
        let public = public.canonicalize().map_err(|error| failed(&error))?;
        Ok(Self {
            inner: Arc::new(Inner { root, public }),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, FetchError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| FetchError::Io {
                place: self.name(),
                reason: error.to_string(),
            })
    }
}

#[async_trait]
impl Source for DirectorySource {
    async fn fetch(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        let path = path.to_owned();
        self.run(move |inner| inner.read(&path, max_len)).await?
    }

    async fn fetch_many(
        &self,
        wanted: Vec<(String, usize)>,
    ) -> Vec<Result<Option<Bytes>, FetchError>> {
        let count = wanted.len();
        let work = move |inner: &Inner| {
            let read = |(path, max_len): (String, usize)| inner.read(&path, max_len);
            wanted.into_iter().map(read).collect()
        };
        self.run(work)
            .await
            .unwrap_or_else(|error| vec![Err(error); count])
    }

    fn name(&self) -> String {
        self.inner.root.display().to_string()
    }
}

impl Inner {
    fn read(&self, path: &str, max_len: usize) -> Result<Option<Bytes>, FetchError> {
        check_path(path)?;
        let place = self.public.join(path);
        let failed = |reason: String| FetchError::Io {
            place: place.display().to_string(),
            reason,
        };
        let real = match place.canonicalize() {
            Ok(real) => real,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        // A mirror may have links of its own; none may lead to what is not public.
        if !real.starts_with(&self.public) {
            return Err(failed("is a symbolic link out of the log".to_owned()));
        }
        let metadata = real.metadata().map_err(|error| failed(error.to_string()))?;
        // Opening a pipe would wait for somebody to write to it.
        if !metadata.is_file() {
            return if metadata.is_dir() {
                Ok(None)
            } else {
                Err(failed("is not a file".to_owned()))
            };
        }
        let bytes = read_capped(&real, max_len).map_err(|error| failed(error.to_string()))?;
        match bytes {
            Some(bytes) => Ok(Some(bytes.into())),
            None => Err(FetchError::TooLong {
                place: place.display().to_string(),
                max_len,
            }),
        }
    }
}

/// The file's bytes, or `None` if there are more than `max_len`.
pub(crate) fn read_capped(path: &Path, max_len: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_len).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= max_len).then_some(bytes))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_is_read_with_and_without_its_public_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("public/tile/0")).unwrap();
        std::fs::create_dir_all(dir.path().join("private")).unwrap();
        std::fs::write(dir.path().join("public/tile/0/000"), b"abc").unwrap();
        std::fs::write(dir.path().join("private/key"), b"secret").unwrap();
        for root in [dir.path().to_owned(), dir.path().join("public")] {
            let source = DirectorySource::new(&root).unwrap();
            let read = |path, max_len| source.fetch(path, max_len);
            assert_eq!(
                read("tile/0/000", 3).await,
                Ok(Some(Bytes::from_static(b"abc")))
            );
            assert_eq!(read("tile/0/001", 3).await, Ok(None));
            assert_eq!(read("tile/0/000/1", 3).await, Ok(None));
            assert_eq!(read("tile/0", 3).await, Ok(None));
            assert!(matches!(
                read("tile/0/000", 2).await,
                Err(FetchError::TooLong { max_len: 2, .. })
            ));
            assert!(matches!(
                read("../private/key", 9).await,
                Err(FetchError::Path(_))
            ));
            let many = source
                .fetch_many(vec![("a".to_owned(), 1), ("tile/0/000".to_owned(), 3)])
                .await;
            assert_eq!(many, [Ok(None), Ok(Some(Bytes::from_static(b"abc")))]);
        }
        assert!(DirectorySource::new(&dir.path().join("absent")).is_err());
        assert!(DirectorySource::new(&dir.path().join("private/key")).is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_out_of_the_log_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("public")).unwrap();
        std::fs::create_dir_all(dir.path().join("private")).unwrap();
        std::fs::write(dir.path().join("private/key"), b"secret").unwrap();
        std::fs::write(dir.path().join("public/real"), b"abc").unwrap();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, dir.path().join("public").join(name)).unwrap();
        };
        link("../private/key", "stolen");
        link("../private", "all");
        link("real", "fine");
        let source = DirectorySource::new(dir.path()).unwrap();
        for path in ["stolen", "all/key"] {
            let error = source.fetch(path, 100).await.unwrap_err();
            assert!(
                error.to_string().contains("symbolic link out of the log"),
                "{error}"
            );
        }
        assert_eq!(
            source.fetch("fine", 3).await,
            Ok(Some(Bytes::from_static(b"abc")))
        );
    }
}
