//! The environment of a function, checked before it takes anything.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use tegula_sequencer::Keep;
use tegula_server::{AllowedKeys, Duplicates, Issuers, KeyHash};
use tegula_signers::KeySource;
use tegula_storage::S3Address;

/// What a function is told.
///
/// | variable | function | |
/// |---|---|---|
/// | `TEGULA_STORE` | both | `s3://BUCKET[/PREFIX]?private=s3://BUCKET[/PREFIX]` |
/// | `TEGULA_ORIGIN` | both | the log's name |
/// | `TEGULA_KEYS` | both | the log's keys, separated by spaces: `kms:KEY`, `secret:NAME`, `ssm:NAME` or `env:NAME` |
/// | `TEGULA_INDEX` | both | whether there is a search index beside the log: `on` or `off`; `on` unless it is given |
/// | `TEGULA_LOG_LEVEL` | both | `error`, `warn`, `info`, `debug`, or a filter; `info` unless it is given |
/// | `TEGULA_WRITERS` | upload | who may write: `open`, `token`, `iam` or `oidc`; `open` unless it is given |
/// | `TEGULA_ISSUERS` | upload | with `oidc`: whose tokens are taken, and what they have to claim, in the JSON of [`Issuers`] |
/// | `TEGULA_ALLOWED_KEYS` | upload | the SHA-256 of the SPKI of each key whose signatures are logged, in hexadecimal, separated by spaces; all unless it is given |
/// | `TEGULA_DUPLICATES` | upload | `existing` or `conflict`; `existing` unless it is given |
/// | `TEGULA_DEDUP_WINDOW` | upload | how many of the last leaves are searched for duplicates; 16,384 unless it is given: a cold start reads a tile for each 256 |
/// | `TEGULA_KEEP_SLOTS` | maintain | `all`, or the number of the last leaves whose slots are not cut to their headers; `all` unless it is given |
/// | `TEGULA_KEEP_PARTIALS` | maintain | hours for which superseded partial tiles stay, 24 or more; 24 unless it is given |
/// | `TEGULA_CHECK_ROUNDS` | maintain | in so many rounds every bundle is checked; 43,200 unless it is given, thirty days of minutes |
///
/// Any other variable that begins with `TEGULA_` is an error, but for those that `env:NAME` names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where the log is.
    pub store: S3Address,
    /// The log's name.
    pub origin: String,
    /// The log's keys.
    pub keys: Vec<KeySource>,
    /// Whether there is a search index beside the log.
    pub index: bool,
    /// What is told.
    pub log_level: String,
    /// Who may write.
    pub writers: Writers,
    /// Whose signatures are logged.
    pub allowed_keys: AllowedKeys,
    /// How a duplicate is answered.
    pub duplicates: Duplicates,
    /// How many of the last leaves are searched for duplicates.
    pub dedup_window: u64,
    /// Which slots stay whole.
    pub keep: Keep,
    /// Hours for which superseded partial tiles stay.
    pub keep_partials_h: u64,
    /// In how many rounds all bundles are checked.
    pub check_rounds: u64,
}

/// Who may write.
#[derive(Clone, Debug)]
pub enum Writers {
    /// Everybody.
    Open,
    /// Whoever has a bearer token of the log.
    Token,
    /// Whoever the API has authenticated by AWS's signatures.
    Iam,
    /// Whoever has a token of one of these issuers, which claims what is asked for.
    Oidc(Issuers),
}

/// What is wrong with the environment.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct SettingsError {
    variable: String,
    reason: String,
}

