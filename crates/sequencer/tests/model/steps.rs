//! What can happen next. One step is one access to the store by one writer, with all that this writer then works out by
//! itself; or a crash; or a request that happens late; or housekeeping.
//!
//! A writer's own computations commute with every step of all others, since they touch nothing that is shared, and no
//! invariant looks at what they change before the writer's next access (answers and signatures are history, which no
//! writer reads, and are taken at the earliest moment). So no interleaving is lost by taking them together with the access
//! before them. For the same reason reading several slots one after another is one step: a slot never changes but for
//! becoming a header, which lists the same ids, or being removed, which only makes the reader know less, as it
//! would have at the later moment.

use crate::rules::{Config, Expiry};
use crate::state::{At, Mode, Request, Slot, State, Writer};
use crate::store::Reply;
use crate::tree::Tree;
use crate::writer::read_back;

/// One step, and what it leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// `None` is nobody's: housekeeping, or a request that happens late.
    pub(crate) writer: Option<usize>,
    pub(crate) what: &'static str,
    /// A writer that keeps running, and nothing that goes wrong.
    pub(crate) calm: bool,
    pub(crate) to: State,
}

impl Config {
    pub(crate) fn init(&self) -> State {
        let mut state = State {
            faults_left: self.faults,
            crashes_left: self.crashes,
            ..State::default()
        };
        for (i, writer) in state.writers.iter_mut().enumerate() {
            writer.batch = u8::try_from(i).unwrap();
            if i >= usize::from(self.writers) {
                *writer = Writer::done();
            }
        }
        state
    }

    /// All steps from a state.
    pub(crate) fn steps(&self, state: &State) -> Vec<Step> {
        let mut steps = Steps {
            config: self,
            from: state,
            out: Vec::with_capacity(12),
        };
        for i in 0..usize::from(self.writers) {
            if self.reduced && self.commutes(state, i) {
                steps.out.clear();
                steps.of_writer(i);
                steps.crash(i);
                return steps.out;
            }
            steps.of_writer(i);
            steps.crash(i);
        }
        steps.late_requests();
        steps.housekeeping();
        steps.out
    }
}

struct Steps<'a> {
    config: &'a Config,
    from: &'a State,
    out: Vec<Step>,
}

