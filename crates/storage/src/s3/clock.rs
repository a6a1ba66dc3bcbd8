//! What time the store says it is: the `Date` of its answers.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use tokio::time::Instant;

/// The newest `Date`, and when it came.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreClock {
    heard: Arc<Mutex<Option<(u64, Instant)>>>,
}

impl StoreClock {
    /// The time by the store, to a second, as long as this machine's clock does not stand still.
    pub(super) fn now_ms(&self) -> Option<u64> {
        let (date_ms, at) = (*self.heard.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(date_ms.saturating_add(since))
    }
}

impl Intercept for StoreClock {
    fn name(&self) -> &'static str {
        "StoreClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date_ms) = date.and_then(|date| u64::try_from(date.to_millis().ok()?).ok()) {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            *heard = Some((date_ms, Instant::now()));
        }
        Ok(())
    }
}