impl Settings {
    /// Reads variables, by their names.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names the first variable that is wrong, and what was expected.
    pub fn read(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let ours = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX));
        let mut given = Given(ours.collect());
        let keys = given.needed("TEGULA_KEYS")?;
        let keys = keys.split_whitespace().map(KeySource::from_str);
        let keys: Vec<_> = keys
            .collect::<Result<_, _>>()
            .map_err(|error| wrong("TEGULA_KEYS", &error))?;
        for key in &keys {
            match key {
                KeySource::Env(name) => drop(given.0.remove(name)),
                // It may be the key itself, and not a file's name: it is not told.
                KeySource::File(_) => {
                    let reason = "one is none of kms:KEY, secret:NAME, ssm:NAME or env:NAME";
                    return Err(wrong("TEGULA_KEYS", &reason));
                }
                KeySource::Kms(_) | KeySource::Secret(_) | KeySource::Ssm(_) => {}
            }
        }
        let store: S3Address = given.parsed("TEGULA_STORE", None)?;
        if !store.has_private() {
            let reason =
                format!("{store} says no private=s3://BUCKET[/PREFIX], the place for slots");
            return Err(wrong("TEGULA_STORE", &reason));
        }
        let allowed = given.take("TEGULA_ALLOWED_KEYS");
        // White space is not nobody: it would be everybody.
        if allowed
            .as_deref()
            .is_some_and(|keys| keys.trim().is_empty())
        {
            return Err(wrong("TEGULA_ALLOWED_KEYS", &"names no key"));
        }
        let allowed = allowed.unwrap_or_default();
        let allowed = allowed.split_whitespace().map(KeyHash::from_str);
        let allowed: Vec<_> = allowed
            .collect::<Result<_, _>>()
            .map_err(|error| wrong("TEGULA_ALLOWED_KEYS", &error))?;
        let settings = Self {
            store,
            origin: given.needed("TEGULA_ORIGIN")?,
            keys,
            index: given.one_of("TEGULA_INDEX", &[("on", true), ("off", false)])?,
            log_level: given.log_level()?,
            writers: given.writers()?,
            allowed_keys: AllowedKeys::only(allowed),
            duplicates: given.one_of(
                "TEGULA_DUPLICATES",
                &[
                    ("existing", Duplicates::Existing),
                    ("conflict", Duplicates::Conflict),
                ],
            )?,
            dedup_window: given.parsed("TEGULA_DEDUP_WINDOW", Some("16384"))?,
            keep: match given.take("TEGULA_KEEP_SLOTS").as_deref() {
                None | Some("all") => Keep::All,
                Some(leaves) => Keep::Leaves(leaves.parse().map_err(|error| {
                    let reason = format!("{leaves:?}: {error}, expected all or a number of leaves");
                    wrong("TEGULA_KEEP_SLOTS", &reason)
                })?),
            },
            keep_partials_h: given.parsed("TEGULA_KEEP_PARTIALS", Some("24"))?,
            check_rounds: given.parsed("TEGULA_CHECK_ROUNDS", Some("43200"))?,
        };
        if settings.keep_partials_h < 24 {
            let reason = format!("{} hours, expected at least 24", settings.keep_partials_h);
            return Err(wrong("TEGULA_KEEP_PARTIALS", &reason));
        }
        if settings.check_rounds == 0 {
            return Err(wrong("TEGULA_CHECK_ROUNDS", &"0, expected at least 1"));
        }
        if given.0.get("TEGULA_ISSUERS").is_some_and(String::is_empty) {
            given.0.remove("TEGULA_ISSUERS");
        }
        match given.0.into_keys().next() {
            Some(unknown) => Err(wrong(&unknown, &"is not a setting of this function")),
            None => Ok(settings),
        }
    }
}

/// Variables that were not looked at yet.
struct Given(BTreeMap<String, String>);

impl Given {
    /// An empty value is none: it is what a template leaves of one that is not given.
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    fn needed(&mut self, name: &str) -> Result<String, SettingsError> {
        self.take(name).ok_or_else(|| wrong(name, &"is missing"))
    }

    fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        default: Option<&str>,
    ) -> Result<T, SettingsError> {
        let value = match (self.take(name), default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return Err(wrong(name, &"is missing")),
        };
        value
            .parse()
            .map_err(|error| wrong(name, &format!("{value:?}: {error}")))
    }

    /// A level, or levels by targets, separated by commas. What is empty would be read as a level.
    fn log_level(&mut self) -> Result<String, SettingsError> {
        let name = "TEGULA_LOG_LEVEL";
        let level = self.take(name).unwrap_or_else(|| "info".to_owned());
        let is_empty = |part: &str| part.split('=').any(|word| word.trim().is_empty());
        if level.split(',').any(is_empty) {
            let reason = format!("{level:?}, expected LEVEL or TARGET=LEVEL, separated by commas");
            return Err(wrong(name, &reason));
        }
        Ok(level)
    }

    fn writers(&mut self) -> Result<Writers, SettingsError> {
        let oidc = self.0.get("TEGULA_WRITERS").map(String::as_str) == Some("oidc");
        if oidc {
            self.take("TEGULA_WRITERS");
            return Ok(Writers::Oidc(self.parsed("TEGULA_ISSUERS", None)?));
        }
        let words = [
            ("open", Writers::Open),
            ("token", Writers::Token),
            ("iam", Writers::Iam),
        ];
        self.one_of("TEGULA_WRITERS", &words)
            .map_err(|error| SettingsError {
                reason: format!("{}, oidc", error.reason),
                ..error
            })
    }

    /// The first one unless it is given.
    fn one_of<T: Clone>(&mut self, name: &str, all: &[(&str, T)]) -> Result<T, SettingsError> {
        let given = self.take(name);
        let found = match &given {
            None => all.first(),
            Some(given) => all.iter().find(|(word, _)| word == given),
        };
        let words: Vec<_> = all.iter().map(|(word, _)| *word).collect();
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let given = given.unwrap_or_default();
            wrong(
                name,
                &format!("{given:?}, expected one of {}", words.join(", ")),
            )
        })
    }
}

