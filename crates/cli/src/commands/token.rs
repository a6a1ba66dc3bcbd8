//! `tegula token`

use std::path::{Path, PathBuf};

use serde_json::json;
use tegula_server::{TokenError, add_token, list_tokens, revoke_token};
use tegula_storage::{Directory, DirectoryOptions};

use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make a token; it is shown once, and the log keeps its hash alone
    Add(Named),
    /// Take a token away, at once
    Revoke(Named),
    /// Show whose tokens there are
    List {
        /// The log's directory
        directory: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The log's directory
    directory: PathBuf,
    /// Whose token it is
    name: String,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    match args.command {
        TokenCommand::Add(args) => {
            let store = open(&args.directory)?;
            let made = add_token(&store, &args.name, random()?, cx.now_ms()).await;
            store.close().await.map_err(CliError::io)?;
            let token = made.map_err(failed)?;
            if cx.output.is_json() {
                cx.output.json(&json!({"name": args.name, "token": token}));
            } else {
                cx.output.line(token);
            }
        }
        TokenCommand::Revoke(args) => {
            let store = open(&args.directory)?;
            let revoked = revoke_token(&store, &args.name).await;
            store.close().await.map_err(CliError::io)?;
            revoked.map_err(failed)?;
            cx.output
                .note(format!("revoked the token of {}", args.name));
        }
        TokenCommand::List { directory } => {
            let store = open(&directory)?;
            let tokens = list_tokens(&store).await;
            store.close().await.map_err(CliError::io)?;
            for token in tokens.map_err(failed)? {
                if cx.output.is_json() {
                    let created = token.created_ms.to_string();
                    cx.output
                        .json(&json!({"name": token.name, "createdMs": created}));
                } else {
                    cx.output.line(token.name);
                }
            }
        }
    }
    Ok(())
}

fn open(directory: &Path) -> Result<Directory, CliError> {
    Directory::open(directory, DirectoryOptions::default()).map_err(CliError::io)
}

fn failed(error: TokenError) -> CliError {
    match error {
        TokenError::Unknown(_) => CliError::not_found(error),
        TokenError::Exists(_) => CliError::usage(error),
        TokenError::Store(_) | TokenError::File(_) | TokenError::Busy => CliError::io(error),
    }
}
