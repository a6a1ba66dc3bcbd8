//! Keys, signatures and bodies that other programs made, and what must be refused.
//!
//! | file | what |
//! |---|---|
//! | `support` | the files of `tests/data`, and each request and body as independent JSON |
//! | `kinds` | each key, as key and certificate, in each version: verified, logged and read back |
//! | `real` | entries of Sigstore's logs, and literal bodies |
//! | `keys` | keys and certificates that no log should hold |
//! | `signatures` | signatures that are not quite the key's |
//! | `requests`, `dsse`, `proposed` | Rekor v2's two requests and Rekor v1's, and their refusals |
//! | `stored` | bodies in a second spelling |
//! | `hostile` | every truncation, every flipped bit, and nonsense |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod dsse;
mod hostile;
mod keys;
mod kinds;
mod proposed;
mod real;
mod requests;
mod signatures;
mod stored;
mod support;