fn wrong(variable: &str, reason: &dyn Display) -> SettingsError {
    SettingsError {
        variable: variable.to_owned(),
        reason: reason.to_string(),
    }
}

const PREFIX: &str = "TEGULA_";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let mut all = BTreeMap::from([
            ("TEGULA_STORE", "s3://log?private=s3://wal"),
            ("TEGULA_ORIGIN", "log.example"),
            ("TEGULA_KEYS", "kms:alias/log env:TEGULA_ECDSA"),
            ("TEGULA_ECDSA", "secret"),
            ("AWS_REGION", "eu-central-1"),
        ]);
        all.extend(more.iter().copied());
        let all = all.into_iter();
        Settings::read(all.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn what_is_not_given_is_as_it_is_said() {
        let settings = read(&[("TEGULA_WRITERS", "")]).unwrap();
        assert_eq!(settings.origin, "log.example");
        assert_eq!(settings.keys.len(), 2);
        assert!(matches!(settings.writers, Writers::Open));
        assert_eq!(settings.duplicates, Duplicates::Existing);
        assert_eq!(settings.dedup_window, 16_384);
        assert_eq!(settings.log_level, "info");
        assert!(settings.index);
        assert_eq!(settings.keep, Keep::All);
        assert_eq!(
            (settings.keep_partials_h, settings.check_rounds),
            (24, 43_200)
        );
        let settings = read(&[
            ("TEGULA_KEEP_SLOTS", "1000"),
            ("TEGULA_WRITERS", "iam"),
            ("TEGULA_INDEX", "off"),
        ])
        .unwrap();
        assert!(!settings.index);
        assert_eq!(settings.keep, Keep::Leaves(1000));
        assert!(matches!(settings.writers, Writers::Iam));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (variable, value, expected) in [
            ("TEGULA_STORE", "", "TEGULA_STORE: is missing"),
            (
                "TEGULA_LOG_LEVEL",
                ",=",
                "TEGULA_LOG_LEVEL: \",=\", expected LEVEL",
            ),
            (
                "TEGULA_LOG_LEVEL",
                "info,",
                "expected LEVEL or TARGET=LEVEL",
            ),
            (
                "TEGULA_LOG_LEVEL",
                "tegula=",
                "expected LEVEL or TARGET=LEVEL",
            ),
            ("TEGULA_STORE", "log", "does not begin with s3://"),
            ("TEGULA_STORE", "s3://log", "says no private="),
            ("TEGULA_ORIGIN", "", "TEGULA_ORIGIN: is missing"),
            ("TEGULA_KEYS", "", "TEGULA_KEYS: is missing"),
            (
                "TEGULA_KEYS",
                "log.pem",
                "TEGULA_KEYS: one is none of kms:KEY",
            ),
            ("TEGULA_KEYS", "kms:", "\"kms:\" is not a key"),
            (
                "TEGULA_WRITERS",
                "all",
                "\"all\", expected one of open, token, iam, oidc",
            ),
            (
                "TEGULA_INDEX",
                "yes",
                "TEGULA_INDEX: \"yes\", expected one of on, off",
            ),
            (
                "TEGULA_DEDUP_WINDOW",
                "many",
                "TEGULA_DEDUP_WINDOW: \"many\": invalid digit",
            ),
            (
                "TEGULA_KEEP_SLOTS",
                "some",
                "expected all or a number of leaves",
            ),
            (
                "TEGULA_KEEP_PARTIALS",
                "23",
                "23 hours, expected at least 24",
            ),
            ("TEGULA_CHECK_ROUNDS", "0", "expected at least 1"),
            ("TEGULA_WRITERS", "oidc", "TEGULA_ISSUERS: is missing"),
            ("TEGULA_ISSUERS", "[]", "TEGULA_ISSUERS: is not a setting"),
            (
                "TEGULA_ALLOWED_KEYS",
                " ",
                "TEGULA_ALLOWED_KEYS: names no key",
            ),
            (
                "TEGULA_ALLOWED_KEYS",
                "ab",
                "TEGULA_ALLOWED_KEYS: \"ab\" is not the SHA-256 of a key",
            ),
            (
                "TEGULA_KEEP_SLOT",
                "all",
                "TEGULA_KEEP_SLOT: is not a setting",
            ),
        ] {
            let error = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{variable}={value}: {error}");
        }
    }
}
