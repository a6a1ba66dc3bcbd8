//! Randomness of the system.

use crate::exit::CliError;

/// Bytes from the system's generator.
pub(crate) fn random() -> Result<[u8; 32], CliError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::io(format!("no random bytes from the system: {error}")))?;
    Ok(bytes)
}
