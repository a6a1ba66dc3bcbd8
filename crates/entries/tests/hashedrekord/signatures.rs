//! Signatures that are not quite the key's.

use tegula_entries::{Digest, EntryError, Verifier, VerifierForm};

use crate::keys::{contents, members, tlv};
use crate::support::{KINDS, Kind, data, unhex};

#[test]
fn no_key_verifies_what_another_signed() {
    for signer in &KINDS {
        for kind in &KINDS {
            let verdict = check(kind, &signer.signature());
            assert_eq!(verdict.is_ok(), signer.files == kind.files);
            if signer.files != kind.files {
                assert_eq!(verdict, Err(EntryError::Signature));
            }
        }
    }
}

#[test]
fn a_digest_of_another_algorithm_is_refused_by_its_name() {
    for kind in &KINDS {
        let verifier = verifier(kind);
        for other in KINDS
            .iter()
            .filter(|other| other.algorithm() != kind.algorithm())
        {
            let digest = Digest::new(other.algorithm(), other.artifact_digest()).unwrap();
            let error = verifier.verify(&digest, &kind.signature()).unwrap_err();
            let (found, expected) = (other.hash_v1, kind.hash_v1);
            let details = kind.details;
            assert_eq!(
                error,
                EntryError::DigestMismatch {
                    found: other.algorithm(),
                    details
                }
            );
            let text = format!("digest is {found}, {} expects {expected}", kind.name);
            assert_eq!(error.to_string(), text);
        }
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    for kind in &KINDS {
        let signature = kind.signature();
        for len in 0..signature.len() {
            assert_eq!(
                check(kind, &signature[..len]),
                Err(EntryError::Signature),
                "{len}"
            );
        }
        for more in [
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
        ] {
            assert_eq!(check(kind, &more), Err(EntryError::Signature));
        }
        assert_eq!(
            check(kind, &[signature.clone(), signature].concat()),
            Err(EntryError::Signature)
        );
        assert_eq!(
            check(kind, &vec![0xff; 1 << 20]),
            Err(EntryError::Signature)
        );
    }
}

#[test]
fn an_ecdsa_signature_is_der_in_one_spelling_with_both_numbers_in_range() {
    let orders = [
        "00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "00ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    ];
    for (kind, order) in KINDS[3..6].iter().zip(orders) {
        let signature = kind.signature();
        let [r, s] = members::<2>(contents(&signature));
        let sequence = |r: &[u8], s: &[u8]| tlv(0x30, &[r, s].concat());
        assert_eq!(check(kind, &sequence(r, s)), Ok(()));
        let len = contents(&signature).len();
        let padded = |number: &[u8]| tlv(2, &[&[0], contents(number)].concat());
        let order = unhex(order);
        for (what, bad) in [
            ("a zero before r", sequence(&padded(r), s)),
            ("a zero before s", sequence(r, &padded(s))),
            ("a third number", tlv(0x30, &[r, s, s].concat())),
            ("one number", tlv(0x30, r)),
            ("r and s exchanged", sequence(s, r)),
            ("r of 0", sequence(&[2, 1, 0], s)),
            ("s of 0", sequence(r, &[2, 1, 0])),
            ("r of no bytes", sequence(&[2, 0], s)),
            ("r of -1", sequence(&[2, 1, 0xff], s)),
            ("s of the order", sequence(r, &tlv(2, &order))),
            ("r of the order", sequence(&tlv(2, &order), s)),
            (
                "indefinite length",
                [b"\x30\x80", contents(&signature), b"\0\0"].concat(),
            ),
            ("long length", {
                let len = u16::try_from(len).unwrap().to_be_bytes();
                [&[0x30, 0x82], &len[..], contents(&signature)].concat()
            }),
            ("a set", tlv(0x31, contents(&signature))),
            ("the two numbers alone", [contents(r), contents(s)].concat()),
        ] {
            assert_eq!(
                check(kind, &bad),
                Err(EntryError::Signature),
                "{what} of {}",
                kind.files
            );
        }
    }
}

#[test]
fn an_ed25519_signature_has_its_s_below_the_order_and_its_r_of_large_order() {
    let kind = &KINDS[6];
    let signature = kind.signature();
    // S and the order of the group: the same number modulo the order.
    let s = unhex("1ecc469f609f3c8d30bdfa7241a7d4bfa10b8c61e636062aaad11c2a26083416");
    assert_eq!(
        check(kind, &[&signature[..32], &s].concat()),
        Err(EntryError::Signature)
    );
    // R of order 1, and the S that belongs to it: the equation holds, but some verifiers refuse it.
    let mut small = vec![0; 32];
    small[0] = 1;
    small.extend(unhex(
        "65c979f10385883aae0bcd1722022f6f733e159937b7348a7e3742286129a90e",
    ));
    assert_eq!(check(kind, &small), Err(EntryError::Signature));
    assert_eq!(
        check(kind, &data("ed25519-pure.sig")),
        Err(EntryError::Signature)
    );
}

#[test]
fn an_rsa_signature_is_pkcs1_v15_with_sha256() {
    for name in ["rsa2048-pss.sig", "rsa2048-sha512.sig"] {
        let verdict = check(&KINDS[0], &data(name));
        assert_eq!(verdict, Err(EntryError::Signature), "{name}");
    }
    for kind in &KINDS[..3] {
        for byte in [0, 1, 0xff] {
            let number = vec![byte; kind.signature().len()];
            assert_eq!(check(kind, &number), Err(EntryError::Signature));
        }
    }
}

fn check(kind: &Kind, signature: &[u8]) -> Result<(), EntryError> {
    let digest = Digest::new(kind.algorithm(), kind.artifact_digest()).unwrap();
    verifier(kind).verify(&digest, signature)
}

fn verifier(kind: &Kind) -> Verifier {
    Verifier::from_public_key_der(&kind.der(VerifierForm::PublicKey)).unwrap()
}
