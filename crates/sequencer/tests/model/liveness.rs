//! L, which stateright's `eventually` cannot see on a graph with cycles: from every state that can be reached, a goal can
//! be reached. A model notes its graph while a checker explores it; then the goals are followed backwards, and what is
//! not met is stuck.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, OnceLock};

use hashbrown::DefaultHashBuilder;
use stateright::{Checker, Model, Path, Property};

/// The graph of a model.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    hasher: DefaultHashBuilder,
    notes: Mutex<Notes>,
    /// Fingerprints of states from which no goal can be reached, sorted; once that is known.
    stuck: OnceLock<Vec<u64>>,
}

/// Fingerprints. A state may be noted more than once.
#[derive(Debug, Default)]
struct Notes {
    states: Vec<u64>,
    goals: Vec<u64>,
    /// From, to.
    edges: Vec<(u64, u64)>,
}

impl Graph {
    /// Notes a state, and those that it leads to by steps on which one may rely. What they lead to has to be noted too.
    pub(crate) fn note<S: Hash>(&self, state: &S, is_goal: bool, next: impl Iterator<Item = S>) {
        let from = self.hasher.hash_one(state);
        let edges: Vec<_> = next.map(|to| (from, self.hasher.hash_one(to))).collect();
        let mut notes = self.notes.lock().unwrap();
        notes.states.push(from);
        if is_goal {
            notes.goals.push(from);
        }
        notes.edges.extend(edges);
    }

    /// How many states are stuck. All that can be reached has to be noted by now.
    pub(crate) fn count_stuck(&self) -> usize {
        let notes = || std::mem::take(&mut *self.notes.lock().unwrap());
        self.stuck.get_or_init(|| notes().stuck()).len()
    }

    /// Whether a state is known to be stuck.
    pub(crate) fn is_stuck<S: Hash>(&self, state: &S) -> bool {
        let Some(stuck) = self.stuck.get().filter(|stuck| !stuck.is_empty()) else {
            return false;
        };
        stuck.binary_search(&self.hasher.hash_one(state)).is_ok()
    }
}

impl Notes {
    fn stuck(self) -> Vec<u64> {
        let mut states = self.states;
        states.sort_unstable();
        states.dedup();

        // Numbers for fingerprints; then the edges, which are sorted by where they lead: those to `n` are
        // `edges[first[n]..first[n + 1]]`.
        let (mut edges, mut goals) = (self.edges, self.goals);
        number(&states, &mut goals, |goal| goal);
        number(&states, &mut edges, |(from, _)| from);
        number(&states, &mut edges, |(_, to)| to);
        let mut first = vec![0; states.len() + 1];
        for (_, to) in &edges {
            first[index(*to) + 1] += 1;
        }
        for n in 0..states.len() {
            first[n + 1] += first[n];
        }

        let mut reaches = vec![false; states.len()];
        while let Some(n) = goals.pop().map(index) {
            if !std::mem::replace(&mut reaches[n], true) {
                goals.extend(edges[first[n]..first[n + 1]].iter().map(|(from, _)| from));
            }
        }
        let stuck = states
            .into_iter()
            .zip(reaches)
            .filter(|(_, reaches)| !reaches);
        stuck.map(|(state, _)| state).collect()
    }
}

/// Replaces fingerprints by places in the sorted `states`, and sorts by them.
fn number<T: Copy>(states: &[u64], items: &mut [T], fingerprint: fn(&mut T) -> &mut u64) {
    items.sort_unstable_by_key(|item| *fingerprint(&mut item.clone()));
    let mut n = 0;
    for item in items {
        let fingerprint = fingerprint(item);
        while states[n] != *fingerprint {
            n += 1;
        }
        *fingerprint = n as u64;
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Two cycles. From 0 and 1 there is a way to the goal, which is 3. From 2 and 4 there is one unless they are a trap.
struct Toy {
    graph: Arc<Graph>,
    has_trap: bool,
}

impl Model for Toy {
    type State = u8;
    type Action = u8;

    fn init_states(&self) -> Vec<u8> {
        vec![0]
    }

    fn actions(&self, state: &u8, next: &mut Vec<u8>) {
        match *state {
            0 => next.extend([1, 2]),
            1 => next.extend([0, 3]),
            2 => next.extend(if self.has_trap { [4, 4] } else { [4, 0] }),
            4 => next.push(2),
            _ => {}
        }
        self.graph.note(state, *state == 3, next.iter().copied());
    }

    fn next_state(&self, _: &u8, next: u8) -> Option<u8> {
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("L", |toy, state| {
            !toy.graph.is_stuck(state)
        })]
    }
}

#[test]
fn a_cycle_with_a_way_out_is_not_stuck_and_one_without_is() {
    for (has_trap, stuck) in [(false, 0), (true, 2)] {
        let graph = Arc::new(Graph::default());
        let toy = || Toy {
            graph: Arc::clone(&graph),
            has_trap,
        };
        toy().checker().spawn_bfs().join().assert_properties();
        assert_eq!(graph.count_stuck(), stuck);
        let again = toy().checker().spawn_bfs().join();
        let path = again.discovery("L").map(Path::into_states);
        assert_eq!(path, has_trap.then(|| vec![0, 2]));
    }
}
