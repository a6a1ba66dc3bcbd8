//! Pending entries in; slots, tiles and a checkpoint out; recovery.