impl Steps<'_> {
    fn push(&mut self, writer: Option<usize>, calm: bool, what: &'static str, mut to: State) {
        self.config.forget_what_cannot_happen(&mut to);
        if to != *self.from {
            self.out.push(Step {
                writer,
                what,
                calm,
                to,
            });
        }
    }

    fn of_writer(&mut self, i: usize) {
        let (config, state) = (self.config, self.from);
        let w = state.writers[i];
        let mut to = *state;
        let what = match w.at {
            At::Cold => {
                to.writers[i] = Writer {
                    at: if config.expiry == Expiry::Removed && state.checkpoint.len() > 0 {
                        At::Last
                    } else {
                        At::Fold
                    },
                    chain: state.checkpoint,
                    ends: 1 << state.checkpoint.len(),
                    from: state.checkpoint.len(),
                    published: state.checkpoint,
                    version: true,
                    cold: true,
                    ..w.without_state()
                };
                "starts cold: reads the checkpoint"
            }
            At::Last => {
                let found = state
                    .slots
                    .iter()
                    .flatten()
                    .any(|slot| slot.new == w.published);
                to.writers[i].at = if found { At::Fold } else { At::LastFloor };
                "looks for the slot that ends there"
            }
            At::LastFloor => {
                let expired = state.floor == w.published.len();
                to.writers[i].at = if expired {
                    At::Fold
                } else {
                    At::LastCheckpoint
                };
                "reads the floor"
            }
            At::LastCheckpoint => {
                let grown = state.checkpoint.len() > w.published.len();
                to.writers[i] = Writer {
                    at: if grown { At::Cold } else { At::Stopped },
                    ..w.without_state()
                };
                "reads the checkpoint again"
            }
            At::Fold => match state.slot(w.chain.len()) {
                None => {
                    config.settle(&mut to, i);
                    "is at the tip"
                }
                Some(slot) => {
                    config.fold(&mut to.writers[i], slot);
                    "folds a slot"
                }
            },
            At::Short => {
                let grown = state.floor > w.chain.len();
                let at = if grown { At::Cold } else { At::Stopped };
                to.writers[i] = Writer {
                    at,
                    ..w.without_state()
                };
                "reads the floor, for slots are missing"
            }
            At::Floor => {
                // The slot that was folded ends at the tip.
                let start = w.observed.len();
                to.writers[i].observed = Tree::default();
                if state.floor > start {
                    to.writers[i] = w.without_state();
                } else {
                    config.settle(&mut to, i);
                }
                "reads the floor again"
            }
            At::Tip => return self.at_tip(i),
            At::Send | At::Put | At::Integrate | At::Replace => {
                for request in config.requests(state, i) {
                    self.request(i, to, request);
                }
                return;
            }
            At::Refused | At::Unanswered => return self.resolve(i),
            At::Observe => {
                config.observe(&mut to, i);
                "reads the checkpoint"
            }
            At::Follow => {
                match state.slot(w.chain.len()) {
                    Some(slot) if !slot.header_only => {
                        config.fold(&mut to.writers[i], slot);
                        if to.writers[i].chain.len() >= w.observed.len() {
                            config.judge(&mut to, i);
                        }
                    }
                    _ => config.judge(&mut to, i),
                }
                "follows to the checkpoint"
            }
            At::Clean => {
                let requests = config.requests(state, i);
                for request in &requests {
                    self.request(i, to, *request);
                }
                if !requests.is_empty() {
                    return;
                }
                config.next_batch(&mut to, i);
                "has nothing to clean up"
            }
            At::Done | At::Stopped => return,
        };
        self.push(Some(i), true, what, to);
    }

    /// A writer at the tip chooses.
    fn at_tip(&mut self, i: usize) {
        let (config, state) = (self.config, self.from);
        let w = state.writers[i];
        if w.mode == Mode::Inbox && config.rules.read_from_seen && w.seen < w.from {
            let mut to = *state;
            if read_back(state, &mut to.writers[i], w.seen) {
                config.settle(&mut to, i);
            } else {
                // Its own item is older than the slots: nobody can say what became of it.
                to.dead |= 1 << w.batch;
                config.next_batch(&mut to, i);
            }
            self.push(Some(i), true, "reads older slots", to);
            return;
        }
        for request in config.requests(state, i) {
            let mut to = *state;
            match request {
                Request::Slot(slot) => {
                    (to.writers[i].sent, to.writers[i].at) = (Some(slot), At::Send);
                }
                _ => (to.writers[i].seen, to.writers[i].at) = (w.chain.len(), At::Put),
            }
            self.request(i, to, request);
        }
        if config.inbox && (w.mode != Mode::Inbox || config.rules.author_leads) {
            let mut to = *state;
            let slot = config.lead(state, i, &mut to.writers[i]);
            if slot.is_some() {
                config.settle(&mut to, i);
                if to.writers[i].at == At::Tip {
                    (to.writers[i].sent, to.writers[i].at) = (slot, At::Send);
                }
                self.push(Some(i), true, "lists the inbox, and leads", to);
            }
        }
        if w.mode == Mode::Inbox
            && let Some(slot) = state.slot(w.chain.len())
        {
            let mut to = *state;
            config.fold(&mut to.writers[i], slot);
            self.push(Some(i), true, "polls, and folds a slot", to);
        }
        if w.mode == Mode::Sweep {
            let mut to = *state;
            config.clean(&mut to, i);
            self.push(Some(i), true, "has swept", to);
        }
    }

    /// What holds the name?
    fn resolve(&mut self, i: usize) {
        let (config, state) = (self.config, self.from);
        let w = state.writers[i];
        let sent = w.sent.unwrap();
        let mut to = *state;
        let what = match state.slot(sent.start) {
            None if w.at == At::Refused => {
                to.writers[i] = config.covered(w);
                "finds the slot expired"
            }
            None => {
                if !config.rules.attempted_then_inbox && w.mode == Mode::Slot {
                    let mut to = *state;
                    to.writers[i] = Writer {
                        at: At::Put,
                        sent: None,
                        seen: w.chain.len(),
                        ..w
                    };
                    self.push(
                        Some(i),
                        true,
                        "gives up the slot, and goes to the inbox",
                        to,
                    );
                }
                if config.rules.same_attempt {
                    let mut cold = *state;
                    cold.writers[i] = Writer {
                        sent: Some(sent),
                        ..w.dropped()
                    };
                    self.push(
                        Some(i),
                        true,
                        "finds no slot, and drops all but the attempt",
                        cold,
                    );
                    to.writers[i].at = At::Send;
                    "finds no slot"
                } else {
                    to.writers[i] = w.dropped();
                    "finds no slot, and makes another attempt"
                }
            }
            Some(slot) if config.rules.own_attempt && slot.attempt == sent.attempt => {
                config.made(&mut to, i);
                "finds its own slot"
            }
            Some(slot) => {
                let w = &mut to.writers[i];
                w.sent = None;
                let before = w.chain;
                if config.fold(w, slot) {
                    if config.expiry == Expiry::Removed && config.rules.floor_again {
                        (w.at, w.observed) = (At::Floor, before);
                    } else {
                        config.settle(&mut to, i);
                    }
                }
                "folds the slot that took its name"
            }
        };
        self.push(Some(i), true, what, to);
    }

    /// A write: it happens; or is lost, and may happen late; or happens now and again later. That it
    /// happens and its answer is lost is a lost one that happens at once.
    fn request(&mut self, i: usize, mut to: State, request: Request) {
        let config = self.config;
        let base = to;
        let reply = config.happen(&mut to, request);
        let happened = to;
        config.on_reply(&mut to, i, request, reply);
        self.push(Some(i), true, request.what(), to);
        if self.from.faults_left > 0 {
            let mut lost = base;
            lost.faults_left -= 1;
            lost.fly(request);
            config.on_reply(&mut lost, i, request, Reply::Unknown);
            self.push(Some(i), false, request.what_if_lost(), lost);
            let mut doubled = happened;
            doubled.faults_left -= 1;
            doubled.fly(request);
            config.on_reply(&mut doubled, i, request, reply);
            self.push(Some(i), false, request.what_if_doubled(), doubled);
        }
    }

    /// The process is gone, and what it was sending may still happen. It starts again without its batch.
    fn crash(&mut self, i: usize) {
        let state = self.from;
        let w = state.writers[i];
        if state.crashes_left == 0 || matches!(w.at, At::Done | At::Stopped) {
            return;
        }
        let mut to = *state;
        to.crashes_left -= 1;
        if w.mode != Mode::Sweep && state.answered[usize::from(w.batch)].is_none() {
            to.dead |= 1 << w.batch;
        }
        to.writers[i] = Writer {
            mode: Mode::Sweep,
            batch: w.batch,
            ..Writer::default()
        };
        let requests = self.config.requests(state, i);
        for request in &requests {
            let mut to = to;
            to.fly(*request);
            self.push(Some(i), false, "crashes while it writes", to);
        }
        if requests.is_empty() {
            self.push(Some(i), false, "crashes", to);
        }
    }

    fn late_requests(&mut self) {
        let state = self.from;
        for (n, request) in state.net.iter().enumerate() {
            if let Some(request) = request {
                let mut to = *state;
                to.net[n] = None;
                to.net.sort_unstable();
                self.config.happen(&mut to, *request);
                self.push(None, false, request.what_if_late(), to);
            }
        }
    }

    /// Only what is covered goes.
    fn housekeeping(&mut self) {
        let (config, state) = (self.config, self.from);
        let covered = |slot: &&Slot| slot.new.len() <= state.checkpoint.len();
        match config.expiry {
            Expiry::Never => {}
            Expiry::HeaderOnly => {
                for slot in state.slots.iter().flatten().filter(covered) {
                    let mut to = *state;
                    to.slots[usize::from(slot.start)]
                        .as_mut()
                        .unwrap()
                        .header_only = true;
                    self.push(None, false, "a covered slot is cut to its header", to);
                }
            }
            Expiry::Removed => {
                if config.rules.names_once {
                    // The new floor is the start of a slot that stays.
                    let starts = state.slots.iter().flatten().map(|slot| slot.start);
                    for start in starts
                        .filter(|start| *start > state.floor && *start <= state.checkpoint.len())
                    {
                        let mut to = *state;
                        to.floor = start;
                        self.push(None, false, "the floor is raised", to);
                    }
                }
                let mut old = state.slots.iter().flatten().filter(covered);
                let oldest = old.find(|slot| slot.start < state.floor || !config.rules.names_once);
                if let Some(slot) = oldest {
                    let mut to = *state;
                    to.slots[usize::from(slot.start)] = None;
                    to.removed |= 1 << slot.start;
                    self.push(None, false, "a covered slot is removed", to);
                }
            }
        }
    }
}

