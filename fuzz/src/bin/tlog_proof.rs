//! A proof file has one spelling.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::{Checkpoint, TlogProof, leaf_hash, verify_inclusion};

fuzz_target!(|file: &[u8]| {
    let Ok(proof) = TlogProof::parse(file) else {
        return;
    };
    assert_eq!(proof.to_string().as_bytes(), file);
    assert!(proof.hashes.len() <= 63);
    // Whatever the sizes, checking it ends.
    if let Ok(text) = str::from_utf8(&proof.checkpoint)
        && let Some((text, _)) = text.split_once("\n\n")
        && let Ok(checkpoint) = Checkpoint::parse(&format!("{text}\n"))
    {
        let (size, root) = (checkpoint.size, &checkpoint.root);
        let verified = verify_inclusion(proof.index, size, &leaf_hash(b""), &proof.hashes, root);
        assert!(verified.is_err());
    }
});
