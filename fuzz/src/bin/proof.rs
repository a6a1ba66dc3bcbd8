//! Proofs of any length and any numbers are checked without trouble; each proves one root.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::{
    Hash, LeafIndex, ProofError, TreeSize, leaf_hash, verify_consistency, verify_inclusion,
};

fuzz_target!(|input: (u64, u64, u64, Vec<[u8; 32]>)| {
    let (index, old, new, hashes) = input;
    let proof: Vec<Hash> = hashes.into_iter().map(Hash).collect();
    let (leaf, other) = (leaf_hash(b"x"), Hash([0xff; 32]));
    if let (Some(index), Some(size)) = (LeafIndex::new(index), TreeSize::new(new)) {
        check(&proof, |proof, root| {
            verify_inclusion(index, size, &leaf, proof, root)
        });
    }
    if let (Some(old), Some(new)) = (TreeSize::new(old), TreeSize::new(new)) {
        let verified = verify_consistency(old, &leaf, new, &other, &proof);
        assert!(verified.is_err());
    }
});

/// With the root that it leads to it is a proof, and with no other, nor with another hash in it.
fn check(proof: &[Hash], verify: impl Fn(&[Hash], &Hash) -> Result<(), ProofError>) {
    let Err(error) = verify(proof, &Hash([0xff; 32])) else {
        panic!("a root that nobody can find");
    };
    let ProofError::Root { computed, .. } = error else {
        return;
    };
    verify(proof, &computed).unwrap();
    for at in 0..proof.len() {
        let mut changed = proof.to_vec();
        changed[at].0[at % 32] ^= 1;
        assert!(verify(&changed, &computed).is_err());
    }
    assert!(proof.is_empty() || verify(&proof[1..], &computed).is_err());
}
