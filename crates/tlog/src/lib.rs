//! Hashes, tiles, bundles, proofs, notes, checkpoints and policies of a tiled transparency log.
