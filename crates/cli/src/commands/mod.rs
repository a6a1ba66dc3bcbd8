//! The commands, one file each.

mod bench;
mod completions;
mod entry;
mod fsck;
mod get;
pub(crate) mod import;
mod index;
pub(crate) mod init;
mod leaf;
mod loginfo;
mod logproof;
mod man;
mod proof;
mod repair;
mod search;
mod serve;
mod token;
mod upload;
mod verify;

use crate::context::Context;
use crate::exit::CliError;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a log in a directory
    Init(init::Args),
    /// Make a log in a directory, with the entries of another one
    Import(import::Args),
    /// Run a log
    Serve(serve::Args),
    /// Make, list and revoke the tokens of those who may write
    Token(token::Args),
    /// Load a log, and measure it
    Bench(bench::Args),
    /// Log signatures of artifacts
    Upload(upload::Args),
    /// Read an entry, with proof that it is in the log
    Get(get::Args),
    /// Find entries by artifact, key or identity, with proof that these are all; 8 if there is none
    Search(search::Args),
    /// Make the search index, and check it
    Index(index::Args),
    /// Verify that artifacts with their signatures, or entries, are in the log
    Verify(verify::Args),
    /// Verify the log's checkpoint, and that it goes on from the last one seen
    Loginfo(loginfo::Args),
    /// Prove that a smaller tree is the beginning of a larger one
    Logproof(logproof::Args),
    /// Write and check proofs that need no log to be checked
    Proof(proof::Args),
    /// Hash the whole log again
    Fsck(fsck::Args),
    /// Write shell completions
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

impl Command {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        match self {
            Self::Init(args) => init::run(args, cx).await,
            Self::Import(args) => import::run(args, cx).await,
            Self::Serve(args) => serve::run(args, cx).await,
            Self::Token(args) => token::run(args, cx).await,
            Self::Bench(args) => bench::run(args, cx).await,
            Self::Upload(args) => upload::run(args, cx).await,
            Self::Get(args) => get::run(args, cx).await,
            Self::Search(args) => search::run(args, cx).await,
            Self::Index(args) => index::run(args, cx).await,
            Self::Verify(args) => verify::run(args, cx).await,
            Self::Loginfo(args) => loginfo::run(args, cx).await,
            Self::Logproof(args) => logproof::run(args, cx).await,
            Self::Proof(args) => proof::run(args, cx).await,
            Self::Fsck(args) => fsck::run(args, cx).await,
            Self::Completions(args) => completions::run(&args, cx),
            Self::Man(args) => man::run(&args, cx),
        }
    }
}
