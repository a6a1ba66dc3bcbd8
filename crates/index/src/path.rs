//! Where the objects of an index are.

use std::fmt;

use tegula_tlog::TreeSize;

use crate::key::Key;
use crate::live::Run;

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
}
