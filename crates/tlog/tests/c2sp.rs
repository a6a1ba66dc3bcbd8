//! What c2sp.org's signed-note, tlog-checkpoint, tlog-tiles, tlog-proof and tlog-policy demand, rule by rule.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test stops where it fails"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tegula_tlog::{
    Checkpoint, CheckpointError, KeyError, Note, NoteError, Policy, PolicyError, SigningKey,
    TilePath, TlogProof, VerifierKey,
};

const TEXT: &str = "log.example\n3\nOF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=\n";

fn key(n: u8) -> SigningKey {
    SigningKey::ed25519_from_seed("log.example", &[n; 32]).unwrap()
}

fn witness(n: u8) -> SigningKey {
    SigningKey::witness_from_seed(&format!("w{n}.example"), &[n; 32]).unwrap()
}

fn signed(text: &str, keys: &[&SigningKey]) -> Note {
    let mut note = Note::new(text.to_owned()).unwrap();
    keys.iter().for_each(|key| note.sign(key, 1_767_225_600));
    note
}

fn print(note: &Note) -> String {
    String::from_utf8(note.to_bytes()).unwrap()
}

#[test]
fn a_note_is_its_text_a_blank_line_and_signature_lines() {
    let note = print(&signed(TEXT, &[&key(1)]));
    assert!(Note::parse(note.as_bytes()).is_ok());
    let line = &note[TEXT.len() + 1..];
    for (what, wrong) in [
        ("no text", format!("\n{line}")),
        ("no blank line", format!("{TEXT}{line}")),
        ("no signature", format!("{TEXT}\n")),
        ("no final newline", note.trim_end().to_owned()),
        ("a blank line at the end", format!("{note}\n")),
        (
            "a blank line between signatures",
            format!("{note}\n\n{line}x"),
        ),
        ("text after the signatures", format!("{note}more\n")),
        (
            "a carriage return in the text",
            note.replacen('\n', "\r\n", 1),
        ),
        (
            "a carriage return in the blank line",
            note.replace("\n\n", "\n\r\n"),
        ),
        (
            "carriage returns at every line's end",
            note.replace('\n', "\r\n"),
        ),
        (
            "a carriage return after a signature",
            format!("{}\r\n", note.trim_end()),
        ),
        ("a tab", note.replacen("log", "log\t", 1)),
        ("a zero byte", note.replacen("log", "log\0", 1)),
        ("an escape", note.replacen("log", "\u{1b}[1m", 1)),
        ("a hyphen", note.replace('\u{2014}', "-")),
        ("two hyphens", note.replace('\u{2014}', "--")),
        ("an en dash", note.replace('\u{2014}', "\u{2013}")),
        ("a horizontal bar", note.replace('\u{2014}', "\u{2015}")),
        (
            "no space after the dash",
            note.replace("\u{2014} ", "\u{2014}"),
        ),
        (
            "two spaces after the dash",
            note.replace("\u{2014} ", "\u{2014}  "),
        ),
        (
            "a space before the dash",
            note.replace('\u{2014}', " \u{2014}"),
        ),
        (
            "a no-break space",
            note.replace("\u{2014} ", "\u{2014}\u{a0}"),
        ),
        (
            "two spaces after the name",
            note.replace("example ", "example  "),
        ),
        ("a space at the end", format!("{} \n", note.trim_end())),
        (
            "a byte order mark before the dash",
            note.replace('\u{2014}', "\u{feff}\u{2014}"),
        ),
        (
            "longer than 1 MiB",
            format!("{}\n{note}", "a".repeat(1 << 20)),
        ),
    ] {
        let parsed = Note::parse(wrong.as_bytes());
        assert!(
            matches!(parsed, Err(NoteError::Malformed(_))),
            "{what}: {parsed:?}"
        );
    }
    let mut bytes = note.into_bytes();
    bytes[0] = 0xff;
    let parsed = Note::parse(&bytes);
    assert_eq!(parsed, Err(NoteError::Malformed("it is not UTF-8")));
}

#[test]
fn the_last_empty_line_ends_the_text() {
    for text in [
        "\n",
        "\n\n",
        "a\n\nb\n",
        "a\n\n",
        "\u{2014} a AAAAAAA=\n",
        "a\n\n\u{2014} log.example AAAAAAA=\n",
    ] {
        let note = signed(text, &[&key(1)]);
        let parsed = Note::parse(&note.to_bytes()).unwrap();
        assert_eq!(parsed.text(), text);
        assert_eq!(parsed.verified_by(&[key(1).verifier()]).unwrap().len(), 1);
    }
}

