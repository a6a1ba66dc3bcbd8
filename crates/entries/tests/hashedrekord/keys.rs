//! Keys and certificates that no log should hold.

use tegula_entries::{EntryError, Excerpt, KeyError, PemError, Verifier, VerifierForm};

use crate::support::{FORMS, KINDS, P256, data, unhex};

#[test]
fn keys_of_other_sizes_and_algorithms_are_refused_as_keys_and_in_certificates() {
    let refused = [
        (
            "rsa1024",
            KeyError::RsaBits(1024),
            "is RSA of 1024 bits, expected 2048, 3072 or 4096",
        ),
        (
            "rsa2047",
            KeyError::RsaBits(2047),
            "is RSA of 2047 bits, expected 2048, 3072 or 4096",
        ),
        ("rsa-pss", KeyError::Algorithm, OTHER),
        ("p224", KeyError::Algorithm, OTHER),
        ("secp256k1", KeyError::Algorithm, OTHER),
        ("ed448", KeyError::Algorithm, OTHER),
        (
            "p256-compressed",
            KeyError::Point(65),
            "has an EC point that is not 65 bytes in uncompressed form",
        ),
    ];
    for (name, reason, text) in refused {
        let error = EntryError::PublicKey(reason);
        assert_eq!(error.to_string(), format!("public key {text}"));
        let key = Verifier::from_public_key_der(&data(&format!("refused/{name}.pub.der")));
        assert_eq!(key, Err(error.clone()), "{name}");
        let certificate = data(&format!("refused/{name}.cert.der"));
        let certificate = Verifier::from_certificate_der(&certificate);
        assert_eq!(certificate, Err(error), "{name}");
    }
    for (name, reason) in [
        ("x25519", KeyError::Algorithm),
        ("p256-explicit", KeyError::Algorithm),
        ("p256-hybrid", KeyError::Point(65)),
    ] {
        let key = Verifier::from_public_key_der(&data(&format!("refused/{name}.pub.der")));
        assert_eq!(key, Err(EntryError::PublicKey(reason)), "{name}");
    }
}

#[test]
fn pem_of_anything_but_one_key_or_one_certificate_is_refused() {
    let pem = |name: &str| Verifier::from_pem(str::from_utf8(&data(name)).unwrap()).unwrap_err();
    for (name, label) in [
        ("refused/rsa-public-key.pem", "RSA PUBLIC KEY"),
        ("p256.key.pem", "PRIVATE KEY"),
        ("refused/ec-private-key.pem", "EC PRIVATE KEY"),
        ("refused/encrypted.pem", "ENCRYPTED PRIVATE KEY"),
        ("refused/encrypted-traditional.pem", "RSA PRIVATE KEY"),
        ("refused/request.pem", "CERTIFICATE REQUEST"),
    ] {
        let error = pem(name);
        assert_eq!(error, EntryError::Pem(PemError::Label(Excerpt::new(label))));
        let text = format!("PEM block {label} is not PUBLIC KEY or CERTIFICATE");
        assert_eq!(error.to_string(), text);
    }

    let two = [data("p256.pub.pem"), data("p256.cert.pem")].concat();
    let error = Verifier::from_pem_or_der(&two).unwrap_err();
    assert_eq!(error, EntryError::Pem(PemError::Count(2)));
    assert_eq!(
        error.to_string(),
        "PEM has 2 blocks, expected one public key or one certificate"
    );

    let swapped = String::from_utf8(data("p256.pub.pem"))
        .unwrap()
        .replace("PUBLIC KEY", "CERTIFICATE");
    assert!(matches!(
        Verifier::from_pem(&swapped),
        Err(EntryError::Certificate(_))
    ));
    let swapped = String::from_utf8(data("p256.cert.pem"))
        .unwrap()
        .replace("CERTIFICATE", "PUBLIC KEY");
    assert_eq!(
        Verifier::from_pem(&swapped),
        Err(EntryError::PublicKey(KeyError::Encoding))
    );
    for not_pem in [&b""[..], b"-----BEGIN PUBLIC KEY-----", b"\xff\xfe", b"0"] {
        assert!(Verifier::from_pem_or_der(not_pem).is_err());
    }
}

