//! `tegula search`

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};
use tegula_client::{Operator, SearchOptions, Searched, Selected, index_keys};
use tegula_entries::{
    DigestAlgorithm, Domain, Format, SearchKey, StoredEntry, artifact_digests, public_key_facts,
};
use tegula_index::Key;
use tegula_tlog::{Hash, LeafIndex, leaf_hash};

use crate::commands::{entry, leaf};
use crate::context::{Context, Log};
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Entries of an artifact, a package, an envelope or its payload: a file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    artifact: Vec<PathBuf>,

    /// The same by its digest, in hexadecimal
    #[arg(long, value_name = "[ALGORITHM:]HEX")]
    sha: Vec<String>,

    /// Entries with a signature of a key: a file with it or with a certificate of it, or the SHA-256 of its SPKI in hexadecimal
    #[arg(long, value_name = "FILE|HEX")]
    public_key: Vec<String>,

    /// The format of the key: pgp, minisign, ssh or x509. Unless it is given the file shows it
    #[arg(long, value_name = "FORMAT")]
    pki_format: Option<Format>,

    /// Entries of a certificate, by the SHA-256 of its DER
    #[arg(long, value_name = "HEX")]
    certificate: Vec<Hash>,

    /// Entries of an e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Vec<String>,

    /// Entries of a subject: an e-mail address, a URI or another name, whole and in any case
    #[arg(long, value_name = "NAME")]
    subject: Vec<String>,

    /// Entries of all e-mail addresses of a domain (example.com), or of all URIs below a host, an organisation or a repository
    /// (`https://github.com/org/`)
    #[arg(long, value_name = "PREFIX")]
    subject_prefix: Vec<String>,

    /// Entries whose certificates an OIDC issuer vouched for
    #[arg(long, value_name = "URL")]
    issuer: Vec<String>,

    /// Entries of a package: rpm:NAME-EPOCH:VERSION-RELEASE.ARCH or alpine:NAME-VERSION
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,

    /// Entries of TUF metadata: root:3
    #[arg(long, value_name = "ROLE:VERSION")]
    role: Vec<String>,

    /// The entries with this leaf hash
    #[arg(long, value_name = "HEX", value_parser = leaf::parse_uuid)]
    leaf: Vec<Hash>,

    /// Not offered: what an attestation is about is said by the attestation, which is in no tree
    #[arg(long, value_name = "DIGEST", hide = true)]
    attestation_subject: Vec<String>,

    /// Where several things are asked for: entries that have all of them, or any
    #[arg(long, value_name = "HOW", default_value = "or")]
    operator: How,

    /// The newest entries, at most so many, are listed
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,

    /// Read the entries, and tell what they are
    #[arg(long)]
    entries: bool,

    /// How many entries are read that are newer than the index; `all` for as many as there are
    #[arg(long, value_name = "N|all", default_value = "16384", value_parser = scan)]
    scan: u64,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, ValueEnum)]
enum How {
    /// Entries that have all of them
    And,
    /// Entries that have any of them
    Or,
}

impl From<How> for Operator {
    fn from(how: How) -> Self {
        match how {
            How::And => Self::And,
            How::Or => Self::Or,
        }
    }
}

/// One thing that is asked for, and the keys of which an entry that has it has one.
struct Wanted {
    name: String,
    keys: Vec<Key>,
}

fn scan(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        number => number
            .parse()
            .map_err(|error| format!("{error}, expected all or a number")),
    }
}

