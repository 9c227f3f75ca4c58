//! What the lists to browse show: counts, photos of this day, and covers of what a query finds without a model.

use super::latest::Latest;
use super::{Context, explained, guarded};
use crate::search::question;
use crate::tui::browse::BrowseKind;
use crate::tui::event::Message;
use snapseek_index::query::Query;
use snapseek_index::{Error, FacetField, Library, SearchRequest};
use std::sync::Arc;

/// Most covers of a row.
const COVERS: usize = 24;

/// Answers what the lists need, one after the other: the last one requested counts.
pub(super) fn counts(context: &Context, kind: BrowseKind) -> anyhow::Result<()> {
    let library = match Library::open(&context.settings.library) {
        Ok(library) => Some(library),
        Err(Error::NoLibrary { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let message = match (kind, library) {
        (BrowseKind::Start, None) => Message::Today(Vec::new()),
        (BrowseKind::Folders, None) => Message::Folders(Vec::new()),
        (BrowseKind::Time, None) => Message::Months(Vec::new()),
        (BrowseKind::Start, Some(library)) => {
            let now = jiff::Zoned::now();
            let day = format!("{:02}-{:02}", now.month(), now.day());
            // Those of this year are no memories.
            Message::Today(library.searcher()?.on_day(&day, &format!("{:04}-{day}", now.year()))?)
        }
        (BrowseKind::Folders, Some(library)) => {
            let folders = library.folder_counts()?;
            Message::Folders(folders.into_iter().map(|folder| (folder.value, folder.photos)).collect())
        }
        (BrowseKind::Time, Some(library)) => {
            let counts = |field| -> anyhow::Result<Vec<(String, u64)>> {
                Ok(library.facets(field)?.into_iter().map(|facet| (facet.value, facet.photos)).collect())
            };
            let mut months = counts(FacetField::Month)?;
            // Of some, only the year is known.
            for (year, photos) in counts(FacetField::Year)? {
                let in_months = months.iter().filter(|(month, _)| month.starts_with(&year));
                let rest = photos.saturating_sub(in_months.map(|(_, photos)| photos).sum());
                months.extend((rest > 0).then_some((year, rest)));
            }
            months.sort_by(|a, b| b.cmp(a));
            Message::Months(months)
        }
    };
    context.send(message);
    Ok(())
}

/// The first photos of what a query finds; none if that needs a model.
fn find(library: &Library, text: &str) -> anyhow::Result<Vec<i64>> {
    let Query { parts, phrases, filters, .. } = question::parse(text)?;
    if !parts.is_empty() {
        return Ok(Vec::new());
    }
    let request = SearchRequest { phrases, filters, limit: COVERS, stacked: true, ..SearchRequest::default() };
    Ok(library.searcher()?.rank(&request)?.photos.into_iter().map(|photo| photo.id).collect())
}

/// Starts the thread that finds covers.
pub(super) fn covers(context: Arc<Context>) -> std::io::Result<Latest<(u64, String)>> {
    Latest::start("covers", move |(generation, text): (u64, String), _| {
        let found = guarded(|| find(&Library::open(&context.settings.library)?, &text));
        // What is wrong with a query is told when it is opened.
        context.send(Message::Covers(generation, found.unwrap_or_default()));
    })
}

/// Starts the thread that counts.
pub(super) fn start(context: Arc<Context>) -> std::io::Result<Latest<BrowseKind>> {
    Latest::start("browser", move |kind, _| {
        if let Err(error) = guarded(|| counts(&context, kind)) {
            context.send(Message::Note(true, explained(&error)));
        }
    })
}
