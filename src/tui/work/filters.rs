//! Counts what a query can be filtered by. In a library of a million photos, that takes a moment.

use super::latest::Latest;
use super::{Context, explained, guarded};
use crate::model_choice;
use crate::search::question::{self, Means, Question};
use crate::tui::event::Message;
use snapseek_index::query::Query;
use snapseek_index::{By, Error, FacetCounts, FacetField};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Generation, the query, and the position of the field that is wanted first.
pub(super) type FilterRequest = (u64, String, usize);

/// Starts the thread that counts; the last request counts.
pub(super) fn start(context: Arc<Context>) -> std::io::Result<Latest<FilterRequest>> {
    Latest::start("filters", move |(generation, text, first): FilterRequest, cancel| {
        let fields = FacetField::ALL.iter().cycle().skip(first).take(FacetField::ALL.len()).map(|(field, ..)| *field);
        let mut left: Vec<FacetField> = fields.collect();
        let counted = guarded(|| {
            count(&context, &text, &mut left, cancel, &|field, counts| {
                context.send(Message::Filters(generation, field, Ok(counts)));
            })
        });
        if let Err(error) = counted {
            let why = explained(&error);
            left.iter().for_each(|field| context.send(Message::Filters(generation, *field, Err(why.clone()))));
        }
    })
}

/// Counts these fields, the first one first; what is counted is taken out of the list.
fn count(
    context: &Arc<Context>,
    text: &str,
    fields: &mut Vec<FacetField>,
    cancel: &AtomicBool,
    done: &dyn Fn(FacetField, FacetCounts),
) -> anyhow::Result<()> {
    // Words and pictures only rank.
    let query = if text.trim().is_empty() { Query::default() } else { question::parse(text)? };
    let query = Query { parts: Vec::new(), ..query };
    let library = match model_choice::library(&context.settings) {
        Ok(library) => library,
        Err(error) if matches!(error.downcast_ref(), Some(Error::NoLibrary { .. })) => {
            fields.drain(..).for_each(|field| done(field, FacetCounts::default()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let console = context.quiet_console();
    let model = || context.model(&library, &console);
    let means = Means { library: &library, model: &model, cancel, console: &console };
    let request = Question::new(query, By::Both, None, &means)?.request;
    let searcher = library.searcher()?;
    let mut counter = searcher.facet_counter(&request.filters, &request.phrases)?;
    while let Some(field) = fields.first().copied() {
        if cancel.load(Ordering::Relaxed) {
            return Ok(());
        }
        done(field, counter.count(field)?);
        fields.remove(0);
    }
    Ok(())
}
