//! The invariants can fail: stores that break a rule, and what notices.

use crate::simulation::outcome;
use crate::spy::Broken;

#[test]
fn a_slot_that_is_overwritten_breaks_the_order() {
    noticed(Broken::SlotsAreOverwritten, "I1");
}

#[test]
fn a_checkpoint_that_is_replaced_unread_shrinks_the_log() {
    noticed(Broken::ReplaceNeverCompares, "I4");
}

#[test]
fn an_object_that_is_lost_breaks_availability() {
    noticed(Broken::CreatesAreLost, "I5");
}

fn noticed(broken: Broken, invariant: &str) {
    let found = (0..500).filter_map(|seed| outcome(seed, Some(broken)).err());
    let mut others = Vec::new();
    for why in found {
        if why.contains(invariant) {
            return;
        }
        others.push(why);
    }
    panic!("{broken:?} does not break {invariant}, but {others:?}");
}
