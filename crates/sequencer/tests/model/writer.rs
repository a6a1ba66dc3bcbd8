//! What a writer does by itself, between two accesses to the store.

use crate::rules::Config;
use crate::state::{At, Mode, Request, Slot, State, Writer};
use crate::store::Reply;
use crate::tree::{Ids, Tree};

impl Config {
    /// The writes that a writer may be sending.
    pub(crate) fn requests(&self, state: &State, i: usize) -> Vec<Request> {
        let w = state.writers[i];
        let item = Request::Item {
            batch: w.batch,
            seen: w.seen,
        };
        match w.at {
            At::Send => w.sent.map(Request::Slot).into_iter().collect(),
            At::Put => vec![item],
            At::Integrate => vec![Request::Tiles(w.chain)],
            At::Replace => vec![Request::Checkpoint {
                old: w.published,
                new: w.chain,
            }],
            At::Clean => {
                let logged = |batch: &u8| {
                    w.ids
                        .get(*batch)
                        .is_some_and(|index| index < w.published.len())
                };
                let there = |batch: &u8| state.inbox[usize::from(*batch)].is_some();
                let next = w.ids.batches().find(|batch| logged(batch) && there(batch));
                next.map(|batch| Request::Delete { batch })
                    .into_iter()
                    .collect()
            }
            At::Tip if w.mode == Mode::Slot => {
                let mut body = self.empty_slot(state, i, w.chain);
                self.append(&mut body, w.batch);
                let mut requests = vec![Request::Slot(body)];
                if self.inbox {
                    requests.push(Request::Item {
                        batch: w.batch,
                        seen: w.chain.len(),
                    });
                }
                requests
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn on_reply(&self, state: &mut State, i: usize, request: Request, reply: Reply) {
        let w = &mut state.writers[i];
        match request {
            Request::Slot(_) => match reply {
                Reply::Done => self.made(state, i),
                Reply::Refused => w.at = At::Refused,
                Reply::Unknown if !self.rules.seen_held => self.made(state, i),
                Reply::Unknown => w.at = At::Unanswered,
                Reply::BelowFloor => *w = self.covered(*w),
            },
            Request::Item { .. } => {
                if reply != Reply::Unknown {
                    (w.mode, w.at) = (Mode::Inbox, At::Tip);
                }
            }
            Request::Delete { .. } => {}
            Request::Tiles(tree) => match reply {
                Reply::Done if self.rules.tiles_first => {
                    self.sign(state, tree);
                    state.writers[i].at = At::Replace;
                }
                Reply::Done => self.published(state, i),
                Reply::Unknown => {}
                Reply::Refused | Reply::BelowFloor => {
                    state.broken.immutability = true;
                    w.at = At::Stopped;
                }
            },
            Request::Checkpoint { new, .. } => match reply {
                Reply::Done => {
                    (w.published, w.version, w.strayed) = (new, false, false);
                    w.ends &= !0 << new.len();
                    if self.rules.tiles_first {
                        self.published(state, i);
                    } else {
                        w.at = At::Integrate;
                    }
                }
                Reply::Refused | Reply::Unknown | Reply::BelowFloor => w.at = At::Observe,
            },
        }
    }

    /// Goes over a slot that is next in the chain; whether it did.
    pub(crate) fn fold(&self, w: &mut Writer, slot: Slot) -> bool {
        if !slot.follows(w.chain) {
            w.at = At::Stopped;
            return false;
        }
        if slot.header_only {
            if self.rules.header_covered {
                *w = w.without_state();
            } else {
                w.at = At::Stopped;
            }
            return false;
        }
        w.chain = slot.new;
        w.ends |= 1 << slot.new.len();
        w.ids.add(slot.ids);
        if w.at == At::Tip {
            w.at = At::Fold;
        }
        true
    }

    /// At the tip: first what was sent is resolved, then what is ordered is published, then comes the batch.
    pub(crate) fn settle(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        if let Some(sent) = w.sent {
            if w.chain.len() == sent.start {
                w.at = At::Send;
                return;
            }
            if w.chain.len() < sent.start {
                w.at = At::Short;
                return;
            }
            if self.rules.own_covered && w.mode != Mode::Sweep && w.chain.starts_with(sent.new) {
                w.place = sent.new.find(self.batches[usize::from(w.batch)][0]);
            }
            w.sent = None;
        }
        if w.cold && w.chain.len() > w.published.len() {
            w.goal = w.chain.len();
            self.publish(state, i);
            return;
        }
        w.cold = false;
        self.go_on(state, i);
    }

    /// With its batch in the chain: to an answer; else to the tip.
    fn go_on(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        w.strayed = false;
        if w.mode == Mode::Inbox && w.place.is_none() {
            w.place = w.ids.get(w.batch);
        }
        if w.mode != Mode::Sweep && w.place.is_none() {
            w.place = self.first_place(w.chain, w.batch);
        }
        let Some(place) = w.place else {
            w.at = At::Tip;
            return;
        };
        let leaves = self.batches[usize::from(w.batch)];
        let proven = if self.dedup {
            self.first_place(w.published, w.batch) == Some(place)
        } else {
            w.published
                .leaves()
                .skip(usize::from(place))
                .take(leaves.len())
                .eq(leaves.iter().copied())
        };
        if proven {
            state.answered[usize::from(w.batch)] = Some(place);
            self.clean(state, i);
        } else if w.published.len() < w.chain.len() {
            w.goal = w.chain.len();
            self.publish(state, i);
        } else {
            w.at = At::Stopped;
        }
    }

    /// One's own slot stands.
    pub(crate) fn made(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        let slot = w.sent.take().unwrap();
        w.chain = slot.new;
        w.ends |= 1 << slot.new.len();
        w.ids.add(slot.ids);
        if w.mode != Mode::Sweep {
            w.place = slot.new.find(self.batches[usize::from(w.batch)][0]);
            if !self.rules.publish_first {
                state.answered[usize::from(w.batch)] = w.place;
            }
        }
        w.goal = w.chain.len();
        self.publish(state, i);
    }

    fn publish(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        if w.published.len() >= w.goal {
            self.published(state, i);
        } else if !w.version {
            w.at = At::Observe;
        } else if self.rules.tiles_first {
            w.at = At::Integrate;
        } else {
            let tree = w.chain;
            w.at = At::Replace;
            self.sign(state, tree);
        }
    }

    fn published(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        (w.goal, w.cold) = (0, false);
        self.go_on(state, i);
    }

    /// Nothing is signed that is not durably ordered, nor next to what was signed before.
    fn sign(&self, state: &mut State, tree: Tree) {
        let mut end = tree;
        while !state.checkpoint.starts_with(end) {
            let Some(slot) = state
                .slots
                .iter()
                .flatten()
                .find(|slot| slot.new == end && slot.start < end.len())
            else {
                state.broken.signature = true;
                break;
            };
            end = end.prefix(slot.start);
        }
        state.broken.growth |= !tree.agrees_with(state.signed);
        if tree.len() > state.signed.len() {
            state.signed = tree;
        }
    }

    pub(crate) fn observe(&self, state: &mut State, i: usize) {
        let checkpoint = state.checkpoint;
        let w = &mut state.writers[i];
        w.observed = checkpoint;
        if checkpoint.len() <= w.chain.len() {
            self.judge(state, i);
        } else if !self.rules.larger && checkpoint.starts_with(w.chain) {
            (w.published, w.version, w.observed, w.at) =
                (checkpoint, true, Tree::default(), At::Integrate);
        } else {
            w.at = At::Follow;
        }
    }

    /// Is the checkpoint that it observed a boundary of its chain?
    pub(crate) fn judge(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        if w.at == At::Stopped {
            return;
        }
        let checkpoint = std::mem::take(&mut w.observed);
        let boundary = w.ends & (1 << checkpoint.len()) != 0 && w.chain.starts_with(checkpoint);
        if boundary || !self.rules.boundary {
            (w.published, w.version, w.strayed) = (checkpoint, true, false);
            w.ends &= !0 << checkpoint.len();
            self.publish(state, i);
        } else if w.strayed {
            w.at = At::Stopped;
        } else {
            *w = Writer {
                strayed: true,
                ..w.without_state()
            };
        }
    }

    /// The name of the slot is taken, and what took it is covered: the log will tell whether it was one's own.
    pub(crate) fn covered(&self, w: Writer) -> Writer {
        Writer {
            sent: if self.rules.own_covered { w.sent } else { None },
            ..w.dropped()
        }
    }

    pub(crate) fn clean(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        if self.inbox {
            w.at = At::Clean;
            if usize::from(w.batch + self.writers) >= self.batches.len() {
                *w = Writer {
                    at: At::Clean,
                    batch: w.batch,
                    mode: w.mode,
                    ids: w.ids,
                    published: w.published,
                    ..Writer::default()
                };
            }
        } else {
            self.next_batch(state, i);
        }
    }

    pub(crate) fn next_batch(&self, state: &mut State, i: usize) {
        let w = &mut state.writers[i];
        let next = w.batch + self.writers;
        if usize::from(next) < self.batches.len() {
            (w.batch, w.mode, w.seen, w.place) = (next, Mode::Slot, 0, None);
            self.settle(state, i);
        } else {
            *w = Writer::done();
        }
    }

    /// The next slot, of its own batch and of what the inbox holds; reads older slots for it.
    pub(crate) fn lead(&self, state: &State, i: usize, w: &mut Writer) -> Option<Slot> {
        let items = (0..).zip(state.inbox);
        let mut items: Vec<_> = items
            .filter_map(|(batch, seen)| Some((seen?, batch)))
            .collect();
        match w.mode {
            Mode::Slot => items.push((w.chain.len(), w.batch)),
            Mode::Inbox if state.inbox[usize::from(w.batch)].is_none() => {
                items.push((w.seen, w.batch));
            }
            Mode::Inbox | Mode::Sweep => {}
        }
        items.sort_unstable();
        let lowest = items.iter().map(|(seen, _)| *seen).min()?;
        if self.rules.read_from_seen && lowest < w.from {
            let mut reads = items.iter().map(|(seen, _)| *seen);
            reads.find(|seen| *seen >= w.from || read_back(state, w, *seen));
        }
        let mut slot = self.empty_slot(state, i, w.chain);
        for (seen, batch) in items {
            let readable = seen >= w.from || !self.rules.read_from_seen;
            if w.mode == Mode::Slot && batch == w.batch {
                self.append(&mut slot, batch);
            } else if readable && w.ids.get(batch).is_none() {
                let index = self.append(&mut slot, batch);
                slot.ids.insert(batch, index);
            }
        }
        let new = slot.new.len() > slot.start || !self.rules.new_entry;
        (new && slot.ids != Ids::default()).then_some(slot)
    }

    /// A slot of no entries, under an attempt id that nothing else has.
    fn empty_slot(&self, state: &State, i: usize, chain: Tree) -> Slot {
        let held = state.slots.iter().flatten().copied();
        let late = state.net.iter().filter_map(|request| match request {
            Some(Request::Slot(slot)) => Some(*slot),
            _ => None,
        });
        let used: Vec<_> = held.chain(late).map(|slot| slot.attempt).collect();
        let writer = u8::try_from(i).unwrap();
        let mut attempts = (0..).map(|n| (writer, n));
        let attempt = attempts.find(|attempt| !used.contains(attempt));
        Slot {
            start: chain.len(),
            attempt: attempt.unwrap(),
            ids: Ids::default(),
            new: chain,
            header_only: false,
        }
    }

    /// The index of a batch's first entry, after its entries were appended. Only what comes from the inbox is listed: what never
    /// was there gets a new id with every attempt, and nobody looks for it.
    fn append(&self, slot: &mut Slot, batch: u8) -> u8 {
        let start = slot.new.len();
        for leaf in self.batches[usize::from(batch)] {
            if !self.dedup || slot.new.find(*leaf).is_none() {
                slot.new.push(*leaf);
            }
        }
        let first = if self.dedup {
            slot.new.find(self.batches[usize::from(batch)][0])
        } else {
            None
        };
        first.unwrap_or(start)
    }

    /// Where a batch is whose leaves are all in the tree.
    fn first_place(&self, tree: Tree, batch: u8) -> Option<u8> {
        let leaves = self.batches[usize::from(batch)];
        let all = self.dedup && leaves.iter().all(|leaf| tree.find(*leaf).is_some());
        if all { tree.find(leaves[0]) } else { None }
    }
}

/// Reads the slots between `from` and what the writer knows; whether all could be read.
pub(crate) fn read_back(state: &State, w: &mut Writer, from: u8) -> bool {
    let (mut at, mut ids) = (from, w.ids);
    while at < w.from {
        let Some(slot) = state
            .slot(at)
            .filter(|slot| w.chain.starts_with(slot.new) && slot.new.len() > at)
        else {
            return false;
        };
        ids.add(slot.ids);
        at = slot.new.len();
    }
    if at == w.from {
        (w.from, w.ids) = (from, ids);
    }
    at == w.from
}

impl Writer {
    pub(crate) fn done() -> Self {
        Self {
            at: At::Done,
            ..Self::default()
        }
    }

    /// What outlives a cold start.
    pub(crate) fn without_state(self) -> Self {
        Self {
            mode: self.mode,
            batch: self.batch,
            sent: self.sent,
            seen: self.seen,
            place: self.place,
            strayed: self.strayed,
            ..Self::default()
        }
    }

    /// All is dropped, what was sent too: the next access is a cold start.
    pub(crate) fn dropped(self) -> Self {
        Self {
            sent: None,
            ..self.without_state()
        }
    }
}
