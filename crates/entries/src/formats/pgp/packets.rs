//! Packets, and signatures in the one spelling that is logged.

use pgp::packet::{Packet, PacketHeader, Signature};
use pgp::types::{PacketLength, Tag};

use crate::EntryError;

/// A packet whose contents were not looked into.
#[derive(Copy, Clone, Debug)]
pub(super) struct Framed<'a> {
    pub(super) tag: Tag,
    pub(super) body: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Every packet.
    pub(super) fn split(field: &'static str, bytes: &'a [u8]) -> Result<Vec<Self>, EntryError> {
        let mut packets = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            if packets.len() == MAX_PACKETS {
                return Err(EntryError::limit(
                    "OpenPGP packets",
                    packets.len() + 1,
                    MAX_PACKETS,
                ));
            }
            let header = PacketHeader::try_from_reader(&mut rest).map_err(|error| {
                EntryError::invalid(field, format!("is not OpenPGP packets: {error}"))
            })?;
            let PacketLength::Fixed(len) = header.packet_length() else {
                return Err(EntryError::invalid(
                    field,
                    "has a packet that does not say how long it is",
                ));
            };
            let here = usize::try_from(len).unwrap_or(usize::MAX);
            let (body, after) = rest.split_at_checked(here).ok_or_else(|| {
                let len = rest.len();
                EntryError::invalid(
                    field,
                    format!("is truncated: a packet has {len} bytes of {here}"),
                )
            })?;
            packets.push(Self {
                tag: header.tag(),
                body,
            });
            rest = after;
        }
        Ok(packets)
    }

    /// What it holds, if the library understands it.
    pub(super) fn parse(&self) -> Result<Packet, pgp::errors::Error> {
        let len = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        Packet::from_reader(PacketHeader::new_fixed(self.tag, len), self.body)
    }

    /// Whether it is nothing to anybody: padding, or what only its owner's program reads.
    pub(super) fn is_passed_over(&self) -> bool {
        matches!(
            self.tag,
            Tag::Marker
                | Tag::Trust
                | Tag::Padding
                | Tag::UnassignedNonCritical(_)
                | Tag::Experimental(_)
        )
    }
}

/// Writes a packet with a header of the new format, and the shortest length.
pub(super) fn write(tag: Tag, body: &[u8], out: &mut Vec<u8>) {
    out.push(0xc0 | u8::from(tag));
    write_len(body.len(), 8384, out);
    out.extend_from_slice(body);
}

fn write_len(len: usize, two_bytes_below: usize, out: &mut Vec<u8>) {
    if len < 192 {
        out.extend(len.to_le_bytes().first());
    } else if len < two_bytes_below {
        let [low, high, ..] = (len - 192).to_le_bytes();
        out.extend([high + 192, low]);
    } else {
        out.push(255);
        out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
}

/// A signature, and the body of its packet as it is logged.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) signature: Signature,
    pub(super) body: Vec<u8>,
}

impl Signed {
    /// `None` if it is of a version or an algorithm that is not known.
    pub(super) fn parse(packet: &Framed<'_>) -> Result<Option<Self>, EntryError> {
        let Some(body) = respell(packet.body)? else {
            return Ok(None);
        };
        let parsed = packet.parse().map_err(|error| {
            EntryError::invalid("signature", format!("is not a signature packet: {error}"))
        })?;
        Ok(match parsed {
            Packet::Signature(signature) => Some(Self { signature, body }),
            _ => None,
        })
    }
}

