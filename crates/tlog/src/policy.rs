//! Which logs and witnesses a reader trusts: c2sp.org/tlog-policy.

use std::collections::{HashMap, HashSet};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::key::{KeyKind, VerifierKey};
use crate::note::Note;

/// Keys of logs, any of which may have signed, and how many witnesses must have cosigned.
#[derive(Clone, Debug)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    /// Witnesses and groups, in the order of the file; a group's members come before it.
    members: Vec<Member>,
    /// One of the members; `None` asks for no cosignature.
    quorum: Option<usize>,
}

#[derive(Clone, Debug)]
struct Member {
    name: Vec<u8>,
    kind: MemberKind,
}

#[derive(Clone, Debug)]
enum MemberKind {
    /// One of the witnesses.
    Witness(usize),
    Group {
        threshold: usize,
        of: Vec<usize>,
    },
}

/// Why a checkpoint is not to be believed, or a policy not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// A line of the policy is wrong.
    #[error("line {line} of the policy: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The policy has no quorum line.
    #[error("the policy has no quorum line")]
    NoQuorum,
    /// It is not a checkpoint that one of the logs signed.
    #[error(transparent)]
    Untrusted(#[from] CheckpointError),
    /// Too few witnesses have cosigned.
    #[error(
        "{cosigned} of {witnesses} witnesses have cosigned the checkpoint, which is not the quorum {quorum:?}"
    )]
    QuorumNotMet {
        /// How many have.
        cosigned: usize,
        /// How many the policy knows.
        witnesses: usize,
        /// The name of the quorum.
        quorum: String,
    },
}

impl Policy {
    /// Trusts what any of these keys signed.
    pub fn from_log_keys(logs: Vec<VerifierKey>) -> Self {
        Self {
            logs,
            witnesses: Vec::new(),
            members: Vec::new(),
            quorum: None,
        }
    }

    /// Parses a policy file.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Line`] or [`PolicyError::NoQuorum`].
    pub fn parse(file: impl AsRef<[u8]>) -> Result<Self, PolicyError> {
        let mut parser = Parser::default();
        for (line, bytes) in (1..).zip(file.as_ref().split(|byte| *byte == b'\n')) {
            let parsed = parser.line(bytes);
            parsed.map_err(|reason| PolicyError::Line { line, reason })?;
        }
        let quorum = parser.quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Self {
            logs: parser.logs,
            witnesses: parser.witnesses,
            members: parser.members,
            quorum,
        })
    }

    /// The keys of the logs.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Checks a signed checkpoint.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Untrusted`] or [`PolicyError::QuorumNotMet`].
    pub fn check(&self, note: &[u8]) -> Result<(Checkpoint, Note), PolicyError> {
        let (checkpoint, note) = Checkpoint::open(note, &self.logs)?;
        let Some(quorum) = self.quorum else {
            return Ok((checkpoint, note));
        };
        // One witness' wrong signature must not undo those of the others.
        let cosigned = |key: &VerifierKey| {
            let signers = note.verified_by(std::slice::from_ref(key));
            signers.is_ok_and(|signers| !signers.is_empty())
        };
        let cosigned: Vec<bool> = self.witnesses.iter().map(cosigned).collect();
        let mut met: Vec<bool> = Vec::with_capacity(self.members.len());
        for member in &self.members {
            met.push(match &member.kind {
                MemberKind::Witness(at) => cosigned.get(*at) == Some(&true),
                MemberKind::Group { threshold, of } => {
                    of.iter().filter(|at| met.get(**at) == Some(&true)).count() >= *threshold
                }
            });
        }
        if met.get(quorum) == Some(&true) {
            return Ok((checkpoint, note));
        }
        let name = self
            .members
            .get(quorum)
            .map(|member| member.name.as_slice());
        Err(PolicyError::QuorumNotMet {
            cosigned: cosigned.iter().filter(|cosigned| **cosigned).count(),
            witnesses: self.witnesses.len(),
            quorum: String::from_utf8_lossy(name.unwrap_or_default()).into_owned(),
        })
    }
}

#[derive(Default)]
struct Parser {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    members: Vec<Member>,
    by_name: HashMap<Vec<u8>, usize>,
    /// Members of a group: none may be in two.
    grouped: HashSet<usize>,
    quorum: Option<Option<usize>>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line
            .iter()
            .any(|c| (*c < b' ' && *c != b'\t') || *c == 0x7f)
        {
            return Err("it has control characters".to_owned());
        }
        let words: Vec<&[u8]> = line
            .split(|c| *c == b' ' || *c == b'\t')
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", vkey] | [b"log", vkey, _] => self.log(vkey),
            [b"witness", name, vkey] | [b"witness", name, vkey, _] => self.witness(name, vkey),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            [first, ..] => Err(format!(
                "{:?} with {} words after it, expected log, witness, group or quorum",
                String::from_utf8_lossy(first),
                words.len() - 1
            )),
        }
    }

    fn log(&mut self, vkey: &[u8]) -> Result<(), String> {
        let key = parse_key(vkey)?;
        if key.kind() == KeyKind::CosignatureV1 {
            return Err("the key is a witness', expected a log's".to_owned());
        }
        add_key(&mut self.logs, key)
    }

    fn witness(&mut self, name: &[u8], vkey: &[u8]) -> Result<(), String> {
        let key = parse_key(vkey)?;
        if key.kind() != KeyKind::CosignatureV1 {
            return Err("the key is a log's, expected a witness' (type 0x04)".to_owned());
        }
        add_key(&mut self.witnesses, key)?;
        self.add(name, MemberKind::Witness(self.witnesses.len() - 1))
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), String> {
        let mut of = Vec::with_capacity(members.len());
        for member in members {
            let at = self.find(member)?;
            if !self.grouped.insert(at) {
                return Err(format!("{} is in a group already", shown(member)));
            }
            of.push(at);
        }
        let threshold = match threshold {
            b"all" => of.len(),
            b"any" => 1,
            number => str::from_utf8(number)
                .ok()
                .and_then(crate::number::decimal)
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| format!("{} is not all, any or a number", shown(number)))?,
        };
        if threshold == 0 || threshold > of.len() {
            return Err(format!(
                "the threshold is {threshold} of {} members, expected at least 1 and at most all",
                of.len()
            ));
        }
        self.add(name, MemberKind::Group { threshold, of })
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a quorum line already".to_owned());
        }
        self.quorum = Some(if name == b"none" {
            None
        } else {
            Some(self.find(name)?)
        });
        Ok(())
    }

    fn add(&mut self, name: &[u8], kind: MemberKind) -> Result<(), String> {
        let name = name.to_vec();
        if name == b"none" || self.by_name.contains_key(&name) {
            return Err(format!("the name {} is taken", shown(&name)));
        }
        self.by_name.insert(name.clone(), self.members.len());
        self.members.push(Member { name, kind });
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<usize, String> {
        let found = self.by_name.get(name).copied();
        found.ok_or_else(|| format!("{} is not a witness or group of a line before", shown(name)))
    }
}

fn parse_key(vkey: &[u8]) -> Result<VerifierKey, String> {
    let text = str::from_utf8(vkey).map_err(|_utf8| "the key is not UTF-8".to_owned())?;
    text.parse()
        .map_err(|error| format!("the key {}: {error}", shown(vkey)))
}

fn add_key(keys: &mut Vec<VerifierKey>, key: VerifierKey) -> Result<(), String> {
    if keys
        .iter()
        .any(|known| known.key_bytes() == key.key_bytes())
    {
        return Err(format!("the key {key} is there already"));
    }
    keys.push(key);
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(100).collect();
    format!("{text:?}")
}
