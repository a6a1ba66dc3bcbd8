//! An event of the API as a request of HTTP, and an answer in the API's form: payload format 2.0, which function URLs have too. All of an event
//! is what a client sent, but for its context.

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is read of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: String,
    raw_query_string: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: Context,
}

#[derive(Deserialize)]
struct Context {
    http: Http,
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

#[derive(Deserialize)]
struct Authorizer {
    iam: Option<IgnoredAny>,
}

/// That the API has checked AWS's signature of a request.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Signed;

/// The request of an event, with [`Signed`] among its extensions where it is; or why it is none.
pub(crate) fn request(event: Value) -> Result<Request<Body>, String> {
    let event = Event::deserialize(event)
        .map_err(|error| format!("this is no request of the API: {error}"))?;
    let Context { http, authorizer } = event.request_context;
    let method = Method::from_bytes(http.method.as_bytes())
        .map_err(|_refused| format!("{:?} is not a method", excerpt(&http.method)))?;
    let asked = match event.raw_query_string.as_deref().unwrap_or_default() {
        "" => event.raw_path.clone(),
        query => format!("{}?{query}", event.raw_path),
    };
    // Of what is none, `http` takes the begin.
    let uri = asked.parse::<PathAndQuery>().ok();
    let uri = uri
        .filter(|uri| {
            asked.starts_with('/') && uri.path() == event.raw_path && uri.as_str() == asked
        })
        .ok_or_else(|| format!("{:?} is not a path with a query", excerpt(&asked)))?;
    let body = event.body.unwrap_or_default();
    let body = match event.is_base64_encoded.unwrap_or_default() {
        true => STANDARD
            .decode(body)
            .map_err(|error| format!("the body is not base64: {error}"))?,
        false => body.into_bytes(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in event.headers.unwrap_or_default() {
        let pair = HeaderName::try_from(&name).ok().zip(value.try_into().ok());
        let (name, value) = pair.ok_or_else(|| format!("{:?} is no header", excerpt(&name)))?;
        headers.insert(name, value);
    }
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri.into();
    *request.headers_mut() = headers;
    if authorizer.is_some_and(|authorizer| authorizer.iam.is_some()) {
        request.extensions_mut().insert(Signed);
    }
    Ok(request)
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}

/// An answer in the API's form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// With its body, which the API wants in one piece: as text, where it is that.
    pub(crate) async fn of(answer: Response<Body>) -> Self {
        let (head, body) = answer.into_parts();
        match body.collect().await {
            Ok(body) => Self::new(head.status, &head.headers, body.to_bytes().into()),
            Err(error) => {
                let message = format!("the answer could not be read: {error}\n");
                Self::new(StatusCode::BAD_GATEWAY, &HeaderMap::new(), message.into())
            }
        }
    }

    fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_text = kind
            .is_none_or(|kind| kind.starts_with(b"text/") || kind.starts_with(b"application/json"));
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) if is_text => (text, false),
            Ok(bytes) => (STANDARD.encode(bytes), true),
            Err(bytes) => (STANDARD.encode(bytes.as_bytes()), true),
        };
        let mut named = BTreeMap::<String, String>::new();
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let of_it = named.entry(name.to_string()).or_default();
            // Several of one name are one, with commas (RFC 9110, section 5.3).
            if !of_it.is_empty() {
                of_it.push_str(", ");
            }
            of_it.push_str(&value);
        }
        Self {
            status_code: status.as_u16(),
            headers: named,
            body,
            is_base64_encoded,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use serde_json::json;

    use super::*;

    fn event(method: &str, path: &str, query: &str) -> Value {
        json!({
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"content-type": "text/plain"},
            "requestContext": {"http": {"method": method}},
        })
    }

    #[tokio::test]
    async fn an_event_is_a_request() {
        let mut given = event("POST", "/add", "a=b&c");
        given["body"] = json!("ZW50cnk=");
        for (encoded, expected) in [(true, "entry"), (false, "ZW50cnk=")] {
            given["isBase64Encoded"] = json!(encoded);
            let request = request(given.clone()).unwrap();
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), "/add?a=b&c");
            assert_eq!(request.headers()["content-type"], "text/plain");
            assert!(request.extensions().get::<Signed>().is_none());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, expected);
        }
    }

    #[tokio::test]
    async fn what_an_event_has_none_of_may_be_null_or_missing() {
        let mut given = event("HEAD", "/checkpoint", "");
        for name in ["rawQueryString", "headers", "body", "isBase64Encoded"] {
            given[name] = Value::Null;
        }
        let least =
            json!({"rawPath": "/checkpoint", "requestContext": {"http": {"method": "HEAD"}}});
        for given in [given, least] {
            let request = request(given).unwrap();
            assert_eq!(
                (request.method(), request.uri().path()),
                (&Method::HEAD, "/checkpoint")
            );
            assert!(request.headers().is_empty());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert!(body.is_empty());
        }
    }

    #[test]
    fn it_is_signed_where_the_api_says_so() {
        let mut given = event("POST", "/add", "");
        for (authorizer, signed) in [
            (json!(null), false),
            (json!({}), false),
            (json!({"iam": null}), false),
            (json!({"jwt": {"claims": {}}}), false),
            (json!({"iam": {"userArn": "arn"}}), true),
        ] {
            given["requestContext"]["authorizer"] = authorizer;
            let request = request(given.clone()).unwrap();
            assert_eq!(request.extensions().get::<Signed>().is_some(), signed);
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let header = |name: &str, value: &str| {
            let mut event = event("GET", "/", "");
            event["headers"] = json!({ name: value });
            event
        };
        for (given, reason) in [
            (json!({}), "this is no request of the API: "),
            (json!([7]), "this is no request of the API: "),
            (json!(null), "this is no request of the API: "),
            (event("NO METHOD", "/", ""), "\"NO METHOD\" is not a method"),
            (event("GET", "add", ""), "\"add\" is not a path"),
            (event("GET", "", "a"), "\"?a\" is not a path"),
            (event("GET", "//\u{0}", ""), "\"//\\0\" is not a path"),
            (event("GET", "/a b", ""), "\"/a b\" is not a path"),
            (event("GET", "/a#b", "c"), "\"/a#b?c\" is not a path"),
            (event("GET", "/a?b", "c"), "\"/a?b?c\" is not a path"),
            (event("GET", "/a", "b#c"), "\"/a?b#c\" is not a path"),
            (header("a b", ""), "\"a b\" is no header"),
            (header("a", "b\nc"), "\"a\" is no header"),
        ] {
            let refused = request(given).unwrap_err();
            assert!(refused.starts_with(reason), "{refused}");
        }
        let mut given = event("POST", "/", "");
        given["isBase64Encoded"] = json!(true);
        given["body"] = json!("%%%");
        let refused = request(given).unwrap_err();
        assert!(refused.starts_with("the body is not base64: "), "{refused}");
    }

    #[tokio::test]
    async fn an_answer_is_text_or_base64() {
        for (kind, body, expected) in [
            ("application/json", b"{}".as_slice(), json!(["{}", false])),
            ("text/plain; charset=utf-8", b"7", json!(["7", false])),
            ("application/octet-stream", b"7", json!(["Nw==", true])),
            ("text/plain", b"\xff", json!(["/w==", true])),
        ] {
            let answer = Response::builder()
                .status(201)
                .header("content-type", kind)
                .header("vary", "a")
                .header("vary", "b")
                .body(Body::from(body))
                .unwrap();
            let answer = serde_json::to_value(Answer::of(answer).await).unwrap();
            assert_eq!(json!([answer["body"], answer["isBase64Encoded"]]), expected);
            assert_eq!(answer["statusCode"], 201);
            let headers = json!({"content-type": kind, "vary": "a, b"});
            assert_eq!(answer["headers"], headers);
        }
    }
}
