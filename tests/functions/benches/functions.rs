//! The write function as it is deployed: its start, an upload, and a batch of a thousand, over a store whose every request takes 30 ms.
//!
//! `functions/build && TEGULA_FUNCTIONS=target/functions cargo bench -p tegula-function-tests`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops where it fails, and prints"
)]

use std::fs;
use std::time::{Duration, Instant};

use p256::ecdsa::signature::Signer;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::json;
use tegula_entries::{Verifier, artifact_digests, hashedrekord_request};
use tegula_function_tests::{Function, answer, request};
use tegula_s3_stand_in::{Fault, StandIn};

fn main() {
    // `cargo test` runs benches too, to see that they start.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let stand_in = StandIn::start().await;
    let mut maintain = Function::start("maintain", &stand_in, &[]).await;
    maintain.invoke(json!({"action": "init"})).await;
    let mut starts = Vec::new();
    for _ in 0..25 {
        let begun = Instant::now();
        let function = Function::start("upload", &stand_in, &[]).await;
        function.ready().await;
        starts.push(begun.elapsed());
    }
    println!(
        "start to first poll: median {:?} of {}",
        median(&mut starts),
        starts.len()
    );

    stand_in.decide(|_| Some(Fault::Slow(Duration::from_millis(30))));
    let mut upload = Function::start("upload", &stand_in, &[]).await;
    let begun = Instant::now();
    post(
        &mut upload,
        "/api/v2/log/entries",
        signed("cold").as_bytes(),
    )
    .await;
    println!("the first upload, cold: {:?}", begun.elapsed());
    let mut times = Vec::new();
    for n in 0..50 {
        let body = signed(&format!("artifact {n}"));
        let begun = Instant::now();
        post(&mut upload, "/api/v2/log/entries", body.as_bytes()).await;
        times.push(begun.elapsed());
    }
    println!(
        "an upload: median {:?} of {}",
        median(&mut times),
        times.len()
    );
    println!("memory: {} KiB at most so far", peak(&upload));
    let mut times = Vec::new();
    let before = cpu(&upload);
    for round in 0..9 {
        let requests: Vec<_> = (0..1_000)
            .map(|n| signed(&format!("batch {round} {n}")))
            .collect();
        let body = format!("{{\"requests\":[{}]}}", requests.join(","));
        let begun = Instant::now();
        let answered = post(&mut upload, "/api/v2/log/entries/batch", body.as_bytes()).await;
        times.push(begun.elapsed());
        if round == 0 {
            println!(
                "a batch: {} bytes, answered with {}",
                body.len(),
                answered.len()
            );
        }
    }
    println!(
        "a batch of 1,000: median {:?} of {}, {} ms of CPU each",
        median(&mut times),
        times.len(),
        (cpu(&upload) - before) * 10 / times.len() as u64
    );
    println!("memory: {} KiB at most", peak(&upload));
}

async fn post(upload: &mut Function, path: &str, body: &[u8]) -> Vec<u8> {
    let invoked = upload.invoke(request("POST", path, body)).await;
    let (status, body) = answer(&invoked).unwrap();
    assert!(
        status == 200 || status == 201,
        "{status} {}",
        String::from_utf8_lossy(&body)
    );
    body
}

fn signed(artifact: &str) -> String {
    let signing = p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap();
    let pem = signing
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let verifier = Verifier::from_pem(&pem).unwrap();
    let algorithm = verifier.key_details().digest_algorithm();
    let digest = artifact_digests(artifact.as_bytes(), &[algorithm])
        .unwrap()
        .remove(0);
    let signature: p256::ecdsa::DerSignature = signing.sign(artifact.as_bytes());
    hashedrekord_request(&digest, signature.as_bytes(), &verifier).unwrap()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// CPU time of the process, in hundredths of a second.
fn cpu(function: &Function) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", function.pid())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The most memory that the process ever had, as the system counts it.
fn peak(function: &Function) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