impl Args {
    fn wanted(&self) -> Result<Vec<Wanted>, CliError> {
        if let Some(digest) = self.attestation_subject.first() {
            return Err(CliError::usage(format!(
                "--attestation-subject {digest}: not offered. What an attestation is about is said by the attestation alone, which is kept beside the tree or not at all, so no proof could say that there is none; search by the envelope or its payload (--artifact, --sha), or by who signed"
            )));
        }
        let mut wanted = Vec::new();
        for path in &self.artifact {
            let digests = digests(path).map_err(|error| entry::io_error(path, &error))?;
            wanted.push(of(&path.display().to_string(), digests));
        }
        for text in &self.sha {
            let digest = entry::parse_digest("--sha", text)?.to_string();
            wanted.push(of(text, [SearchKey::new(Domain::Digest, digest)]));
        }
        for text in &self.public_key {
            wanted.push(of(text, [self.public_key(text)?]));
        }
        for hash in &self.certificate {
            let key = SearchKey::new(Domain::Certificate, hash.to_string());
            wanted.push(of(&hash.to_string(), [key]));
        }
        for (domain, names) in [
            (Domain::Identity, &self.email),
            (Domain::Identity, &self.subject),
            (Domain::Issuer, &self.issuer),
        ] {
            let keys = names.iter().map(|name| (name, name.to_ascii_lowercase()));
            wanted.extend(keys.map(|(name, value)| of(name, [SearchKey::new(domain, value)])));
        }
        for name in &self.subject_prefix {
            let prefix = SearchKey::identity_prefix(name);
            let prefix =
                prefix.map_err(|error| CliError::usage(format!("--subject-prefix: {error}")))?;
            wanted.push(of(name, [prefix]));
        }
        for (domain, names) in [(Domain::Package, &self.package), (Domain::Role, &self.role)] {
            let keys = names.iter();
            wanted.extend(keys.map(|name| of(name, [SearchKey::new(domain, name)])));
        }
        for hash in &self.leaf {
            let keys = vec![Key::leaf(hash)];
            let name = hash.to_string();
            wanted.push(Wanted { name, keys });
        }
        if wanted.is_empty() {
            return Err(CliError::usage(
                "nothing to search for: pass --artifact, --sha, --public-key, --certificate, --email, --subject, --subject-prefix, --issuer, --package, --role or --leaf",
            ));
        }
        Ok(wanted)
    }

    fn public_key(&self, text: &str) -> Result<SearchKey, CliError> {
        if let Ok(fingerprint) = text.to_ascii_lowercase().parse::<Hash>() {
            return Ok(SearchKey::new(Domain::Key, fingerprint.to_string()));
        }
        let path = Path::new(text);
        let bytes = std::fs::read(path).map_err(|error| entry::io_error(path, &error))?;
        let facts = public_key_facts(&bytes, self.pki_format);
        let facts = facts.map_err(|error| CliError::usage(error).about(text))?;
        Ok(SearchKey::fingerprint(Domain::Key, &facts.fingerprinted))
    }
}

fn of(name: &str, keys: impl IntoIterator<Item = SearchKey>) -> Wanted {
    let keys = keys.into_iter().map(|key| {
        let (domain, value) = key.into();
        Key::new(domain, value.as_bytes())
    });
    Wanted {
        name: name.to_owned(),
        keys: keys.collect(),
    }
}

/// By whichever digest an entry names an artifact.
fn digests(path: &Path) -> io::Result<Vec<SearchKey>> {
    let algorithms = [
        DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha384,
        DigestAlgorithm::Sha512,
    ];
    let digests = if entry::is_stdin(path) {
        artifact_digests(io::stdin().lock(), &algorithms)?
    } else {
        artifact_digests(File::open(path)?, &algorithms)?
    };
    let keys = digests.iter().map(ToString::to_string);
    Ok(keys
        .map(|digest| SearchKey::new(Domain::Digest, digest))
        .collect())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    let wanted = args.wanted()?;
    let log = cx.open_log().await?;
    let keys: Vec<_> = wanted
        .iter()
        .flat_map(|wanted| wanted.keys.clone())
        .collect();
    let options = SearchOptions {
        max_scanned: args.scan,
    };
    let searched = log.search(cx, &keys, options).await?;
    let answers: Vec<_> = wanted.iter().map(|wanted| wanted.keys.len()).collect();
    let operator = args.operator.into();
    let selected = log.reader.select(&searched, &answers, operator, args.limit);
    let Selected {
        count,
        newest: found,
    } = selected.await?;
    if count == 0 {
        return Err(absence(&searched, &wanted, operator));
    }
    let entries = match args.entries {
        true => Some(read(&log, &searched, &wanted, &found, operator).await?),
        false => None,
    };
    if cx.output.is_json() {
        print_json(cx, &searched, count, &found, entries.as_deref());
    } else {
        print(cx, &searched, count, &found, entries.as_deref());
    }
    if !searched.is_complete() {
        cx.output.note(not_all(&searched));
    }
    Ok(())
}

/// An entry that was read, and whether it has what was asked for: two values may share a key.
struct Entry {
    body: Vec<u8>,
    has_it: bool,
}

async fn read(
    log: &Log,
    searched: &Searched,
    wanted: &[Wanted],
    found: &[LeafIndex],
    operator: Operator,
) -> Result<Vec<Entry>, CliError> {
    let mut entries = Vec::new();
    for index in found {
        let body = log.reader.entry(&searched.checkpoint, *index).await?;
        let keys = index_keys(&body);
        let mut has = wanted
            .iter()
            .map(|wanted| wanted.keys.iter().any(|key| keys.contains(key)));
        let has_it = match operator {
            Operator::And => has.all(|has| has),
            Operator::Or => has.any(|has| has),
        };
        entries.push(Entry {
            body: body.to_vec(),
            has_it,
        });
    }
    if let Some((index, _)) = found.iter().zip(&entries).find(|(_, entry)| !entry.has_it) {
        return Err(CliError::misbehaviour(format!(
            "the search index says that entry {index} has what was searched for, and its bytes do not: `tegula index audit` shows which run of it is wrong"
        )));
    }
    Ok(entries)
}

