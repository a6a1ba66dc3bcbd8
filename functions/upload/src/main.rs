//! Lambda: the log's HTTP API, behind API Gateway (payload format 2.0) or a function URL.
//!
//! What it is told is in its environment: see `tegula_function_setup::Settings`. One binary serves one request at a time, and several
//! where the runtime sends several.

mod event;
mod function;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use serde_json::Value;
use tegula_function_setup::{Settings, tell};

use function::Function;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
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
    let function = Function::new(settings?, now_ms);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_concurrent(service_fn(
        move |event: LambdaEvent<Value>| function.clone().act(event),
    )))
}

#[expect(clippy::disallowed_methods, reason = "`main` reads the clock, for all")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
