//! What an answer means, or its absence.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use tracing::warn;

use crate::StoreError;

/// What a request came to.
pub(super) enum Outcome<T> {
    Done(T),
    /// 412: nothing happened by this request.
    Precondition,
    /// 404: there is no such object.
    Absent,
    /// 416: the object has no bytes in the range.
    NoRange,
    Failed(StoreError),
}

/// What was asked.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    Read,
    Written,
}

impl<T> Outcome<T> {
    pub(super) fn and_then<U>(self, then: impl FnOnce(T) -> Result<U, StoreError>) -> Outcome<U> {
        match self {
            Self::Done(value) => then(value).map_or_else(Outcome::Failed, Outcome::Done),
            Self::Precondition => Outcome::Precondition,
            Self::Absent => Outcome::Absent,
            Self::NoRange => Outcome::NoRange,
            Self::Failed(error) => Outcome::Failed(error),
        }
    }

    /// An outcome that the request does not have.
    pub(super) fn unexpected(self, name: &dyn fmt::Display) -> StoreError {
        match self {
            Self::Failed(error) => error,
            Self::Absent => StoreError::refused(format!("{name}: there is no such bucket")),
            Self::Done(_) | Self::Precondition | Self::NoRange => {
                StoreError::unknown(format!("{name} was answered strangely"))
            }
        }
    }
}

/// What happened to a request that has no answer.
fn in_short<E>(error: &SdkError<E, HttpResponse>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be made",
        SdkError::TimeoutError(_) => "the store did not answer in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            "the store did not answer in time"
        }
        SdkError::DispatchFailure(_) => "the store could not be reached",
        _ => "the store's answer could not be read",
    }
}

/// Tells answers apart by what may have happened.
///
/// | | read | written |
/// |---|---|---|
/// | never sent | refused | refused |
/// | no answer, or half of one | refused | unknown |
/// | 412, 404, 416 | as they say | as they say |
/// | 409, another write is under way | refused | unknown |
/// | other 4xx | refused | refused |
/// | 5xx | refused | unknown |
pub(super) fn outcome<T, E>(
    sent: Result<T, SdkError<E, HttpResponse>>,
    key: &str,
    said: Said,
) -> Outcome<T>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = match sent {
        Ok(answer) => return Outcome::Done(answer),
        Err(error) => error,
    };
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    match status {
        Some(412) => return Outcome::Precondition,
        Some(416) => return Outcome::NoRange,
        Some(404) if code != "NoSuchBucket" => return Outcome::Absent,
        _ => {}
    }
    let what = match status {
        Some(status) => format!("{key}: status {status} {code}"),
        None => {
            // Whoever asks the log may read the text; of whom it asked, and as whom, its operator alone.
            warn!(key, error = %DisplayErrorContext(&error), "the store did not answer");
            format!("{key}: {}", in_short(&error))
        }
    };
    let never_happened = match (&error, status) {
        _ if said == Said::Read => true,
        (SdkError::ConstructionFailure(_), _) => true,
        (_, Some(409)) => false,
        (_, Some(status)) => (400..500).contains(&status),
        (_, None) => false,
    };
    Outcome::Failed(if never_happened {
        StoreError::refused(what)
    } else {
        StoreError::unknown(what)
    })
}
