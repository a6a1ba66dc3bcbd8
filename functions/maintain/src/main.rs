//! Lambda: what a crash left is published, what may go goes, what is there is checked, and the search index follows. On a schedule, and beside any number of writers and
//! of itself.
//!
//! | event | |
//! |---|---|
//! | `{"action": "tidy"}`, or anything without an action | one round, and the search index for the rest of its minute |
//! | `{"action": "index"}` | the search index alone, as long as the function may run |
//! | `{"Records": [{"eventSource": "aws:s3", …}]}` | the bucket tells of a base run: the search index alone, for some seconds |
//! | `{"action": "init", "raw": false}` | makes the log if there is none in the buckets; answers its description |

mod function;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use tegula_function_setup::{Settings, tell};

use function::Function;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), Error> {
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        Some((name, value))
    });
    let settings = Settings::read(environment);
    tell(
        settings
            .as_ref()
            .map_or("info", |settings| &settings.log_level),
    )?;
    let function = Arc::new(Function::new(settings?, now_ms));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(service_fn(move |event: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move { function.act(event).await }
    })))
}

#[expect(clippy::disallowed_methods, reason = "`main` reads the clock, for all")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
