//! DSSE's pre-authentication encoding, of which only the digest is kept.

use crate::{Digest, DigestAlgorithm, EntryError, Hasher};

/// The digest of `DSSEv1 <length of type> <type> <length of payload> <payload>`, lengths in bytes.
pub(crate) fn digest(
    algorithm: DigestAlgorithm,
    payload_type: &str,
    payload: &[u8],
) -> Result<Digest, EntryError> {
    let mut hasher = Hasher::new(algorithm);
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    hasher.update(head.as_bytes());
    hasher.update(payload);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_dsse_specification() {
        let mut expected = Hasher::new(DigestAlgorithm::Sha256);
        expected.update(b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(
            digest(
                DigestAlgorithm::Sha256,
                "http://example.com/HelloWorld",
                b"hello world"
            ),
            expected.finish()
        );
    }
}