/// A certificate's signature is not checked, but what surrounds the key must be what other parsers take.
#[test]
fn bytes_that_are_left_over_or_missing_are_refused() {
    for kind in &KINDS {
        for (form, field) in FORMS {
            let der = kind.der(form);
            for len in 0..der.len() {
                assert!(
                    from_der(form, &der[..len]).is_err(),
                    "{field} of {len} bytes"
                );
            }
            for more in [&b"\0"[..], b"\x05\x00", &der] {
                assert!(
                    from_der(form, &[&der, more].concat()).is_err(),
                    "{field}, {more:?}"
                );
            }
        }
    }
}

#[test]
fn a_second_encoding_of_a_key_is_refused() {
    for kind in &KINDS {
        let der = kind.der(VerifierForm::PublicKey);
        let [algorithm, key] = members::<2>(contents(&der));
        let rebuild = |algorithm: &[u8], key: &[u8]| tlv(0x30, &[algorithm, key].concat());
        assert_eq!(rebuild(algorithm, key), der);

        let bits = contents(key);
        let null: &[u8] = b"\x05\x00";
        let mut unused = bits.to_vec();
        unused[0] = 1;
        for (what, second) in [
            (
                "indefinite length",
                [b"\x30\x80", contents(&der), b"\0\0"].concat(),
            ),
            ("long length", {
                let len = u16::try_from(contents(&der).len()).unwrap().to_be_bytes();
                [&[0x30, 0x83, 0], &len[..], contents(&der)].concat()
            }),
            ("third member", tlv(0x30, &[contents(&der), null].concat())),
            (
                "one parameter more",
                rebuild(&tlv(0x30, &[contents(algorithm), null].concat()), key),
            ),
            ("unused bits", rebuild(algorithm, &tlv(0x03, &unused))),
            ("octet string", rebuild(algorithm, &tlv(0x04, bits))),
            (
                "constructed bit string",
                rebuild(algorithm, &tlv(0x23, key)),
            ),
            (
                "a byte after the key",
                rebuild(algorithm, &tlv(0x03, &[bits, &[0]].concat())),
            ),
            (
                "a byte before the key",
                rebuild(algorithm, &tlv(0x03, &[&[0], bits].concat())),
            ),
            ("no key", rebuild(algorithm, &tlv(0x03, &[0]))),
            ("no bits", rebuild(algorithm, &tlv(0x03, &[]))),
            ("set", tlv(0x31, contents(&der))),
        ] {
            let refused = Verifier::from_public_key_der(&second);
            assert!(
                matches!(refused, Err(EntryError::PublicKey(_))),
                "{what} of {}",
                kind.files
            );
        }
    }
    // Without its NULL, and with a NULL where none belongs.
    let rsa = KINDS[0].der(VerifierForm::PublicKey);
    let [algorithm, key] = members::<2>(contents(&rsa));
    let bare = tlv(0x30, &contents(algorithm)[..11]);
    let refused = Verifier::from_public_key_der(&tlv(0x30, &[&bare, key].concat()));
    assert_eq!(refused, Err(EntryError::PublicKey(KeyError::Algorithm)));
}

