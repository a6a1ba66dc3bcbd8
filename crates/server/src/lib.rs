//! The HTTP API of a log, as one router.
