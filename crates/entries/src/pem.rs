//! PEM blocks (RFC 7468), read as leniently as OpenSSL writes them and written in one way.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Excerpt;
use crate::error::PemError;

/// One block: its label and its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Vec<u8>,
}

impl Block {
    /// As the log writes it: lines of 64 characters, no headers, a final newline.
    pub(crate) fn encode(&self) -> String {
        encode(&self.label, &self.der)
    }
}

/// `der` as one block with this label.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let contents = STANDARD.encode(der);
    let mut text = String::with_capacity(contents.len() + contents.len() / 64 + 64);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = contents.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The blocks of a text. Text outside them and headers at their beginning are passed over; there is at least one block.
pub(crate) fn decode(text: &str) -> Result<Vec<Block>, PemError> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(label) = lines.by_ref().find_map(|line| boundary(line, "BEGIN")) {
        let mut contents = String::new();
        loop {
            let line = lines.next().ok_or(PemError::Absent)?;
            match boundary(line, "END") {
                Some(end) if end == label => break,
                Some(_) => return Err(PemError::Absent),
                None if line.contains(':') && contents.is_empty() => {}
                None => contents.push_str(line),
            }
        }
        let der = STANDARD
            .decode(&contents)
            .ok()
            .filter(|der| !der.is_empty())
            .ok_or_else(|| PemError::Contents(Excerpt::new(label)))?;
        blocks.push(Block {
            label: label.to_owned(),
            der,
        });
    }
    if blocks.is_empty() {
        return Err(PemError::Absent);
    }
    Ok(blocks)
}

fn boundary<'a>(line: &'a str, which: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?
        .strip_prefix(which)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for len in [1, 2, 3, 47, 48, 49, 95, 96, 97, 1000] {
            let block = Block {
                label: PUBLIC_KEY.to_owned(),
                der: (0..len).map(|n: u32| n.to_le_bytes()[0]).collect(),
            };
            let text = block.encode();
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(decode(&text).unwrap(), [block]);
        }
        assert_eq!(
            encode("X", &[0; 48]),
            format!("-----BEGIN X-----\n{}\n-----END X-----\n", "A".repeat(64))
        );
    }

    #[test]
    fn text_around_headers_and_line_ends_do_not_matter() {
        let text = "Bag Attributes\r\n-----BEGIN X-----\r\nProc-Type: 4\r\n\r\nAA\r\nEC\r\n-----END X-----\r\nmore";
        let blocks = decode(text).unwrap();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].der, [0, 1, 2]);
    }

    #[test]
    fn what_is_not_pem_is_refused() {
        for text in [
            "",
            "AAEC",
            "-----BEGIN X-----\nAAEC\n",
            "-----BEGIN X-----\nAAEC\n-----END Y-----\n",
            "-----BEGIN X-----\nAAEC\n-----END X---\n",
        ] {
            assert_eq!(decode(text), Err(PemError::Absent), "{text}");
        }
        for contents in [
            "",
            "A",
            "AAE",
            "AA EC",
            "AAEC=",
            "AAEC!",
            "AAEC\nA: b\nAAEC",
        ] {
            assert_eq!(
                decode(&format!("-----BEGIN X-----\n{contents}\n-----END X-----\n")),
                Err(PemError::Contents(Excerpt::new("X"))),
                "{contents}"
            );
        }
    }
}
