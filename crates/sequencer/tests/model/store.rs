//! What the store does with a request.

use crate::rules::Config;
use crate::state::{Request, State};

/// What a writer hears of its request.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Reply {
    Done,
    /// The name is held, or the object was changed.
    Refused,
    BelowFloor,
    /// None came.
    Unknown,
}

impl Config {
    /// A request reaches the store.
    pub(crate) fn happen(&self, state: &mut State, request: Request) -> Reply {
        match request {
            Request::Slot(slot) => {
                let place = &mut state.slots[usize::from(slot.start)];
                if slot.start < state.floor {
                    return Reply::BelowFloor;
                }
                if place.is_some() {
                    return Reply::Refused;
                }
                *place = Some(slot);
                state.broken.order |= state.removed & (1 << slot.start) != 0;
            }
            Request::Item { batch, seen } => state.inbox[usize::from(batch)] = Some(seen),
            Request::Delete { batch } => state.inbox[usize::from(batch)] = None,
            Request::Tiles(tree) => {
                let place = &mut state.tiles[usize::from(tree.len())];
                if place.is_some_and(|held| held != tree) {
                    return Reply::Refused;
                }
                *place = Some(tree);
            }
            Request::Checkpoint { old, new } => {
                if state.checkpoint != old && self.rules.unchanged {
                    return Reply::Refused;
                }
                state.broken.growth |= !new.starts_with(state.checkpoint);
                state.checkpoint = new;
            }
        }
        Reply::Done
    }

    /// Requests that have no effect, now or ever, need not be told apart.
    pub(crate) fn forget_what_cannot_happen(&self, state: &mut State) {
        let State {
            net,
            slots,
            floor,
            tiles,
            checkpoint,
            inbox,
            ..
        } = state;
        if net[0].is_none() && net[net.len() - 1].is_none() {
            return;
        }
        for place in net.iter_mut() {
            let never = match place {
                Some(Request::Slot(slot)) => {
                    self.rules.names_once
                        && (slots[usize::from(slot.start)].is_some() || slot.start < *floor)
                }
                Some(Request::Tiles(tree)) => tiles[usize::from(tree.len())].is_some(),
                Some(Request::Checkpoint { old, .. }) => {
                    self.rules.unchanged && self.rules.larger && *old != *checkpoint
                }
                Some(Request::Item { .. } | Request::Delete { .. }) | None => false,
            };
            if never {
                *place = None;
            }
        }
        // An item that is gone comes back only by a late request of its author.
        let late: Vec<_> = net.iter().flatten().copied().collect();
        let comes = |batch: u8| {
            late.iter()
                .any(|other| matches!(other, Request::Item { batch: b, .. } if *b == batch))
        };
        for place in net.iter_mut() {
            if let Some(Request::Delete { batch }) = *place
                && inbox[usize::from(batch)].is_none()
                && !comes(batch)
            {
                *place = None;
            }
        }
        net.sort_unstable();
    }
}
