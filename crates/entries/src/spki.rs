//! Writes a `SubjectPublicKeyInfo` around a key that came in another format.

use crate::der::{BIT_STRING, INTEGER, SEQUENCE};

/// `algorithm` is the contents of the algorithm identifier.
pub(crate) fn encode(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    let contents = [value(SEQUENCE, algorithm), value(BIT_STRING, &bits)].concat();
    value(SEQUENCE, &contents)
}

/// An RSA key by PKCS #1, of positive integers without leading zeros.
pub(crate) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    value(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
}

fn integer(positive: &[u8]) -> Vec<u8> {
    match positive.first() {
        Some(0x80..) => value(INTEGER, &[&[0], positive].concat()),
        _ => value(INTEGER, positive),
    }
}

fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len().to_be_bytes();
    let leading = len.iter().take_while(|byte| **byte == 0).count();
    let len = len.get(leading..).unwrap_or_default();
    let mut bytes = vec![tag];
    match len {
        [] => bytes.push(0),
        [short @ ..0x80] => bytes.push(*short),
        long => {
            // At most eight bytes of length.
            bytes.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            bytes.extend(long);
        }
    }
    bytes.extend(contents);
    bytes
}
