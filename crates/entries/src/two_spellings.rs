//! JSON that is signed in one canonical spelling and logged in another, rewritten piece by piece: no tree of it is ever built, so a hostile
//! document takes little more memory than its text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Text;

/// A canonical spelling. Both have no white space, and only whole numbers that every reader of JSON agrees on.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Spelling {
    /// RFC 8785: names in the order of their UTF-16 code units, control characters escaped.
    Rfc8785,
    /// OLPC's canonical JSON: names in the order of their bytes, nothing escaped but `"` and `\`.
    Olpc,
}

impl Spelling {
    /// Rewrites a document.
    pub(crate) fn write(self, json: &RawValue) -> Result<Vec<u8>, String> {
        let mut out = Vec::with_capacity(json.get().len());
        self.value(json, MAX_DEPTH, &mut out)?;
        Ok(out)
    }

    fn value(self, json: &RawValue, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let text = json.get();
        match text.as_bytes().first() {
            Some(b'{') => self.object(json, below(depth)?, out),
            Some(b'[') => self.array(json, below(depth)?, out),
            Some(b'"') => {
                let string: Text<'_> = parse(text)?;
                self.string(&string.0, out)
            }
            Some(b'-' | b'0'..=b'9') => {
                out.extend_from_slice(whole(text)?.as_bytes());
                Ok(())
            }
            _ => {
                // `true`, `false` or `null`: there is no other JSON.
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }

    fn object(self, json: &RawValue, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let mut members = members(json)?;
        if self == Self::Rfc8785 {
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        }
        out.push(b'{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.string(name, out)?;
            out.push(b':');
            self.value(value, depth, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn array(self, json: &RawValue, depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
        out.push(b'[');
        let begin = out.len();
        let mut elements = serde_json::Deserializer::from_str(json.get());
        let mut fault = None;
        let read = elements.deserialize_seq(Elements {
            each: |element: &RawValue| {
                if out.len() > begin {
                    out.push(b',');
                }
                self.value(element, depth, out)
            },
            fault: &mut fault,
        });
        if let Some(reason) = fault {
            return Err(reason);
        }
        read.map_err(|error| error.to_string())?;
        out.push(b']');
        Ok(())
    }

    fn string(self, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Rfc8785 => serde_json::to_writer(out, text).map_err(|error| error.to_string()),
            Self::Olpc => {
                out.push(b'"');
                for &byte in text.as_bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
                Ok(())
            }
        }
    }
}

/// The members of an object in the order of their names' bytes, each name once.
pub(crate) fn members(json: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
    struct Members;

    impl<'a> Visitor<'a> for Members {
        type Value = Vec<(Cow<'a, str>, &'a RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((Text(name), value)) = map.next_entry()? {
                if members.len() == MAX_MEMBERS {
                    return Err(A::Error::custom(format!(
                        "object has more than {MAX_MEMBERS} members"
                    )));
                }
                members.push((name, value));
            }
            Ok(members)
        }
    }

    let mut json = serde_json::Deserializer::from_str(json.get());
    let members = json.deserialize_map(Members);
    let mut members = members.map_err(|error| error.to_string())?;
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (one, next) in members.iter().zip(members.iter().skip(1)) {
        if one.0 == next.0 {
            return Err(format!(
                "object has a member twice: {}",
                crate::Excerpt::new(&one.0)
            ));
        }
    }
    Ok(members)
}

/// A value of JSON whose shape is known.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Calls a function with each element, and stops where it fails.
struct Elements<'f, F> {
    each: F,
    fault: &'f mut Option<String>,
}

impl<'a, F: FnMut(&'a RawValue) -> Result<(), String>> Visitor<'a> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element()? {
            if let Err(reason) = (self.each)(element) {
                *self.fault = Some(reason);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

fn below(depth: usize) -> Result<usize, String> {
    depth
        .checked_sub(1)
        .ok_or_else(|| format!("is nested deeper than {MAX_DEPTH} levels"))
}

/// A whole number, which both spellings write in the same way.
fn whole(text: &str) -> Result<String, String> {
    let number = text.parse::<f64>().unwrap_or(f64::NAN);
    let negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= MAX_WHOLE && !negative_zero {
        return Ok(number.to_string());
    }
    let shown = crate::Excerpt::new(text);
    Err(format!(
        "number is not a whole one between -{MAX_WHOLE} and {MAX_WHOLE}: {shown}"
    ))
}

/// 2^53 - 1: from the next number on, readers that keep doubles mix up neighbours.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Metadata has about eight. Each level reads what is below it again, so this bounds the time too.
const MAX_DEPTH: usize = 32;

/// More than a body has room for: each takes at least nine bytes of base64.
const MAX_MEMBERS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn both(json: &str) -> (String, String) {
        let json: &RawValue = serde_json::from_str(json).unwrap();
        let write = |spelling: Spelling| String::from_utf8(spelling.write(json).unwrap()).unwrap();
        (write(Spelling::Rfc8785), write(Spelling::Olpc))
    }

    fn refused(json: &str) -> String {
        let json: &RawValue = serde_json::from_str(json).unwrap();
        let error = Spelling::Olpc.write(json).unwrap_err();
        assert_eq!(Spelling::Rfc8785.write(json).unwrap_err(), error);
        error
    }

    #[test]
    fn the_spellings_differ_in_escapes_and_order() {
        let same = |json, expected: &str| {
            assert_eq!(both(json), (expected.to_owned(), expected.to_owned()));
        };
        same(
            r#" { "b" : [ 1 , true , null , "x" , [ ] ] , "a" : { } } "#,
            r#"{"a":{},"b":[1,true,null,"x",[]]}"#,
        );
        same(r#"[1.0,1e3,-5,0]"#, "[1,1000,-5,0]");
        same(r#"["\"\\\/é\u00e9"]"#, r#"["\"\\/éé"]"#);
        same(r#"[9007199254740991]"#, "[9007199254740991]");
        assert_eq!(
            both(r#"["a\nb\u0001\u007f"]"#),
            (
                "[\"a\\nb\\u0001\u{7f}\"]".to_owned(),
                "[\"a\nb\u{1}\u{7f}\"]".to_owned()
            )
        );
        // U+FB33 is after U+1F600 in UTF-16, whose first unit is D83D, and before it in UTF-8.
        assert_eq!(
            both(r#"{"\ufb33":1,"\ud83d\ude00":2}"#),
            (
                "{\"\u{1f600}\":2,\"\u{fb33}\":1}".to_owned(),
                "{\"\u{fb33}\":1,\"\u{1f600}\":2}".to_owned()
            )
        );
    }

    #[test]
    fn rfc_8785_is_what_the_canonicaliser_of_bodies_writes() {
        let json = r#"{"z":{"\u20ac":"\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/","\r":"\b\f\t","1":[-0.0e-1]},"1":1,"\u0080":"\u0080"}"#;
        let json = json.replace("-0.0e-1", "100E-2");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let expected = serde_json_canonicalizer::to_string(&value).unwrap();
        assert_eq!(both(&json).0, expected);
    }

    #[test]
    fn what_readers_do_not_agree_on_is_refused() {
        for number in ["1.5", "9007199254740992", "1e400", "-0", "-0.0", "1e-1"] {
            assert_eq!(
                refused(&format!("[{number}]")),
                format!(
                    "number is not a whole one between -9007199254740991 and 9007199254740991: {number}"
                )
            );
        }
        assert!(refused(r#"{"a":1,"b":2,"\u0061":3}"#).starts_with("object has a member twice: a"));
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(both(&nested(MAX_DEPTH)).0, nested(MAX_DEPTH));
        assert!(refused(&nested(MAX_DEPTH + 1)).starts_with("is nested deeper than 32 levels"));
        let deep = format!(
            "{}{}",
            r#"{"a":"#.repeat(33),
            1.to_string() + &"}".repeat(33)
        );
        assert_eq!(refused(&deep), "is nested deeper than 32 levels");
        let members: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!(r#""{n}":0"#)).collect();
        assert!(
            refused(&format!("{{{}}}", members.join(",")))
                .starts_with("object has more than 4096 members")
        );
    }
}
