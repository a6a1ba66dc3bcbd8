//! Keys that are held by a service, which may be busy or wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tegula_sequencer::{Config, Error, Pending, SignError, Signer, Signers, Writer, init};
use tegula_storage::{Memory, ObjectPath, Store};
use tegula_tlog::{Checkpoint, SigningKey, VerifierKey};

use crate::{Calm, description, key};

/// A service that is busy for some requests, and then signs what it is asked, or something else.
#[derive(Debug)]
struct Service {
    key: SigningKey,
    busy: AtomicU32,
    wrong: bool,
}

#[async_trait]
impl Signer for Service {
    fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    async fn sign(&self, text: &str) -> Result<Vec<u8>, SignError> {
        let busy = self.busy.load(Ordering::Relaxed);
        if busy > 0 {
            self.busy.store(busy - 1, Ordering::Relaxed);
            return Err(SignError("too many requests".to_owned()));
        }
        let text = if self.wrong { "another text\n" } else { text };
        Ok(self.key.sign(text, 0))
    }
}

async fn commit(busy: u32, wrong: bool) -> (Memory, Result<u64, Error>) {
    let memory = Memory::new();
    let held = Signers::from(vec![key()]);
    init(&memory, &held, &description()).await.unwrap();
    let service = Service {
        key: key(),
        busy: busy.into(),
        wrong,
    };
    let store = Arc::new(memory.clone());
    let config = Config::new(Signers::new(vec![Arc::new(service)]));
    let mut writer = Writer::new(store, Arc::new(Calm::default()), config).unwrap();
    let batch = [Pending::new(Bytes::from_static(b"entry"))];
    let round = writer.commit(&batch).await;
    let index = round.map(|round| round.receipt(0).unwrap().index.get());
    (memory, index)
}

async fn published(memory: &Memory) -> u64 {
    let path = ObjectPath::public("checkpoint").unwrap();
    let object = memory.read(&path).await.unwrap().unwrap();
    let (checkpoint, _) = Checkpoint::open(&object.bytes, &[key().verifier()]).unwrap();
    checkpoint.size.get()
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again() {
    let (memory, index) = commit(3, false).await;
    assert_eq!(index.unwrap(), 0);
    assert_eq!(published(&memory).await, 1);
    // Its batch has its place, and is published by the next one.
    let (memory, index) = commit(u32::MAX, false).await;
    let error = index.unwrap_err().to_string();
    assert!(error.contains("did not sign: too many requests"), "{error}");
    assert_eq!(published(&memory).await, 0);
    assert_eq!(memory.slots(0, 2).await.unwrap(), [0]);
}

#[tokio::test]
async fn what_does_not_verify_is_not_published() {
    let (memory, index) = commit(0, true).await;
    let error = index.unwrap_err().to_string();
    assert!(error.contains("does not verify"), "{error}");
    assert_eq!(published(&memory).await, 0);
}
