//! Which leaf keys a part of a run may hold: how whoever writes tells most new entries from duplicates without a request.
//!
//! A filter says yes to every key that it was made of, and to one of 256 others. Filters are private: they are made from runs and made again
//! where they are lost, no reader knows of them, and the format (`tiles-format.md`) does not have them. A wrong one costs an entry that is in the log
//! twice (it says no to what is there) or a needless request (it says yes to what is not), and never a wrong proof.
//!
//! A [`Filter`] is of a unit of a run, and is what [`Merge::write_unit`](crate::Merge::write_unit) leaves; a [`Shard`] is those of consecutive
//! units in one object.

use sha2::{Digest, Sha256};
use xorf::{BinaryFuse8, Descriptor, Filter as _};

use crate::key::Key;
use crate::tree::units;

/// The most filters in a shard.
pub const MAX_SHARD: usize = 128;

/// Which keys there may be, in 9 to 10 bits each.
///
/// It is a pure function of the keys. Its bytes, with big-endian numbers:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | `tegulaf` and the version, 1 |
/// | 8 | 4 | number of keys |
/// | 12 | 8 | salt |
/// | 20 | 8 | seed |
/// | 28 | 4 | length of a segment, a power of two |
/// | 32 | 4 | number of segments, less two |
/// | 36 | | fingerprints, a byte each |
/// | | 8 | the first of SHA-256 of all before |
///
/// Without keys all numbers are 0, and there are no fingerprints.
#[derive(Clone, Debug)]
pub struct Filter {
    keys: u32,
    salt: [u8; 8],
    /// Every probe of it is within its fingerprints: [`check`] saw to that, or whoever made it.
    fuse: Option<BinaryFuse8>,
}

/// Why there is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// It would be too large.
    #[error("a filter of {keys} keys, expected at most {MAX_KEYS}")]
    TooMany {
        /// How many keys.
        keys: usize,
    },
    /// A thousand seeds would not do, which no set of distinct numbers comes to.
    #[error("no seed makes a filter of {keys} keys")]
    NoSeed {
        /// How many keys.
        keys: usize,
    },
    /// The bytes are of something else, or of another version.
    #[error("a filter begins with the bytes {found:02x?}, expected {expected:02x?}")]
    Version {
        /// How they begin.
        found: [u8; 8],
        /// How they should begin.
        expected: [u8; 8],
    },
    /// The bytes end too early.
    #[error("a filter ends within {within}")]
    Short {
        /// In what they end.
        within: &'static str,
    },
    /// There are bytes after all that belongs in it.
    #[error("a filter has {extra} bytes left over")]
    Long {
        /// How many bytes too many.
        extra: usize,
    },
    /// A number is not one that a filter can have.
    #[error("a filter has {found} as its {field}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is there.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("a filter is damaged: its checksum is another")]
    Damaged,
}

