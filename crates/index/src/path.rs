//! Where the objects of an index are.

use std::fmt;
use std::str::FromStr;

use tegula_tlog::TreeSize;

use crate::key::Key;
use crate::leaf::{IndexLeaf, Record};
use crate::list::{MAX_LIST_PAGE, proof_len};
use crate::live::{Run, covered, live_runs};
use crate::partition::MAX_PAGE_KEYS;
use crate::postings::MAX_INLINE;

/// The origin of the index log of the log with this origin.
pub fn origin(log: &str) -> String {
    format!("{log}/index/v1")
}

/// An object of the index.
///
/// Partition 1234 of the run (7, 0) is `index/v1/run/7/000/x001/234`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum IndexPath {
    /// A partition of a run.
    Partition {
        /// The run.
        run: Run,
        /// Which of its partitions, from 0.
        q: u64,
    },
    /// A page of a partition that is a directory.
    Page {
        /// The run.
        run: Run,
        /// Which of its partitions, from 0.
        q: u64,
        /// Which page of that, from 0.
        page: u64,
    },
    /// A page of the postings of a key that has very many in the run.
    List {
        /// The run.
        run: Run,
        /// The key.
        key: Key,
        /// Which page of the list, from 0.
        page: u64,
    },
    /// The state of the index where the index log has this size.
    State(TreeSize),
}

impl fmt::Display for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = Groups;
        match self {
            Self::Partition { run, q } => {
                let (level, n) = (run.level(), groups(run.n()));
                write!(f, "index/v1/run/{level}/{n}/{}", groups(*q))
            }
            Self::Page { run, q, page } => {
                let (level, n) = (run.level(), groups(run.n()));
                write!(
                    f,
                    "index/v1/run/{level}/{n}/{}.d/{}",
                    groups(*q),
                    groups(*page)
                )
            }
            Self::List { run, key, page } => {
                let (level, n) = (run.level(), groups(run.n()));
                write!(f, "index/v1/list/{level}/{n}/{key}/{}", groups(*page))
            }
            Self::State(size) => write!(f, "index/v1/state/{}", groups(size.get())),
        }
    }
}

impl IndexPath {
    /// The most bytes that a sound object can have here, so that no more is read of what strangers send. It is always below 64 MiB.
    ///
    /// What it is where nobody ground keys is far less: 22 KB for a partition. A page of 4,096 keys that are in a thousand leaves each
    /// can have 1.1 MB at level 0, 9.5 MB at level 7 and 34 MB at level 27; a directory of as many keys as its header can say has 48 MiB.
    pub fn max_len(&self) -> usize {
        match self {
            Self::Partition { run, .. } => {
                let body = keys_len(*run).max(MAX_DIRECTORY);
                24 + 32 * MAX_BITS + body
            }
            Self::Page { run, .. } => 32 + keys_len(*run),
            Self::List { run, .. } => {
                // A proof has no more hashes than the tree has levels.
                let pages = run.leaves().div_ceil(MAX_LIST_PAGE);
                let levels = pages.next_power_of_two().trailing_zeros();
                48 + 32 * levels as usize + varints_len(MAX_LIST_PAGE, run.leaves())
            }
            Self::State(size) => {
                let runs = live_runs(*size).map_or(0, |runs| runs.len());
                let proof = proof_len(size.get().saturating_sub(1), size.get());
                IndexLeaf::LEN + Record::LEN * runs + 32 * proof
            }
        }
    }
}

/// What is not the path of an object of an index.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not the path of a partition, page, list or state of an index")]
pub struct IndexPathError(String);

impl FromStr for IndexPath {
    type Err = IndexPathError;

    fn from_str(text: &str) -> Result<Self, IndexPathError> {
        let path = parse(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| IndexPathError(text.chars().take(200).collect()))
    }
}

/// Takes more spellings than one.
fn parse(text: &str) -> Option<IndexPath> {
    let (kind, rest) = text.strip_prefix("index/v1/")?.split_once('/')?;
    if kind == "state" {
        let size = TreeSize::new(whole(rest)?)?;
        let is_there = size > TreeSize::ZERO && covered(size).is_some();
        return is_there.then_some(IndexPath::State(size));
    }
    let (level, rest) = rest.split_once('/')?;
    let (n, rest) = groups(rest)?;
    let run = Run::new(level.parse().ok()?, n)?;
    let rest = rest.strip_prefix('/')?;
    match kind {
        "run" => {
            let (q, rest) = groups(rest)?;
            if rest.is_empty() {
                return Some(IndexPath::Partition { run, q });
            }
            let page = whole(rest.strip_prefix(".d/")?)?;
            Some(IndexPath::Page { run, q, page })
        }
        "list" => {
            let (key, page) = rest.split_once('/')?;
            let key = Key(u128::from_str_radix(key, 16).ok()?.to_be_bytes());
            let page = whole(page)?;
            Some(IndexPath::List { run, key, page })
        }
        _ => None,
    }
}

