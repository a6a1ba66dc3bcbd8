//! A key with whom it names and its subkeys, as OpenPGP has it: what its owner signed is verified, what others signed is kept.

use pgp::packet::{
    KeyFlags, Packet, PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType,
    SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails as _, KeyVersion, Tag, Timestamp};

use super::arithmetic::{self, Arithmetic};
use super::packets::{Framed, SIGNING, Signed, write};
use crate::EntryError;

/// A key, whom it names, and its subkeys.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    primary: PublicKey,
    body: Vec<u8>,
    revocations: Vec<Signed>,
    /// What the owner says of the whole key. Of version 6 alone, as Go has it.
    direct: Vec<Signed>,
    users: Vec<User>,
    subkeys: Vec<Subkey>,
    secret: bool,
}

#[derive(Clone, Debug)]
struct User {
    id: UserId,
    /// The owner's and those of others, in order, as they are logged.
    signatures: Vec<Vec<u8>>,
    /// The newest by which the owner claims it.
    own: Option<Signature>,
    revocations: Vec<Signature>,
}

#[derive(Clone, Debug)]
struct Subkey {
    key: PublicSubkey,
    body: Vec<u8>,
    revocations: Vec<Signed>,
    /// The newest.
    binding: Option<Signed>,
}

impl Certificate {
    /// Every key of a file. One that is malformed, or that its owner did not sign, is passed over if there is another.
    pub(super) fn read_all(bytes: &[u8], work: &mut Work) -> Result<Vec<Self>, EntryError> {
        let packets = Framed::split(FIELD, bytes)?;
        let starts = |packet: &Framed<'_>| matches!(packet.tag, Tag::PublicKey | Tag::SecretKey);
        let mut found = Vec::new();
        let mut refused = EntryError::invalid(FIELD, "is not an OpenPGP key");
        for one in packets.chunk_by(|_, next| !starts(next)) {
            if !one.first().is_some_and(starts) {
                continue;
            }
            match Self::read(one, work) {
                Ok(key) => found.push(key),
                Err(limit @ EntryError::Limit { .. }) => return Err(limit),
                Err(error) => refused = error,
            }
        }
        if found.is_empty() {
            return Err(refused);
        }
        Ok(found)
    }

