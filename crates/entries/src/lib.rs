//! What may be logged: entry kinds, keys, signatures and their canonical bytes.
//!
//! A submitter's request goes through two steps. [`parse_request`] (Rekor v2) or [`parse_proposed_v1`] (Rekor v1) turns JSON into a
//! [`Proposed`] entry whose parts are well formed and whose body fits into the log; [`Proposed::verify`] checks the signature and
//! gives the [`Entry`], whose body is the leaf. A reader goes the other way: [`StoredEntry::parse`] takes a leaf apart, and accepts
//! only the one spelling that the log would have written.
//!
//! Everything here is computation on bytes that are already in memory. Nothing reads a file, a clock or the network.

mod artifact;
mod canonical;
mod certificate;
mod client;
mod compose;
mod der;
mod digest;
mod dsse;
mod entry;
mod error;
mod formats;
mod hashedrekord;
mod json;
mod key;
mod kinds;
mod pem;
mod proposed;
mod raw;
mod request;
mod search;
mod spki;
mod statement;
mod stored;
mod two_spellings;
mod verifier;

pub use artifact::{Hasher, artifact_digests};
pub use client::{Ed25519Form, ed25519_form, hashedrekord_proposed_v1, hashedrekord_request};
pub use compose::Files;
pub use digest::{Digest, DigestAlgorithm};
pub use entry::{Entry, MAX_BODY_LEN, Proposed};
pub use error::{EntryError, Excerpt, KeyError, PemError};
pub use formats::{Format, KeyFacts, public_key_facts};
pub use hashedrekord::HashedRekord;
pub use key::{KeyDetails, PublicKey};
pub use kinds::{Attestation, Facts, KINDS};
pub use proposed::parse_proposed_v1;
pub use raw::raw_entry;
pub use request::{Options, parse_request, parse_request_with};
pub use search::{Domain, SearchKey, search_keys};
pub use stored::StoredEntry;
pub use verifier::{Verifier, VerifierForm};
