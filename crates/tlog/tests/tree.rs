//! Trees, tiles and proofs against RFC 6962 as it is written.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use proptest::prelude::*;
use tegula_tlog::{
    Edge, Hash, LeafIndex, NodeTiles, TilePath, TileSet, TreeSize, Unverified, VerifiedTiles,
    consistency_tiles, empty_root, inclusion_tiles, leaf_hash, node_hash, partial_tiles_of,
    prove_consistency, prove_inclusion, root_of, root_tiles, tiles_between, tiles_of,
    verify_consistency, verify_inclusion,
};

/// Section 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = halves(leaves);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// Section 2.1.1.
fn naive_path(at: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = halves(leaves);
    let (mut path, sibling) = if at < left.len() {
        (naive_path(at, left), naive_root(right))
    } else {
        (naive_path(at - left.len(), right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// Section 2.1.2.
fn naive_consistency(old: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if complete {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let (left, right) = halves(leaves);
    let (mut proof, sibling) = if old <= left.len() {
        (naive_consistency(old, left, complete), naive_root(right))
    } else {
        (
            naive_consistency(old - left.len(), right, false),
            naive_root(left),
        )
    };
    proof.push(sibling);
    proof
}

fn halves(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn size(n: usize) -> TreeSize {
    TreeSize::new(n as u64).unwrap()
}

fn index(n: usize) -> LeafIndex {
    LeafIndex::new(n as u64).unwrap()
}

/// All hash tiles of a tree, grown in these steps.
fn grown(leaves: &[Hash], steps: &[usize]) -> (Edge, TileSet) {
    let mut edge = Edge::empty();
    let mut tiles = TileSet::new();
    let mut rest = leaves;
    for step in steps.iter().copied().chain([leaves.len()]) {
        let (now, later) = rest.split_at(step.min(rest.len()));
        rest = later;
        let growth = edge.grow(now).unwrap();
        assert_eq!(growth.end(), edge.size());
        assert_eq!(growth.root(), edge.root());
        for (path, bytes) in growth.full_tiles() {
            tiles.insert(*path, bytes.clone()).unwrap();
        }
        for at in growth.start().get()..growth.end().get() {
            let proof = growth.prove(LeafIndex::new(at).unwrap()).unwrap();
            let leaf = &leaves[usize::try_from(at).unwrap()];
            verify_inclusion(
                LeafIndex::new(at).unwrap(),
                growth.end(),
                leaf,
                &proof,
                &growth.root(),
            )
            .unwrap();
        }
    }
    for (path, bytes) in edge.partial_tiles() {
        tiles.insert(path, bytes).unwrap();
    }
    (edge, tiles)
}

#[test]
fn hashes_are_those_of_the_rfc() {
    let hex = |hash: Hash| hash.to_string();
    assert_eq!(
        hex(empty_root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    // SHA-256 of one zero byte.
    assert_eq!(
        hex(leaf_hash(b"")),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    let text = hex(leaf_hash(b""));
    assert_eq!(text.parse::<Hash>().unwrap(), leaf_hash(b""));
    for bad in ["", &text[1..], &format!("{text}0"), &text.replace('6', "g")] {
        assert!(bad.parse::<Hash>().is_err(), "{bad}");
    }
}

#[test]
fn every_proof_of_small_trees_is_that_of_the_rfc() {
    for count in 0..=70 {
        let leaves = leaves(count);
        let root = naive_root(&leaves);
        let (edge, tiles) = grown(&leaves, &[count / 3, count / 4]);
        assert_eq!(edge.root(), root, "{count}");
        assert_eq!(root_of(size(count), &tiles).unwrap(), root);
        let nodes = NodeTiles::from_tiles(&tiles);
        for (at, leaf) in leaves.iter().enumerate() {
            let proof = prove_inclusion(index(at), size(count), &tiles).unwrap();
            assert_eq!(proof, naive_path(at, &leaves), "{at} of {count}");
            assert_eq!(
                proof,
                nodes.prove_inclusion(index(at), size(count)).unwrap()
            );
            verify_inclusion(index(at), size(count), leaf, &proof, &root).unwrap();
        }
        for old in 1..=count {
            let proof = prove_consistency(size(old), size(count), &tiles).unwrap();
            assert_eq!(
                proof,
                naive_consistency(old, &leaves, true),
                "{old} of {count}"
            );
            let old_root = naive_root(&leaves[..old]);
            verify_consistency(size(old), &old_root, size(count), &root, &proof).unwrap();
        }
        assert!(prove_inclusion(index(count), size(count), &tiles).is_err());
        assert!(prove_consistency(size(count + 1), size(count), &tiles).is_err());
    }
}

#[test]
fn a_proof_with_anything_changed_proves_nothing() {
    for (count, at) in [(1, 0), (2, 1), (7, 3), (8, 7), (100, 64), (300, 299)] {
        let leaves = leaves(count);
        let (edge, tiles) = grown(&leaves, &[]);
        let root = edge.root();
        let proof = prove_inclusion(index(at), size(count), &tiles).unwrap();
        let check = |at, count, leaf: &Hash, proof: &[Hash], root: &Hash| {
            verify_inclusion(index(at), size(count), leaf, proof, root).is_ok()
        };
        assert!(check(at, count, &leaves[at], &proof, &root));
        let flipped = |hash: &Hash, bit: usize| {
            let mut hash = *hash;
            hash.0[bit / 8] ^= 1 << (bit % 8);
            hash
        };
        for bit in 0..256 {
            assert!(!check(at, count, &flipped(&leaves[at], bit), &proof, &root));
            assert!(!check(at, count, &leaves[at], &proof, &flipped(&root, bit)));
            for n in 0..proof.len() {
                let mut proof = proof.clone();
                proof[n] = flipped(&proof[n], bit);
                assert!(!check(at, count, &leaves[at], &proof, &root));
            }
        }
        for other in (0..count + 2).filter(|other| *other != at) {
            assert!(!check(other, count, &leaves[at], &proof, &root), "{other}");
        }
        let mut longer = proof.clone();
        longer.push(root);
        assert!(!check(at, count, &leaves[at], &longer, &root));
        if let Some((_, shorter)) = proof.split_last() {
            assert!(!check(at, count, &leaves[at], shorter, &root));
        }
    }
    let leaves = leaves(70);
    let (_, tiles) = grown(&leaves, &[]);
    for old in 1..70 {
        let proof = prove_consistency(size(old), size(70), &tiles).unwrap();
        let (old_root, root) = (naive_root(&leaves[..old]), naive_root(&leaves));
        let check = |old: usize, old_root: &Hash, proof: &[Hash], root: &Hash| {
            verify_consistency(size(old), old_root, size(70), root, proof).is_ok()
        };
        assert!(check(old, &old_root, &proof, &root));
        assert!(!check(old, &root, &proof, &root));
        assert!(!check(old, &old_root, &proof, &old_root));
        for n in 0..proof.len() {
            let mut proof = proof.clone();
            proof[n].0[31] ^= 1;
            assert!(!check(old, &old_root, &proof, &root), "{old}");
        }
    }
    let root = naive_root(&leaves);
    assert!(verify_consistency(size(0), &root, size(70), &root, &[]).is_err());
    assert!(verify_consistency(size(0), &empty_root(), size(70), &root, &[]).is_ok());
}

#[test]
fn trees_with_upper_levels() {
    for count in [255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000] {
        let leaves = leaves(count);
        let (edge, tiles) = grown_without_proofs(&leaves);
        assert_eq!(edge.root(), naive_root(&leaves), "{count}");
        for at in [0, 1, 254, 255, count / 2, count - 1] {
            let at = at.min(count - 1);
            let proof = prove_inclusion(index(at), size(count), &tiles).unwrap();
            verify_inclusion(index(at), size(count), &leaves[at], &proof, &edge.root()).unwrap();
            let needed = inclusion_tiles(index(at), size(count)).unwrap();
            let alone = only(&tiles, &needed);
            assert_eq!(
                prove_inclusion(index(at), size(count), &alone).unwrap(),
                proof
            );
        }
        for old in [1, 256, count / 3, count - 1] {
            let old = old.clamp(1, count);
            let needed = consistency_tiles(size(old), size(count)).unwrap();
            let proof = prove_consistency(size(old), size(count), &only(&tiles, &needed)).unwrap();
            let old_root = naive_root(&leaves[..old]);
            verify_consistency(size(old), &old_root, size(count), &edge.root(), &proof).unwrap();
        }
        let again = Edge::from_tiles(
            size(count),
            &edge.root(),
            &only(&tiles, &Edge::tiles_needed(size(count))),
        );
        assert_eq!(again.unwrap().partial_tiles(), edge.partial_tiles());
        assert!(Edge::from_tiles(size(count), &empty_root(), &tiles).is_err());
        assert!(Edge::from_tiles(size(count), &edge.root(), &TileSet::new()).is_err());
    }
}

fn grown_without_proofs(leaves: &[Hash]) -> (Edge, TileSet) {
    let mut edge = Edge::empty();
    let growth = edge.grow(leaves).unwrap();
    let mut tiles = TileSet::new();
    for (path, bytes) in growth
        .full_tiles()
        .iter()
        .cloned()
        .chain(edge.partial_tiles())
    {
        tiles.insert(path, bytes).unwrap();
    }
    (edge, tiles)
}

fn only(tiles: &TileSet, paths: &[TilePath]) -> TileSet {
    let mut only = TileSet::new();
    for path in paths {
        let bytes = tiles
            .hashes(path)
            .unwrap()
            .flat_map(|hash| hash.0)
            .collect();
        only.insert(*path, bytes).unwrap();
    }
    only
}

#[test]
fn only_right_tiles_are_verified() {
    let leaves = leaves(70_000);
    let (edge, tiles) = grown_without_proofs(&leaves);
    let new = || VerifiedTiles::new(size(70_000), edge.root());
    let path = TilePath::hashes(0, 17, 256).unwrap();

    let mut verified = new();
    let needed = verified.needed_for(&path);
    let names: Vec<_> = needed.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "tile/0/017",
            "tile/0/273.p/112",
            "tile/1/000",
            "tile/1/001.p/17",
            "tile/2/000.p/1"
        ]
    );
    verified.insert_all(&only(&tiles, &needed)).unwrap();
    assert!(verified.needed_for(&path).is_empty());
    assert_eq!(
        verified.hashes(&path).unwrap().collect::<Vec<_>>(),
        leaves[17 * 256..18 * 256]
    );
    let other = TilePath::hashes(0, 18, 256).unwrap();
    assert_eq!(verified.needed_for(&other), [other]);
    verified.insert_all(&only(&tiles, &[other])).unwrap();
    verified.forget_level(0);
    assert_eq!(verified.needed_for(&path), [path]);
    assert!(
        verified
            .needed_for(&TilePath::hashes(0, 273, 112).unwrap())
            .is_empty()
    );

    for (n, path) in needed.iter().enumerate() {
        let mut wrong = TileSet::new();
        for (m, path) in needed.iter().enumerate() {
            let mut bytes: Vec<u8> = tiles
                .hashes(path)
                .unwrap()
                .flat_map(|hash| hash.0)
                .collect();
            if m == n {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            wrong.insert(*path, bytes).unwrap();
        }
        let mut verified = new();
        assert!(verified.insert_all(&wrong).is_err(), "{path}");
        assert_eq!(
            verified.needed_for(path).len(),
            new().needed_for(path).len(),
            "{path} is in"
        );
    }
    let unchecked = new().insert_all(&only(&tiles, &[path]));
    assert!(
        matches!(unchecked, Err(Unverified::Edge(_))),
        "{unchecked:?}"
    );
    let edge_tiles = only(&tiles, &root_tiles(size(70_000)));
    let mut verified = new();
    verified.insert_all(&edge_tiles).unwrap();
    assert_eq!(
        verified.insert_all(&only(&tiles, &[path])),
        Err(Unverified::Unchecked(path))
    );

    // Wider tiles, of a later size, are cut.
    let mut later = self::leaves(70_100);
    later.truncate(70_100);
    let (_, wider) = grown_without_proofs(&later);
    let mut verified = new();
    let wide: Vec<_> = root_tiles(size(70_100))
        .into_iter()
        .chain(needed.iter().filter(|p| p.is_full()).copied())
        .collect();
    verified.insert_all(&only(&wider, &wide)).unwrap();
    assert!(verified.needed_for(&path).is_empty());
}

#[test]
fn a_size_needs_these_tiles() {
    let names = |paths: Vec<TilePath>| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        names(partial_tiles_of(size(70_000))),
        [
            "tile/0/273.p/112",
            "tile/1/001.p/17",
            "tile/2/000.p/1",
            "tile/entries/273.p/112"
        ]
    );
    assert_eq!(
        names(tiles_of(size(256)).collect()),
        ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"]
    );
    assert_eq!(
        names(tiles_between(size(255), size(257)).collect()),
        [
            "tile/0/000",
            "tile/entries/000",
            "tile/0/001.p/1",
            "tile/entries/001.p/1",
            "tile/1/000.p/1"
        ]
    );
    assert_eq!(tiles_between(size(300), size(300)).count(), 0);
    assert_eq!(tiles_of(size(70_000)).count(), 2 * 274 + 2 + 1);
}

#[test]
fn a_tree_cannot_be_larger_than_its_numbers() {
    let most = TreeSize::new(u64::MAX >> 1).unwrap();
    assert_eq!(TreeSize::new(most.get() + 1), None);
    assert_eq!("9223372036854775807".parse::<TreeSize>().unwrap(), most);
    for bad in [
        "",
        "-1",
        "+1",
        "01",
        " 1",
        "1 ",
        "9223372036854775808",
        "18446744073709551616",
        "1e3",
    ] {
        assert!(bad.parse::<TreeSize>().is_err(), "{bad:?}");
    }
    assert!(inclusion_tiles(LeafIndex::new(most.get()).unwrap(), most).is_err());
    // The first tile of each level, and the last one where that is another.
    let tiles = inclusion_tiles(LeafIndex::new(0).unwrap(), most).unwrap();
    assert_eq!(tiles.len(), 8 + 7);
}

proptest! {
    #[test]
    fn however_a_tree_grows_it_is_the_same(steps in prop::collection::vec(0_usize..600, 0..6)) {
        let count = steps.iter().sum();
        let leaves = leaves(count);
        let (edge, _) = grown(&leaves, &steps);
        prop_assert_eq!(edge.root(), naive_root(&leaves));
    }

    #[test]
    fn a_path_has_one_spelling(level in 0_u8..8, index in 0..u64::MAX >> 7, width in 1_u16..=256) {
        for path in [TilePath::hashes(level, index, width), TilePath::entries(index, width)] {
            let Some(path) = path else { continue };
            let text = path.to_string();
            prop_assert_eq!(text.parse::<TilePath>().unwrap(), path);
            for len in 0..text.len() {
                if let Ok(other) = text[..len].parse::<TilePath>() {
                    prop_assert_eq!(other.to_string(), &text[..len]);
                }
            }
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    if let Ok(changed) = String::from_utf8(bytes)
                        && let Ok(other) = changed.parse::<TilePath>() {
                        prop_assert_eq!(other.to_string(), changed);
                    }
                }
            }
        }
    }

    #[test]
    fn no_text_is_a_path_by_chance(text in "\\PC{0,40}") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}

#[test]
fn paths_are_those_of_the_specification() {
    for (path, text) in [
        (TilePath::hashes(0, 0, 256), "tile/0/000"),
        (
            TilePath::hashes(0, 1_234_067, 5),
            "tile/0/x001/x234/067.p/5",
        ),
        (TilePath::hashes(2, 0, 1), "tile/2/000.p/1"),
        (TilePath::entries(273, 112), "tile/entries/273.p/112"),
        (TilePath::hashes(1, 1000, 256), "tile/1/x001/000"),
    ] {
        assert_eq!(path.unwrap().to_string(), text);
        assert_eq!(text.parse::<TilePath>().ok(), path);
    }
    for bad in [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/8/000",
        "tile/64/000",
        "tile/-1/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/entries/x000/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/7/001",
    ] {
        assert!(bad.parse::<TilePath>().is_err(), "{bad}");
    }
    assert_eq!(
        TilePath::hashes(7, 0, 127).map(|path| path.width()),
        Some(127)
    );
    assert_eq!(TilePath::hashes(7, 0, 128), None);
}
