//! Indexes a folder of photos and searches it, from Rust.
//!
//!     cargo run --release --example search_a_folder -- fixtures/photos "a bird with a long beak"

use snapseek::indexing::fill::fill;
use snapseek::indexing::run::IndexOptions;
use snapseek::model;
use snapseek::model_choice::Chosen;
use snapseek::search::question::{Means, Question, parse};
use snapseek::terminal::console::{Color, Console};
use snapseek_index::{By, Library, ModelRecord};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, query] = arguments.as_slice() else { anyhow::bail!("usage: search_a_folder FOLDER QUERY") };
    let (cancel, console) = (AtomicBool::new(false), Console::new(Color::OnTerminal, 0, false));
    let (model, place) = (model::starter()?, tempfile::tempdir()?);
    let (name, identity) = ("starter".to_owned(), model.identity());
    let record = ModelRecord { name, fingerprint: identity.fingerprint.clone(), dim: identity.dim };
    let chosen = Arc::new(Chosen { model, record });

    let library = Library::create(place.path())?;
    let mut writer = library.lock()?;
    writer.set_model(&chosen.record)?;
    let folders = [std::path::Path::new(folder).canonicalize()?];
    fill(&library, &mut writer, std::slice::from_ref(&chosen), &folders, &IndexOptions::new(2), &cancel, &console)?;

    let means = Means { library: &library, model: &|| Ok(Arc::clone(&chosen)), cancel: &cancel, console: &console };
    let rows = Question::new(parse(query)?, By::Both, None, &means)?.ask(&library.searcher()?, 5)?.rows;
    for row in rows.iter().take(5) {
        console.line(&format!("{:.3}  {}", row.hit.cosine.unwrap_or_default(), row.path().display()))?;
    }
    Ok(())
}
