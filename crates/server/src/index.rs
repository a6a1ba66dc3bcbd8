//! What a log's entries are found by, for whoever writes its index.

use tegula_entries::search_keys;
use tegula_index::{Key, entry_keys};

/// The keys of an entry in the search index. Readers have the same in `tegula_client::index_keys`, of which nothing is linked here.
#[must_use]
pub fn index_keys(entry: &[u8]) -> Vec<Key> {
    entry_keys(entry, search_keys(entry).into_iter().map(Into::into))
}
