//! `labels`: lists, shows and deletes saved label sets.

use crate::cli::LabelsAction;
use crate::config::Settings;
use crate::exit::Exit;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, text};
use serde_json::{Value, json};
use snapseek_index::{LabelSet, Library};

pub(super) fn run(action: &LabelsAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        LabelsAction::List => list(&library, settings, console),
        LabelsAction::Show { name } => show(&library.label_set(name)?, settings, console),
        LabelsAction::Delete { name } => {
            library.delete_label_set(name)?;
            if settings.json {
                console.json(&json!({"schema": 1, "deleted": name}))?;
            }
            Ok(Exit::Success)
        }
    }
}

fn list(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let sets = library.label_sets()?;
    for set in &sets {
        if settings.json {
            console.json(&record(set))?;
            continue;
        }
        let (name, labels) = (sanitize::text(&set.name), sanitize::text(&set.labels.join(", ")));
        if console.terminal {
            let labels = text::shorten_end(&labels, crate::terminal::console::width().saturating_sub(40));
            let number = text::count(set.labels.len(), "label");
            console.line(&format!("{}  {number}  {}", console.style("1", &name), console.style("2", &labels)))?;
        } else {
            console.line(&format!("{name}\t{}\t{labels}", set.labels.len()))?;
        }
    }
    if sets.is_empty() {
        console.note("no label set is saved; `snapseek classify --labels \"dog,cat\" --save-as pets` saves one");
    }
    Ok(if sets.is_empty() { Exit::NothingFound } else { Exit::Success })
}

/// Prints the labels one per line, as `--labels-file` reads them, and the rest as comments.
fn show(set: &LabelSet, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if settings.json {
        console.json(&record(set))?;
        return Ok(Exit::Success);
    }
    let comment = |text: String| console.line(&console.style("2", &format!("# {text}")));
    comment(sanitize::text(&set.name))?;
    for label in &set.labels {
        console.line(&sanitize::text(label))?;
    }
    if !set.background.is_empty() {
        comment(format!("none of these: {}", sanitize::text(&set.background.join(", "))))?;
    }
    if set.threshold > 0.0 {
        comment(format!("threshold: {}", set.threshold))?;
    }
    for template in &set.templates {
        comment(format!("template: {}", sanitize::text(template)))?;
    }
    Ok(Exit::Success)
}

fn record(set: &LabelSet) -> Value {
    let LabelSet { name, labels, background, templates, threshold } = set;
    json!({"schema": 1, "name": name, "labels": labels, "background": background, "templates": templates,
        "threshold": threshold})
}
