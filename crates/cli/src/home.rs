//! Where a log is written: a directory, or buckets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use tegula_storage::{Directory, DirectoryOptions, OpenError, Root, Store};
use tegula_tlog::LogDescription;
use tracing::warn;

use crate::buckets::{self, Buckets};
use crate::commands::import::marker;
use crate::commands::init;
use crate::exit::CliError;
use crate::keys;

/// Where a log is, or is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Home {
    Directory(PathBuf),
    Buckets(Buckets),
}

/// Its store, entered.
#[derive(Debug)]
pub(crate) enum Entered {
    Directory(Arc<Directory>),
    Buckets(Arc<dyn Store>),
}

impl FromStr for Home {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        if text.starts_with("s3://") {
            return buckets::parse(text).map(Self::Buckets);
        }
        if text.is_empty() || (text.contains("://") && !Path::new(text).exists()) {
            return Err(CliError::usage(format!(
                "{text:?} is no place for a log, expected a directory or s3://BUCKET?private=s3://BUCKET"
            )));
        }
        Ok(Self::Directory(text.into()))
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(root) => root.display().fmt(f),
            Self::Buckets(buckets) => buckets.fmt(f),
        }
    }
}

impl Home {
    /// Whether there is a log, and not half of one that is being imported.
    pub(crate) async fn is_made(&self) -> Result<bool, CliError> {
        match self {
            Self::Directory(root) => {
                marker::refuse_half_imported(root)?;
                Ok(init::is_made(root))
            }
            Self::Buckets(_) => {
                let store = self.enter().await?.store();
                if keys::checkpoint(store.as_ref()).await?.is_some() {
                    return Ok(true);
                }
                // One that lost its checkpoint is broken, and never an empty one.
                let slots = store.slots(0, 1).await.map_err(CliError::io)?;
                let tiles = store.list(Root::Public, "tile/", None, 1).await;
                if slots.is_empty() && tiles.map_err(CliError::io)?.is_empty() {
                    return Ok(false);
                }
                Err(CliError::io(format!(
                    "{self} is not a log: it has slots or tiles and no checkpoint; if an import into it was cut off, run the same `tegula import` again"
                )))
            }
        }
    }

    /// Enters it. After a power cut another server may be rebuilding a directory, which takes as long as the log is large.
    pub(crate) async fn enter(&self) -> Result<Entered, CliError> {
        let root = match self {
            Self::Directory(root) => root,
            Self::Buckets(buckets) => return buckets.connect().await.map(Entered::Buckets),
        };
        for _ in 0..MAX_WAITS {
            match Directory::open(root, DirectoryOptions::default()) {
                Err(OpenError::Busy(reason)) => warn!(%reason, "waiting"),
                opened => return Ok(Entered::Directory(Arc::new(opened.map_err(CliError::io)?))),
            }
        }
        let opened = Directory::open(root, DirectoryOptions::default()).map_err(CliError::io)?;
        Ok(Entered::Directory(Arc::new(opened)))
    }

    /// The keys that are kept with the log.
    pub(crate) fn kept_keys(&self, origin: &str) -> Result<Vec<tegula_tlog::SigningKey>, CliError> {
        match self {
            Self::Directory(root) => keys::read_all(root, origin),
            // Whoever may read what writers read must not be able to sign.
            Self::Buckets(_) => Ok(Vec::new()),
        }
    }
}

impl Entered {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Directory(directory) => Arc::<Directory>::clone(directory),
            Self::Buckets(store) => Arc::clone(store),
        }
    }

    /// The log's description.
    pub(crate) async fn description(&self) -> Result<LogDescription, CliError> {
        keys::description(self.store().as_ref()).await
    }

    /// Leaves it: of a directory the last one to leave takes the mark of an unclean stop away.
    pub(crate) async fn leave(&self) -> Result<(), CliError> {
        match self {
            Self::Directory(directory) => directory.close().await.map_err(CliError::io),
            Self::Buckets(_) => Ok(()),
        }
    }
}

/// Of ten seconds each.
const MAX_WAITS: u32 = 60;
