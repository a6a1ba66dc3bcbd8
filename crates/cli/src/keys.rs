//! The private keys of a log's directory: `private/keys/<name>.pem`, PKCS#8, mode 0600.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tegula_tlog::{KeyKind, LogDescription, SigningKey};

use crate::exit::CliError;

/// The log's description and its keys, in the order of the description.
pub(crate) fn load(root: &Path) -> Result<(LogDescription, Vec<SigningKey>), CliError> {
    let path = root.join("public/log.json");
    let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
    let description = LogDescription::parse(&bytes).map_err(|error| failed(&path, &error))?;
    let found = read_all(root, &description.origin)?;
    let keys = description.keys.iter().map(|vkey| {
        let key = found.iter().find(|key| key.verifier().to_string() == *vkey);
        key.cloned().ok_or_else(|| {
            let place = directory(root);
            CliError::usage(format!("{} has no key for {vkey}", place.display()))
        })
    });
    Ok((description.clone(), keys.collect::<Result<_, _>>()?))
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

/// A key from a file: PKCS#8 PEM, or the private key of a signed note, whose name has to be the origin.
pub(crate) fn read(path: &Path, origin: &str) -> Result<SigningKey, CliError> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    let key = if text.starts_with("PRIVATE+KEY+") {
        SigningKey::from_note_key(&text)
    } else {
        SigningKey::from_pkcs8_pem(origin, &text)
    };
    let key = key.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    if key.name() == origin {
        return Ok(key);
    }
    Err(CliError::usage(format!(
        "{} is the key of {:?}, the log's origin is {origin:?}",
        path.display(),
        key.name()
    )))
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
