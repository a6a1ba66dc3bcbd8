//! What breaks when a rule is left out: each rule is there for a reason, and each property can fail.

use crate::holds::{NO_FAULTS, explore};
use crate::rules::{Config, Expiry, Rules};

/// Two writers, of two entries at most.
const TWO: Config = Config {
    batches: &[&[1], &[2]],
    writers: 2,
    ..NO_FAULTS
};

const ONE_FAULT: Config = Config { faults: 1, ..TWO };

/// The same leaf in both batches.
const DUPLICATES: Config = Config {
    dedup: true,
    batches: &[&[1], &[1]],
    ..TWO
};

const REMOVED: Config = Config {
    expiry: Expiry::Removed,
    inbox: false,
    ..TWO
};

const HEADER_ONLY: Config = Config {
    expiry: Expiry::HeaderOnly,
    ..REMOVED
};

/// What is left out, in what, and what the shortest way to a violation violates. Two rules break nothing by themselves, in
/// what was explored: see below.
#[rustfmt::skip]
const TABLE: [Row; 17] = [
    ("the same bytes again", |r| r.same_attempt = false, ONE_FAULT, &["I6 once"]),
    ("a slot stands when its name was seen held", |r| r.seen_held = false, ONE_FAULT, &["I7 order before signature"]),
    ("the attempt id tells one's own slot", |r| r.own_attempt = false, ONE_FAULT, &["I6 once"]),
    ("an own slot that expired is recognised", |r| r.own_covered = false, Config { faults: 1, ..REMOVED }, &["I6 once"]),
    ("an own slot that was cut is recognised", |r| r.own_covered = false, Config { faults: 1, ..HEADER_ONLY }, &["I6 once"]),
    ("slots are read from `seen` on", |r| r.read_from_seen = false, Config { crashes: 1, ..TWO }, &["I6 once"]),
    ("attempted, then the inbox", |r| r.attempted_then_inbox = false, ONE_FAULT, &["I6 once"]),
    ("replaced only if unchanged", |r| r.unchanged = false, TWO, &["I2 durability", "I4 growth"]),
    ("replaced only by a larger one", |r| r.larger = false, TWO, &["I2 durability", "I4 growth"]),
    ("a slot has a new entry", |r| r.new_entry = false, Config { crashes: 1, ..DUPLICATES }, &["I1 order"]),
    ("a name is taken once, ever", |r| r.names_once = false, REMOVED, &["I1 order"]),
    ("the same, and what comes of it", |r| r.names_once = false, Config { unchecked: &["I1 order"], ..FREE }, &["I3 immutability", "no writer stops"]),
    ("the same, where nothing stops a writer", |r| r.names_once = false, Config { unchecked: &["I1 order", "I3 immutability", "no writer stops"], ..FREE }, &["I4 growth"]),
    ("a header-only slot is covered", |r| r.header_covered = false, HEADER_ONLY, &["no writer stops"]),
    ("tiles before the checkpoint", |r| r.tiles_first = false, TWO, &["I5 availability"]),
    ("answers after publication", |r| r.publish_first = false, TWO, &["I2 durability"]),
    ("an item is tried by its author", |r| r.author_leads = false, Config { inbox: true, ..TWO }, &["L liveness"]),
];

type Row = (
    &'static str,
    fn(&mut Rules),
    Config,
    &'static [&'static str],
);

const FREE: Config = Config {
    expiry: Expiry::Removed,
    ..ONE_FAULT
};

#[test]
fn each_rule_that_is_left_out_breaks_its_property() {
    let mut wrong = Vec::new();
    for (rule, leave_out, mut config, expected) in TABLE {
        let kept = explore(config, 1);
        assert!(kept.violations.is_empty(), "{rule}, kept: {kept}");
        leave_out(&mut config.rules);
        let outcome = explore(config, 1);
        println!("without \"{rule}\": {outcome}");
        let first: Vec<_> = outcome.violations.iter().map(|(name, _)| *name).collect();
        if first != expected {
            wrong.push(format!("{rule}: {first:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// These two are second lines. A checkpoint is a boundary of every chain as long as a name is taken once, ever,
/// and a slot below the floor cannot be created whether the floor was read again or not.
#[test]
fn two_rules_that_are_left_out_break_nothing_by_themselves() {
    let config = Config {
        expiry: Expiry::Removed,
        crashes: u8::from(!crate::holds::asked().is_empty()),
        ..ONE_FAULT
    };
    for (rule, leave_out) in [
        (
            "signed over a boundary",
            (|r| r.boundary = false) as fn(&mut Rules),
        ),
        ("the floor is read again", |r| r.floor_again = false),
    ] {
        let mut config = config;
        leave_out(&mut config.rules);
        let outcome = explore(config, 1);
        println!("without \"{rule}\": {outcome}");
        assert!(outcome.violations.is_empty());
    }
}
