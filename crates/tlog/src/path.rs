//! Where hash tiles and entry bundles are: tiles-format.md, sections 3 and 4.

use std::fmt;
use std::str::FromStr;

use crate::TreeSize;
use crate::number::decimal;

/// The hashes of a full tile, and the entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// A hash tile or an entry bundle: its kind, its index and how many hashes or entries it has.
///
/// There is a path for what a tree of at most 2^63-1 leaves can have, and it has one spelling.
/// Paths are ordered by level, bundles last, then by index, then by width.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// What a path leads to.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum TileKind {
    /// A hash tile.
    Hashes {
        /// Its hashes are those of nodes at the height 8·`level`.
        level: u8,
    },
    /// An entry bundle.
    Entries,
}

impl TilePath {
    /// The hash tile of this level and index with `width` hashes, 1 to 256.
    pub fn hashes(level: u8, index: u64, width: u16) -> Option<Self> {
        Self::new(TileKind::Hashes { level }, index, width)
    }

    /// The bundle of this index with `width` entries, 1 to 256.
    pub fn entries(index: u64, width: u16) -> Option<Self> {
        Self::new(TileKind::Entries, index, width)
    }

    /// The hash tile of this level and index, as wide as it is in a tree of `size`. `None` if that tree has none.
    pub fn hashes_at(level: u8, index: u64, size: TreeSize) -> Option<Self> {
        Self::hashes(level, index, width_at(level, index, size)?)
    }

    /// The bundle of this index, as wide as it is in a tree of `size`. `None` if that tree has none.
    pub fn entries_at(index: u64, size: TreeSize) -> Option<Self> {
        Self::entries(index, width_at(0, index, size)?)
    }

    /// `tile/0/000`.
    pub(crate) fn first() -> Self {
        Self {
            kind: TileKind::Hashes { level: 0 },
            index: 0,
            width: TILE_WIDTH,
        }
    }

    fn new(kind: TileKind, index: u64, width: u16) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes { level } => level,
            TileKind::Entries => 0,
        };
        let leaves_per_hash = 1_u64.checked_shl(8 * u32::from(level))?;
        let hashes = index.checked_mul(256)?.checked_add(width.into())?;
        TreeSize::new(hashes.checked_mul(leaves_per_hash)?)?;
        (1..=TILE_WIDTH)
            .contains(&width)
            .then_some(Self { kind, index, width })
    }

    /// What it leads to.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// The level of a hash tile, 0 to 7.
    pub fn level(&self) -> Option<u8> {
        match self.kind {
            TileKind::Hashes { level } => Some(level),
            TileKind::Entries => None,
        }
    }

    /// Which tile of its level it is, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it has all 256.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile or bundle in the same place.
    #[must_use]
    pub fn full(&self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..*self
        }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let digits = format!("{:03}", self.index);
        let first = (digits.len() + 2) % 3 + 1;
        let (mut group, mut rest) = digits.split_at(first);
        while !rest.is_empty() {
            write!(f, "x{group:0>3}/")?;
            (group, rest) = rest.split_at(3);
        }
        write!(f, "{group:0>3}")?;
        if self.is_full() {
            return Ok(());
        }
        write!(f, ".p/{}", self.width)
    }
}

/// What is not the path of a tile or bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not the path of a tile or an entry bundle")]
pub struct PathError(String);

impl FromStr for TilePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let path = parse(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| PathError(text.chars().take(100).collect()))
    }
}

/// Takes more spellings than one.
fn parse(text: &str) -> Option<TilePath> {
    let (kind, place) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = if kind == "entries" {
        TileKind::Entries
    } else {
        let level = decimal(kind)?.try_into().ok()?;
        TileKind::Hashes { level }
    };
    let (groups, width) = match place.split_once(".p/") {
        Some((groups, width)) => (groups, decimal(width)?.try_into().ok()?),
        None => (place, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    TilePath::new(kind, index, width)
}

/// How many hashes the tile has in a tree of this size; `None` if it has none.
fn width_at(level: u8, index: u64, size: TreeSize) -> Option<u16> {
    let hashes = hashes_at_level(level, size);
    let before = index.checked_mul(256)?;
    let width = hashes.checked_sub(before)?.min(TILE_WIDTH.into());
    u16::try_from(width).ok().filter(|width| *width > 0)
}

/// How many complete nodes of the height 8·`level` a tree of this size has.
fn hashes_at_level(level: u8, size: TreeSize) -> u64 {
    let shift = 8 * u32::from(level);
    size.get().checked_shr(shift).unwrap_or(0)
}

/// The hash tiles and the bundle that are not full at this size, from level 0 up, the bundle last.
///
/// The hash tiles among them are also what the root is computed from.
pub fn partial_tiles_of(size: TreeSize) -> Vec<TilePath> {
    let mut tiles = partial_hash_tiles(size);
    tiles.extend(TilePath::entries_at(size.get() / 256, size));
    tiles
}

pub(crate) fn partial_hash_tiles(size: TreeSize) -> Vec<TilePath> {
    LEVELS
        .filter_map(|level| TilePath::hashes_at(level, hashes_at_level(level, size) / 256, size))
        .collect()
}

/// All hash tiles and bundles that a checkpoint of this size needs.
pub fn tiles_of(size: TreeSize) -> impl Iterator<Item = TilePath> {
    tiles_between(TreeSize::ZERO, size)
}

/// The hash tiles and bundles that a checkpoint of size `new` needs and one of size `old` does not.
pub fn tiles_between(old: TreeSize, new: TreeSize) -> impl Iterator<Item = TilePath> {
    LEVELS
        .flat_map(move |level| new_places(level, old, new).map(move |index| (level, index)))
        .flat_map(move |(level, index)| {
            let bundle = (level == 0).then(|| TilePath::entries_at(index, new));
            TilePath::hashes_at(level, index, new)
                .into_iter()
                .chain(bundle.flatten())
        })
}

/// The tiles of a level that have other hashes at the new size.
fn new_places(level: u8, old: TreeSize, new: TreeSize) -> std::ops::Range<u64> {
    let (old, new) = (hashes_at_level(level, old), hashes_at_level(level, new));
    if old >= new {
        return 0..0;
    }
    old / 256..new.div_ceil(256)
}

/// No tree of at most 2^63-1 leaves has a tile above level 7.
const LEVELS: std::ops::RangeInclusive<u8> = 0..=7;