/// The subpackets that are not signed, with lengths in their shortest form; nothing else has a second spelling. `None` if it is of a version or
/// an algorithm that is not known.
fn respell(body: &[u8]) -> Result<Option<Vec<u8>>, EntryError> {
    let (key, hash, width) = match body {
        [4, _, key, hash, ..] => (*key, *hash, 2),
        [6, _, key, hash, ..] => (*key, *hash, 4),
        [2 | 3, fixed @ ..] => match fixed.get(14..16) {
            Some(&[key, hash]) => (key, hash, 0),
            _ => return Err(truncated()),
        },
        _ => return Ok(None),
    };
    if !SIGNING.contains(&key) || !HASHES.contains(&hash) {
        return Ok(None);
    }
    if width == 0 {
        return Ok(Some(body.to_vec()));
    }
    let (head, rest) = body.split_at_checked(4).ok_or_else(truncated)?;
    let (hashed, rest) = area(rest, width)?;
    let (unhashed, tail) = area(rest, width)?;
    let mut count = 0;
    subpackets(hashed, &mut count, true)?;
    let mut shortest = Vec::with_capacity(unhashed.len());
    for subpacket in subpackets(unhashed, &mut count, true)? {
        write_len(subpacket.len(), 16_320, &mut shortest);
        shortest.extend_from_slice(subpacket);
    }
    let mut spelled = Vec::with_capacity(body.len());
    spelled.extend_from_slice(head);
    for area in [hashed, &shortest] {
        let len = u32::try_from(area.len()).unwrap_or(u32::MAX).to_be_bytes();
        spelled.extend_from_slice(len.get(4 - width..).unwrap_or_default());
        spelled.extend_from_slice(area);
    }
    spelled.extend_from_slice(tail);
    Ok(Some(spelled))
}

/// A list of subpackets, after its length in so many bytes.
fn area(bytes: &[u8], width: usize) -> Result<(&[u8], &[u8]), EntryError> {
    let (len, rest) = bytes.split_at_checked(width).ok_or_else(truncated)?;
    let len = len
        .iter()
        .fold(0, |len, byte| len << 8 | usize::from(*byte));
    rest.split_at_checked(len).ok_or_else(truncated)
}

/// Subpackets without their lengths. Those of a signature in a signature count too.
fn subpackets<'a>(
    mut area: &'a [u8],
    count: &mut usize,
    outer: bool,
) -> Result<Vec<&'a [u8]>, EntryError> {
    let mut found = Vec::new();
    while let [first, rest @ ..] = area {
        let (len, rest) = match (first, rest) {
            (0..=191, rest) => (usize::from(*first), rest),
            (192..=254, [second, rest @ ..]) => (
                ((usize::from(*first) - 192) << 8) + usize::from(*second) + 192,
                rest,
            ),
            (255, [a, b, c, d, rest @ ..]) => (
                usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX),
                rest,
            ),
            _ => return Err(truncated()),
        };
        let (subpacket, rest) = rest.split_at_checked(len).ok_or_else(truncated)?;
        area = rest;
        *count += 1;
        if *count > MAX_SUBPACKETS {
            return Err(EntryError::limit("subpackets", *count, MAX_SUBPACKETS));
        }
        if let [EMBEDDED | CRITICAL_EMBEDDED, 4, _, _, _, inner @ ..] = subpacket
            && outer
        {
            let (hashed, rest) = self::area(inner, 2)?;
            subpackets(hashed, count, false)?;
            subpackets(self::area(rest, 2)?.0, count, false)?;
        }
        if let [EMBEDDED | CRITICAL_EMBEDDED, 6, _, _, _, inner @ ..] = subpacket
            && outer
        {
            let (hashed, rest) = self::area(inner, 4)?;
            subpackets(hashed, count, false)?;
            subpackets(self::area(rest, 4)?.0, count, false)?;
        }
        found.push(subpacket);
    }
    Ok(found)
}

fn truncated() -> EntryError {
    EntryError::invalid("signature", "is not a signature packet: it is truncated")
}

/// Numbers of algorithms: RSA, RSA for signatures alone, DSA, ECDSA, Ed25519 as it was before and is now, Ed448.
pub(super) const SIGNING: [u8; 7] = [1, 3, 17, 19, 22, 27, 28];

/// SHA-1 and SHA-2, SHA-3. MD5 and RIPEMD-160 are not among them.
const HASHES: [u8; 7] = [2, 8, 9, 10, 11, 12, 14];

const EMBEDDED: u8 = 32;
const CRITICAL_EMBEDDED: u8 = 0x80 | EMBEDDED;

/// In one key or signature. A key that many others have signed does not fit into 64 KiB before.
const MAX_PACKETS: usize = 1024;

/// In one signature: the library takes a hundred bytes for each, of which two are enough in the packet. A signature has about ten.
const MAX_SUBPACKETS: usize = 64;
