use std::fmt;
use std::str::FromStr;

use crate::Root;

/// Where a log is in buckets.
///
/// ```text
/// s3://log-public?private=s3://log-private
/// s3://logs/a/public?private=s3://logs/a/private&region=eu-central-1
/// s3://log?private=s3://wal&endpoint=http://127.0.0.1:9000&path-style=true
/// ```
///
/// | | |
/// |---|---|
/// | `s3://BUCKET[/PREFIX]` | where everyone may read |
/// | `private` | `s3://BUCKET[/PREFIX]` for slots and the inbox, which nobody else may read: who writes has to say it, and neither may lie in the other |
/// | `region` | that of the environment unless it is said, or else `us-east-1` |
/// | `endpoint` | an `http` or `https` URL of a store that is not AWS's |
/// | `path-style` | `true` or `false`: whether the bucket is in the path of URLs; `true` where there is an endpoint unless it is said |
/// | `lock-days` | 1 to 36,500: for so many days full tiles and bundles are locked (S3 Object Lock, governance mode), in a public bucket that has it |
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3Address {
    public: Place,
    private: Option<Place>,
    region: Option<String>,
    endpoint: Option<String>,
    path_style: bool,
    lock_days: Option<u32>,
}

/// A bucket, or what is below a prefix in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

/// Why a text is not the address of a log in buckets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

impl S3Address {
    /// Whether it says where slots are: only then can a log be written to.
    pub fn has_private(&self) -> bool {
        self.private.is_some()
    }

    /// Without the place for slots: for readers, and to be shown to them.
    pub fn public_part(&self) -> Self {
        Self {
            private: None,
            ..self.clone()
        }
    }

    pub(super) fn place(&self, root: Root) -> Option<&Place> {
        match root {
            Root::Public => Some(&self.public),
            Root::Private => self.private.as_ref(),
        }
    }

    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    pub(super) fn path_style(&self) -> bool {
        self.path_style
    }

    pub(super) fn lock_days(&self) -> Option<u32> {
        self.lock_days
    }
}

impl FromStr for S3Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |reason: String| AddressError(format!("{text:?}: {reason}"));
        let (public, query) = text.split_once('?').unwrap_or((text, ""));
        let public = Place::parse(public).map_err(&refused)?;
        let (mut private, mut region, mut endpoint) = (None, None, None);
        let (mut path_style, mut lock_days) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| refused(format!("{pair:?} is not a name and a value")))?;
            let place = match name {
                "private" => &mut private,
                "region" => &mut region,
                "endpoint" => &mut endpoint,
                "path-style" => &mut path_style,
                "lock-days" => &mut lock_days,
                _ => {
                    let reason = "expected private, region, endpoint, path-style or lock-days";
                    return Err(refused(format!("{name:?} is not known, {reason}")));
                }
            };
            if place.replace(value).is_some() {
                return Err(refused(format!("{name} is said twice")));
            }
        }
        let private = private.map(Place::parse).transpose().map_err(&refused)?;
        if let Some(private) = &private
            && public.meets(private)
        {
            return Err(refused(format!("{public} and {private} lie in each other")));
        }
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        if let Some(region) = region
            && !is_word(region)
        {
            return Err(refused(format!("{region:?} is not a region")));
        }
        if let Some(endpoint) = endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return Err(refused(format!(
                "endpoint {endpoint:?} is not an http or https URL"
            )));
        }
        let path_style = match path_style {
            None => endpoint.is_some(),
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                return Err(refused(format!(
                    "path-style {other:?} is not true or false"
                )));
            }
        };
        let days = |text: &str| {
            let days: Option<u32> = text.parse().ok();
            days.filter(|days| (1..=36_500).contains(days))
                .ok_or_else(|| refused(format!("lock-days {text:?} is not between 1 and 36500")))
        };
        Ok(Self {
            public,
            private,
            lock_days: lock_days.map(days).transpose()?,
            region: region.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            path_style,
        })
    }
}

