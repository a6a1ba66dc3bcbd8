//! What signs for a log; and the private keys in its directory: `private/keys/<name>.pem`, PKCS#8, mode 0600.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tegula_sequencer::Signers;
use tegula_signers::{KeySource, LogKey};
use tegula_storage::{ObjectPath, Store};
use tegula_tlog::{KeyKind, LogDescription, SigningKey};

use crate::exit::CliError;
use crate::home::Home;

/// The log's description.
pub(crate) async fn description(store: &dyn Store) -> Result<LogDescription, CliError> {
    let path = ObjectPath::public("log.json").map_err(CliError::io)?;
    let object = store.read(&path).await.map_err(CliError::io)?;
    let object = object.ok_or_else(|| CliError::io("the log has no log.json"))?;
    LogDescription::parse(&object.bytes).map_err(|error| CliError::io(format!("log.json: {error}")))
}

/// The published checkpoint, not verified.
pub(crate) async fn checkpoint(store: &dyn Store) -> Result<Option<Bytes>, CliError> {
    let path = ObjectPath::public("checkpoint").map_err(CliError::io)?;
    let object = store.read(&path).await.map_err(CliError::io)?;
    Ok(object.map(|object| object.bytes))
}

/// What signs for a log: all keys that its description names, in their order, of those that are kept with it and those that are given.
pub(crate) async fn signers(
    home: &Home,
    description: &LogDescription,
    given: &[KeySource],
) -> Result<Signers, CliError> {
    let origin = &description.origin;
    let mut found: Vec<_> = home
        .kept_keys(origin)?
        .into_iter()
        .map(|key| LogKey::Held(Box::new(key)))
        .collect();
    for source in given {
        let key = source.open(origin).await.map_err(CliError::usage)?;
        let name = key.verifier().to_string();
        if !description.keys.contains(&name) {
            return Err(CliError::usage(format!(
                "--key {source}: {name} is not a key of the log in {home}"
            )));
        }
        found.push(key);
    }
    let keys = description.keys.iter().map(|vkey| {
        let key = found.iter().find(|key| key.verifier().to_string() == *vkey);
        let key = key.ok_or_else(|| {
            CliError::usage(format!(
                "there is no private key for {vkey} in {home}: pass --key"
            ))
        });
        key.map(LogKey::signer)
    });
    Ok(Signers::new(keys.collect::<Result<_, _>>()?))
}

/// The keys that are there, the Ed25519 key first.
pub(crate) fn read_all(root: &Path, origin: &str) -> Result<Vec<SigningKey>, CliError> {
    let place = directory(root);
    let entries = match fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&place, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&place, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            let pem = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            let key = SigningKey::from_pkcs8_pem(origin, &pem);
            found.push(key.map_err(|error| failed(&path, &error))?);
        }
    }
    found.sort_by_key(|key| key.verifier().kind() != KeyKind::Ed25519);
    Ok(found)
}

/// Keeps a key, durably. A key that is there stays.
pub(crate) fn write(root: &Path, key: &SigningKey) -> Result<(), CliError> {
    let place = directory(root);
    match fs::DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(failed(&place, &error));
        }
        _ => {}
    }
    let name = match key.verifier().kind() {
        KeyKind::EcdsaP256 => "ecdsa-p256.pem",
        KeyKind::Ed25519 | KeyKind::CosignatureV1 => "ed25519.pem",
    };
    let path = place.join(name);
    let temporary = place.join(format!("{name}.tmp"));
    let pem = key.to_pkcs8_pem().map_err(|error| failed(&path, &error))?;
    // Whole or absent: a crash must not leave half a key, which no log could be made with. A link does not replace a key.
    // What was left of an earlier one goes with whatever mode it has.
    fs::remove_file(&temporary).unwrap_or_default();
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(pem.as_bytes())?;
            file.sync_all()?;
            fs::hard_link(&temporary, &path)?;
            fs::remove_file(&temporary)?;
            File::open(&place)?.sync_all()?;
            File::open(root.join("private"))?.sync_all()
        });
    written.map_err(|error| failed(&path, &error))
}

fn directory(root: &Path) -> PathBuf {
    root.join("private/keys")
}

fn failed(path: &Path, error: &dyn ToString) -> CliError {
    CliError::io(format!("{}: {}", path.display(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Half of one that a crash left under another name is in nobody's way.
    #[test]
    fn a_key_is_kept_whole_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let keys = root.path().join("private/keys");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join("ed25519.pem.tmp"), "-----BEGIN PRI").unwrap();
        assert!(read_all(root.path(), "log.example").unwrap().is_empty());
        let key = |seed| SigningKey::ed25519_from_seed("log.example", &[seed; 32]).unwrap();
        write(root.path(), &key(1)).unwrap();
        let refused = write(root.path(), &key(2)).unwrap_err();
        assert!(refused.to_string().contains("ed25519.pem"), "{refused}");
        let kept = read_all(root.path(), "log.example").unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].verifier(), key(1).verifier());
        let mode = fs::metadata(keys.join("ed25519.pem"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        fs::write(keys.join("ed25519.pem"), "-----BEGIN PRI").unwrap();
        let error = read_all(root.path(), "log.example").unwrap_err();
        assert!(error.to_string().contains("ed25519.pem: "), "{error}");
    }
}
