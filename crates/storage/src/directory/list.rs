use std::fs;
use std::io;
use std::path::Path;

use super::files::{is_absent, refused};
use super::inner::Inner;
use crate::path::{RESERVED, is_segment};
use crate::{Root, StoreError};

impl Inner {
    /// What no object can be named (temporary names, `lost+found`) and what is no regular file is
    /// passed over.
    pub(super) fn list(
        &self,
        root: Root,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut listing = Listing {
            root,
            prefix,
            after,
            limit,
            found: Vec::new(),
        };
        listing
            .descend(self.layout.root(root), "")
            .map_err(|error| refused(&format!("list {root}/{prefix}"), error))?;
        Ok(listing.found)
    }
}

struct Listing<'a> {
    root: Root,
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    found: Vec<String>,
}

impl Listing<'_> {
    fn descend(&mut self, directory: &Path, above: &str) -> io::Result<()> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            // Removed since it was seen.
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_segment(name)) else {
                continue;
            };
            if above.is_empty() && self.root == Root::Private && RESERVED.contains(&name) {
                continue;
            }
            let kind = entry.file_type()?;
            // With its slash a directory sorts where the paths in it do: `a-b`, `a/b`, `ab`.
            if kind.is_dir() {
                paths.push(format!("{above}{name}/"));
            } else if kind.is_file() {
                paths.push(format!("{above}{name}"));
            }
        }
        paths.sort_unstable();
        for path in paths {
            if self.found.len() >= self.limit {
                return Ok(());
            }
            if path.ends_with('/') {
                let wanted = path.starts_with(self.prefix) || self.prefix.starts_with(&path);
                let passed = self
                    .after
                    .is_some_and(|after| *path < *after && !after.starts_with(&path));
                if wanted && !passed {
                    let name = path.get(above.len()..).unwrap_or_default();
                    self.descend(&directory.join(name), &path)?;
                }
            } else if path.starts_with(self.prefix) && self.after.is_none_or(|after| *path > *after)
            {
                self.found.push(path);
            }
        }
        Ok(())
    }
}