impl Filter {
    /// The filter of these keys, in any order, and perhaps given twice. It takes about 34 bytes a key while it is made.
    ///
    /// # Errors
    ///
    /// [`FilterError::TooMany`].
    pub fn new(keys: &[Key]) -> Result<Self, FilterError> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let salt = salt(&keys);
        let mut hashes: Vec<u64> = keys.iter().map(|key| hash(salt, key)).collect();
        drop(keys);
        hashes.sort_unstable();
        hashes.dedup();
        let keys = hashes.len();
        let count = u32::try_from(keys).ok().filter(|count| *count <= MAX_KEYS);
        let count = count.ok_or(FilterError::TooMany { keys })?;
        if count == 0 {
            return Ok(Self::empty());
        }
        let fuse = BinaryFuse8::try_from(&hashes).ok();
        // What it is made of is checked as what is read, since no probe may leave it.
        let fuse = fuse.filter(|fuse| {
            let Descriptor {
                segment_length,
                segment_count_length,
                ..
            } = fuse.descriptor;
            let segments = segment_count_length.checked_div(segment_length);
            let len = segments.and_then(|segments| check(segment_length, segments).ok());
            len == Some(fuse.fingerprints.len())
        });
        Ok(Self {
            keys: count,
            salt,
            fuse: Some(fuse.ok_or(FilterError::NoSeed { keys })?),
        })
    }

    /// Whether it may have been made of this key. If it was, it says so.
    pub fn may_hold(&self, key: &Key) -> bool {
        let fuse = self.fuse.as_ref();
        fuse.is_some_and(|fuse| fuse.contains(&hash(self.salt, key)))
    }

    /// Of how many keys it was made.
    pub fn len(&self) -> u64 {
        self.keys.into()
    }

    /// Whether it was made of none, and holds none.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// How many bytes it takes in memory beside itself.
    pub fn heap_bytes(&self) -> usize {
        self.fuse.as_ref().map_or(0, |fuse| fuse.fingerprints.len())
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.heap_bytes() + CHECKSUM);
        self.push_to(&mut bytes);
        push_checksum(&mut bytes);
        bytes
    }

    /// Checks what was kept, so far that nothing in it can do harm: what is damaged by accident is refused, what somebody made
    /// up is a filter of other keys.
    ///
    /// # Errors
    ///
    /// [`FilterError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        let mut reader = Reader(checked(bytes)?);
        let filter = Self::read(&mut reader)?;
        reader.end()?;
        Ok(filter)
    }

    fn empty() -> Self {
        Self {
            keys: 0,
            salt: [0; 8],
            fuse: None,
        }
    }

    /// All but the checksum.
    fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&FILTER);
        bytes.extend_from_slice(&self.keys.to_be_bytes());
        bytes.extend_from_slice(&self.salt);
        let Some(fuse) = &self.fuse else {
            bytes.extend_from_slice(&[0; HEAD - 20]);
            return;
        };
        let Descriptor {
            seed,
            segment_length,
            segment_count_length,
            ..
        } = fuse.descriptor;
        let segments = segment_count_length.checked_div(segment_length);
        bytes.extend_from_slice(&seed.to_be_bytes());
        bytes.extend_from_slice(&segment_length.to_be_bytes());
        bytes.extend_from_slice(&segments.unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(&fuse.fingerprints);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FilterError> {
        reader.version(FILTER)?;
        let keys = u32::from_be_bytes(reader.take(NUMBERS)?);
        let salt = reader.take(NUMBERS)?;
        let seed = u64::from_be_bytes(reader.take(NUMBERS)?);
        let segment_length = u32::from_be_bytes(reader.take(NUMBERS)?);
        let segments = u32::from_be_bytes(reader.take(NUMBERS)?);
        if keys == 0 {
            let numbers = [u64::from_be_bytes(salt), seed];
            let lengths = [segment_length, segments].map(u64::from);
            let mut all = numbers.into_iter().chain(lengths);
            return match all.find(|number| *number != 0) {
                Some(found) => Err(FilterError::Field {
                    field: "number without keys",
                    found,
                }),
                None => Ok(Self::empty()),
            };
        }
        let len = check(segment_length, segments)?;
        // Taken from what there is: a wrong number makes nothing large.
        let fingerprints = reader.slice(len, "its fingerprints")?;
        if keys > MAX_KEYS || u64::from(keys) > len as u64 {
            let (field, found) = ("number of keys", keys.into());
            return Err(FilterError::Field { field, found });
        }
        let descriptor = Descriptor {
            seed,
            segment_length,
            segment_length_mask: segment_length - 1,
            segment_count_length: segments * segment_length,
        };
        Ok(Self {
            keys,
            salt,
            fuse: Some(BinaryFuse8 {
                descriptor,
                fingerprints: fingerprints.into(),
            }),
        })
    }
}

/// The filters of consecutive units of a run, in one object.
///
/// Its bytes are these, and then its filters, each without its checksum:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | `tegulah` and the version, 1 |
/// | 8 | 8 | the first partition |
/// | 16 | 1 | into how many partitions the run is cut, as a power of two |
/// | 17 | 1 | number of filters, 1 to 128 |
///
/// and at the end the first 8 bytes of SHA-256 of all before.
#[derive(Clone, Debug)]
pub struct Shard {
    first: u64,
    bits: u8,
    filters: Vec<Filter>,
}

