//! The reader of a log: fetch, cache, verify, prove and follow.
