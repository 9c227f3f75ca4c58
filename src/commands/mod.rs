//! One file per group of subcommands.

mod albums;
mod ask;
mod caption;
mod chat;
mod chats;
mod classify;
mod cluster;
mod complete;
mod demo;
mod describe;
mod duplicates;
mod embed;
mod index;
mod labels;
mod library;
mod map;
mod models;
mod root;
mod saved;
mod score;
mod search;
mod selection;
mod shell;
mod show;
mod tags;
mod text;
mod transfer;
mod try_models;
mod tui;
mod verify;
mod watch;
mod worker;

use crate::cli::{Cli, Command, TuiArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use clap::{ArgMatches, CommandFactory};
use snapseek_index::Searcher;
use snapseek_index::query::quoted;
use std::io::{IsTerminal, Write};

/// Runs the commands that need no settings, so that a mistake in the config file does not break the startup of a shell.
///
/// # Errors
/// The command to describe does not exist, or stdout is closed.
pub fn without_settings(command: &Command) -> Option<anyhow::Result<Exit>> {
    match command {
        Command::Completions(args) => Some(shell::completions(args)),
        Command::Man(args) => Some(shell::manual(args)),
        _ => None,
    }
}

/// Runs one command.
///
/// # Errors
/// The command failed; [`crate::exit::exit_of`] maps the error to an exit code.
pub fn run(cli: Cli, matches: &ArgMatches, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let Some(command) = cli.command else { return alone(settings, console) };
    match command {
        Command::Tui(args) => tui::tui(&args, settings, console),
        Command::Index(args) => index::index(&args, settings, console),
        Command::Watch(args) => watch::watch(&args, settings, console),
        Command::Worker(args) => worker::worker(&args, settings, console),
        Command::Reindex(args) => index::reindex(&args, settings, console),
        Command::Search(args) => search::search(&args, settings, console),
        Command::Root { action } => root::run(&action, settings, console),
        Command::Saved { action } => saved::run(&action, settings, console),
        Command::Similar(args) => search::similar(&args, settings, console),
        Command::Show(args) => show::show(&args, settings, console),
        Command::Cluster(args) => cluster::cluster(&args, settings, console),
        Command::Map(args) => map::map(&args, settings, console),
        Command::Describe(args) => describe::describe(&args, settings, console),
        Command::Duplicates(args) => duplicates::duplicates(&args, settings, console),
        Command::Caption(args) => caption::run(&args, settings, console),
        Command::Text(args) => text::text(&args, settings, console),
        Command::Ask(args) => ask::ask(&args, settings, console),
        Command::Chat(args) => chat::chat(&args, settings, console),
        Command::Chats { action } => chats::run(&action, settings, console),
        Command::Album { action } => albums::run(&action, settings, console),
        Command::Tag { action } => tags::tag(&action, settings, console),
        Command::Rate(args) => tags::rate(&args, settings, console),
        Command::Classify(args) => classify::classify(&args, settings, console),
        Command::Score(args) => score::score(&args, settings, console),
        Command::Labels { action } => labels::run(&action, settings, console),
        Command::Models { action } => models::run(&action, settings, console),
        Command::Status => library::status(settings, console),
        Command::Check(args) => library::check(&args, settings, console),
        Command::Forget(args) => library::forget(&args, settings, console),
        Command::Export(args) => transfer::export(&args, settings, console),
        Command::Import(args) => transfer::import(&args, settings, console),
        Command::Library { action } => library::library(&action, settings, console),
        Command::Embed(args) => embed::embed(&args, matches, settings, console),
        Command::Tokens(args) => embed::tokens(&args, settings, console),
        Command::Complete(args) => complete::complete(&args, settings, console),
        Command::Demo(args) => demo::demo(&args.folder, settings, console),
        // Handled by `without_settings`.
        Command::Completions(_) | Command::Man(_) => Ok(Exit::Success),
    }
}

/// Says how many photos a search by meaning cannot find, if there are any.
fn note_awaiting(searcher: &Searcher, console: &Console) -> anyhow::Result<()> {
    let photos = searcher.awaiting()?;
    if photos > 0 {
        console.note(library::awaiting(photos as u64));
    }
    Ok(())
}

/// Says which search finds the photos that have this value, as a shell takes it.
fn note_search(filter: &str, value: &str, console: &Console) {
    let value = sanitize::text(&quoted(value)).replace('\'', r"'\''");
    console.note(format_args!("`snapseek search '{filter}:{value}'` finds its photos"));
}

/// `snapseek` without a command: the terminal UI for a person whose terminal can show it, otherwise help.
fn alone(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let is_person = console.terminal && std::io::stdin().is_terminal();
    if is_person && !console::is_dumb() {
        return tui::tui(&TuiArgs::default(), settings, console);
    }
    let help = Cli::command().render_help().to_string();
    if is_person {
        console.line(help.trim_end())?;
        return Ok(Exit::Success);
    }
    std::io::stderr().write_all(help.as_bytes())?;
    Ok(Exit::Usage)
}
