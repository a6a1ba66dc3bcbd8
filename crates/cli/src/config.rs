//! The configuration file: values for flags that neither the command line nor the environment gives.

use clap::{Arg, Command};
use toml::{Table, Value};

use crate::exit::CliError;

/// Makes the file's values the defaults of the flags with those names.
///
/// ```toml
/// log = "https://log.example"
/// log-key = ["log.example+b4e0c6a1+AQ…"]
///
/// [upload]
/// public-key = "release.pub"
/// ```
///
/// Keys before the first table are flags of every command, a table has the flags of the command that it is named for. A name that
/// is no flag is an error: a misspelt `log-key` must not be passed over.
pub(crate) fn apply(mut command: Command, file: &str, text: &str) -> Result<Command, CliError> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        CliError::usage(format!("{file}: {}", error.message()))
    })?;
    for (key, value) in table {
        command = match value {
            Value::Table(flags) => {
                if command.find_subcommand(&key).is_none() {
                    return Err(CliError::usage(format!(
                        "{file}: there is no command {key}"
                    )));
                }
                let mut outcome = Ok(());
                let command = command.mut_subcommand(&key, |mut command| {
                    for (flag, value) in flags {
                        match set(command.clone(), file, &flag, &value) {
                            Ok(changed) => command = changed,
                            Err(error) => outcome = Err(error.about(&key)),
                        }
                    }
                    command
                });
                outcome?;
                command
            }
            value => set(command, file, &key, &value)?,
        };
    }
    Ok(command)
}

fn set(command: Command, file: &str, flag: &str, value: &Value) -> Result<Command, CliError> {
    let values = texts(value)
        .ok_or_else(|| CliError::usage(format!("{file}: {flag} is not a text, number or list")))?;
    let find = |arg: &&Arg| arg.get_long() == Some(flag) && flag != "config";
    let id = command
        .get_arguments()
        .find(find)
        .map(|arg| arg.get_id().clone())
        .ok_or_else(|| CliError::usage(format!("{file}: there is no flag --{flag}")))?;
    Ok(command.mut_arg(id, |arg| arg.required(false).default_values(values)))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(vec![value.to_string()]),
        Value::Array(values) => {
            let lists: Option<Vec<_>> = values.iter().map(texts).collect();
            Some(lists?.concat())
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn command() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name);
        Command::new("t")
            .arg(flag("log").global(true))
            .arg(flag("json").global(true).action(ArgAction::SetTrue))
            .arg(flag("config"))
            .subcommand(
                Command::new("get")
                    .arg(flag("n").required(true))
                    .arg(flag("many").action(ArgAction::Append)),
            )
    }

    fn run(text: &str, args: &[&str]) -> clap::ArgMatches {
        apply(command(), "f.toml", text)
            .unwrap()
            .try_get_matches_from(args)
            .unwrap()
    }

    fn log(matches: &clap::ArgMatches) -> Option<&str> {
        let (_, matches) = matches.subcommand().unwrap();
        matches.get_one::<String>("log").map(String::as_str)
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let text = "log = 'file'\njson = true\n[get]\nn = 7\nmany = ['a', 'b']";
        let matches = run(text, &["t", "get"]);
        assert_eq!(log(&matches), Some("file"));
        let (_, get) = matches.subcommand().unwrap();
        assert!(get.get_flag("json"));
        assert_eq!(get.get_one::<String>("n").unwrap(), "7");
        let many: Vec<_> = get.get_many::<String>("many").unwrap().collect();
        assert_eq!(many, ["a", "b"]);
        for args in [["t", "--log", "flag", "get"], ["t", "get", "--log", "flag"]] {
            assert_eq!(log(&run(text, &args)), Some("flag"));
        }
    }

    #[test]
    fn what_is_no_flag_is_refused() {
        for (text, expected) in [
            ("logkey = 'x'", "f.toml: there is no flag --logkey"),
            ("config = 'x'", "f.toml: there is no flag --config"),
            ("[put]\nn = 1", "f.toml: there is no command put"),
            ("[get]\nm = 1", "get: f.toml: there is no flag --m"),
            (
                "log = 1979-05-27",
                "f.toml: log is not a text, number or list",
            ),
        ] {
            let error = apply(command(), "f.toml", text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(apply(command(), "f.toml", "log = ").is_err());
    }
}
