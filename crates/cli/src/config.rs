//! The configuration file: values for flags that neither the command line nor the environment gives.

use std::ffi::OsStr;

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
/// is no flag is an error: a misspelt `log-key` must not be passed over. A value stands back where the command line or the
/// environment gives a flag that it conflicts with, as `policy` does with `--log-key`.
pub(crate) fn apply(
    mut command: Command,
    file: &str,
    text: &str,
    given: &dyn Fn(&str) -> bool,
    named: &dyn Fn(&OsStr) -> bool,
) -> Result<Command, CliError> {
    let settled = |command: &Command, flag: &str| {
        conflicting(command, flag)
            .any(|other| other.get_long().is_some_and(given) || other.get_env().is_some_and(named))
    };
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
                        if settled(&command, &flag) {
                            continue;
                        }
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
            _ if settled(&command, &key) => command,
            value => set(command, file, &key, &value)?,
        };
    }
    Ok(command)
}

/// The command, whose flags do not come from the environment where the command line gives one that they conflict with.
pub(crate) fn prefer_command_line(mut command: Command, given: &dyn Fn(&str) -> bool) -> Command {
    let stands_back = |command: &Command, arg: &Arg| {
        let long = arg.get_long().unwrap_or_default();
        !given(long) && conflicting(command, long).any(|other| other.get_long().is_some_and(given))
    };
    let ids: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.get_env().is_some() && stands_back(&command, arg))
        .map(|arg| arg.get_id().clone())
        .collect();
    for id in ids {
        command = command.mut_arg(id, |arg| arg.env(None::<&str>));
    }
    command.mut_subcommands(|command| prefer_command_line(command, given))
}

/// Whether the file wants failures to be told in JSON; of a file with mistakes, as far as it can be read.
pub(crate) fn wants_json(text: &str) -> bool {
    let table: Table = text.parse().unwrap_or_default();
    table.get("json").and_then(Value::as_bool) == Some(true)
        || table.get("format").and_then(Value::as_str) == Some("json")
}

/// The arguments that cannot be given together with this one, whichever of the two says so.
fn conflicting<'a>(command: &'a Command, flag: &str) -> impl Iterator<Item = &'a Arg> {
    let this = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag));
    let conflict = move |one: &Arg, other: &Arg| {
        let with = command.get_arg_conflicts_with(one);
        with.iter().any(|arg| arg.get_id() == other.get_id())
    };
    command.get_arguments().filter(move |other| {
        this.is_some_and(|this| conflict(this, other) || conflict(other, this))
    })
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
        apply(command(), "f.toml", text, &|_| false, &|_| false)
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
            let error = apply(command(), "f.toml", text, &|_| false, &|_| false).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(apply(command(), "f.toml", "log = ", &|_| false, &|_| false).is_err());
    }
}