impl Shard {
    /// The filters of units of a run of `2^bits` partitions, the first of which begins with the partition `first`.
    ///
    /// # Errors
    ///
    /// [`FilterError::Field`] if no unit of such a run begins there, or it has fewer from there on, or there are none, or more than
    /// [`MAX_SHARD`].
    pub fn new(first: u64, bits: u8, filters: Vec<Filter>) -> Result<Self, FilterError> {
        check_shard(first, bits, filters.len())?;
        Ok(Self {
            first,
            bits,
            filters,
        })
    }

    /// The partitions of which it has the keys.
    pub fn partitions(&self) -> std::ops::Range<u64> {
        let (_, each) = units(self.bits);
        self.first..self.first + each * self.filters.len() as u64
    }

    /// Whether a partition of it may have the key. No, if the key belongs into another: then that is in another shard, if in any.
    pub fn may_hold(&self, key: &Key) -> bool {
        let (_, each) = units(self.bits);
        let past = key.prefix(self.bits).checked_sub(self.first);
        let at = past.and_then(|past| usize::try_from(past / each).ok());
        let filter = at.and_then(|at| self.filters.get(at));
        filter.is_some_and(|filter| filter.may_hold(key))
    }

    /// Of how many keys it was made.
    pub fn len(&self) -> u64 {
        self.filters.iter().map(Filter::len).sum()
    }

    /// Whether it was made of none, and holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it takes in memory beside itself.
    pub fn heap_bytes(&self) -> usize {
        let filters = self.filters.iter().map(Filter::heap_bytes);
        filters.sum::<usize>() + self.filters.capacity() * size_of::<Filter>()
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bodies = self.filters.iter().map(|filter| HEAD + filter.heap_bytes());
        let mut bytes = Vec::with_capacity(18 + bodies.sum::<usize>() + CHECKSUM);
        bytes.extend_from_slice(&SHARD);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.push(self.bits);
        bytes.push(u8::try_from(self.filters.len()).unwrap_or(u8::MAX));
        for filter in &self.filters {
            filter.push_to(&mut bytes);
        }
        push_checksum(&mut bytes);
        bytes
    }

    /// Checks what was kept, as [`Filter::from_bytes`] does.
    ///
    /// # Errors
    ///
    /// [`FilterError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        let mut reader = Reader(checked(bytes)?);
        reader.version(SHARD)?;
        let first = u64::from_be_bytes(reader.take(NUMBERS)?);
        let [bits, count] = reader.take(NUMBERS)?;
        check_shard(first, bits, count.into())?;
        let mut filters = Vec::with_capacity(count.into());
        for _ in 0..count {
            filters.push(Filter::read(&mut reader)?);
        }
        reader.end()?;
        Ok(Self {
            first,
            bits,
            filters,
        })
    }
}

