//! `completions` and `man`.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::console::to_stdout;
use clap::CommandFactory;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snapseek", &mut script);
    to_stdout(&script)?;
    Ok(Exit::Success)
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
