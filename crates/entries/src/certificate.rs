//! X.509 certificates, of which only the key is used.

use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::{Decode, Encode};

use crate::{EntryError, Excerpt, PublicKey};

/// The key of a certificate in DER.
///
/// Neither its signature nor its validity nor its uses are checked: a log keeps what it is given, and its readers decide whom they
/// trust. What is checked is that the parsers of other readers will take it.
pub(crate) fn public_key(der: &[u8]) -> Result<PublicKey, EntryError> {
    let certificate = Certificate::from_der(der)
        .map_err(|error| refused(&format!("is not X.509 in DER: {error}")))?;
    let tbs = certificate.tbs_certificate();
    if tbs.signature() != certificate.signature_algorithm() {
        return Err(refused("names two different signature algorithms"));
    }
    if tbs.serial_number().as_bytes().first() >= Some(&0x80) {
        return Err(refused("has a negative serial number"));
    }
    let extensions = tbs.extensions().map_or(&[][..], |list| list.as_slice());
    if !extensions.is_empty() && tbs.version() != Version::V3 {
        return Err(refused("has extensions but is not of version 3"));
    }
    let mut names: Vec<_> = extensions
        .iter()
        .map(|extension| extension.extn_id)
        .collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(refused(&format!("has the extension {name} twice")));
    }
    let spki = tbs
        .subject_public_key_info()
        .to_der()
        .map_err(|error| refused(&format!("has no public key: {error}")))?;
    PublicKey::from_spki_der(&spki)
}

fn refused(reason: &str) -> EntryError {
    EntryError::Certificate(Excerpt::new(reason))
}
