//! Hashing artifacts of any size.

use std::io;

use crate::{Digest, DigestAlgorithm, EntryError};

/// Hashes an artifact piece by piece, in constant memory.
///
/// The digest that a key signs is that of [`KeyDetails::digest_algorithm`](crate::KeyDetails::digest_algorithm).
#[derive(Clone)]
pub struct Hasher {
    algorithm: DigestAlgorithm,
    context: aws_lc_rs::digest::Context,
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self {
            algorithm,
            context: aws_lc_rs::digest::Context::new(aws_lc_algorithm(algorithm)),
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The digest of all pieces.
    ///
    /// # Errors
    ///
    /// None in practice: the length of the output is the algorithm's.
    pub fn finish(self) -> Result<Digest, EntryError> {
        Digest::new(self.algorithm, self.context.finish().as_ref())
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl io::Write for Hasher {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads an artifact once and gives its digests, in the order of `algorithms`.
///
/// # Errors
///
/// Those of the reader.
pub fn artifact_digests(
    mut artifact: impl io::Read,
    algorithms: &[DigestAlgorithm],
) -> io::Result<Vec<Digest>> {
    let mut hashers: Vec<Hasher> = algorithms.iter().copied().map(Hasher::new).collect();
    let mut buffer = vec![0; READ_LEN];
    loop {
        let len = match artifact.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for hasher in &mut hashers {
            hasher.update(buffer.get(..len).unwrap_or_default());
        }
    }
    hashers
        .into_iter()
        .map(|hasher| hasher.finish().map_err(io::Error::other))
        .collect()
}

pub(crate) fn aws_lc_algorithm(
    algorithm: DigestAlgorithm,
) -> &'static aws_lc_rs::digest::Algorithm {
    match algorithm {
        DigestAlgorithm::Sha256 => &aws_lc_rs::digest::SHA256,
        DigestAlgorithm::Sha384 => &aws_lc_rs::digest::SHA384,
        DigestAlgorithm::Sha512 => &aws_lc_rs::digest::SHA512,
    }
}

/// Large enough that reading costs little beside hashing.
const READ_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_matter() {
        let artifact: Vec<u8> = (0..200_001u32).map(|n| n.to_le_bytes()[0]).collect();
        let at_once = artifact_digests(artifact.as_slice(), &DigestAlgorithm::ALL).unwrap();
        for (algorithm, expected) in DigestAlgorithm::ALL.into_iter().zip(at_once) {
            let mut hasher = Hasher::new(algorithm);
            for piece in artifact.chunks(777) {
                hasher.update(piece);
            }
            assert_eq!(hasher.finish().unwrap(), expected);
        }
    }

    #[test]
    fn the_digests_are_those_of_fips_180() {
        let digests = artifact_digests(&b"abc"[..], &DigestAlgorithm::ALL).unwrap();
        assert_eq!(
            digests[0].to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(
            digests[1]
                .to_string()
                .starts_with("sha384:cb00753f45a35e8b")
        );
        assert!(
            digests[2]
                .to_string()
                .starts_with("sha512:ddaf35a193617aba")
        );
    }
}
