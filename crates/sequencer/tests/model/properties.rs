//! The invariants I1 to I7 of the design, and that no writer stops for good.

use std::sync::Arc;

use stateright::{Model, Property};

use crate::liveness::Graph;
use crate::rules::Config;
use crate::state::{At, State};
use crate::steps::Step;
use crate::tree::Tree;

/// The model of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) config: Config,
    pub(crate) graph: Arc<Graph>,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.config.init()]
    }

    /// Nothing follows on a violation: what it leads to is not told apart from it.
    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        let holds = self
            .properties()
            .iter()
            .all(|property| (property.condition)(self, state));
        if holds {
            actions.extend(self.config.steps(state));
        }
        let batches = self.config.batches.len();
        let is_settled =
            |batch: usize| state.answered[batch].is_some() || state.dead & (1 << batch) != 0;
        let is_goal = !holds || (0..batches).all(is_settled);
        self.graph.note(
            state,
            is_goal,
            actions.iter().filter(|step| step.calm).map(|step| step.to),
        );
    }

    fn next_state(&self, _: &State, step: Step) -> Option<State> {
        Some(step.to)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = [
            Property::always("I1 order", order),
            Property::always("I2 durability", durability),
            Property::always("I3 immutability", immutability),
            Property::always("I4 growth", |_, state: &State| !state.broken.growth),
            Property::always("I5 availability", availability),
            Property::always("I6 once", once),
            Property::always("I7 order before signature", |_, state: &State| {
                !state.broken.signature
            }),
            Property::always("no writer stops", |_, state: &State| {
                state.writers.iter().all(|w| w.at != At::Stopped)
            }),
            Property::always("L liveness", |model: &Self, state| {
                !model.graph.is_stuck(state)
            }),
        ];
        let checked = |property: &Property<Self>| !self.config.unchecked.contains(&property.name);
        all.into_iter().filter(checked).collect()
    }
}

/// A start has at most one slot, ever, and each slot begins where another ends.
fn order(_: &Protocol, state: &State) -> bool {
    let chained = state.slots.iter().flatten().all(|slot| {
        let before = slot.new.prefix(slot.start);
        let begins = before == Tree::default()
            || state
                .slots
                .iter()
                .flatten()
                .any(|other| other.new == before);
        // What expired ended at or below the published size.
        let expired = state.removed != 0 && state.checkpoint.starts_with(before);
        slot.new.len() > slot.start && (begins || expired)
    });
    let mut trees = state.slots.iter().flatten().map(|slot| slot.new);
    let longest = trees
        .clone()
        .max_by_key(|tree| tree.len())
        .unwrap_or_default();
    chained && trees.all(|tree| longest.starts_with(tree)) && !state.broken.order
}

/// What was answered is published, at its index.
fn durability(model: &Protocol, state: &State) -> bool {
    model
        .config
        .batches
        .iter()
        .zip(state.answered)
        .all(|(leaves, answered)| {
            let Some(place) = answered else { return true };
            let tree = state.checkpoint;
            if model.config.dedup {
                return tree.find(leaves[0]) == Some(place)
                    && leaves.iter().all(|leaf| tree.find(*leaf).is_some());
            }
            tree.leaves()
                .skip(usize::from(place))
                .take(leaves.len())
                .eq(leaves.iter().copied())
        })
}

/// No writer has other bytes for a tile, and no tile has other bytes than what is published.
fn immutability(_: &Protocol, state: &State) -> bool {
    !state.broken.immutability
        && state
            .tiles
            .iter()
            .flatten()
            .all(|tile| tile.agrees_with(state.checkpoint))
}

fn availability(_: &Protocol, state: &State) -> bool {
    let size = state.checkpoint.len();
    size == 0 || state.tiles[usize::from(size)] == Some(state.checkpoint)
}

/// No leaf is logged twice. Batches without a leaf in common are so logged once.
fn once(_: &Protocol, state: &State) -> bool {
    let mut trees = state.slots.iter().flatten().map(|slot| slot.new);
    !state.checkpoint.repeats_a_leaf() && trees.all(|tree| !tree.repeats_a_leaf())
}
