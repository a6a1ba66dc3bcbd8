use super::*;
use crate::fake::Server;

fn api(server: &Server, token: Option<&str>) -> Api {
    let options = HttpOptions {
        timeout: Duration::from_secs(5),
        retries: 2,
        first_wait: Duration::from_millis(1),
    };
    Api::new(&server.url(""), token.map(str::to_owned), options).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(answers: &[String]) -> Server {
    Server::start(answers.iter().map(String::as_str).collect()).await
}

const ZERO: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn entry(index: &str) -> String {
    format!(
        r#"{{"logIndex":"{index}","logId":{{"keyId":"{ZERO}"}},"kindVersion":{{"kind":"hashedrekord","version":"0.0.2"}},
        "integratedTime":"0","inclusionPromise":null,"inclusionProof":{{"logIndex":"{index}","rootHash":"{ZERO}","treeSize":"9",
        "hashes":["{ZERO}"],"checkpoint":{{"envelope":"note"}}}},"canonicalizedBody":"YWJj"}}"#
    )
}

#[tokio::test]
async fn an_entry_is_answered_with_its_place() {
    let server = serve(&[
        answer("201 Created", "", &entry("7")),
        answer("201 Created", "x-log-index: 7\r\n", &entry("7")),
    ])
    .await;
    let api = api(&server, Some("secret"));
    let uploaded = api.upload("{}").await.unwrap();
    assert_eq!(uploaded.index.get(), 7);
    assert_eq!(uploaded.body, b"abc");
    assert_eq!((uploaded.size.get(), uploaded.proof.len()), (9, 1));
    assert!(!uploaded.duplicate);
    assert!(api.upload("{}").await.unwrap().duplicate);
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /api/v2/log/entries HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("authorization: Bearer secret\r\n"));
    assert!(request.ends_with("\r\n\r\n{}"));
}

#[tokio::test]
async fn malformed_answers_are_refused() {
    let good = entry("7");
    let bad = [
        "{}".to_owned(),
        "[]".to_owned(),
        "x".to_owned(),
        good.replace("\"logIndex\":\"7\"", "\"logIndex\":7"),
        good.replacen("\"logIndex\":\"7\"", "\"logIndex\":\"8\"", 1),
        good.replace("\"logIndex\":\"7\"", "\"logIndex\":\"-7\""),
        good.replace("\"treeSize\":\"9\"", "\"treeSize\":\"9223372036854775808\""),
        good.replace("YWJj", "YWJj!"),
        good.replacen(ZERO, "AAAA", 1),
    ];
    for body in bad {
        let server = serve(&[answer("201 Created", "", &body)]).await;
        let error = api(&server, None).upload("{}").await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed(_)), "{body}: {error}");
    }
}

#[tokio::test]
async fn refusals_keep_the_words_of_the_log() {
    let message = r#"{"code":3,"message":"invalid\u001b type","details":[]}"#;
    let server = serve(&[
        answer("400 Bad Request", "", message),
        answer("401 Unauthorized", "", message),
        answer("409 Conflict", "x-log-index: 12\r\n", message),
        answer("413 Too Large", "", "plain\x1btext"),
    ])
    .await;
    let api = api(&server, None);
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(api.upload("{}").await.unwrap_err().to_string());
    }
    assert_eq!(
        told,
        [
            "the log refused the upload with status 400: invalid  type",
            "the log did not accept the token: invalid  type",
            "the entry is in the log already, at index 12",
            "the log refused the upload with status 413: plain\\u{1b}text",
        ]
    );
}

#[tokio::test]
async fn an_overloaded_log_is_asked_again() {
    let busy = answer("503 Busy", "retry-after: 0\r\n", r#"{"message":"busy"}"#);
    let server = serve(&[busy.clone(), busy.clone(), answer("200 OK", "", "5\n")]).await;
    let added = api(&server, None)
        .add(Bytes::from_static(b"raw"))
        .await
        .unwrap();
    assert_eq!((added.index.get(), added.duplicate), (5, false));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.starts_with("POST /add ") && request.ends_with("raw"))
    );

    let server = serve(&[busy.clone(), busy.clone(), busy]).await;
    let error = api(&server, None).add(Bytes::new()).await.unwrap_err();
    assert!(
        matches!(&error, ApiError::Unavailable { status: 503, message, retry_after: Some(Duration::ZERO) } if message == "busy"),
        "{error}"
    );
}