/// The reduction.
impl Config {
    /// Whether what a writer does next comes to the same before and after any step of others. Then it alone is taken,
    /// with all that may go wrong with it. None of these steps can be part of a cycle.
    fn commutes(&self, state: &State, i: usize) -> bool {
        let w = &state.writers[i];
        let held = |start: u8| self.expiry == Expiry::Never && state.slot(start).is_some();
        match w.at {
            // A slot that is there stays, the same.
            At::Fold | At::Follow => held(w.chain.len()),
            At::Refused | At::Unanswered => w.sent.is_some_and(|sent| held(sent.start)),
            // A name that is held stays held, and a checkpoint that was replaced never comes back.
            At::Send => w.sent.is_some_and(|sent| held(sent.start)),
            At::Replace => {
                self.rules.unchanged && self.rules.larger && state.checkpoint != w.published
            }
            // Nothing that it knows of is in the inbox, or comes there.
            At::Clean => w
                .ids
                .batches()
                .all(|batch| !self.may_be_in_inbox(state, batch)),
            // Everybody writes the same, and before signing; so nobody else's checkpoint can lack it meanwhile.
            At::Integrate => self.rules.tiles_first,
            _ => false,
        }
    }

    fn may_be_in_inbox(&self, state: &State, batch: u8) -> bool {
        let author = state.writers[usize::from(batch % self.writers)];
        let late =
            |request: &Request| matches!(request, Request::Item { batch: of, .. } if *of == batch);
        state.inbox[usize::from(batch)].is_some()
            || author.batch == batch && author.at == At::Put
            || state.net.iter().flatten().any(late)
            || !self.rules.attempted_then_inbox
    }
}

