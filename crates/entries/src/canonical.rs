//! The canonical bytes of a body: RFC 8785, written straight down.
//!
//! Every string in a body is a constant, base64, hexadecimal or PEM in base64, so nothing needs escaping; and the keys are written
//! in sorted order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Digest, DigestAlgorithm, KeyDetails, VerifierForm};

/// A `hashedrekord` 0.0.2.
pub(crate) fn v002(
    details: KeyDetails,
    digest: &[u8],
    signature: &[u8],
    form: VerifierForm,
    der: &[u8],
) -> String {
    let text = 4 * (digest.len() + signature.len() + der.len()) / 3;
    let mut body = String::with_capacity(text + 400);
    body.push_str(r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":""#);
    body.push_str(details.digest_algorithm().v2_name());
    body.push_str(r#"","digest":""#);
    STANDARD.encode_string(digest, &mut body);
    body.push_str(r#""},"signature":"#);
    signature_v002(&mut body, details, signature, form, der);
    body.push_str("}}}");
    body
}

/// The request that asks for that body.
pub(crate) fn request_v002(
    details: KeyDetails,
    digest: &Digest,
    signature: &[u8],
    form: VerifierForm,
    der: &[u8],
) -> String {
    let mut request = r#"{"hashedRekordRequestV002":{"digest":""#.to_owned();
    STANDARD.encode_string(digest.as_bytes(), &mut request);
    request.push_str(r#"","signature":"#);
    signature_v002(&mut request, details, signature, form, der);
    request.push_str("}}");
    request
}

/// A `hashedrekord` 0.0.1; `hash` is hexadecimal, in the spelling that was submitted. The proposed entry is spelled alike.
pub(crate) fn v001(algorithm: DigestAlgorithm, hash: &str, signature: &[u8], pem: &str) -> String {
    let text = 4 * (signature.len() + pem.len()) / 3;
    let mut body = String::with_capacity(text + hash.len() + 250);
    body.push_str(
        r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":""#,
    );
    body.push_str(algorithm.v1_name());
    body.push_str(r#"","value":""#);
    body.push_str(hash);
    body.push_str(r#""}},"signature":{"content":""#);
    STANDARD.encode_string(signature, &mut body);
    body.push_str(r#"","publicKey":{"content":""#);
    STANDARD.encode_string(pem, &mut body);
    body.push_str(r#""}}}}"#);
    body
}

fn signature_v002(
    out: &mut String,
    details: KeyDetails,
    signature: &[u8],
    form: VerifierForm,
    der: &[u8],
) {
    out.push_str(r#"{"content":""#);
    STANDARD.encode_string(signature, out);
    out.push_str(r#"","verifier":{"keyDetails":""#);
    out.push_str(details.name());
    out.push_str(r#"",""#);
    out.push_str(form.field());
    out.push_str(r#"":{"rawBytes":""#);
    STANDARD.encode_string(der, out);
    out.push_str(r#""}}}"#);
}
