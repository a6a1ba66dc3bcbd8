//! Paths and bytes: one store contract, kept by memory and by a directory.
