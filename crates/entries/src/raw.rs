//! Entries without a form, for a log that is not a Rekor.

use crate::{Entry, EntryError};

/// Any bytes as an entry, the empty ones too.
///
/// # Errors
///
/// [`EntryError::TooLong`] beyond [`MAX_BODY_LEN`](crate::MAX_BODY_LEN).
pub fn raw_entry(bytes: Vec<u8>) -> Result<Entry, EntryError> {
    Entry::raw(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_up_to_the_limit() {
        for len in [0, 1, 65_535] {
            let entry = raw_entry(vec![0xff; len]).unwrap();
            assert_eq!((entry.kind(), entry.version()), ("raw", ""));
            assert_eq!(entry.into_body(), vec![0xff; len]);
        }
        assert_eq!(
            raw_entry(vec![0; 65_536]).unwrap_err().to_string(),
            "entry is 65536 bytes, expected at most 65535"
        );
    }
}
