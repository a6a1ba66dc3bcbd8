//! Keys and certificates, as PEM or DER, and private keys as PEM.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tegula_entries::{Digest, PublicKey, Verifier};
use tegula_tlog::SigningKey;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(verifier) = Verifier::from_pem_or_der(bytes) {
        assert_eq!(Verifier::from_pem(&verifier.to_pem()).unwrap(), verifier);
        let spki = verifier.public_key().spki_der();
        assert_eq!(
            PublicKey::from_spki_der(spki).unwrap(),
            *verifier.public_key()
        );
        let algorithm = verifier.key_details().digest_algorithm();
        let digest = Digest::new(algorithm, vec![0; algorithm.output_len()]).unwrap();
        assert!(verifier.verify(&digest, bytes).is_err());
    }
    if let Ok(pem) = str::from_utf8(bytes)
        && let Ok(key) = SigningKey::from_pkcs8_pem("log.example", pem)
    {
        let again = key.to_pkcs8_pem().unwrap();
        let again = SigningKey::from_pkcs8_pem("log.example", &again).unwrap();
        assert_eq!(again.verifier(), key.verifier());
        assert!(key.verifier().verify("text\n", &key.sign("text\n", 0)));
    }
});