#[test]
fn an_rsa_key_has_a_positive_odd_modulus_and_a_small_odd_exponent() {
    let der = KINDS[0].der(VerifierForm::PublicKey);
    let [algorithm, key] = members::<2>(contents(&der));
    let [modulus, exponent] = members::<2>(contents(&contents(key)[1..]));
    let modulus = &contents(modulus)[1..];
    let spki = |modulus: &[u8], exponent: &[u8]| {
        let numbers = [tlv(0x02, modulus), tlv(0x02, exponent)].concat();
        let key = tlv(0x03, &[&[0], &tlv(0x30, &numbers)[..]].concat());
        Verifier::from_public_key_der(&tlv(0x30, &[algorithm, &key].concat()))
    };
    let positive = [&[0], modulus].concat();
    let three = [tlv(0x02, &positive), tlv(0x02, &[3]), tlv(0x02, &[3])].concat();
    let three = tlv(0x03, &[&[0], &tlv(0x30, &three)[..]].concat());
    let three = Verifier::from_public_key_der(&tlv(0x30, &[algorithm, &three].concat()));
    assert_eq!(three, Err(EntryError::PublicKey(KeyError::Encoding)));
    assert_eq!(spki(&positive, contents(exponent)).unwrap().der(), der);
    for good in [&[3][..], &[17], &[1, 0, 1], &[0x7f, 0xff, 0xff, 0xff]] {
        assert!(spki(&positive, good).is_ok(), "{good:?}");
    }

    let refused = |key: Result<Verifier, EntryError>, reason: KeyError| {
        assert_eq!(key, Err(EntryError::PublicKey(reason)));
    };
    for bad in [
        &[1][..],
        &[2],
        &[4],
        &[1, 0, 0],
        &[0, 0x80, 0, 0, 1],
        &[1, 0, 0, 0, 1],
        &[0x7f; 256],
    ] {
        refused(spki(&positive, bad), KeyError::RsaExponent);
    }
    // Zero, negative, and not in their shortest form.
    for bad in [
        &[][..],
        &[0],
        &[0xff],
        &[0x80, 0, 1],
        &[0, 3],
        &[0, 1, 0, 1],
    ] {
        refused(spki(&positive, bad), KeyError::Encoding);
    }
    for bad in [
        modulus.to_vec(),
        [&[0, 0], modulus].concat(),
        vec![],
        vec![0],
        vec![0; 257],
    ] {
        refused(spki(&bad, &[1, 0, 1]), KeyError::Encoding);
    }
    let mut even = positive;
    even[256] &= 0xfe;
    refused(spki(&even, &[1, 0, 1]), KeyError::Encoding);

    for bits in [8, 512, 2040, 2056, 8192, 16_384, 65_536, 262_144] {
        let mut large = vec![0xff; bits / 8];
        large.insert(0, 0);
        let der = spki(&large, &[1, 0, 1]);
        refused(der, KeyError::RsaBits(bits));
    }
    // No length of more than two bytes is read.
    refused(spki(&vec![0x7f; 65_536], &[1, 0, 1]), KeyError::Encoding);
}

#[test]
fn an_ec_point_is_on_its_curve() {
    for kind in &KINDS[3..6] {
        let der = kind.der(VerifierForm::PublicKey);
        let [algorithm, key] = members::<2>(contents(&der));
        let point = &contents(key)[1..];
        let spki = |point: &[u8]| {
            let key = tlv(0x03, &[&[0], point].concat());
            Verifier::from_public_key_der(&tlv(0x30, &[algorithm, &key].concat())).unwrap_err()
        };
        let mut off = point.to_vec();
        *off.last_mut().unwrap() ^= 1;
        let mut beyond = vec![0xff; point.len()];
        beyond[0] = 4;
        let mut zero = vec![0; point.len()];
        zero[0] = 4;
        for bad in [off, beyond, zero] {
            let error = spki(&bad);
            assert_eq!(error, EntryError::PublicKey(KeyError::OffCurve));
            assert_eq!(
                error.to_string(),
                "public key has an EC point that is not on its curve"
            );
        }
        let infinity = spki(&[0]);
        assert_eq!(
            infinity,
            EntryError::PublicKey(KeyError::Point(point.len()))
        );
    }
    // A point of one curve under the name of another.
    let p384 = KINDS[4].der(VerifierForm::PublicKey);
    let [_, key] = members::<2>(contents(&p384));
    let der = P256.der(VerifierForm::PublicKey);
    let [algorithm, _] = members::<2>(contents(&der));
    assert_eq!(
        Verifier::from_public_key_der(&tlv(0x30, &[algorithm, key].concat())),
        Err(EntryError::PublicKey(KeyError::Point(65)))
    );
}

