//! The models of an indexing run: each photo is embedded by every model of the library.

use crate::config::Settings;
use crate::exit::explain;
use crate::model_choice::{self, Chosen, Offer};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use snapseek_index::{Error, Library, LibraryModel, ModelRecord, ModelRole, Writer};

/// Opens the models of an ordinary run: the current one, which a new library gets now, and those beside it. A warning
/// names those that cannot be opened; the run goes on without them.
///
/// # Errors
/// The current model cannot be opened, or another one is asked for that is none of the library's; or the catalogue cannot
/// be read or written.
pub fn of_library(
    writer: &mut Writer<'_>,
    library: &Library,
    settings: &Settings,
    console: &Console,
    offer: Offer,
) -> anyhow::Result<Vec<Chosen>> {
    let chosen = model_choice::choose(Some(library), settings, console, offer);
    // The current model may change in the course of the run.
    library.answer_with(None);
    let is_beside = match &chosen {
        Ok(chosen) => library.models()?.iter().any(|known| !is_current(known) && is(known, &chosen.record)),
        Err(error) => matches!(error.downcast_ref(), Some(Error::Incomplete { .. })),
    };
    let current = if is_beside {
        // Photos are embedded by both anyway.
        let settings = Settings { model: "auto".into(), ..settings.clone() };
        let current = model_choice::choose(Some(library), &settings, console, offer);
        library.answer_with(None);
        current?
    } else {
        chosen?
    };
    writer.set_model(&current.record)?;
    model_choice::remember_texts(&current, library, settings)?;
    with_others(current, library, settings, console)
}

/// Opens the models of a run after which another one answers: the one that was begun, or that the settings name, and the
/// library's others.
///
/// # Errors
/// It is missing or damaged, or the catalogue cannot be read or written.
pub fn next(
    writer: &mut Writer<'_>,
    library: &Library,
    settings: &Settings,
    console: &Console,
    offer: Offer,
) -> anyhow::Result<Vec<Chosen>> {
    // What was begun is continued.
    let known = library.models()?;
    let begun = known.iter().find(|known| known.role == ModelRole::Filling).filter(|_| settings.model == "auto");
    let chosen = match begun {
        Some(next) => model_choice::remembered(&next.record, library, settings)?,
        None => model_choice::asked(settings, console, offer)?,
    };
    writer.begin_model(&chosen.record)?;
    with_others(chosen, library, settings, console)
}

/// Opens the library's other models, to embed new photos by them too.
///
/// # Errors
/// The catalogue cannot be read.
pub fn with_others(
    first: Chosen,
    library: &Library,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Vec<Chosen>> {
    let mut models = vec![first];
    for known in library.models()? {
        if models.iter().any(|open| is(&known, &open.record)) {
            continue;
        }
        match model_choice::remembered(&known.record, library, settings) {
            Ok(chosen) => models.push(chosen),
            Err(error) => {
                let name = sanitize::text(&known.record.name);
                let way_out = if is_current(&known) {
                    String::new()
                } else {
                    format!("; `snapseek models drop {name}` drops what it made, and ends this warning")
                };
                console
                    .warn(format_args!("no photo is embedded by the model {name} now: {}{way_out}", explain(&error)));
            }
        }
    }
    Ok(models)
}

/// Says that photos are embedded by several models, if they are, and how that ends.
///
/// # Errors
/// The catalogue cannot be read.
pub fn tell(models: &[Chosen], library: &Library, console: &Console) -> anyhow::Result<()> {
    let beside: Vec<String> = library
        .models()?
        .into_iter()
        .filter(|known| !is_current(known) && models.iter().any(|open| is(known, &open.record)))
        .map(|known| sanitize::text(&known.record.name))
        .collect();
    let (Some(one), Some(current)) = (beside.first(), library.model()?) else { return Ok(()) };
    let current = sanitize::text(&current.name);
    console.note(format_args!(
        "photos are embedded by {} models, {current} and {}; `snapseek models drop {one}` ends that",
        beside.len() + 1,
        beside.join(" and ")
    ));
    Ok(())
}

pub(super) fn is(known: &LibraryModel, record: &ModelRecord) -> bool {
    known.record.fingerprint == record.fingerprint && known.record.dim == record.dim
}

fn is_current(known: &LibraryModel) -> bool {
    known.role == ModelRole::Current
}