impl Request {
    fn what(self) -> &'static str {
        match self {
            Self::Slot(_) => "creates a slot",
            Self::Item { .. } => "puts its batch into the inbox",
            Self::Delete { .. } => "deletes an item",
            Self::Tiles(_) => "writes tiles",
            Self::Checkpoint { .. } => "replaces the checkpoint",
        }
    }

    fn what_if_lost(self) -> &'static str {
        match self {
            Self::Slot(_) => "creates a slot, unanswered",
            Self::Item { .. } => "puts its batch into the inbox, unanswered",
            Self::Delete { .. } => "deletes an item, unanswered",
            Self::Tiles(_) => "writes tiles, unanswered",
            Self::Checkpoint { .. } => "replaces the checkpoint, unanswered",
        }
    }

    fn what_if_doubled(self) -> &'static str {
        match self {
            Self::Slot(_) => "creates a slot, a second copy is on its way",
            Self::Item { .. } => "puts its batch into the inbox, a second copy is on its way",
            Self::Delete { .. } => "deletes an item, a second copy is on its way",
            Self::Tiles(_) => "writes tiles, a second copy is on its way",
            Self::Checkpoint { .. } => "replaces the checkpoint, a second copy is on its way",
        }
    }

    fn what_if_late(self) -> &'static str {
        match self {
            Self::Slot(_) => "a late slot arrives",
            Self::Item { .. } => "a late item arrives",
            Self::Delete { .. } => "a late deletion arrives",
            Self::Tiles(_) => "late tiles arrive",
            Self::Checkpoint { .. } => "a late checkpoint arrives",
        }
    }
}
