//! Paths of tiles and bundles have one spelling, and never lead beyond the largest tree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_tlog::{TilePath, TreeSize};

fuzz_target!(|text: &str| {
    let Ok(path) = text.parse::<TilePath>() else {
        return;
    };
    assert_eq!(path.to_string(), text);
    let level = u32::from(path.level().unwrap_or(0));
    let hashes = u128::from(path.index()) * 256 + u128::from(path.width());
    let leaves = u64::try_from(hashes << (8 * level)).unwrap();
    // The smallest tree that has it is a tree, and has it just so.
    let size = TreeSize::new(leaves).unwrap();
    let there = match path.level() {
        Some(level) => TilePath::hashes_at(level, path.index(), size),
        None => TilePath::entries_at(path.index(), size),
    };
    assert_eq!(there, Some(path));
});