/// What the filter of these keys, sorted, hashes them with. Who grinds keys so that many of them fall into one place of a filter does not
/// know it before all keys are there: sixty at one place are more than xorf can count, and it panics.
fn salt(keys: &[Key]) -> [u8; 8] {
    let mut hasher = Sha256::new();
    keys.iter().for_each(|key| hasher.update(key.0));
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

fn hash(salt: [u8; 8], key: &Key) -> u64 {
    let hash = Sha256::new().chain_update(salt).chain_update(key.0);
    let hash: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// How many fingerprints there have to be, so that every probe is within them. Of three, the first is at any place of all segments but the last two, the
/// others at any place of the two segments after its own.
fn check(segment_length: u32, segments: u32) -> Result<usize, FilterError> {
    let field = |field, found: u32| FilterError::Field {
        field,
        found: found.into(),
    };
    if !segment_length.is_power_of_two() || segment_length > MAX_SEGMENT {
        return Err(field("length of a segment", segment_length));
    }
    let all = segments.checked_add(2).filter(|_| segments > 0);
    let len = all.and_then(|all| all.checked_mul(segment_length));
    len.and_then(|len| usize::try_from(len).ok())
        .ok_or_else(|| field("number of segments", segments))
}

fn check_shard(first: u64, bits: u8, count: usize) -> Result<(), FilterError> {
    let refused = |field, found| Err(FilterError::Field { field, found });
    if bits > MAX_BITS {
        return refused("number of bits", bits.into());
    }
    let (units, each) = units(bits);
    let before = first / each;
    if !first.is_multiple_of(each) || before >= units {
        return refused("first partition", first);
    }
    let count = count as u64;
    if count == 0 || count > MAX_SHARD as u64 || count > units - before {
        return refused("number of filters", count);
    }
    Ok(())
}

fn push_checksum(bytes: &mut Vec<u8>) {
    let checksum = checksum(bytes);
    bytes.extend_from_slice(&checksum);
}

/// What is before the checksum, if it is that one's.
fn checked(bytes: &[u8]) -> Result<&[u8], FilterError> {
    let within = "its checksum";
    let split = bytes.split_last_chunk::<CHECKSUM>();
    let (rest, found) = split.ok_or(FilterError::Short { within })?;
    if checksum(rest) != *found {
        return Err(FilterError::Damaged);
    }
    Ok(rest)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn version(&mut self, expected: [u8; 8]) -> Result<(), FilterError> {
        let found: [u8; 8] = self.take("its version")?;
        if found != expected {
            return Err(FilterError::Version { found, expected });
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self, within: &'static str) -> Result<[u8; N], FilterError> {
        let split = self.0.split_first_chunk();
        let (taken, rest) = split.ok_or(FilterError::Short { within })?;
        self.0 = rest;
        Ok(*taken)
    }

    fn slice(&mut self, len: usize, within: &'static str) -> Result<&'b [u8], FilterError> {
        let split = self.0.split_at_checked(len);
        let (taken, rest) = split.ok_or(FilterError::Short { within })?;
        self.0 = rest;
        Ok(taken)
    }

    fn end(&self) -> Result<(), FilterError> {
        match self.0.len() {
            0 => Ok(()),
            extra => Err(FilterError::Long { extra }),
        }
    }
}

const FILTER: [u8; 8] = *b"tegulaf\x01";
const SHARD: [u8; 8] = *b"tegulah\x01";
const HEAD: usize = 36;
const CHECKSUM: usize = 8;
const NUMBERS: &str = "its numbers";
/// The numbers of a filter of more would not fit into 32 bits; making it would take 9 GB.
const MAX_KEYS: u32 = 1 << 28;
/// The longest that xorf makes.
const MAX_SEGMENT: u32 = 1 << 18;
/// As a weight of 2^64-1 has.
const MAX_BITS: u8 = 53;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> Key {
        Key::new(1, &number.to_be_bytes())
    }

    fn filter(numbers: std::ops::Range<u64>) -> Filter {
        Filter::new(&numbers.map(key).collect::<Vec<_>>()).unwrap()
    }

    fn any_keys() -> impl Strategy<Value = Vec<Key>> {
        // Many that differ little, and any.
        let near = prop::collection::vec((0_u8..4, any::<u16>()), 0..300);
        let near = near.prop_map(|keys| {
            let key = |(first, last): (u8, u16)| {
                let mut key = [first; 16];
                key[13..15].copy_from_slice(&last.to_be_bytes());
                Key(key)
            };
            keys.into_iter().map(key).collect()
        });
        let any = prop::collection::vec(any::<[u8; 16]>().prop_map(Key), 0..300);
        prop_oneof![near, any]
    }

    proptest! {
        #[test]
        fn what_it_was_made_of_it_holds(mut keys in any_keys()) {
            let filter = Filter::new(&keys).unwrap();
            let read = Filter::from_bytes(&filter.to_bytes()).unwrap();
            for key in &keys {
                prop_assert!(filter.may_hold(key) && read.may_hold(key), "{}", key);
            }
            // In another order, and each twice, it is the same.
            keys.reverse();
            keys.extend(keys.clone());
            prop_assert_eq!(Filter::new(&keys).unwrap().to_bytes(), filter.to_bytes());
            keys.sort();
            keys.dedup();
            prop_assert_eq!(filter.len(), keys.len() as u64);
        }

        #[test]
        fn a_shard_holds_what_its_filters_hold(keys in any_keys(), bits in 0_u8..12, from: u64, count in 1_usize..10) {
            let (units, each) = units(bits);
            let from = from % units;
            let to = (from + count as u64).min(units);
            let filters = (from..to).map(|unit| {
                let of_unit = keys.iter().filter(|key| key.prefix(bits) / each == unit);
                Filter::new(&of_unit.copied().collect::<Vec<_>>()).unwrap()
            });
            let shard = Shard::new(from * each, bits, filters.collect()).unwrap();
            let read = Shard::from_bytes(&shard.to_bytes()).unwrap();
            prop_assert_eq!(read.to_bytes(), shard.to_bytes());
            prop_assert_eq!(shard.partitions(), from * each..to * each);
            for key in &keys {
                let within = shard.partitions().contains(&key.prefix(bits));
                prop_assert_eq!((shard.may_hold(key), read.may_hold(key)), (within, within));
            }
        }

        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, numbers: [u8; 28], fingerprints in 0_usize..200, which: bool) {
            let _any = Filter::from_bytes(&bytes);
            let _any = Shard::from_bytes(&bytes);
            // As if somebody had meant them.
            push_checksum(&mut bytes);
            let _any = Filter::from_bytes(&bytes);
            let _any = Shard::from_bytes(&bytes);
            let mut bytes = FILTER.to_vec();
            bytes.extend(numbers);
            if which {
                // A length and a number that could be right.
                bytes[28..36].copy_from_slice(&[0, 0, 0, 1 << (numbers[0] % 8), 0, 0, 0, numbers[1] % 16]);
            }
            bytes.resize(HEAD + fingerprints, 7);
            probe(bytes);
        }
    }

    /// Reads a filter that somebody gave a right checksum, and asks it.
    fn probe(mut bytes: Vec<u8>) -> bool {
        push_checksum(&mut bytes);
        let Ok(filter) = Filter::from_bytes(&bytes) else {
            return false;
        };
        assert_eq!(filter.to_bytes(), bytes);
        for number in 0..100 {
            filter.may_hold(&key(number));
        }
        true
    }

    #[test]
    fn every_small_number_of_keys() {
        for count in (0..300).chain([1_023, 1_024, 1_025, 4_095, 4_097, 9_999]) {
            let filter = filter(0..count);
            assert_eq!((filter.len(), filter.is_empty()), (count, count == 0));
            for number in 0..count {
                assert!(filter.may_hold(&key(number)), "{number} of {count}");
            }
        }
        assert!((0..1000).all(|number| !filter(0..0).may_hold(&key(number))));
    }

    #[test]
    fn how_many_bits_and_how_often_it_is_wrong() {
        let filter = filter(0..32_000);
        let bits = filter.heap_bytes() * 8;
        println!("{} bytes of 32,000 keys", filter.heap_bytes());
        assert!((9 * 32_000..10 * 32_000).contains(&bits), "{bits}");
        assert_eq!(filter.to_bytes().len(), filter.heap_bytes() + 44);
        let wrong = (32_000..132_000).filter(|number| filter.may_hold(&key(*number)));
        let wrong = wrong.count();
        println!("{wrong} of 100,000 others");
        assert!((200..600).contains(&wrong), "{wrong}");
        let shard = Shard::new(0, 6, vec![filter]).unwrap();
        assert!(shard.heap_bytes() * 8 < 10 * 32_000);
    }

    #[test]
    fn the_salt_is_of_all_keys() {
        let (small, large) = (filter(0..100), filter(0..101));
        assert_ne!(small.salt, large.salt);
        assert_ne!(hash(small.salt, &key(0)), hash(large.salt, &key(0)));
    }

    /// Every byte changed, every length.
    fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let changed = (0..bytes.len()).flat_map(|at| {
            [1, 0x10, 0x80, 0xff].map(|mask| {
                let mut changed = bytes.to_vec();
                changed[at] ^= mask;
                changed
            })
        });
        let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
        let longer = [bytes, &[0]].concat();
        changed.chain(cut).chain([longer])
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let (three, none) = (filter(0..3), filter(0..0));
        for filter in [&three, &none] {
            for bytes in damaged(&filter.to_bytes()) {
                Filter::from_bytes(&bytes).unwrap_err();
            }
        }
        let shard = Shard::new(128, 8, vec![three, none]).unwrap();
        for bytes in damaged(&shard.to_bytes()) {
            Shard::from_bytes(&bytes).unwrap_err();
        }
    }

    #[test]
    fn what_somebody_made_up_does_no_harm() {
        let bytes = filter(0..200).to_bytes();
        let body = &bytes[..bytes.len() - CHECKSUM];
        let taken = damaged(body).filter(|bytes| probe(bytes.clone())).count();
        // Other salts, seeds, fingerprints and some numbers of keys are filters too.
        assert!(taken > 1_000, "{taken}");
        let shard = Shard::new(64, 7, vec![filter(0..9)]).unwrap().to_bytes();
        let body = &shard[..shard.len() - CHECKSUM];
        for mut bytes in damaged(body) {
            push_checksum(&mut bytes);
            if let Ok(shard) = Shard::from_bytes(&bytes) {
                assert_eq!(shard.to_bytes(), bytes);
                assert!(shard.partitions().end <= 1 << shard.bits);
                for number in 0..100 {
                    shard.may_hold(&key(number));
                }
            }
        }
    }

    #[test]
    fn why_it_is_refused() {
        let said = |segment_length: u32, segments: u32, fingerprints: usize| {
            let mut bytes = filter(0..1).to_bytes();
            bytes[28..32].copy_from_slice(&segment_length.to_be_bytes());
            bytes[32..36].copy_from_slice(&segments.to_be_bytes());
            bytes.resize(HEAD + fingerprints, 0);
            push_checksum(&mut bytes);
            let read = Filter::from_bytes(&bytes);
            read.map_or_else(|refused| refused.to_string(), |_| "taken".to_owned())
        };
        assert_eq!(said(4, 1, 12), "taken");
        assert_eq!(said(1, 1, 3), "taken");
        assert_eq!(said(4, 1, 11), "a filter ends within its fingerprints");
        assert_eq!(said(4, 1, 13), "a filter has 1 bytes left over");
        for length in [0, 3, 12, 1 << 19, u32::MAX] {
            let refused = format!("a filter has {length} as its length of a segment");
            assert_eq!(said(length, 1, 12), refused);
        }
        for segments in [0, u32::MAX, u32::MAX - 1, 1 << 30] {
            let refused = format!("a filter has {segments} as its number of segments");
            assert_eq!(said(4, segments, 12), refused);
        }
        // As many as there can be, and none of them are there.
        assert_eq!(
            said(1 << 18, (1 << 14) - 3, 12),
            "a filter ends within its fingerprints"
        );
        let mut bytes = filter(0..9).to_bytes();
        bytes[7] = 2;
        bytes.truncate(bytes.len() - CHECKSUM);
        push_checksum(&mut bytes);
        let refused = Filter::from_bytes(&bytes).unwrap_err();
        assert!(matches!(refused, FilterError::Version { .. }), "{refused}");
    }

    #[test]
    fn shards_of_what_no_run_has() {
        let said = |first, bits, count: usize| {
            let shard = Shard::new(first, bits, vec![filter(0..0); count]);
            shard.map_or_else(|refused| refused.to_string(), |_| "taken".to_owned())
        };
        assert_eq!(said(0, 0, 1), "taken");
        assert_eq!(said(8_192, 14, 128), "taken");
        assert_eq!(said((1 << 53) - 64, 53, 1), "taken");
        assert_eq!(said(0, 54, 1), "a filter has 54 as its number of bits");
        assert_eq!(said(1, 7, 1), "a filter has 1 as its first partition");
        assert_eq!(said(128, 7, 1), "a filter has 128 as its first partition");
        assert_eq!(said(64, 7, 2), "a filter has 2 as its number of filters");
        assert_eq!(said(0, 7, 0), "a filter has 0 as its number of filters");
        let refused = "a filter has 129 as its number of filters";
        assert_eq!(said(0, 53, 129), refused);
    }
}
