//! The whole system under test: golden log, foreign judges, faults, kill loops.