#[test]
fn an_ed25519_key_is_the_one_encoding_of_a_point_of_large_order() {
    for weak in [
        // The eight points of small order, whose signatures anybody can make.
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        // A second spelling of 0 and 1: the field's prime, and one more.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // The identity with a sign, and a y that is on no point.
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0200000000000000000000000000000000000000000000000000000000000000",
        // A point of large order with a y of the prime and 4, which is a second spelling of 4's.
        "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let spki = unhex(&format!("302a300506032b6570032100{weak}"));
        let error = Verifier::from_public_key_der(&spki).unwrap_err();
        assert_eq!(error, EntryError::PublicKey(KeyError::Ed25519), "{weak}");
        assert_eq!(
            error.to_string(),
            "public key is not the canonical encoding of an Ed25519 point of large order"
        );
    }
}

#[test]
fn a_certificate_that_other_parsers_refuse_is_refused() {
    let der = P256.der(VerifierForm::X509Certificate);
    let [tbs, algorithm, signature] = members::<3>(contents(&der));
    let fields = all_members(contents(tbs));
    let [version, serial, _, _, validity, _, spki, extensions] = fields[..] else {
        panic!("the certificate has {} fields", fields.len());
    };
    let outer = |tbs: &[u8]| tlv(0x30, &[tbs, algorithm, signature].concat());
    let replace = |old: &[u8], new: &[u8]| {
        let fields: Vec<&[u8]> = fields
            .iter()
            .map(|f| if *f == old { new } else { f })
            .collect();
        outer(&tlv(0x30, &fields.concat()))
    };
    assert_eq!(replace(serial, serial), der);
    let extension = all_members(contents(contents(extensions)));
    let doubled = tlv(0x30, &[extension.concat(), extension[0].to_vec()].concat());
    let other_algorithm = tlv(0x30, &unhex("06082a8648ce3d040303"));

    for (bytes, reason) in [
        (
            tlv(0x30, &[tbs, &other_algorithm, signature].concat()),
            "names two different signature algorithms",
        ),
        (
            replace(serial, &[2, 1, 0x80]),
            "has a negative serial number",
        ),
        (
            replace(version, &[]),
            "has extensions but is not of version 3",
        ),
        (
            replace(version, &unhex("a003020101")),
            "has extensions but is not of version 3",
        ),
        (
            replace(extensions, &tlv(0xa3, &doubled)),
            "has the extension 2.5.29.14 twice",
        ),
    ] {
        let error = Verifier::from_certificate_der(&bytes).unwrap_err();
        assert_eq!(error, EntryError::Certificate(Excerpt::new(reason)));
        assert_eq!(error.to_string(), format!("certificate {reason}"));
    }
    for (what, bytes) in [
        (
            "indefinite length",
            [b"\x30\x80", contents(&der), b"\0\0"].concat(),
        ),
        ("long length", {
            let len = u16::try_from(contents(&der).len()).unwrap().to_be_bytes();
            [&[0x30, 0x83, 0], &len[..], contents(&der)].concat()
        }),
        ("version 4", replace(version, &unhex("a003020103"))),
        (
            "a serial number with a second spelling",
            replace(serial, &[2, 2, 0, 1]),
        ),
        ("no serial number", replace(serial, &[])),
        ("an empty serial number", replace(serial, &[2, 0])),
        (
            "a serial number of 22 bytes",
            replace(serial, &tlv(2, &[1; 22])),
        ),
        ("no validity", replace(validity, &[])),
        (
            "a month 13",
            replace(
                validity,
                &tlv(
                    0x30,
                    &[tlv(0x17, b"261325022650Z"), tlv(0x17, b"271225022650Z")].concat(),
                ),
            ),
        ),
        ("no key", replace(spki, &[])),
        (
            "a field after the extensions",
            replace(extensions, &[extensions, &[5, 0]].concat()),
        ),
        (
            "a fourth member",
            tlv(0x30, &[contents(&der), &[5, 0]].concat()),
        ),
        ("no signature", tlv(0x30, &[tbs, algorithm].concat())),
    ] {
        let refused = Verifier::from_certificate_der(&bytes);
        assert!(
            matches!(refused, Err(EntryError::Certificate(_))),
            "{what}: {refused:?}"
        );
    }

    let key = Verifier::from_public_key_der(spki).unwrap();
    let serial = Verifier::from_certificate_der(&data("serial.cert.der")).unwrap();
    assert_eq!(
        serial.public_key(),
        key.public_key(),
        "a serial number of 20 bytes, the first 0xff"
    );
    let v1 = outer(&tlv(0x30, &fields[1..7].concat()));
    assert!(
        Verifier::from_certificate_der(&v1).is_ok(),
        "a certificate of version 1"
    );
}

