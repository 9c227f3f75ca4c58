//! Arguments in, exit code out.

use clap::{CommandFactory, FromArgMatches};
use snapseek::cli::{self, Cli};
use snapseek::config::Settings;
use snapseek::exit::{Exit, exit_of, explain};
use snapseek::terminal::sanitize;
use snapseek::{commands, panics};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    panics::contain_panics();
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        // clap's error messages quote the arguments unescaped.
        Err(error) if error.use_stderr() => {
            let _ = write!(std::io::stderr(), "{}", sanitize::lines(&usage_error(&error)));
            return ExitCode::from(Exit::Usage as u8);
        }
        Err(help) => {
            // The first letter of `-has:caption` asks for help.
            let arguments = arguments();
            let Some(word) = cli::subtracted_word(&arguments).filter(|word| word.contains(':')) else { help.exit() };
            let _ = write!(
                std::io::stderr(),
                "{}",
                sanitize::lines(&format!("snapseek: unexpected argument {word:?}\n\n{}", with_hyphens(word)))
            );
            return ExitCode::from(Exit::Usage as u8);
        }
    };
    let exit = match run(&matches) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = exit_of(&error);
            if exit != Exit::Success {
                let _ = writeln!(std::io::stderr(), "snapseek: {}", sanitize::lines(&explain(&error)));
            }
            exit
        }
    };
    ExitCode::from(exit as u8)
}

/// What clap says, in the form of our own errors, and a hint for a query whose minus was taken for an option.
fn usage_error(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").map_or(text.clone(), |text| format!("snapseek: {text}"));
    match cli::subtracted_word(&arguments()) {
        Some(word) if word.contains([' ', ':']) => {
            // clap sees one letter of it.
            let lines =
                text.lines().filter(|line| !line.trim_start().starts_with("tip: ")).map(|line| format!("{line}\n"));
            format!("{}\n{}", lines.collect::<String>().replace("\n\n\n", "\n\n"), with_hyphens(word))
        }
        Some(word) => {
            format!("{text}\nIf {word} is part of the query, put the whole query in quotes: \"castle {word}\"\n")
        }
        None => text,
    }
}

fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// How a query is written that begins with a minus.
fn with_hyphens(query: &str) -> String {
    format!("If {query:?} is the query, write -- before it: snapseek search -- {query:?}\n")
}

fn run(matches: &clap::ArgMatches) -> anyhow::Result<Exit> {
    let cli = Cli::from_arg_matches(matches)?;
    if let Some(done) = cli.command.as_ref().and_then(commands::without_settings) {
        return done;
    }
    let settings = Settings::resolve(&cli.global)?;
    let console = settings.console();
    // For all parallel work outside the indexing pipeline, which has its own pools.
    rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build_global()?;
    commands::run(cli, matches, &settings, &console)
}
