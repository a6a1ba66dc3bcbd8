//! The store without a socket: the SDK's transport is a call. Nothing waits for anything outside of the process, so a test decides what runs when.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::{Shared, StandIn, answer};

impl StandIn {
    /// What asks this store by calling it.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess(Arc::clone(&self.shared)))
    }
}

#[derive(Clone)]
struct InProcess(Arc<Shared>);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x();
            let request = request.map_err(|error| ConnectorError::user(error.into()))?;
            let (head, body) = request.into_parts();
            let body = Bytes::copy_from_slice(body.bytes().unwrap());
            // A connection that ends without an answer.
            let answered = answer(&shared, head, body).await;
            let answered = answered.map_err(|error| ConnectorError::io(error.into()))?;
            let (head, body) = answered.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            let body = SdkBody::from(body.unwrap_or_else(|never| match never {}));
            let answer = http::Response::from_parts(head, body);
            HttpResponse::try_from(answer)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