#[test]
fn a_key_name_is_not_empty_and_has_no_space_and_no_plus() {
    let note = print(&signed(TEXT, &[&key(1)]));
    let vkey = key(1).verifier().to_string();
    for name in [
        "",
        " ",
        "a b",
        "a+b",
        "+",
        "a\u{a0}b",
        "a\u{2003}b",
        "a\u{3000}",
        "\u{85}",
        "a\tb",
    ] {
        let refused = SigningKey::ed25519_from_seed(name, &[1; 32]).unwrap_err();
        assert!(matches!(refused, KeyError::Name(_)), "{name:?}: {refused}");
        let note = note.replace("\u{2014} log.example", &format!("\u{2014} {name}"));
        assert!(Note::parse(note.as_bytes()).is_err(), "{name:?}");
        let vkey = vkey.replace("log.example", name);
        assert!(vkey.parse::<VerifierKey>().is_err(), "{name:?}");
    }
    for name in [
        "a",
        "example.com/log42",
        "caf\u{e9}",
        "\u{2014}",
        "none",
        "sigsum.org/v1/tree/3620",
    ] {
        let key = SigningKey::ed25519_from_seed(name, &[1; 32]).unwrap();
        let note = Note::parse(&signed(TEXT, &[&key]).to_bytes()).unwrap();
        assert_eq!(
            note.verified_by(&[key.verifier()]),
            Ok(vec![key.verifier()])
        );
        assert_eq!(key.verifier().to_string().parse(), Ok(key.verifier()));
    }
}

