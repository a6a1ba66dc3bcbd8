//! What the functions of a log are told by their environment, and what they tell.
//!
//! | file | what |
//! |---|---|
//! | `settings` | the environment, checked |
//! | `parts` | the store, the keys and the configuration of a writer, from the settings |
//! | `metrics` | what CloudWatch is told, as lines of the log |

mod metrics;
mod parts;
mod settings;

pub use metrics::Metrics;
pub use parts::{Parts, tell};
pub use settings::{Settings, SettingsError, Writers};