#[tokio::test]
async fn a_batch_is_answered_in_order() {
    let body = format!(
        r#"{{"checkpoint":"note","treeSize":"9","rootHash":"{ZERO}","entries":[{{"logIndex":"1","hashes":["{ZERO}"]}},
        {{"error":{{"code":3,"message":"no"}}}}]}}"#
    );
    let server = serve(&[answer("200 OK", "", &body), answer("200 OK", "", &body)]).await;
    let api = api(&server, None);
    let batch = api
        .upload_batch(&["1".to_owned(), "2".to_owned()])
        .await
        .unwrap();
    assert_eq!(batch.entries[0].as_ref().unwrap().index.get(), 1);
    assert_eq!(batch.entries[1], Err("no".to_owned()));
    assert!(server.requests()[0].ends_with(r#"{"requests":[1,2]}"#));
    let error = api.upload_batch(&["1".to_owned()]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log's answer is malformed: 2 answers to 1 requests"
    );
}

#[test]
fn no_words_of_a_batch_steer_a_terminal() {
    for error in [r#""no\u001b[2J""#, r#"{"code":3,"message":"no\u001b[2J"}"#] {
        let body = format!(
            r#"{{"checkpoint":"note","treeSize":"9","rootHash":"{ZERO}","entries":[{{"error":{error}}}]}}"#
        );
        let batch = BatchUploaded::parse(body.as_bytes()).unwrap();
        assert_eq!(batch.entries, [Err("no [2J".to_owned())]);
    }
}

#[test]
fn a_token_must_fit_into_a_header() {
    let options = HttpOptions::default;
    assert!(Api::new("http://h", Some("a b".to_owned()), options()).is_err());
    assert!(Api::new("http://h", Some("a\r\nx: y".to_owned()), options()).is_err());
    assert!(Api::new("http://h", Some("abc".to_owned()), options()).is_ok());
}

/// An honest answer, with one bit flipped at every place: refused, or about the same entry.
#[test]
fn no_flipped_bit_of_an_answer_changes_what_is_proven() {
    let entries = crate::fake::entries(5);
    let note = crate::fake::Log::new(&entries, &[5]).object("checkpoint");
    let policy = Policy::from_log_keys(vec![crate::fake::signer(1).verifier()]);
    let (checkpoint, _) = policy.check(&note).unwrap();
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let node = tegula_tlog::node_hash;
    let proof = [leaves[2], node(&leaves[0], &leaves[1]), leaves[4]];
    let hashes: Vec<_> = proof.iter().map(Hash::to_base64).collect();
    let body = serde_json::json!({
        "logIndex": "3", "logId": {"keyId": ZERO}, "kindVersion": {"kind": "raw", "version": ""},
        "integratedTime": "0", "inclusionPromise": null,
        "inclusionProof": {"logIndex": "3", "rootHash": checkpoint.root.to_base64(), "treeSize": "5", "hashes": hashes,
            "checkpoint": {"envelope": std::str::from_utf8(&note).unwrap()}},
        "canonicalizedBody": STANDARD.encode(&entries[3]),
    })
    .to_string();
    let read = |body: &[u8]| {
        let answer = Answer {
            status: StatusCode::CREATED,
            headers: header::HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
        };
        let uploaded = Uploaded::parse(&answer).ok()?;
        uploaded.verify(&policy).ok()?;
        Some((uploaded.index.get(), uploaded.body))
    };
    let honest = Some((3, entries[3].clone()));
    assert_eq!(read(body.as_bytes()), honest);
    let mut same = 0;
    for at in 0..body.len() {
        for bit in 0..8 {
            let mut flipped = body.clone().into_bytes();
            flipped[at] ^= 1 << bit;
            let outcome = read(&flipped);
            assert!(
                outcome.is_none() || outcome == honest,
                "bit {bit} of byte {at}"
            );
            same += usize::from(outcome.is_some());
        }
        assert_eq!(read(&body.as_bytes()[..at]), None, "cut at {at}");
    }
    // What is neither read nor needed: the log's id, the kind, the time.
    assert!(same < 8 * 130, "{same}");
}

#[tokio::test]
async fn bytes_that_are_there_already_are_told() {
    let server = serve(&[
        answer("200 OK", "x-log-index: 5\r\n", "5\n"),
        answer("200 OK", "x-log-index: 6\r\n", "5\n"),
    ])
    .await;
    let api = api(&server, None);
    for duplicate in [true, false] {
        let added = api.add(Bytes::new()).await.unwrap();
        assert_eq!((added.index.get(), added.duplicate), (5, duplicate));
    }
}

/// The token is what the user said last; and it goes in the place of a password, never beside it.
#[tokio::test]
async fn a_password_in_the_url_is_sent_and_not_shown() {
    let server = serve(&[answer("200 OK", "", "5\n"), answer("200 OK", "", "5\n")]).await;
    let url = server
        .url("")
        .replacen("http://", "http://user:s%40cret@", 1);
    let with = |token: Option<&str>| {
        let token = token.map(str::to_owned);
        Api::new(&url, token, HttpOptions::default()).unwrap()
    };
    with(None).add(Bytes::new()).await.unwrap();
    with(Some("tok")).add(Bytes::new()).await.unwrap();
    let requests = server.requests();
    let expected = format!(
        "authorization: Basic {}\r\n",
        STANDARD.encode("user:s@cret")
    );
    assert!(requests[0].contains(&expected), "{}", requests[0]);
    assert!(
        requests[1].contains("authorization: Bearer tok\r\n"),
        "{}",
        requests[1]
    );
    assert_eq!(requests[1].matches("authorization").count(), 1);
    assert!(
        !format!(
            "{:?}",
            Api::new(&url, Some("a b".to_owned()), HttpOptions::default())
        )
        .contains("cret")
    );
}
