//! `completions` and `man`.

use crate::cli::Cli;
use crate::failure::Exit;
use clap::CommandFactory;
use std::io::Write;

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "snapseek", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Success)
}

pub(super) fn manual() -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    std::io::stdout().lock().write_all(&page)?;
    Ok(Exit::Success)
}
