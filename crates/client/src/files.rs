//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts `bytes` in the place of whatever is at `path`. A crash leaves the old file, or the new one, and perhaps a temporary one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut name = path.as_os_str().to_owned();
        name.push(OsString::from(format!(".{}-{n}.tmp", std::process::id())));
        name
    };
    let result =
        fill(Path::new(&temporary), bytes, durable).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // Nothing more can be done about a file that cannot be removed either.
        fs::remove_file(&temporary).ok();
    }
    result
}

/// Whether the bytes have to survive a power cut.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Durable {
    Yes,
    No,
}

fn fill(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if durable == Durable::Yes {
        file.sync_all()?;
    }
    Ok(())
}
