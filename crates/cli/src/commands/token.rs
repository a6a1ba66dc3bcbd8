//! `tegula token`

use serde_json::json;
use tegula_server::{TokenError, add_token, list_tokens, revoke_token};

use crate::context::Context;
use crate::env::random;
use crate::exit::CliError;
use crate::home::Home;

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
        /// The log's directory or buckets
        #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
        home: Home,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The log's directory or buckets
    #[arg(value_name = "DIR|s3://BUCKET?private=s3://BUCKET")]
    home: Home,
    /// Whose token it is
    name: String,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<(), CliError> {
    match args.command {
        TokenCommand::Add(args) => {
            let entered = args.home.enter().await?;
            let store = entered.store();
            let made = add_token(store.as_ref(), &args.name, random()?, cx.now_ms()).await;
            entered.leave().await?;
            let token = made.map_err(failed)?;
            if cx.output.is_json() {
                cx.output.json(&json!({"name": args.name, "token": token}));
            } else {
                cx.output.line(token);
            }
        }
        TokenCommand::Revoke(args) => {
            let entered = args.home.enter().await?;
            let revoked = revoke_token(entered.store().as_ref(), &args.name).await;
            entered.leave().await?;
            revoked.map_err(failed)?;
            cx.output
                .note(format!("revoked the token of {}", args.name));
        }
        TokenCommand::List { home } => {
            let entered = home.enter().await?;
            let tokens = list_tokens(entered.store().as_ref()).await;
            entered.leave().await?;
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

fn failed(error: TokenError) -> CliError {
    match error {
        TokenError::Unknown(_) => CliError::not_found(error),
        TokenError::Exists(_) => CliError::usage(error),
        TokenError::Store(_) | TokenError::File(_) | TokenError::Busy => CliError::io(error),
    }
}