/// A number in groups, and nothing after it.
fn whole(text: &str) -> Option<u64> {
    let (number, rest) = groups(text)?;
    rest.is_empty().then_some(number)
}

/// The number in groups at the front, and what follows it.
fn groups(mut text: &str) -> Option<(u64, &str)> {
    let mut number = 0_u64;
    loop {
        let (digits, is_last) = match text.strip_prefix('x') {
            Some(digits) => (digits, false),
            None => (text, true),
        };
        let (digits, rest) = digits.split_at_checked(3)?;
        let group = digits.parse::<u64>().ok()?;
        number = number.checked_mul(1000)?.checked_add(group)?;
        if is_last {
            return Some((number, rest));
        }
        text = rest.strip_prefix('/')?;
    }
}

/// The most bytes that a body of kind 1 can have. Of a key: itself, the number of its postings, the first of them, and the distances. A list root is
/// shorter where there can be one.
fn keys_len(run: Run) -> usize {
    let postings = MAX_INLINE.min(run.leaves());
    let key = 16 + 2 + run.index_width() + varints_len(postings - 1, run.leaves());
    usize::try_from(MAX_PAGE_KEYS).unwrap_or(usize::MAX) * key
}

/// The most bytes that so many varints can take which, each one larger, add up to `sum` at most: more than `k` bytes has one that is `2^(7k)` at
/// least, and of those `sum / 2^(7k)` have room.
fn varints_len(count: u64, sum: u64) -> usize {
    let longer = (0..64).step_by(7).map(|bits| count.min(sum >> bits));
    usize::try_from(longer.sum::<u64>()).unwrap_or(usize::MAX)
}

/// The largest number of partitions, as a power of two: what a weight of 2^64-1 takes.
const MAX_BITS: usize = 53;
/// A directory of 2^32-1 keys: 48 bytes for each 4,096.
const MAX_DIRECTORY: usize = 48 << 20;

