//! What it costs to verify a request, beside one bare signature verification.

fn main() {}
