//! Growing and proving.

fn main() {}
