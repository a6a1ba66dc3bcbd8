//! DSSE (Dead Simple Signing Envelope): the envelope, and the encoding of it that is signed.

use std::borrow::Cow;

use serde::Deserialize;

use crate::json::Text;
use crate::kinds::{base64, read_json};
use crate::{Digest, DigestAlgorithm, EntryError, Hasher};

/// An envelope as its JSON has it; fields of other names are passed over.
///
/// ```json
/// {"payload":"<base64>","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"<base64>"}]}
/// ```
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) payload_type: String,
    pub(crate) payload: Vec<u8>,
    /// At least one.
    pub(crate) signatures: Vec<Signature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    /// In base64, as the envelope has it.
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope.
    pub(crate) fn parse(json: &str) -> Result<Self, EntryError> {
        let message: Message<'_> = read_json("envelope", json)?;
        let payload = message.payload.map_or(Cow::Borrowed(""), |text| text.0);
        let payload = match &*payload {
            "" => Vec::new(),
            text => base64("envelope.payload", Some(text), MAX_PAYLOAD)?,
        };
        let signatures = message.signatures.map_or_else(Vec::new, |list| list.0);
        if signatures.is_empty() {
            return Err(EntryError::Missing("envelope.signatures"));
        }
        let signatures = signatures
            .into_iter()
            .map(|signature| Signature::new(signature.sig.map(|text| text.0.into_owned())));
        Ok(Self {
            payload_type: message
                .payload_type
                .map_or_else(String::new, |text| text.0.into_owned()),
            payload,
            signatures: signatures.collect::<Result<_, _>>()?,
        })
    }

    /// What is signed.
    pub(crate) fn encoding(&self) -> Vec<u8> {
        encoding(&self.payload_type, &self.payload)
    }
}

impl Signature {
    /// A signature in base64.
    pub(crate) fn new(text: Option<String>) -> Result<Self, EntryError> {
        let text = text.unwrap_or_default();
        let bytes = base64("envelope.signatures.sig", Some(&text), MAX_SIGNATURE)?;
        Ok(Self { text, bytes })
    }
}

/// The pre-authentication encoding: `DSSEv1 <length of type> <type> <length of payload> <payload>`, lengths in bytes.
pub(crate) fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoding = head(payload_type, payload).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

/// The digest of the pre-authentication encoding.
pub(crate) fn digest(
    algorithm: DigestAlgorithm,
    payload_type: &str,
    payload: &[u8],
) -> Result<Digest, EntryError> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(head(payload_type, payload).as_bytes());
    hasher.update(payload);
    hasher.finish()
}

fn head(payload_type: &str, payload: &[u8]) -> String {
    format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
}

/// A list that has no more than `N` elements: what follows is not read.
#[derive(Debug)]
pub(crate) struct AtMost<const N: usize, T>(pub(crate) Vec<T>);

impl<'a, const N: usize, T: Deserialize<'a>> Deserialize<'a> for AtMost<N, T> {
    fn deserialize<D: serde::Deserializer<'a>>(input: D) -> Result<Self, D::Error> {
        struct Elements<const N: usize, T>(std::marker::PhantomData<T>);

        impl<'a, const N: usize, T: Deserialize<'a>> serde::de::Visitor<'a> for Elements<N, T> {
            type Value = AtMost<N, T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {N} elements")
            }

            fn visit_seq<A: serde::de::SeqAccess<'a>>(
                self,
                mut elements: A,
            ) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = elements.next_element()? {
                    if list.len() == N {
                        return Err(serde::de::Error::invalid_length(N + 1, &self));
                    }
                    list.push(element);
                }
                Ok(AtMost(list))
            }
        }

        input.deserialize_seq(Elements(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow, rename = "payloadType")]
    payload_type: Option<Text<'a>>,
    #[serde(borrow)]
    signatures: Option<AtMost<MAX_SIGNATURES, SignatureMessage<'a>>>,
}

#[derive(Deserialize)]
struct SignatureMessage<'a> {
    #[serde(borrow)]
    sig: Option<Text<'a>>,
}

/// As much as a request holds, with room for the rest of it.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;

/// RSA of 4096 bits has 512 bytes.
pub(crate) const MAX_SIGNATURE: usize = 1024;

/// Each is looked at with each key until the keys have found theirs, and each look hashes the payload: 16 * 17 / 2 times at most.
pub(crate) const MAX_SIGNATURES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_dsse_specification() {
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        let (payload_type, payload) = ("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoding(payload_type, payload), expected);
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(expected);
        assert_eq!(
            digest(DigestAlgorithm::Sha256, payload_type, payload),
            hasher.finish()
        );
    }
}
