//! `completions` and `man`.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::console::to_stdout;
use clap::CommandFactory;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snapseek", &mut script);
    let script = String::from_utf8(script)?;
    let lines: String = script.split_inclusive('\n').map(commands_first).collect();
    to_stdout(lines.as_bytes())?;
    Ok(Exit::Success)
}

/// A line of a script for bash that lists what can be completed, with commands before options; any other as it is.
fn commands_first(line: &str) -> String {
    let words = line.trim_start().strip_prefix("opts=\"").and_then(|rest| rest.trim_end().strip_suffix('"'));
    let Some(words) = words else { return line.to_owned() };
    let (options, commands): (Vec<&str>, Vec<&str>) = words.split(' ').partition(|word| word.starts_with('-'));
    let indent = &line[..line.len() - line.trim_start().len()];
    format!("{indent}opts=\"{}\"\n", [commands, options].concat().join(" "))
}

pub(super) fn manual(args: &ManArgs) -> anyhow::Result<Exit> {
    let mut program = Cli::command();
    program.build();
    let described = match args.command.as_deref() {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("there is no command {name:?}; `snapseek help` lists them")))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described).render(&mut page)?;
    to_stdout(&page)?;
    Ok(Exit::Success)
}