#[test]
fn base64_has_one_spelling() {
    // The last character before `=` has two bits that say nothing, which must be 0.
    let note = print(&signed(TEXT, &[&key(1)]));
    let (rest, _) = note.rsplit_once("=\n").unwrap();
    let (text, line) = note.split_at(TEXT.len() + 1);
    assert!(line.contains(['/', '+']));
    let (start, last) = rest.split_at(rest.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    for wrong in [
        format!("{start}{next}=\n"),
        format!("{rest}\n"),
        format!("{rest}==\n"),
        format!("{rest}===\n"),
        format!("{rest}= \n"),
        format!("{text}{}", line.replace('/', "_").replace('+', "-")),
        format!("{}\n{}", &note[..note.len() - 40], &note[note.len() - 40..]),
    ] {
        assert!(
            Checkpoint::open(wrong.as_bytes(), &[key(1).verifier()]).is_err(),
            "{wrong}"
        );
    }
    for wrong in [
        "AAAAAA==",
        "AAAA",
        "",
        "=",
        "====",
        "AAAAAAB=",
        "AAAAAAA",
        "AAAA\u{e9}AAA",
    ] {
        let note = format!("{TEXT}\n\u{2014} a {wrong}\n");
        assert!(Note::parse(note.as_bytes()).is_err(), "{wrong}");
    }
    assert!(Note::parse(format!("{TEXT}\n\u{2014} a AAAAAAA=\n").as_bytes()).is_ok());
    let vkey = key(1).verifier().to_string();
    for wrong in [
        format!("{vkey}="),
        vkey[..vkey.len() - 1].to_owned(),
        format!("{vkey}\n"),
        format!(" {vkey}"),
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn unknown_signatures_are_ignored() {
    let known = key(1).verifier();
    let note = print(&signed(TEXT, &[&key(1)]));
    let (_, encoded) = note.trim_end().rsplit_once(' ').unwrap();
    for line in [
        // Another name, another id with the same name, another key of the same name, a type that nobody knows.
        format!("\u{2014} other.example {encoded}"),
        "\u{2014} log.example AAAAAAA=".to_owned(),
        print(&signed(TEXT, &[&key(2)]))
            .lines()
            .last()
            .unwrap()
            .to_owned(),
        format!("\u{2014} pq.example {}", "AAAA".repeat(5000)),
    ] {
        let with = format!("{note}{line}\n");
        assert!(
            Checkpoint::open(with.as_bytes(), std::slice::from_ref(&known)).is_ok(),
            "{line}"
        );
        let alone = format!("{TEXT}\n{line}\n");
        let opened = Checkpoint::open(alone.as_bytes(), std::slice::from_ref(&known));
        assert!(
            matches!(opened, Err(CheckpointError::Untrusted { .. })),
            "{line}"
        );
    }
}

#[test]
fn one_wrong_signature_of_a_known_key_spoils_the_note() {
    let known = [key(1).verifier()];
    let right = print(&signed(TEXT, &[&key(1)]));
    let line = right.lines().last().unwrap();
    let wrong = print(&signed("other\n", &[&key(1)]));
    let wrong = wrong.lines().last().unwrap();
    let open = |lines: &[&str]| {
        let note = format!("{TEXT}\n{}\n", lines.join("\n"));
        Checkpoint::open(note.as_bytes(), &known)
    };
    assert!(open(&[line]).is_ok());
    // The same key twice, and both right: it has signed.
    assert!(open(&[line, line]).is_ok());
    for lines in [
        &[wrong][..],
        &[line, wrong],
        &[wrong, line],
        &[line, line, wrong],
    ] {
        let opened = open(lines);
        assert!(
            matches!(
                opened,
                Err(CheckpointError::Note(NoteError::BadSignature(_)))
            ),
            "{opened:?}"
        );
    }
}

#[test]
fn a_note_has_up_to_a_hundred_signatures() {
    let line = |n: usize| format!("\u{2014} w{n}.example AAAAAAA=\n");
    let note = |n: usize| {
        let lines: String = (1..n).map(line).collect();
        format!("{}{lines}", print(&signed(TEXT, &[&key(1)])))
    };
    for n in [1, 16, 100] {
        let parsed = Note::parse(note(n).as_bytes()).unwrap();
        assert_eq!(parsed.signatures().len(), n);
    }
    let refused = Note::parse(note(101).as_bytes()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "not a signed note: it has more than 100 signatures"
    );
}

#[test]
fn a_verifier_key_has_a_known_type_and_a_key_in_its_one_encoding() {
    let with_id = |bytes: &[u8]| {
        let text = |id: &str| format!("log.example+{id}+{}", base64(bytes));
        match text("00000000").parse::<VerifierKey>() {
            Err(KeyError::Id { computed, .. }) => text(&computed).parse::<VerifierKey>(),
            other => other,
        }
    };
    let ed25519 = key(1).verifier().to_spki()[12..].to_vec();
    assert_eq!(
        with_id(&[&[1], &ed25519[..]].concat()),
        Ok(key(1).verifier())
    );
    for kind in [0, 3, 5, 6, 0xff] {
        let refused = with_id(&[&[kind], &ed25519[..]].concat());
        assert_eq!(refused, Err(KeyError::Kind(kind)));
    }
    for kind in [1, 4] {
        for wrong in [
            &[][..],
            &ed25519[1..],
            &[&ed25519[..], &[0]].concat(),
            // Of small order: a signature by it says nothing.
            &[&[1][..], &[0; 31]].concat(),
            // The same point, with y above the prime.
            &[&[0xee][..], &[0xff; 30], &[0x7f]].concat(),
        ] {
            let refused = with_id(&[&[kind], wrong].concat());
            assert!(
                matches!(refused, Err(KeyError::Bytes(_))),
                "{wrong:02x?}: {refused:?}"
            );
        }
    }
    let ecdsa = SigningKey::ecdsa_from_scalar("log.example", &[2; 32])
        .unwrap()
        .verifier();
    let spki = ecdsa.to_spki();
    assert_eq!(with_id(&[&[2], &spki[..]].concat()), Ok(ecdsa.clone()));
    let (head, point) = spki.split_at(spki.len() - 65);
    let mut compressed = [head, &[2 + (point[64] & 1)], &point[1..33]].concat();
    compressed[1] -= 32;
    compressed[24] -= 32;
    for key in [key(1).verifier(), ecdsa] {
        assert_eq!(
            VerifierKey::from_spki("log.example", &key.to_spki()),
            Ok(key)
        );
    }
    for wrong in [
        &spki[1..],
        &[&spki[..], &[0]].concat(),
        &compressed,
        point,
        &ed25519,
    ] {
        let from_spki = VerifierKey::from_spki("log.example", wrong);
        assert!(matches!(from_spki, Err(KeyError::Bytes(_))), "{wrong:02x?}");
        let refused = with_id(&[&[2], wrong].concat());
        assert!(
            matches!(refused, Err(KeyError::Bytes(_))),
            "{wrong:02x?}: {refused:?}"
        );
    }
    let text = key(1).verifier().to_string();
    let id = text.split('+').nth(1).unwrap();
    for wrong in [
        id.to_uppercase(),
        format!("0{id}"),
        id[1..].to_owned(),
        String::new(),
    ] {
        let wrong = text.replacen(id, &wrong, 1);
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn a_checkpoint_is_an_origin_a_size_a_root_and_extensions() {
    let root = "OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=";
    let valid = |text: &str| {
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(checkpoint.to_string(), text);
    };
    valid(&format!("o\n0\n{root}\n"));
    valid(&format!("o\n9223372036854775807\n{root}\n"));
    // An origin only should look like a URL, and extensions are opaque.
    valid(&format!("an origin + more\n3\n{root}\n"));
    valid(&format!(
        "o\n3\n{root}\nextension\n \n\u{2014} a AAAAAAA=\n"
    ));
    valid(&format!("o\n3\n{root}\n{}\n", "x".repeat(100_000)));
    for size in [
        "",
        "00",
        "03",
        "+3",
        "-3",
        "-0",
        " 3",
        "3 ",
        "3\r",
        "3.0",
        "3e0",
        "0x3",
        "\u{663}",
        "\u{ff13}",
        "1_000",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        let refused = Checkpoint::parse(&format!("o\n{size}\n{root}\n")).unwrap_err();
        let expected = CheckpointError::Malformed("its second line is not a size");
        assert_eq!(refused, expected, "{size:?}");
    }
    for root in [
        "",
        "=",
        // 31, 33 and 64 bytes, no padding, bits that say nothing, the other alphabet, hexadecimal.
        &base64(&[7; 31]),
        &base64(&[7; 33]),
        &base64(&[7; 64]),
        &root[..43],
        "OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqp=",
        "OF2jDzkXKCyJOd_4UZV-UZqxhGsTUaFMCts7EWMnQqo=",
        "385da30f3917282c8939dff851957e519ab1846b1351a14c0adb3b11632742aa",
        &format!("{root} "),
        &format!(" {root}"),
        &format!("{root}\r"),
    ] {
        let refused = Checkpoint::parse(&format!("o\n3\n{root}\n")).unwrap_err();
        let expected = CheckpointError::Malformed("its third line is not a SHA-256 hash in base64");
        assert_eq!(refused, expected, "{root:?}");
    }
    for text in [
        String::new(),
        "\n".to_owned(),
        "o\n".to_owned(),
        "o\n3\n".to_owned(),
        format!("\n3\n{root}\n"),
        format!("o\n3\n{root}"),
        format!("o\n3\n{root}\n\n"),
        format!("o\n3\n{root}\n\nextension\n"),
        format!("o\n3\n{root}\nextension\n\n"),
        format!("\no\n3\n{root}\n"),
        format!("o\n\n3\n{root}\n"),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
}

#[test]
fn a_checkpoint_is_signed_by_a_key_of_its_origin() {
    let other = SigningKey::ed25519_from_seed("other.example", &[1; 32]).unwrap();
    let keys = [key(1).verifier(), other.verifier(), witness(1).verifier()];
    let open = |signers: &[&SigningKey]| Checkpoint::open(&signed(TEXT, signers).to_bytes(), &keys);
    assert!(open(&[&key(1)]).is_ok());
    assert!(open(&[&other, &key(1)]).is_ok());
    for signers in [
        &[&other][..],
        &[&other, &witness(1)],
        &[&witness(1)],
        &[&key(2)],
    ] {
        assert!(matches!(
            open(signers),
            Err(CheckpointError::Untrusted { .. })
        ));
    }
}

#[test]
fn a_tile_has_one_path() {
    for path in [
        "tile/0/000",
        "tile/0/255.p/1",
        "tile/0/999.p/255",
        "tile/0/x001/000",
        "tile/0/x001/x234/067.p/5",
        "tile/7/000.p/127",
        "tile/6/126",
        "tile/6/127.p/255",
        "tile/entries/000",
        // The last bundle of the largest tree, and its last tile.
        "tile/entries/x036/x028/x797/x018/x963/967.p/255",
        "tile/0/x036/x028/x797/x018/x963/967.p/255",
    ] {
        assert_eq!(path.parse::<TilePath>().unwrap().to_string(), path);
    }
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//0/000",
        "tile/0//000",
        "tile/0/x001//000",
        "tile/0/000//",
        "//tile/0/000",
        "tile/0/000.p//5",
        "TILE/0/000",
        "tile/0/000 ",
        " tile/0/000",
        // Levels.
        "tile/00/000",
        "tile/07/000.p/1",
        "tile/+1/000",
        "tile/-1/000",
        "tile/8/000",
        "tile/8/000.p/1",
        "tile/63/000",
        "tile/64/000",
        "tile/255/000",
        "tile/256/000",
        "tile/18446744073709551616/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile//000",
        "tile/\u{661}/000",
        // Indexes.
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/x000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/x001/00",
        "tile/0/X001/000",
        "tile/0/xx001/000",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/00a",
        "tile/0/x001/234/067",
        "tile/0/\u{661}00",
        "tile/0/x036/x028/x797/x018/x963/967",
        "tile/0/x036/x028/x797/x018/x963/968.p/1",
        "tile/entries/x036/x028/x797/x018/x963/968.p/1",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/6/127",
        "tile/6/128",
        "tile/6/128.p/1",
        "tile/7/000",
        "tile/7/000.p/128",
        "tile/7/001.p/1",
        // Widths.
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/-1",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/65536",
        "tile/0/000.p/65537",
        "tile/0/000.p/18446744073709551617",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/x01",
        "tile/0/000.P/1",
        "tile/0/000p/1",
        "tile/0/000/p/1",
        "tile/0/x000.p/1",
        // What is above.
        "tile/0/../0/000",
        "tile/0/000/..",
        "../tile/0/000",
        "tile/0/000\0",
        "tile/0/000\n",
        "tile/0/000?x=1",
        "tile/0/%30%30%30",
    ] {
        let refused = path.parse::<TilePath>();
        assert!(refused.is_err(), "{path:?}: {refused:?}");
    }
    let long = format!("tile/0{}/000", "/x000".repeat(100_000));
    let refused = long.parse::<TilePath>().unwrap_err().to_string();
    assert!(refused.len() < 300, "{refused}");
}

#[test]
fn a_proof_file_has_one_form() {
    let hash = "KhWNiv1I4/iMtBld/bKp5IF9lfpX/TREDZP5quXE+Cs=";
    let checkpoint = print(&signed(TEXT, &[&key(1)]));
    let valid = |head: &str| {
        let file = format!("{head}\n\n{checkpoint}");
        let proof = TlogProof::parse(file.as_bytes()).unwrap();
        assert_eq!(proof.to_string(), file);
        assert_eq!(proof.checkpoint, checkpoint.as_bytes());
    };
    let first = "c2sp.org/tlog-proof@v1";
    valid(&format!("{first}\nindex 0"));
    valid(&format!(
        "{first}\nindex 9223372036854775807\n{hash}\n{hash}"
    ));
    valid(&format!("{first}\nextra AAAA\nindex 1\n{hash}"));
    valid(&format!("{first}\nextra \nindex 1\n{hash}"));
    valid(&format!(
        "{first}\nindex 1{}",
        format!("\n{hash}").repeat(63)
    ));
    for head in [
        "",
        "index 1",
        first,
        "c2sp.org/tlog-proof@v2\nindex 1",
        "c2sp.org/tlog-proof@v1 \nindex 1",
        "c2sp.org/tlog-proof@v1\r\nindex 1",
        &format!("\n{first}\nindex 1"),
        &format!("{first}\nindex"),
        &format!("{first}\nindex "),
        &format!("{first}\nindex 01"),
        &format!("{first}\nindex +1"),
        &format!("{first}\nindex -1"),
        &format!("{first}\nindex  1"),
        &format!("{first}\nindex 1 "),
        &format!("{first}\nindex 1\r"),
        &format!("{first}\nindex 9223372036854775808"),
        &format!("{first}\nIndex 1"),
        &format!("{first}\nindex 1\nindex 1"),
        &format!("{first}\nindex 1\nextra AAAA"),
        &format!("{first}\nextra AAAA\nextra AAAA\nindex 1"),
        &format!("{first}\nextra\nindex 1"),
        &format!("{first}\nextra AAA\nindex 1"),
        &format!("{first}\nextra AAB=\nindex 1"),
        &format!("{first}\nextra AA==AA==\nindex 1"),
        &format!("{first}\nextra AAAA \nindex 1"),
        &format!("{first}\nindex 1\n{hash} "),
        &format!("{first}\nindex 1\n {hash}"),
        &format!("{first}\nindex 1\n{}", &hash[..43]),
        &format!("{first}\nindex 1\n{}", base64(&[7; 31])),
        &format!("{first}\nindex 1\n{}", base64(&[7; 33])),
        &format!("{first}\nindex 1{}", format!("\n{hash}").repeat(64)),
    ] {
        let file = format!("{head}\n\n{checkpoint}");
        assert!(TlogProof::parse(file.as_bytes()).is_err(), "{head:?}");
    }
    let no_blank_line = format!("{first}\nindex 1\n{hash}\n");
    assert!(TlogProof::parse(no_blank_line.as_bytes()).is_err());
    // A second blank line belongs to the checkpoint, which is then none.
    let proof = format!("{first}\nindex 1\n\n\n{checkpoint}");
    let proof = TlogProof::parse(proof.as_bytes()).unwrap();
    assert!(Checkpoint::open(&proof.checkpoint, &[key(1).verifier()]).is_err());
}

#[test]
fn a_policy_has_lines_of_four_kinds_and_one_quorum() {
    let (log, other) = (key(1).verifier(), key(2).verifier());
    let [one, two, three] = [1, 2, 3].map(|n| witness(n).verifier());
    let ecdsa = SigningKey::ecdsa_from_scalar("log.example", &[1; 32])
        .unwrap()
        .verifier();
    let witnesses =
        format!("witness 1 {one}\nwitness 2 {two}\nwitness 3 {three} https://w3.example/\n");
    for valid in [
        "quorum none".to_owned(),
        "quorum none\n".to_owned(),
        format!(
            "\n \t\n# comment\n\t # comment\nlog {log}\n  log\t{other} https://log.example/ \nlog {ecdsa}\nquorum  none\t\n"
        ),
        // The log of a line after the quorum counts too.
        format!("quorum none\nlog {log}\n{witnesses}"),
        format!("{witnesses}quorum 3\n"),
        format!("{witnesses}group all all 1 2\ngroup any any all 3\nquorum any\n"),
        format!("{witnesses}group g 3 1 2 3\nquorum g\n"),
        format!("{witnesses}group g 1 2\nquorum 1\n"),
        format!(
            "witness caf\u{e9} {one}\nwitness K {two}\nwitness \u{212a} {three}\nquorum \u{212a}\n"
        ),
    ] {
        Policy::parse(&valid).unwrap_or_else(|error| panic!("{error}: {valid}"));
    }
    for (wrong, line) in [
        // Characters.
        ("quorum none\r\n".to_owned(), 1),
        ("# \u{1}\nquorum none\n".to_owned(), 1),
        ("quorum none\n\u{b}".to_owned(), 2),
        ("quorum none\n# \u{7f}".to_owned(), 2),
        ("quorum\u{a0}none\n".to_owned(), 1),
        ("quorum none # comment\n".to_owned(), 1),
        // Words.
        ("Quorum none\n".to_owned(), 1),
        ("quorum\n".to_owned(), 1),
        ("log\n".to_owned(), 1),
        (format!("log {log} a b\n"), 1),
        (format!("witness {one}\n"), 1),
        (format!("witness 1 {one} a b\n"), 1),
        ("group g\n".to_owned(), 1),
        ("witnesses\n".to_owned(), 1),
        // Keys of their kind, each of them once.
        (format!("log {one}\n"), 1),
        (format!("witness 1 {log}\n"), 1),
        (format!("witness 1 {ecdsa}\n"), 1),
        (format!("log {log}\nlog {log}\n"), 2),
        (format!("log {log}\nlog {}\n", renamed(1)), 2),
        (format!("witness 1 {one}\nwitness 2 {one}\n"), 2),
        // Names.
        (format!("witness none {one}\n"), 1),
        (format!("{witnesses}group none any 1\n"), 4),
        (format!("{witnesses}group 1 any 2\n"), 4),
        (format!("witness 1 {one}\nwitness 1 {two}\n"), 2),
        ("quorum 1\n".to_owned(), 1),
        (format!("quorum 1\nwitness 1 {one}\n"), 1),
        (format!("{witnesses}group g any h\ngroup h any 1\n"), 4),
        (format!("{witnesses}group g any g\n"), 4),
        (format!("{witnesses}group g any none\n"), 4),
        (format!("{witnesses}group g any 1 1\n"), 4),
        (format!("{witnesses}group g any 1\ngroup h any 1\n"), 5),
        // Thresholds.
        (format!("{witnesses}group g 0 1 2\n"), 4),
        (format!("{witnesses}group g 3 1 2\n"), 4),
        (format!("{witnesses}group g 02 1 2\n"), 4),
        (format!("{witnesses}group g +2 1 2\n"), 4),
        (format!("{witnesses}group g -1 1 2\n"), 4),
        (format!("{witnesses}group g 18446744073709551617 1 2\n"), 4),
        (format!("{witnesses}group g most 1 2\n"), 4),
        (format!("{witnesses}group g all\n"), 4),
        (format!("{witnesses}group g any\n"), 4),
        // One quorum.
        ("quorum none\nquorum none\n".to_owned(), 2),
        (format!("{witnesses}quorum 1\nquorum 2\n"), 5),
    ] {
        match Policy::parse(&wrong) {
            Err(PolicyError::Line { line: found, .. }) => assert_eq!(found, line, "{wrong:?}"),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    for no_quorum in ["", "\n", "# quorum none\n", &witnesses] {
        assert_eq!(Policy::parse(no_quorum).unwrap_err(), PolicyError::NoQuorum);
    }
    let names_are_bytes = format!("witness \u{212a} {one}\nquorum K\n");
    assert!(Policy::parse(names_are_bytes).is_err());
}

#[test]
fn a_policy_counts_each_cosignature_once_and_a_wrong_one_not() {
    let log = key(1).verifier();
    let vkeys = [1, 2, 3].map(|n| witness(n).verifier());
    let policy = |quorum: &str| {
        let [one, two, three] = &vkeys;
        let witnesses = format!("witness 1 {one}\nwitness 2 {two}\nwitness 3 {three}\n");
        Policy::parse(format!("log {log}\n{witnesses}{quorum}\n")).unwrap()
    };
    let check = |quorum: &str, witnesses: &[u8]| {
        let mut note = signed(TEXT, &[&key(1)]);
        witnesses
            .iter()
            .for_each(|n| note.sign(&witness(*n), 1_767_225_600));
        policy(quorum).check(&note.to_bytes()).is_ok()
    };
    let two_of_three = "group g 2 1 2 3\nquorum g";
    assert!(check("quorum none", &[]));
    assert!(check("quorum 2", &[2]) && !check("quorum 2", &[1, 3]));
    assert!(check(two_of_three, &[1, 3]) && check(two_of_three, &[3, 2, 1]));
    assert!(
        !check(two_of_three, &[]) && !check(two_of_three, &[2]) && !check(two_of_three, &[2, 2])
    );
    let nested = "group a any 1 2\ngroup g all a 3\nquorum g";
    assert!(check(nested, &[2, 3]) && !check(nested, &[1, 2]) && !check(nested, &[3]));
    // Unlike a log's, a witness' wrong signature only does not count.
    let mut note = signed(TEXT, &[&key(1), &witness(1), &witness(2)]);
    note.sign(&witness(3), 0);
    let wrong = print(&signed("other\n", &[&witness(3)]));
    let wrong = format!(
        "{}{}\n",
        print(&signed(TEXT, &[&key(1), &witness(1)])),
        wrong.lines().last().unwrap()
    );
    assert!(policy("quorum 1").check(wrong.as_bytes()).is_ok());
    assert!(policy("quorum 3").check(wrong.as_bytes()).is_err());
    assert!(policy(two_of_three).check(&note.to_bytes()).is_ok());
}

/// The key of a log under another name.
fn renamed(n: u8) -> VerifierKey {
    SigningKey::ed25519_from_seed("other.example", &[n; 32])
        .unwrap()
        .verifier()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[test]
fn a_signer_that_is_not_known_may_have_any_name() {
    let note = print(&signed(TEXT, &[&key(1)]));
    for name in ["\u{7f}", "a\u{9b}b", "\u{202e}", "—"] {
        let note = format!("{note}\u{2014} {name} AAAAAAA=\n");
        let parsed = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(parsed.signatures()[1].name, name);
        let signers = parsed.verified_by(&[key(1).verifier()]).unwrap();
        assert_eq!(signers, [key(1).verifier()]);
    }
}
