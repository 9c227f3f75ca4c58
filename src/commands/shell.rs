//! `completions` and `man`.

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::terminal::console::to_stdout;
use clap::CommandFactory;

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "snapseek", &mut script);
    to_stdout(&script)?;
    Ok(Exit::Success)
}

pub(super) fn manual(command: Option<&str>) -> anyhow::Result<Exit> {
    let mut program = Cli::command();
    program.build();
    let described = match command {
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
