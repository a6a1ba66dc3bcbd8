//! Which texts are the path of a tile: the two agree, but for what is listed here.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use tegula_tlog::{TileKind, TilePath};
use tlog_tiles::Tile;

use crate::random::Random;

/// Why the two do not agree on a text.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Reason {
    /// A tile without hashes, `.p/0`: they panic.
    NoHashes,
    /// A level from 64 on: they panic.
    LevelFrom64,
    /// A level, or an index, that no tree of at most 2^63-1 leaves has: they read it.
    BeyondAnyTree,
}

#[test]
fn a_large_set_of_texts() {
    let mut counts = BTreeMap::new();
    let (mut valid, mut count) = (0, 0);
    for text in texts() {
        count += 1;
        let ours = text.parse::<TilePath>().ok();
        // Their paths name the height, and call entries data. A text that does so is none of ours.
        let their_text = match text.strip_prefix("tile/") {
            Some(rest) => match rest.strip_prefix("entries/") {
                Some(rest) => format!("tile/8/data/{rest}"),
                None if rest.starts_with("data/") => continue,
                None => format!("tile/8/{rest}"),
            },
            None => text.clone(),
        };
        let theirs = catch_unwind(|| Tile::from_path(&their_text).ok());
        match (ours, theirs) {
            (None, Ok(None)) => {}
            (Some(ours), Ok(Some(theirs))) => {
                valid += 1;
                let level = match ours.kind() {
                    TileKind::Hashes { level } => level,
                    TileKind::Entries => 0,
                };
                assert_eq!(
                    (level, ours.index(), u32::from(ours.width())),
                    (theirs.level(), theirs.level_index(), theirs.width()),
                    "{text}"
                );
                assert_eq!(ours.kind() == TileKind::Entries, theirs.is_data());
                assert_eq!((ours.to_string(), theirs.path()), (text, their_text));
            }
            (ours, theirs) => {
                assert_eq!(ours, None, "{text} is a path to us alone");
                let reason = reason(&text, theirs.ok().flatten());
                *counts.entry(reason).or_insert(0) += 1;
            }
        }
    }
    assert!(count > 100_000 && valid > 10_000, "{valid} of {count}");
    assert_eq!(counts.len(), 3, "{counts:?}");
}

/// Why they read, or do not survive, a text that is no path to us.
fn reason(text: &str, theirs: Option<Tile>) -> Reason {
    let Some(tile) = theirs else {
        // Before they look whether it is spelled so.
        if text.rsplit('/').next().unwrap().parse() == Ok(0) {
            return Reason::NoHashes;
        }
        let level = text.split('/').nth(1).unwrap();
        assert!(level.parse::<u8>().unwrap() >= 64, "they panic at {text}");
        return Reason::LevelFrom64;
    };
    let hashes = u128::from(tile.level_index()) * 256 + u128::from(tile.width());
    let leaves = hashes.checked_mul(1 << (8 * u32::from(tile.level())).min(63));
    let fits = leaves.is_some_and(|leaves| leaves < 1 << 63);
    assert!(!fits, "{text} is a path to them alone");
    Reason::BeyondAnyTree
}

/// Paths with every number at the ends of its range, and each with up to three changes.
fn texts() -> impl Iterator<Item = String> {
    let levels = [
        "0", "1", "6", "7", "8", "63", "64", "255", "256", "00", "01", "", "entries", "data", "x",
    ];
    let indexes = [
        "000",
        "001",
        "255",
        "999",
        "x001/000",
        "x001/234",
        "x999/999",
        "x000/001",
        "x001/x234/067",
        "x036/x028/x797/x018/x963/966",
        "x036/x028/x797/x018/x963/967",
        "x036/x028/x797/x018/x963/968",
        "x140/x737/x488/x355/327",
        "x140/x737/x488/x355/328",
        "127",
        "128",
        "x032/767",
        "x032/768",
        "x018/x446/x744/x073/x709/x551/615",
        "x018/x446/x744/x073/x709/x551/616",
        "0",
        "00",
        "0000",
        "001/000",
        "x001/x000",
        "1",
        "-01",
        "+01",
        "",
    ];
    let widths = [
        "", ".p/1", ".p/2", ".p/255", ".p/256", ".p/257", ".p/0", ".p/01", ".p/", ".p", ".p/x",
        ".p/1/",
    ];
    let mut paths = Vec::new();
    for level in levels {
        for index in indexes {
            for width in widths {
                paths.push(format!("tile/{level}/{index}{width}"));
            }
        }
    }
    let mut random = Random(3);
    let changed: Vec<_> = (0..120_000)
        .map(|_| {
            let mut text = paths[random.at(paths.len())].clone().into_bytes();
            for _ in 0..1 + random.below(3) {
                change(&mut text, &mut random);
            }
            String::from_utf8(text).unwrap()
        })
        .collect();
    // And what a tree has.
    let real = (0..20_000).map(|n: u64| {
        let width = u16::try_from(1 + n % 256).unwrap();
        let index = n * n * n * 7;
        let path = match n % 3 {
            0 => TilePath::entries(index, width),
            level => TilePath::hashes(u8::try_from(level).unwrap(), index, width),
        };
        path.map_or(String::new(), |path| path.to_string())
    });
    let real: Vec<_> = real.collect();
    paths.into_iter().chain(changed).chain(real)
}

fn change(text: &mut Vec<u8>, random: &mut Random) {
    const LETTERS: &[u8] = b"0123456789x/.p+- tile8entrisa";
    let letter = LETTERS[random.at(LETTERS.len())];
    let at = random.at(text.len());
    match random.below(4) {
        0 => text.insert(at, letter),
        1 if !text.is_empty() => drop(text.remove(at)),
        2 if !text.is_empty() => text[at] = letter,
        _ => {
            let other = random.at(text.len());
            if at < text.len() {
                text.swap(at, other);
            }
        }
    }
}
