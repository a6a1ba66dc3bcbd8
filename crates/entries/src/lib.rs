//! What may be logged: entry kinds, keys, signatures and their canonical bytes.