/// Three digits a group, an `x` before all groups but the last.
struct Groups(u64);

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut above, last) = (self.0 / 1000, self.0 % 1000);
        let mut groups = Vec::new();
        while above > 0 {
            groups.push(above % 1000);
            above /= 1000;
        }
        for group in groups.iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{last:03}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings() {
        let run = Run::new(7, 1_234).unwrap();
        let key = Key([0xab; 16]);
        let shown = |path: IndexPath| path.to_string();
        assert_eq!(
            shown(IndexPath::Partition { run, q: 0 }),
            "index/v1/run/7/x001/234/000"
        );
        assert_eq!(
            shown(IndexPath::Page {
                run,
                q: 1_234_067,
                page: 2
            }),
            "index/v1/run/7/x001/234/x001/x234/067.d/002"
        );
        assert_eq!(
            shown(IndexPath::List {
                run,
                key,
                page: 1_000
            }),
            "index/v1/list/7/x001/234/abababababababababababababababab/x001/000"
        );
        assert_eq!(
            shown(IndexPath::State(TreeSize::new(39_062).unwrap())),
            "index/v1/state/x039/062"
        );
    }

    /// Numbers of every length, and those around powers of a thousand.
    fn number() -> impl Strategy<Value = u64> {
        let around = (0_u32..7, 0_u64..3);
        let around = around.prop_map(|(power, more)| 1000_u64.pow(power) - 1 + more);
        let any = (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift);
        prop_oneof![around, any]
    }

    fn path() -> impl Strategy<Value = IndexPath> {
        let run = (0_u8..=27, number()).prop_map(|(level, n)| {
            let runs = (1 << (55 - 2 * level)) - 1;
            Run::new(level, n % runs).unwrap()
        });
        (0..4, run, number(), number(), any::<[u8; 16]>()).prop_map(|(kind, run, q, page, key)| {
            let key = Key(key);
            match kind {
                0 => IndexPath::Partition { run, q },
                1 => IndexPath::Page { run, q, page },
                2 => IndexPath::List { run, key, page },
                _ => IndexPath::State(TreeSize::new(q % ((1 << 55) - 1) + 1).unwrap()),
            }
        })
    }

    proptest! {
        #[test]
        fn there_and_back(path in path()) {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn one_spelling(path in path(), at: prop::sample::Index, with in "[x0-9a-fA-F/.d+ ]{0,4}", cut in 0_usize..5) {
            let mut text = path.to_string();
            let at = at.index(text.len());
            text.replace_range(at..(at + cut).min(text.len()), &with);
            if let Ok(parsed) = text.parse::<IndexPath>() {
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn no_text_panics(text: String, tail in "(index/v1/(run|list|state)/)?\\PC*") {
            for text in [text, tail] {
                if let Ok(parsed) = text.parse::<IndexPath>() {
                    prop_assert_eq!(parsed.to_string(), text);
                }
            }
        }

        #[test]
        fn no_varints_are_longer(mut distances in prop::collection::vec(1_u64..1 << 40, 1..50), shift in 0_u32..40) {
            distances.iter_mut().for_each(|distance| *distance = (*distance >> shift).max(1));
            let mut bytes = Vec::new();
            for distance in &distances {
                crate::varint::push(&mut bytes, distance - 1);
            }
            let most = varints_len(distances.len() as u64, distances.iter().sum());
            prop_assert!(bytes.len() <= most, "{} {most}", bytes.len());
        }
    }

    #[test]
    fn refused() {
        let (key, short) = ("ab".repeat(16), "a".repeat(31));
        let refused = [
            "",
            "index/v1",
            "index/v1/checkpoint",
            "index/v1/tile/0/000",
            "index/v2/state/001",
            "/index/v1/state/001",
            // No state is of these sizes.
            "index/v1/state/000",
            "index/v1/state/x036/x028/x797/x018/x963/968",
            "index/v1/state/001/",
            "index/v1/state/1",
            "index/v1/state/0001",
            "index/v1/state/+01",
            "index/v1/state/x000/001",
            "index/v1/state/001/234",
            "index/v1/state/x001",
            "index/v1/run/07/000/000",
            "index/v1/run/28/000/000",
            "index/v1/run/27/001/000",
            "index/v1/run/+7/000/000",
            "index/v1/run/7/000",
            "index/v1/run/7/000/",
            "index/v1/run/7/000/x000/001",
            "index/v1/run/7/000/000.p/1",
            "index/v1/run/7/000/000.d",
            "index/v1/run/7/000/000.d/",
            "index/v1/run/7/000/000.d/x000/001",
            "index/v1/run/7/000/x018/x446/x744/x073/x709/x551/616",
            "index/v1/list/7/000/000",
            &format!("index/v1/list/7/000/{key}"),
            &format!("index/v1/list/7/000/{}/000", key.to_uppercase()),
            &format!("index/v1/list/7/000/{short}/000"),
            &format!("index/v1/list/7/000/+{short}/000"),
            &format!("index/v1/list/7/000/0{key}/000"),
        ];
        for text in refused {
            let said = text.parse::<IndexPath>().unwrap_err().to_string();
            let expected =
                format!("{text:?} is not the path of a partition, page, list or state of an index");
            assert_eq!(said, expected);
        }
        for text in [
            "index/v1/state/x036/x028/x797/x018/x963/967",
            "index/v1/run/27/000/x018/x446/x744/x073/x709/x551/615",
        ] {
            text.parse::<IndexPath>().unwrap();
        }
    }

    #[test]
    fn lengths() {
        let len = |text: &str| text.parse::<IndexPath>().unwrap().max_len();
        // The worked example's, exactly.
        assert_eq!(len("index/v1/state/001"), 120);
        assert_eq!(len("index/v1/state/002"), 80 + 2 * 40 + 32);
        // 4,096 keys in each of 256 leaves: 255 distances, of which two could take a byte more.
        assert_eq!(
            len("index/v1/run/0/000/000.d/000"),
            32 + 4_096 * (16 + 2 + 1 + 255 + 2)
        );
        assert_eq!(
            len("index/v1/run/7/000/000.d/000"),
            32 + 4_096 * (16 + 2 + 3 + 1_023 + 1_023 + 256 + 2)
        );
        let list = format!("index/v1/list/4/000/{}/000", "00".repeat(16));
        assert_eq!(len(&list), 48 + 32 * 2 + 16_384 + 512 + 4);
        for level in 0..=27 {
            let partition = len(&format!("index/v1/run/{level}/000/000"));
            assert!(partition < 64 << 20, "{partition} at {level}");
            let page = len(&format!("index/v1/run/{level}/000/000.d/000"));
            assert!(page <= partition, "{page} at {level}");
        }
    }
}
