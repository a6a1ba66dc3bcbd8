use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::files::{Layout, is_full};

/// Tries, in the directory itself, what every guarantee rests on. The caller holds `private/lock`
/// (or made the directory), so that nobody else probes or sweeps.
pub(super) fn probe(layout: &Layout) -> Result<(), OpenError> {
    let probe = Probe {
        first: layout.tmp.join("probe-first"),
        second: layout.tmp.join("probe-second"),
        // No object has such a name, so that no list shows it.
        linked: layout.public.join("~probe"),
    };
    probe.clear();
    let result = probe.run(layout);
    probe.clear();
    result.map_err(|what| OpenError::ProbeFailed {
        root: layout.root.clone(),
        what,
    })
}

struct Probe {
    first: PathBuf,
    second: PathBuf,
    linked: PathBuf,
}

impl Probe {
    fn run(&self, layout: &Layout) -> Result<(), String> {
        let tried = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        match fs::write(&self.first, FIRST).and_then(|()| fs::write(&self.second, SECOND)) {
            // Nothing can be tried on a full disk. A store that is there can be read, and was tried when it was made.
            Err(error) if is_full(&error) => return Ok(()),
            written => written.map_err(tried("write a file"))?,
        }

        fs::hard_link(&self.first, &self.linked)
            .map_err(tried("link a file from private/tmp into public"))?;
        match fs::hard_link(&self.second, &self.linked) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("link a file to a name that is taken: {error}")),
            Ok(()) => return Err("a link took a name that was taken".to_owned()),
        }
        expect(&self.linked, FIRST, "a linked file")?;

        fs::rename(&self.second, &self.linked).map_err(tried("rename a file over another"))?;
        expect(&self.linked, SECOND, "a renamed file")?;
        expect(&self.first, FIRST, "a file after its link was replaced")?;

        self.locks()?;
        for directory in [&layout.wal, &layout.public] {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(tried("sync a directory"))?;
        }
        Ok(())
    }

    fn locks(&self) -> Result<(), String> {
        let open = || File::open(&self.first).map_err(|error| format!("open a file: {error}"));
        let (one, other) = (open()?, open()?);
        let must = |locked: Result<(), TryLockError>, what: &str| match locked {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(format!("{what} was refused")),
            Err(TryLockError::Error(error)) => Err(format!("{what}: {error}")),
        };
        let must_not = |locked: Result<(), TryLockError>, what: &str| match locked {
            Err(TryLockError::WouldBlock) => Ok(()),
            Ok(()) => Err(format!("{what} was granted")),
            Err(TryLockError::Error(error)) => Err(format!("{what}: {error}")),
        };
        let unlock = |file: &File| file.unlock().map_err(|error| format!("unlock: {error}"));
        must(one.try_lock(), "a lock on a free file")?;
        must_not(other.try_lock(), "a lock on a locked file")?;
        must_not(other.try_lock_shared(), "a shared lock on a locked file")?;
        unlock(&one)?;
        must(one.try_lock_shared(), "a shared lock on a free file")?;
        must(other.try_lock_shared(), "a second shared lock")?;
        unlock(&other)?;
        must_not(other.try_lock(), "a lock on a file with a shared lock")?;
        unlock(&one)?;
        must(other.try_lock(), "a lock on a file that was unlocked")
    }

    fn clear(&self) {
        for path in [&self.first, &self.second, &self.linked] {
            // Mostly there is none.
            drop(fs::remove_file(path));
        }
    }
}

fn expect(path: &Path, bytes: &[u8], what: &str) -> Result<(), String> {
    match fs::read(path) {
        Ok(found) if found == bytes => Ok(()),
        Ok(_) => Err(format!("{what} has other bytes")),
        Err(error) => Err(format!("read {what}: {error}")),
    }
}

const FIRST: &[u8] = b"first";

const SECOND: &[u8] = b"second";
