use std::fmt;

/// One of the two trees of a store: what everyone may read, and what only writers may.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Root {
    /// Served to everyone.
    Public,
    /// Seen by writers alone.
    Private,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
        })
    }
}

/// An object's name in a store: a root, and a path that cannot leave it.
///
/// `tile/0/x001/067.p/5` is a path: segments of `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_` and `-`, joined
/// by `/`. A segment has 1 to 255 bytes and is neither `.` nor `..`; the whole has at most 1,024
/// bytes. In the private root the names that a store keeps for itself are refused.
///
/// Paths sort by root, and then by the bytes of the path.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ObjectPath {
    root: Root,
    path: Box<str>,
}

impl ObjectPath {
    /// A path that everyone may read.
    pub fn public(path: impl Into<String>) -> Result<Self, PathError> {
        Self::new(Root::Public, path)
    }

    /// A path that only writers may read.
    pub fn private(path: impl Into<String>) -> Result<Self, PathError> {
        Self::new(Root::Private, path)
    }

    /// A path in either root.
    pub fn new(root: Root, path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        if path.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong(path.len()));
        }
        for segment in path.split('/') {
            if !is_segment(segment) {
                return Err(PathError::Segment {
                    segment: segment.to_owned(),
                    path,
                });
            }
        }
        let first = path.split('/').next().unwrap_or_default();
        if root == Root::Private && RESERVED.contains(&first) {
            return Err(PathError::Reserved(path));
        }
        Ok(Self {
            root,
            path: path.into_boxed_str(),
        })
    }

    /// The tree that it is in.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The path below the root: `tile/0/x001/067.p/5`.
    pub fn as_str(&self) -> &str {
        &self.path
    }
}

/// `public/tile/0/000`: the root, and the path below it.
impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.root, self.path)
    }
}

/// Why a text is not an object's path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// One segment is empty, too long, `.`, `..`, or has a byte that no path has.
    #[error(
        "path segment {segment:?} of {path:?} is not 1 to 255 of A-Z a-z 0-9 . _ - (and not . or ..)"
    )]
    Segment {
        /// The segment at fault.
        segment: String,
        /// The whole path.
        path: String,
    },
    /// Longer than any path.
    #[error("path of {0} bytes is longer than 1024")]
    TooLong(usize),
    /// A name that stores keep for themselves.
    #[error("private path {0:?} is kept for the store itself")]
    Reserved(String),
}

/// Whether `name` may be one segment of a path.
pub(crate) fn is_segment(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_SEGMENT_BYTES
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What a directory keeps in `private/` for itself. Refused everywhere, so that every store takes
/// the same paths.
pub(crate) const RESERVED: [&str; 7] =
    ["wal", "tmp", "floor", "format", "lock", "running", "dirty"];

/// The most bytes in a path: with a root before it, well below Linux's 4,096.
const MAX_PATH_BYTES: usize = 1024;

/// The most bytes in a name, on every file system that a directory store runs on.
const MAX_SEGMENT_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples() {
        for path in [
            "checkpoint",
            "tile/0/x001/x234/067.p/5",
            "index/v1/checkpoint",
            "a",
            "...",
            ".a",
            "-",
            "wal",
        ] {
            let parsed = ObjectPath::public(path).unwrap();
            assert_eq!(parsed.as_str(), path);
            assert_eq!(parsed.root(), Root::Public);
            assert_eq!(parsed.to_string(), format!("public/{path}"));
        }
        assert_eq!(
            ObjectPath::private("inbox/1-a").unwrap().to_string(),
            "private/inbox/1-a"
        );
    }

    #[test]
    fn refusals() {
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/..",
            "../a",
            "a/./b",
            "a b",
            "a\0",
            "a\n",
            "é",
            "~",
            "a\\b",
            "a:b",
            "lost+found",
        ] {
            assert!(ObjectPath::public(path).is_err(), "{path:?}");
        }
        for name in RESERVED {
            assert!(ObjectPath::private(name).is_err());
            assert!(ObjectPath::private(format!("{name}/a")).is_err());
            assert!(ObjectPath::private(format!("{name}a")).is_ok());
        }
        assert_eq!(
            ObjectPath::public("a/../b").unwrap_err().to_string(),
            "path segment \"..\" of \"a/../b\" is not 1 to 255 of A-Z a-z 0-9 . _ - (and not . or ..)"
        );
        assert_eq!(
            ObjectPath::private("wal/1").unwrap_err().to_string(),
            "private path \"wal/1\" is kept for the store itself"
        );
    }

    #[test]
    fn both_ends_of_the_lengths() {
        assert!(ObjectPath::public("a".repeat(255)).is_ok());
        assert!(ObjectPath::public("a".repeat(256)).is_err());
        let longest = format!("{}{}", "a/".repeat(511), "aa");
        assert_eq!(longest.len(), 1024);
        assert!(ObjectPath::public(longest.clone()).is_ok());
        assert_eq!(
            ObjectPath::public(longest + "a").unwrap_err(),
            PathError::TooLong(1025)
        );
    }
}
