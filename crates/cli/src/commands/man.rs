//! `tegula man`

use std::path::PathBuf;

use clap::CommandFactory;

use crate::Cli;
use crate::context::Context;
use crate::exit::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory for one page per command; without it, the page of the whole goes to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<(), CliError> {
    match &args.out {
        Some(directory) => clap_mangen::generate_to(Cli::command(), directory)
            .map_err(|error| CliError::io(format!("{}: {error}", directory.display()))),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(CliError::io)?;
            cx.output.bytes(&page);
            Ok(())
        }
    }
}