/// Without what is as it is unless it is said.
impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path_style = (self.path_style != self.endpoint.is_some()).then_some(self.path_style);
        let said = [
            self.private
                .as_ref()
                .map(|place| format!("private={place}")),
            self.region
                .as_ref()
                .map(|region| format!("region={region}")),
            self.endpoint.as_ref().map(|url| format!("endpoint={url}")),
            path_style.map(|path_style| format!("path-style={path_style}")),
            self.lock_days.map(|days| format!("lock-days={days}")),
        ];
        let said: Vec<_> = said.into_iter().flatten().collect();
        let mark = if said.is_empty() { "" } else { "?" };
        write!(f, "{}{mark}{}", self.public, said.join("&"))
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("{text:?} does not begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.');
        if !is_bucket {
            return Err(format!(
                "{bucket:?} is not the name of a bucket: 3 to 63 of a-z, 0-9, - and ."
            ));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_segment = |segment: &str| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
        };
        if prefix.len() > 512 || !(prefix.is_empty() || prefix.split('/').all(is_segment)) {
            return Err(format!(
                "{prefix:?} is not a prefix: segments of A-Z, a-z, 0-9, ., _ and -, at most 512 bytes"
            ));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: match prefix {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
        })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(super) fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)
    }

    fn meets(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix.strip_suffix('/').unwrap_or(&self.prefix);
        let slash = if prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{prefix}", self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for text in [
            "s3://log-public?private=s3://log-private",
            "s3://logs/a/public?private=s3://logs/a/private&region=eu-central-1",
            "s3://log?private=s3://wal&endpoint=http://127.0.0.1:9000",
            "s3://log?private=s3://wal&endpoint=https://s3.example&path-style=false",
            "s3://log?private=s3://wal&path-style=true",
            "s3://log?private=s3://wal&lock-days=365",
            "s3://log",
            "s3://log/a?region=eu-central-1",
        ] {
            assert_eq!(text.parse::<S3Address>().unwrap().to_string(), text);
        }
        let address: S3Address = "s3://log/a/?private=s3://log/b".parse().unwrap();
        assert_eq!(
            address.place(Root::Public).unwrap().key("tile/0/000"),
            "a/tile/0/000"
        );
        let private = address.place(Root::Private).unwrap();
        assert_eq!(private.path("b/wal/1"), Some("wal/1"));
        assert_eq!(private.path("a/wal/1"), None);
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        for (text, expected) in [
            ("log", "does not begin with s3://"),
            (
                "s3://Log?private=s3://wal",
                "\"Log\" is not the name of a bucket",
            ),
            (
                "s3://lo?private=s3://wal",
                "\"lo\" is not the name of a bucket",
            ),
            ("s3://log//a?private=s3://wal", "\"/a\" is not a prefix"),
            (
                "s3://log/a/../b?private=s3://wal",
                "\"a/../b\" is not a prefix",
            ),
            (
                "s3://log?private=s3://log",
                "s3://log and s3://log lie in each other",
            ),
            (
                "s3://log/a?private=s3://log/a/b",
                "s3://log/a and s3://log/a/b lie in each other",
            ),
            (
                "s3://log?private=s3://log/b",
                "s3://log and s3://log/b lie in each other",
            ),
            (
                "s3://log?private=s3://wal&private=s3://wbl",
                "private is said twice",
            ),
            (
                "s3://log?private=s3://wal&color=red",
                "\"color\" is not known",
            ),
            (
                "s3://log?private=s3://wal&region",
                "\"region\" is not a name and a value",
            ),
            ("s3://log?private=s3://wal&region=", "\"\" is not a region"),
            (
                "s3://log?private=s3://wal&endpoint=ftp://x",
                "is not an http or https URL",
            ),
            (
                "s3://log?private=s3://wal&path-style=yes",
                "\"yes\" is not true or false",
            ),
            (
                "s3://log?private=s3://wal&lock-days=0",
                "lock-days \"0\" is not between 1 and 36500",
            ),
        ] {
            let error = text.parse::<S3Address>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(
            "s3://log/ab?private=s3://log/a"
                .parse::<S3Address>()
                .is_ok()
        );
    }
}
