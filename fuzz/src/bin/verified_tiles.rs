//! Tiles are taken only if they are those of the tree: a tree's own are offered, some of them changed or left out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_fuzz::{TREES, Tree};
use tegula_tlog::{TileSet, VerifiedTiles};

fuzz_target!(|input: (u8, Vec<(u8, u16)>)| {
    let (which, changes) = input;
    let Tree { size, root, tiles } = &TREES[usize::from(which) % TREES.len()];
    let mut offered = TileSet::new();
    let mut changes = changes.into_iter();
    for (path, right) in tiles {
        let mut bytes = right.clone();
        match changes.next() {
            Some((0..=99, at)) => {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1 << (at % 8);
            }
            Some((100..=199, at)) => {
                let at = 32 * usize::from(at) % bytes.len();
                bytes.rotate_left(at);
            }
            Some((200..=219, _)) => continue,
            Some(_) => {}
            // Most of a large tree, for the time that it takes.
            None if path.level() == Some(0) && path.is_full() => continue,
            None => {}
        }
        offered.insert(*path, bytes).unwrap();
    }
    let mut verified = VerifiedTiles::new(*size, *root);
    let taken = verified.insert_all(&offered).is_ok();
    for (path, right) in tiles {
        let held = Tree::held(verified.tiles(), path);
        let offered = Tree::held(&offered, path).filter(|_| taken);
        assert_eq!(held, offered, "{path}");
        assert!(held.is_none_or(|held| held == *right), "{path}");
        assert_eq!(
            verified.needed_for(path).is_empty(),
            offered.is_some(),
            "{path}"
        );
    }
});