/// Each would cost much, if anything in the parser were quadratic.
#[test]
fn a_certificate_of_a_hundred_thousand_parts_is_read_in_a_moment() {
    let der = P256.der(VerifierForm::X509Certificate);
    let [tbs, algorithm, signature] = members::<3>(contents(&der));
    let fields = all_members(contents(tbs));
    let with = |at: usize, new: &[u8]| {
        let mut fields = fields.clone();
        fields[at] = new;
        let tbs = tlv(0x30, &fields.concat());
        tlv(0x30, &[&tbs[..], algorithm, signature].concat())
    };
    let attribute = |n: u32| {
        tlv(
            0x30,
            &[&unhex("0603550403")[..], &tlv(0x04, &n.to_be_bytes())].concat(),
        )
    };
    let many = 100_000;
    let one_name: Vec<u8> = tlv(
        0x31,
        &(0..many).rev().flat_map(attribute).collect::<Vec<_>>(),
    );
    let names: Vec<u8> = (0..many).flat_map(|n| tlv(0x31, &attribute(n))).collect();
    let extensions: Vec<u8> = (0..many)
        .flat_map(|n| {
            let [a, b, c, d] = n.to_be_bytes();
            let oid = [
                0x2a,
                0x80 | (b << 1 & 0x7f) | c >> 7 | 1,
                0x80 | c,
                0x80 | d >> 1,
                d & 1 | a,
            ];
            tlv(0x30, &[tlv(0x06, &oid), tlv(0x04, &[])].concat())
        })
        .collect();
    let started = std::time::Instant::now();
    for bytes in [
        with(3, &tlv(0x30, &one_name)),
        with(3, &tlv(0x30, &names)),
        with(7, &tlv(0xa3, &tlv(0x30, &extensions))),
    ] {
        let _refused_or_not = Verifier::from_certificate_der(&bytes).is_ok();
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

pub(crate) fn from_der(form: VerifierForm, der: &[u8]) -> Result<Verifier, EntryError> {
    match form {
        VerifierForm::PublicKey => Verifier::from_public_key_der(der),
        VerifierForm::X509Certificate => Verifier::from_certificate_der(der),
    }
}

/// A DER value.
pub(crate) fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len().to_be_bytes();
    let len = &len[len
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(len.len() - 1)..];
    let mut bytes = vec![tag];
    if contents.len() >= 0x80 {
        bytes.push(0x80 | u8::try_from(len.len()).unwrap());
    }
    bytes.extend(len);
    bytes.extend(contents);
    bytes
}

/// The contents of a DER value, which ends where the bytes end.
pub(crate) fn contents(value: &[u8]) -> &[u8] {
    &value[header_len(value)..]
}

/// The values in a row, each with its tag and length.
fn all_members(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut members = Vec::new();
    while !bytes.is_empty() {
        let header = header_len(bytes);
        let len = match bytes[1] {
            len @ ..0x80 => usize::from(len),
            _ => bytes[2..header]
                .iter()
                .fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let (member, rest) = bytes.split_at(header + len);
        members.push(member);
        bytes = rest;
    }
    members
}

pub(crate) fn members<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    all_members(bytes).try_into().unwrap()
}

fn header_len(value: &[u8]) -> usize {
    match value[1] {
        ..0x80 => 2,
        long => 2 + usize::from(long & 0x7f),
    }
}

const OTHER: &str = "is not RSA, ECDSA P-256, P-384 or P-521 by name, or Ed25519";
