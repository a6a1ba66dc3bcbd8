//! The first objects of a log.

use bytes::Bytes;
use tegula_storage::{ObjectPath, Replaced, Root, Store};
use tegula_tlog::{LogDescription, TreeSize, empty_root};

use crate::error::Error;
use crate::publish::checkpoint_path;
use crate::rebuild::read_base;
use crate::signers::Signers;

/// Makes a log: `log.json`, and a signed checkpoint of size 0. A store with a checkpoint is refused, and so is one that had
/// one: with slots, a floor, a base or tiles.
///
/// A crash in the middle leaves a store without a checkpoint, in which this may be called again.
pub async fn init(
    store: &dyn Store,
    signers: &Signers,
    description: &LogDescription,
) -> Result<(), Error> {
    let checkpoint = checkpoint_path()?;
    for (there, what) in [
        (store.read(&checkpoint).await?.is_some(), "a log"),
        (!store.slots(0, 1).await?.is_empty(), "a slot"),
        (store.floor().await? > 0, "a floor above 0"),
        (read_base(store).await? > 0, "a base above 0"),
        (
            !store.list(Root::Public, "tile/", None, 1).await?.is_empty(),
            "a tile",
        ),
    ] {
        if there {
            return Err(Error::Rejected(format!(
                "there is {what} already, expected an empty store"
            )));
        }
    }
    let json = Bytes::from(description.to_json());
    let path = description_path()?;
    let found = store.read(&path).await?;
    let version = found.as_ref().map(|object| &object.version);
    if store.replace(&path, version, json).await? == Replaced::Changed {
        return Err(taken());
    }
    store.sync(std::slice::from_ref(&path)).await?;
    let note = signers.checkpoint(TreeSize::ZERO, empty_root()).await?;
    if store.replace(&checkpoint, None, note).await? == Replaced::Changed {
        return Err(taken());
    }
    store.sync(std::slice::from_ref(&checkpoint)).await?;
    Ok(())
}

/// Where the description of the log is.
pub(crate) fn description_path() -> Result<ObjectPath, Error> {
    ObjectPath::public("log.json").map_err(|error| Error::Corrupt(error.to_string()))
}

fn taken() -> Error {
    Error::Rejected("another process is making a log here".to_owned())
}
