//! `saved`: queries with names.

use crate::cli::SavedAction;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::search::question;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::json;
use snapseek_index::{Library, SavedSearch};

pub(super) fn run(action: &SavedAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        SavedAction::List => {
            let searches = library.saved_searches()?;
            for SavedSearch { name, query, .. } in &searches {
                if settings.json {
                    console.json(&json!({"schema": 1, "search": name, "query": query}))?;
                    continue;
                }
                let name = console.style("1", &text::pad(&sanitize::text(name), 24));
                console.line(&format!("{name}  {}", sanitize::text(query)))?;
            }
            if searches.is_empty() {
                console.note("there are no saved searches yet; `snapseek saved add NAME QUERY` saves one");
            }
            Ok(if searches.is_empty() { Exit::NothingFound } else { Exit::Success })
        }
        SavedAction::Add { name, query } => {
            let query = query.join(" ");
            // A mistake is told now, not when the search is wanted.
            question::parse(&query)?;
            let before = library.save_search(name, Some(&query)).map_err(Failure::refused)?;
            if settings.json {
                console.json(&json!({"schema": 1, "search": name, "query": query, "replaced": before}))?;
            } else if let Some(before) = before {
                console.note(format_args!("it was: {}", sanitize::text(&before)));
            }
            Ok(Exit::Success)
        }
        SavedAction::Delete { name } => {
            let Some(query) = library.save_search(name, None)? else { return Err(unknown(&library, name)?) };
            if settings.json {
                console.json(&json!({"schema": 1, "deleted": name, "query": query}))?;
            }
            Ok(Exit::Success)
        }
    }
}

/// The error for a search that is not saved (exit code 2), with the names of those that are.
pub(super) fn unknown(library: &Library, name: &str) -> anyhow::Result<anyhow::Error> {
    let known: Vec<String> =
        library.saved_searches()?.iter().map(|search| format!("{:?}", sanitize::text(&search.name))).collect();
    let known = if known.is_empty() { "there are none yet".into() } else { format!("there are {}", known.join(", ")) };
    Ok(Failure::usage(format!("there is no saved search {:?}; {known}", sanitize::text(name))))
}
