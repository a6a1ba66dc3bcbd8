//! Keys in AWS: KMS signs with one, Secrets Manager and Systems Manager give one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, MessageType, SigningAlgorithmSpec};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tegula_sequencer::{SignError, Signer};
use tegula_tlog::VerifierKey;
use tracing::warn;

use crate::{LogKey, RemoteError};

/// A key of KMS, which signs whole messages: `ED25519_SHA_512` over `RAW`, which is the Ed25519 of signed notes.
struct KmsKey {
    client: Client,
    id: String,
    verifier: VerifierKey,
}

impl fmt::Debug for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for KmsKey {
    fn verifier(&self) -> VerifierKey {
        self.verifier.clone()
    }

    async fn sign(&self, text: &str) -> Result<Vec<u8>, SignError> {
        let answer = self
            .client
            .sign()
            .key_id(&self.id)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512)
            .message_type(MessageType::Raw)
            .message(Blob::new(text))
            .send()
            .await
            .map_err(|error| {
                // Clients are told why there is no checkpoint; whose account and role it is they are not.
                warn!(error = %DisplayErrorContext(&error), "KMS did not sign");
                SignError(error.code().unwrap_or("KMS did not answer").to_owned())
            })?;
        let signature = answer.signature.map(Blob::into_inner);
        signature.ok_or_else(|| SignError("KMS answered without a signature".to_owned()))
    }
}

pub(crate) async fn kms(key: &str, origin: &str) -> Result<LogKey, RemoteError> {
    let client = Client::new(&config().await);
    let answer = client.get_public_key().key_id(key).send().await;
    let answer = answer.map_err(|error| unreadable(&error))?;
    let spec = answer.key_spec.as_ref();
    if spec != Some(&KeySpec::EccNistEdwards25519) {
        let spec = spec.map_or("unknown", KeySpec::as_str);
        return Err(RemoteError::NoKey(format!(
            "its key spec is {spec}, expected ECC_NIST_EDWARDS25519"
        )));
    }
    let spki = answer.public_key.map(Blob::into_inner).unwrap_or_default();
    let verifier = VerifierKey::from_spki(origin, &spki)
        .map_err(|error| RemoteError::NoKey(error.to_string()))?;
    Ok(LogKey::Remote(Arc::new(KmsKey {
        client,
        // What an alias means may change under a process, and the log's key may not.
        id: answer.key_id.unwrap_or_else(|| key.to_owned()),
        verifier,
    })))
}

pub(crate) async fn secret(name: &str) -> Result<String, RemoteError> {
    let client = aws_sdk_secretsmanager::Client::new(&config().await);
    let answer = client.get_secret_value().secret_id(name).send().await;
    let answer = answer.map_err(|error| unreadable(&error))?;
    answer
        .secret_string
        .ok_or_else(|| RemoteError::NoKey("it is not a text".to_owned()))
}

pub(crate) async fn parameter(name: &str) -> Result<String, RemoteError> {
    let client = aws_sdk_ssm::Client::new(&config().await);
    let answer = client.get_parameter().name(name).with_decryption(true);
    let answer = answer.send().await.map_err(|error| unreadable(&error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    value.ok_or_else(|| RemoteError::NoKey("it has no value".to_owned()))
}

/// For whoever this process is, as for any tool of AWS.
async fn config() -> SdkConfig {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIME)
        .operation_attempt_timeout(REQUEST_TIME)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .load()
        .await
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> RemoteError {
    RemoteError::Unreadable(DisplayErrorContext(error).to_string())
}

const CONNECT_TIME: Duration = Duration::from_secs(3);
const REQUEST_TIME: Duration = Duration::from_secs(5);
