//! in-toto Statements (v0.1 and v1): what an attestation is about, by digest.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Text;
use crate::search::{Domain, SearchKey};

/// What an entry can be searched by whose payload this is: the subjects of a Statement, and the materials (SLSA 0.1 and 0.2) or resolved
/// dependencies (SLSA 1) of its predicate, by every digest that they have. Nothing if it is no Statement; at most [`MAX_KEYS`].
///
/// ```json
/// {"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"<hex>"}}],
///   "predicate":{"buildDefinition":{"resolvedDependencies":[{"digest":{"gitCommit":"<hex>"}}]}}}
/// ```
pub(crate) fn search_keys(payload: &[u8]) -> Vec<SearchKey> {
    let mut keys = BTreeSet::new();
    let Ok(statement) = serde_json::from_slice::<Statement<'_>>(payload) else {
        return Vec::new();
    };
    let is_statement = |kind: &Text<'_>| kind.0.starts_with(STATEMENT);
    if !statement.kind.as_ref().is_some_and(is_statement) {
        return Vec::new();
    }
    collect(statement.subject, &mut keys);
    // A predicate of another type may have fields of these names that hold something else.
    if let Some(predicate) = parse::<Predicate<'_>>(statement.predicate) {
        collect(predicate.materials, &mut keys);
        if let Some(definition) = parse::<BuildDefinition<'_>>(predicate.build_definition) {
            collect(definition.resolved_dependencies, &mut keys);
        }
    }
    keys.into_iter().collect()
}

fn parse<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}

/// Takes the digests of a list of resource descriptors, as far as it is one.
fn collect(descriptors: Option<&RawValue>, keys: &mut BTreeSet<SearchKey>) {
    if let Some(json) = descriptors {
        let mut json = serde_json::Deserializer::from_str(json.get());
        // What was found up to an element of another shape stays.
        let _found = json.deserialize_seq(Descriptors(keys));
    }
}

struct Descriptors<'k>(&'k mut BTreeSet<SearchKey>);

impl<'a> Visitor<'a> for Descriptors<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of resource descriptors")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut descriptors: A) -> Result<(), A::Error> {
        while let Some(descriptor) = descriptors.next_element::<Descriptor<'a>>()? {
            if let Some(digest) = descriptor.digest {
                let mut json = serde_json::Deserializer::from_str(digest.get());
                json.deserialize_map(Digests(self.0))
                    .map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

struct Digests<'k>(&'k mut BTreeSet<SearchKey>);

impl<'a> Visitor<'a> for Digests<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digests by algorithm")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut digests: A) -> Result<(), A::Error> {
        while let Some((Text(algorithm), Text(value))) = digests.next_entry()? {
            if self.0.len() == MAX_KEYS {
                return Err(A::Error::custom("no more are taken"));
            }
            let fits = |text: &str| {
                (1..=MAX_LEN).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic())
            };
            if fits(&algorithm) && fits(&value) {
                let digest = format!("{algorithm}:{value}").to_lowercase();
                self.0.insert(SearchKey::new(Domain::Attested, digest));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(borrow, rename = "_type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Predicate<'a> {
    #[serde(borrow)]
    materials: Option<&'a RawValue>,
    #[serde(borrow, rename = "buildDefinition")]
    build_definition: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BuildDefinition<'a> {
    #[serde(borrow, rename = "resolvedDependencies")]
    resolved_dependencies: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Descriptor<'a> {
    #[serde(borrow)]
    digest: Option<&'a RawValue>,
}

/// Before the version.
const STATEMENT: &str = "https://in-toto.io/Statement/";

/// Digests by which one entry can be searched.
pub(crate) const MAX_KEYS: usize = 1000;

/// Bytes of an algorithm's name, and of a digest: SHA-512 has 128 digits.
const MAX_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(payload: &str) -> Vec<String> {
        let keys = search_keys(payload.as_bytes());
        keys.into_iter().map(|key| key.to_string()).collect()
    }

    fn statement(rest: &str) -> String {
        format!(r#"{{"_type":"https://in-toto.io/Statement/v1",{rest}}}"#)
    }

    #[test]
    fn subjects_and_materials_are_found_by_every_digest() {
        let subjects = r#"[{"name":"a","digest":{"sha256":"AB","sha1":"c"}},{"name":"b"},{"digest":null},{"digest":{"sha256":"ab"}}]"#;
        for version in ["v0.1", "v1"] {
            let payload = format!(
                r#"{{"_type":"https://in-toto.io/Statement/{version}","subject":{subjects},
                    "predicate":{{"materials":[{{"uri":"u","digest":{{"sha1":"d"}}}}],
                    "buildDefinition":{{"resolvedDependencies":[{{"digest":{{"gitCommit":"e"}}}}]}}}}}}"#
            );
            assert_eq!(
                keys(&payload),
                [
                    "Attested gitcommit:e",
                    "Attested sha1:c",
                    "Attested sha1:d",
                    "Attested sha256:ab"
                ],
                "{version}"
            );
        }
    }

    #[test]
    fn what_is_no_statement_has_none() {
        for payload in [
            "",
            "abc",
            "[]",
            "{}",
            r#"{"subject":[{"digest":{"sha256":"ab"}}]}"#,
            r#"{"_type":"https://in-toto.io/Layout/v1","subject":[{"digest":{"sha256":"ab"}}]}"#,
            r#"{"_type":1,"subject":[{"digest":{"sha256":"ab"}}]}"#,
        ] {
            assert_eq!(keys(payload), [""; 0], "{payload}");
        }
        assert_eq!(keys(&statement(r#""subject":{}"#)), [""; 0]);
        assert_eq!(search_keys(&[0xff; 10]), []);
    }

    #[test]
    fn another_predicate_does_not_hide_the_subjects() {
        for predicate in [
            "null",
            "1",
            r#"{"materials":{"a":{"sha256":"cd"}}}"#,
            r#"{"materials":[1],"buildDefinition":[]}"#,
            r#"{"materials":[{"digest":{"sha256":1}}]}"#,
        ] {
            let payload = statement(&format!(
                r#""subject":[{{"digest":{{"sha256":"ab"}}}}],"predicate":{predicate}"#
            ));
            assert_eq!(keys(&payload), ["Attested sha256:ab"], "{predicate}");
        }
    }

    #[test]
    fn there_is_an_end_to_them() {
        let subjects: Vec<String> = (0..2000)
            .map(|n| format!(r#"{{"digest":{{"sha256":"{n}"}}}}"#))
            .collect();
        let payload = statement(&format!(r#""subject":[{}]"#, subjects.join(",")));
        assert_eq!(keys(&payload).len(), MAX_KEYS);
        let long = "a".repeat(MAX_LEN + 1);
        let payload = statement(&format!(
            r#""subject":[{{"digest":{{"{long}":"1","sha256":"{long}","sha512":"","":"1","sha1":"2"}}}}]"#
        ));
        assert_eq!(keys(&payload), ["Attested sha1:2"]);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(
            keys(&statement(&format!(
                r#""subject":{deep},"predicate":{deep}"#
            ))),
            [""; 0]
        );
    }
}