    fn read(packets: &[Framed<'_>], work: &mut Work) -> Result<Self, EntryError> {
        let [first, ..] = packets else {
            return Err(invalid("is not an OpenPGP key"));
        };
        check_key(first.body, work)?;
        let (primary, secret) = match first.parse() {
            Ok(Packet::PublicKey(key)) => (key, false),
            Ok(Packet::SecretKey(key)) => (key.public_key().clone(), true),
            Ok(_) => return Err(EntryError::invalid(FIELD, "is not an OpenPGP key")),
            Err(error) => return Err(invalid(format!("is not an OpenPGP key: {error}"))),
        };
        if !SIGNING.contains(&u8::from(primary.algorithm())) {
            return Err(invalid(format!(
                "is of an algorithm that does not sign: {:?}",
                primary.algorithm()
            )));
        }
        let body = if secret {
            primary.to_bytes().unwrap_or_default()
        } else {
            first.body.to_vec()
        };
        let mut key = Self {
            primary,
            body,
            revocations: Vec::new(),
            direct: Vec::new(),
            users: Vec::new(),
            subkeys: Vec::new(),
            secret,
        };
        let belongs = |packet: &Framed<'_>| packet.tag == Tag::Signature || packet.is_passed_over();
        for part in packets.chunk_by(|_, next| belongs(next)) {
            let [of, signatures @ ..] = part else {
                continue;
            };
            match of.tag {
                Tag::PublicKey | Tag::SecretKey => key.take_direct(signatures, work)?,
                Tag::UserId => key.take_user(of, signatures, work)?,
                Tag::PublicSubkey | Tag::SecretSubkey => key.take_subkey(of, signatures, work)?,
                _ => {}
            }
        }
        if key.primary.version() == KeyVersion::V6 && key.direct.is_empty() {
            return Err(invalid(
                "has no signature of its owner on the whole key, which version 6 must have",
            ));
        }
        if key.users.is_empty() && key.primary.version() != KeyVersion::V6 {
            return Err(invalid("names nobody that its owner signed for"));
        }
        Ok(key)
    }

    fn take_direct(
        &mut self,
        signatures: &[Framed<'_>],
        work: &mut Work,
    ) -> Result<(), EntryError> {
        for signed in parsed(signatures) {
            let signed = signed?;
            let kept = match signed.signature.typ() {
                Some(SignatureType::KeyRevocation) => &mut self.revocations,
                Some(SignatureType::Key) if self.primary.version() == KeyVersion::V6 => {
                    &mut self.direct
                }
                _ => continue,
            };
            if !is_by(&signed.signature, &self.primary) {
                continue;
            }
            work.count_signature()?;
            check(&signed.signature)?;
            signed
                .signature
                .verify_key(&Arithmetic(&self.primary))
                .map_err(|error| {
                    invalid(format!(
                        "has a signature on the whole key that is not its owner's: {error}"
                    ))
                })?;
            kept.push(signed);
        }
        Ok(())
    }

    fn take_user(
        &mut self,
        packet: &Framed<'_>,
        signatures: &[Framed<'_>],
        work: &mut Work,
    ) -> Result<(), EntryError> {
        let Ok(Packet::UserId(id)) = packet.parse() else {
            return Err(invalid("has a user ID that is not one"));
        };
        let mut user = User {
            id,
            signatures: Vec::new(),
            own: None,
            revocations: Vec::new(),
        };
        for signed in parsed(signatures) {
            let signed = signed?;
            let signature = &signed.signature;
            let is_revocation = signature.typ() == Some(SignatureType::CertRevocation);
            if !signature.is_certification() && !is_revocation {
                return Err(invalid("has a signature on a user ID of another type"));
            }
            if is_by(signature, &self.primary) {
                work.count_signature()?;
                check(signature)?;
                signature
                    .verify_certification(&Arithmetic(&self.primary), Tag::UserId, &user.id)
                    .map_err(|error| {
                        invalid(format!(
                            "has a signature on a user ID that is not its owner's: {error}"
                        ))
                    })?;
                if is_revocation {
                    user.revocations.push(signature.clone());
                } else if is_newer(signature, user.own.as_ref()) {
                    user.own = Some(signature.clone());
                }
            }
            user.signatures.push(signed.body);
        }
        if user.own.is_none() && user.revocations.is_empty() {
            return Ok(());
        }
        let same = self
            .users
            .iter_mut()
            .find(|other| other.id.id() == user.id.id());
        match same {
            Some(same) => *same = user,
            None => self.users.push(user),
        }
        Ok(())
    }

    fn take_subkey(
        &mut self,
        packet: &Framed<'_>,
        signatures: &[Framed<'_>],
        work: &mut Work,
    ) -> Result<(), EntryError> {
        check_key(packet.body, work)?;
        let (key, body) = match packet.parse() {
            Ok(Packet::PublicSubkey(key)) => (key, packet.body.to_vec()),
            Ok(Packet::SecretSubkey(key)) => {
                let key = key.public_key().clone();
                let body = key.to_bytes().unwrap_or_default();
                (key, body)
            }
            // One of an algorithm that nobody here knows signs nothing here.
            _ => return Ok(()),
        };
        let mut subkey = Subkey {
            key,
            body,
            revocations: Vec::new(),
            binding: None,
        };
        for signed in parsed(signatures) {
            let signed = signed?;
            let signature = &signed.signature;
            work.count_signature()?;
            check(signature)?;
            signature
                .verify_subkey_binding(&Arithmetic(&self.primary), &subkey.key)
                .map_err(|error| {
                    invalid(format!(
                        "has a signature on a subkey that is not its owner's: {error}"
                    ))
                })?;
            if signature.typ() == Some(SignatureType::SubkeyRevocation) {
                subkey.revocations.push(signed);
                continue;
            }
            if flags(signature).is_some_and(KeyFlags::sign) {
                work.count_signature()?;
                let back = embedded(signature)
                    .ok_or_else(|| invalid("has a subkey that did not sign for its key"))?;
                back.verify_primary_key_binding(&Arithmetic(&subkey.key), &self.primary)
                    .map_err(|error| {
                        invalid(format!(
                            "has a subkey that did not sign for its key: {error}"
                        ))
                    })?;
            }
            let before = subkey.binding.as_ref().map(|signed| &signed.signature);
            if is_newer(signature, before) {
                subkey.binding = Some(signed);
            }
        }
        if subkey.binding.is_some() {
            self.subkeys.push(subkey);
        }
        Ok(())
    }

    /// Writes it in the order of Go: the key, revocations, whom it names with all signatures, and subkeys with their newest.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write(Tag::PublicKey, &self.body, out);
        for signed in self.revocations.iter().chain(&self.direct) {
            write(Tag::Signature, &signed.body, out);
        }
        for user in &self.users {
            write(Tag::UserId, user.id.id(), out);
            for body in &user.signatures {
                write(Tag::Signature, body, out);
            }
        }
        for subkey in &self.subkeys {
            write(Tag::PublicSubkey, &subkey.body, out);
            for signed in subkey.revocations.iter().chain(&subkey.binding) {
                write(Tag::Signature, &signed.body, out);
            }
        }
    }

    /// Whether it was given with its private half.
    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// Whether a signature names it or a subkey as its issuer, and whether it is theirs. `None` if it names others.
    pub(super) fn verify(
        &self,
        signature: &Signature,
        message: &[u8],
    ) -> Option<Result<(), Refusal>> {
        let verdict = |verified: pgp::errors::Result<()>, subkey| match verified {
            Ok(()) => self.allows(subkey, signature.created().unwrap_or_default()),
            Err(_not_signed) => Err(Refusal::NotSigned),
        };
        if is_by(signature, &self.primary) {
            let verified = signature.verify(&Arithmetic(&self.primary), message);
            return Some(verdict(verified, None));
        }
        let subkey = self
            .subkeys
            .iter()
            .find(|subkey| is_by(signature, &subkey.key))?;
        let verified = signature.verify(&Arithmetic(&subkey.key), message);
        Some(verdict(verified, Some(subkey)))
    }

    /// Whether the key, or a subkey, might sign at a time.
    fn allows(&self, subkey: Option<&Subkey>, at: Timestamp) -> Result<(), Refusal> {
        let time = at.as_secs();
        let refused = |reason: &str| {
            Err(Refusal::Invalid(format!(
                "{reason} when the signature was made, at {time} seconds after 1970"
            )))
        };
        let revokes = |revocation: &Signature| {
            is_compromised(revocation) || revocation.created().unwrap_or_default() <= at
        };
        let any_revokes =
            |all: &[Signed]| all.iter().any(|revocation| revokes(&revocation.signature));
        if self.primary.created_at() > at {
            return refused("was not yet made");
        }
        if any_revokes(&self.revocations) {
            return refused("was revoked");
        }
        let own = self.own(at);
        let named = |user: &User| user.own.is_some() && !user.revocations.iter().any(revokes);
        if !self.users.is_empty() && !self.users.iter().any(named) {
            return refused("named nobody any more");
        }
        if own.is_some_and(|own| expires(own, self.primary.created_at()) <= u64::from(time)) {
            return refused("had expired");
        }
        let Some(subkey) = subkey else {
            return match own.and_then(flags) {
                Some(flags) if !flags.sign() => refused("was not for signatures"),
                _ => Ok(()),
            };
        };
        if subkey.key.created_at() > at {
            return refused("had a subkey that was not yet made");
        }
        if any_revokes(&subkey.revocations) {
            return refused("had a subkey that was revoked");
        }
        let binding = subkey.binding.as_ref().map(|signed| &signed.signature);
        if binding
            .is_some_and(|binding| expires(binding, subkey.key.created_at()) <= u64::from(time))
        {
            return refused("had a subkey that had expired");
        }
        if !binding.and_then(flags).is_some_and(KeyFlags::sign) {
            return refused("had a subkey that was not for signatures");
        }
        Ok(())
    }

    /// What the owner said of the key last at a time, or first if all of it was said later: a key that was prolonged is often published without
    /// what was said before.
    fn own(&self, at: Timestamp) -> Option<&Signature> {
        let all = || {
            let direct = self.direct.iter().map(|signed| &signed.signature);
            direct.chain(self.users.iter().filter_map(|user| user.own.as_ref()))
        };
        all()
            .filter(|own| own.created().unwrap_or_default() <= at)
            .max_by_key(|own| own.created())
            .or_else(|| all().min_by_key(|own| own.created()))
    }

    /// Its SPKI in DER.
    pub(super) fn spki(&self) -> Option<Vec<u8>> {
        arithmetic::spki(self.primary.public_params())
    }

    /// What it is, for a person.
    pub(super) fn description(&self) -> String {
        let version = u8::from(self.primary.version());
        let algorithm = arithmetic::description(self.primary.public_params());
        format!(
            "OpenPGP v{version} {algorithm} {:X}",
            self.primary.fingerprint()
        )
    }

    /// The e-mail addresses of whom it names, or all of the user ID where there is none.
    pub(super) fn identities(&self) -> Vec<String> {
        let ids = self.users.iter().map(|user| user.id.id());
        let ids = ids.map(|id| String::from_utf8_lossy(id).into_owned());
        ids.map(|id| address(&id).unwrap_or(&id).to_owned())
            .filter(|identity| !identity.is_empty())
            .collect()
    }
}

/// Why a signature that names a key is not taken for its.
#[derive(Debug)]
pub(super) enum Refusal {
    NotSigned,
    /// The key may not sign, and why.
    Invalid(String),
}

/// What was done for one file.
#[derive(Debug, Default)]
pub(super) struct Work {
    keys: usize,
    signatures: usize,
}

impl Work {
    fn count_key(&mut self) -> Result<(), EntryError> {
        self.keys += 1;
        if self.keys > MAX_KEYS {
            return Err(EntryError::limit("keys and subkeys", self.keys, MAX_KEYS));
        }
        Ok(())
    }

    fn count_signature(&mut self) -> Result<(), EntryError> {
        self.signatures += 1;
        if self.signatures > MAX_SIGNATURES {
            return Err(EntryError::limit(
                "signatures of a key's owner",
                self.signatures,
                MAX_SIGNATURES,
            ));
        }
        Ok(())
    }
}

/// The signatures among these packets, one at a time: of a key that many have signed, all of them at once would take much room. Of the versions
/// before 4 nobody's are taken with a key.
fn parsed<'a>(packets: &'a [Framed<'a>]) -> impl Iterator<Item = Result<Signed, EntryError>> + 'a {
    packets
        .iter()
        .filter(|packet| packet.tag == Tag::Signature)
        .filter(|packet| matches!(packet.body.first(), Some(4 | 6)))
        .filter_map(|packet| Signed::parse(packet).transpose())
}

/// The address in `Alice <alice@example.com>`, or all of `alice@example.com`.
fn address(id: &str) -> Option<&str> {
    let address = match id.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => id,
    };
    let address = address.trim();
    (address.contains('@') && !address.contains(char::is_whitespace)).then_some(address)
}

/// What is too expensive, or of a version that is not taken, is refused before the library sees it.
fn check_key(body: &[u8], work: &mut Work) -> Result<(), EntryError> {
    work.count_key()?;
    let params = match body {
        [4, _, _, _, _, _, params @ ..] | [6, _, _, _, _, _, _, _, _, _, params @ ..] => params,
        [version, ..] => {
            return Err(invalid(format!(
                "is an OpenPGP key of version {version}, expected 4 or 6"
            )));
        }
        [] => return Err(invalid("is an OpenPGP key of no bytes")),
    };
    if body.get(5) == Some(&DSA) {
        // The library raises a number of the key to another, of any size.
        let mut rest = params;
        for _ in 0..4 {
            let Some((&[high, low], after)) = rest.split_first_chunk() else {
                return Err(invalid("is an OpenPGP key that is truncated"));
            };
            let bits = usize::from(u16::from_be_bytes([high, low]));
            if bits > MAX_DSA_BITS {
                return Err(EntryError::limit("bits of a DSA key", bits, MAX_DSA_BITS));
            }
            rest = after.get(bits.div_ceil(8)..).unwrap_or_default();
        }
    }
    Ok(())
}

/// What an owner says and nobody here understands may change what it means.
pub(super) fn check(signature: &Signature) -> Result<(), EntryError> {
    let subpackets = signature.config().map(|config| &config.hashed_subpackets);
    let critical = |data: &SubpacketData| {
        matches!(
            data,
            SubpacketData::Notation(_) | SubpacketData::Other(..) | SubpacketData::Experimental(..)
        )
    };
    let found = subpackets
        .into_iter()
        .flatten()
        .find(|subpacket| subpacket.is_critical && critical(&subpacket.data));
    match found {
        Some(subpacket) => Err(EntryError::invalid(
            "signature",
            format!(
                "has a subpacket that is critical and not understood: {:?}",
                subpacket.typ()
            ),
        )),
        None => Ok(()),
    }
}

/// Whether a signature says that it is this key's.
fn is_by(signature: &Signature, key: &impl pgp::types::KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        let id = key.legacy_key_id();
        return signature.issuer_key_id().contains(&&id);
    }
    fingerprints.contains(&&key.fingerprint())
}

fn is_newer(signature: &Signature, than: Option<&Signature>) -> bool {
    than.is_none_or(|than| signature.created() > than.created())
}

fn is_compromised(revocation: &Signature) -> bool {
    let config = revocation.config();
    config.is_some_and(|config| {
        config.hashed_subpackets.iter().any(|subpacket| {
            matches!(
                subpacket.data,
                SubpacketData::RevocationReason(RevocationCode::KeyCompromised, _)
            )
        })
    })
}

/// The first second at which a key is not valid any more.
fn expires(own: &Signature, created: Timestamp) -> u64 {
    let after = |start: Timestamp, duration: Option<pgp::types::Duration>| match duration {
        Some(duration) if duration.as_secs() > 0 => {
            u64::from(start.as_secs()) + u64::from(duration.as_secs())
        }
        _ => u64::MAX,
    };
    let key = after(created, own.key_expiration_time());
    let said = own.created().unwrap_or_default();
    key.min(after(said, own.signature_expiration_time()))
}

/// What a key is for, if its owner says so.
fn flags(own: &Signature) -> Option<&KeyFlags> {
    let subpackets = &own.config()?.hashed_subpackets;
    subpackets
        .iter()
        .find_map(|subpacket| match &subpacket.data {
            SubpacketData::KeyFlags(flags) => Some(flags),
            _ => None,
        })
}

/// The signature of a subkey in the signature of its key. It stands for itself, and need not be signed.
fn embedded(binding: &Signature) -> Option<&Signature> {
    let config = binding.config()?;
    let mut both = config
        .hashed_subpackets
        .iter()
        .chain(&config.unhashed_subpackets);
    both.find_map(|subpacket| match &subpacket.data {
        SubpacketData::EmbeddedSignature(signature) => Some(&**signature),
        _ => None,
    })
}

fn invalid(reason: impl AsRef<str>) -> EntryError {
    EntryError::invalid(FIELD, reason)
}

const FIELD: &str = "public key";

const DSA: u8 = 17;

/// No larger ones are made.
const MAX_DSA_BITS: usize = 3072;

/// In one file. A key of 64 KiB has room for a thousand, each of which has to be found on its curve.
const MAX_KEYS: usize = 64;

/// In one file: signatures are what takes time. An owner signs once for each name and subkey, and again when he prolongs them.
const MAX_SIGNATURES: usize = 128;
