//! The whole system under test: the examples of the format, the demo, every test.
