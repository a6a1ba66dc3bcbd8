//! JSON input, by the rules of protojson: an object's field may have two spellings, `null` leaves it unset, and a message is never
//! an array.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{EntryError, Excerpt};

/// Declares a message, and how it is read: `message!(refuse Name { field: Type = "fieldName" | "field_name" })`. The first word says
/// what becomes of a field with another name.
macro_rules! message {
    ($unknown:ident $name:ident { $($field:ident: $type:ty = $first:literal $(| $more:literal)*),+ $(,)? }) => {
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<$type>,)+
            lifetime: std::marker::PhantomData<&'a ()>,
        }

        impl<'a> serde::Deserialize<'a> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'a>>(input: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'a> serde::de::Visitor<'a> for Fields {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'a>>(self, mut map: A) -> Result<$name<'a>, A::Error> {
                        // Not there, `null`, or a value: a field that is `null` is unset, and yet must not come again.
                        $(let mut $field: Option<Option<$type>> = None;)+
                        while let Some(name) = map.next_key::<$crate::json::Text<'a>>()? {
                            match &*name.0 {
                                $($first $(| $more)* => {
                                    if $field.is_some() {
                                        return Err(serde::de::Error::duplicate_field($first));
                                    }
                                    $field = Some(map.next_value()?);
                                })+
                                other => $crate::json::$unknown(&mut map, other, &[$($first),+])?,
                            }
                        }
                        Ok($name {
                            $($field: $field.flatten(),)+
                            lifetime: std::marker::PhantomData,
                        })
                    }
                }

                input.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use message;

/// For [`message!`]: an unknown field is an error.
pub(crate) fn refuse<'de, A: MapAccess<'de>>(
    _: &mut A,
    name: &str,
    expected: &'static [&'static str],
) -> Result<(), A::Error> {
    Err(A::Error::unknown_field(name, expected))
}

/// For [`message!`]: an unknown field is passed over.
pub(crate) fn ignore<'de, A: MapAccess<'de>>(
    map: &mut A,
    _: &str,
    _: &'static [&'static str],
) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Reads a whole document.
pub(crate) fn from_slice<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, EntryError> {
    serde_json::from_slice(json).map_err(|error| EntryError::Json(Excerpt::new(&error.to_string())))
}

/// A string, borrowed from the document where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Str;

        impl<'a> Visitor<'a> for Str {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        input.deserialize_str(Str)
    }
}

/// An enumerated value, by name or number.
pub(crate) enum Enumerated<'a> {
    Name(Cow<'a, str>),
    Number(i64),
}

impl<'a> Deserialize<'a> for Enumerated<'a> {
    fn deserialize<D: Deserializer<'a>>(input: D) -> Result<Self, D::Error> {
        struct NameOrNumber;

        impl<'a> Visitor<'a> for NameOrNumber {
            type Value = Enumerated<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a number")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<Enumerated<'a>, E> {
                Ok(Enumerated::Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Enumerated<'a>, E> {
                Ok(Enumerated::Name(Cow::Owned(name.to_owned())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Enumerated<'a>, E> {
                Ok(Enumerated::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Enumerated<'a>, E> {
                i64::try_from(number)
                    .map(Enumerated::Number)
                    .map_err(|_too_large| {
                        E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)
                    })
            }
        }

        input.deserialize_any(NameOrNumber)
    }
}

/// A list of which only the first element is wanted. A long list takes no memory.
pub(crate) struct List<T> {
    pub(crate) first: Option<T>,
    pub(crate) count: usize,
}

impl<T> List<T> {
    /// The only element.
    pub(crate) fn only(self, field: &'static str) -> Result<T, EntryError> {
        match self {
            Self {
                first: Some(first),
                count: 1,
            } => Ok(first),
            Self { count, .. } => Err(EntryError::Count { field, count }),
        }
    }
}

impl<'a, T: Deserialize<'a>> Deserialize<'a> for List<T> {
    fn deserialize<D: Deserializer<'a>>(input: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'a, T: Deserialize<'a>> Visitor<'a> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let first = elements.next_element()?;
                let mut count = usize::from(first.is_some());
                while elements.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(List { first, count })
            }
        }

        input.deserialize_seq(Elements(PhantomData))
    }
}

/// The bytes of a field that must be there: base64 of either alphabet, padded or not, with line breaks if need be.
pub(crate) fn bytes(field: &'static str, text: Option<Text<'_>>) -> Result<Vec<u8>, EntryError> {
    let text = text
        .filter(|text| !text.0.is_empty())
        .ok_or(EntryError::Missing(field))?;
    decode_base64(&text.0)
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| EntryError::Base64 {
            field,
            text: Excerpt::new(&text.0),
        })
}

pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    // As nearly everybody sends it: neither alphabet is looked for, and no line.
    decode(&STANDARD, text.as_bytes()).or_else(|| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        let url_safe = bytes.iter().any(|byte| matches!(byte, b'-' | b'_'));
        decode(if url_safe { &URL_SAFE } else { &STANDARD }, &bytes)
    })
}

fn decode(engine: &GeneralPurpose, text: &[u8]) -> Option<Vec<u8>> {
    // All of the padding, or none of it.
    if text.ends_with(b"=") && !text.len().is_multiple_of(4) {
        return None;
    }
    engine.decode(text).ok()
}

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING);

#[cfg(test)]
mod tests {
    use super::*;

    message!(ignore Pair { first: Text<'a> = "first" | "1st" });

    #[test]
    fn a_field_comes_once_even_if_it_is_null() {
        let first = |json: &str| {
            let pair: Result<Pair<'_>, _> = serde_json::from_str(json);
            pair.map(|pair| pair.first.map(|text| text.0.into_owned()))
        };
        assert_eq!(
            first(r#"{"1st":"a","2nd":[]}"#).unwrap().as_deref(),
            Some("a")
        );
        for unset in ["{}", r#"{"first":null}"#] {
            assert_eq!(first(unset).unwrap(), None);
        }
        for twice in [
            r#"{"first":null,"first":"a"}"#,
            r#"{"1st":"a","first":null}"#,
        ] {
            let error = first(twice).unwrap_err().to_string();
            assert!(error.starts_with("duplicate field `first`"), "{error}");
        }
    }

    #[test]
    fn base64_has_the_spellings_of_protojson() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ", "+//\n+AQ==\r\n"] {
            assert_eq!(decode_base64(text).as_deref(), Some(&bytes[..]), "{text}");
        }
        assert_eq!(decode_base64(""), Some(vec![]));
        for bad in [
            "+__-AQ==", "A", "AAAAA", "AQ=", "AR==", "AQ==AQ==", "A Q=", "é", "AQ===",
        ] {
            assert_eq!(decode_base64(bad), None, "{bad}");
        }
    }
}