/// That there is nothing, and of how much of the log that is known.
fn absence(searched: &Searched, wanted: &[Wanted], operator: Operator) -> CliError {
    let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
    let names = match operator {
        Operator::And => names.join(" and "),
        Operator::Or => names.join(" or "),
    };
    if searched.is_complete() {
        return CliError::absent(format!(
            "proven absent: no entry has {names}, of all {} in the log; {}",
            searched.proven,
            how(searched)
        ));
    }
    CliError::io(format!(
        "no entry has {names}, of the first {}; {}",
        searched.proven,
        not_all(searched)
    ))
}

/// What proves the answer.
fn how(searched: &Searched) -> String {
    let indexed = indexed(searched);
    let read = searched.proven.get().saturating_sub(indexed);
    match (&searched.index, read) {
        (None, _) => format!("the log has no index, all {read} were read"),
        (Some(_), 0) => format!("the index covers all {indexed}"),
        (Some(_), read) => format!("the index covers {indexed}, the other {read} were read"),
    }
}

fn not_all(searched: &Searched) -> String {
    format!(
        "the log has {} entries, and of those from {} on nothing is known: its index covers {}; search again later, or with --scan all",
        searched.checkpoint.size(),
        searched.proven,
        indexed(searched)
    )
}

fn indexed(searched: &Searched) -> u64 {
    let index = searched.index.as_ref();
    index.map_or(0, |index| index.covered().get())
}

fn print(
    cx: &Context,
    searched: &Searched,
    count: u64,
    found: &[LeafIndex],
    entries: Option<&[Entry]>,
) {
    for (n, index) in found.iter().enumerate() {
        cx.output.line(format!("Entry Index: {index}"));
        let Some(entry) = entries.and_then(|entries| entries.get(n)) else {
            continue;
        };
        cx.output.line(format!("UUID: {}", leaf_hash(&entry.body)));
        match StoredEntry::parse(&entry.body) {
            Ok(stored) => leaf::print_entry(cx, &stored),
            Err(_raw) => match str::from_utf8(&entry.body) {
                Ok(text) => cx.output.line(format!("Body: {text}")),
                Err(_) => cx
                    .output
                    .line(format!("Body: {}", entry.body.escape_ascii())),
            },
        }
    }
    let shown = found.len() as u64;
    if shown < count {
        cx.output.line(format!(
            "Found: {count} entries, of which the newest {shown} are listed"
        ));
    } else {
        let entries = if count == 1 { "entry" } else { "entries" };
        cx.output.line(format!("Found: {count} {entries}"));
    }
    cx.output.line(format!(
        "Searched: {} of {} entries; {}",
        searched.proven,
        searched.checkpoint.size(),
        how(searched)
    ));
}

fn print_json(
    cx: &Context,
    searched: &Searched,
    count: u64,
    found: &[LeafIndex],
    entries: Option<&[Entry]>,
) {
    let listed: Vec<Value> = found
        .iter()
        .enumerate()
        .map(|(n, index)| {
            let mut json = json!({"logIndex": index.to_string()});
            let entry = entries.and_then(|entries| entries.get(n));
            if let (Some(entry), Some(json)) = (entry, json.as_object_mut()) {
                json.insert("uuid".to_owned(), leaf_hash(&entry.body).to_string().into());
                if let Value::Object(described) = leaf::body_json(&entry.body) {
                    json.extend(described);
                }
            }
            json
        })
        .collect();
    let checkpoint = &searched.checkpoint;
    let index = searched.index.as_ref().map(|index| {
        json!({
            "size": index.checkpoint().size().to_string(),
            "rootHash": index.checkpoint().root().to_string(),
            "checkpoint": String::from_utf8_lossy(index.checkpoint().note()),
        })
    });
    cx.output.json(&json!({
        "count": count.to_string(),
        "entries": listed,
        "complete": searched.is_complete(),
        "searched": searched.proven.to_string(),
        "indexed": indexed(searched).to_string(),
        "treeSize": checkpoint.size().to_string(),
        "rootHash": checkpoint.root().to_string(),
        "checkpoint": String::from_utf8_lossy(checkpoint.note()),
        "index": index,
        "stale": checkpoint.stale().is_some(),
    }));
}
