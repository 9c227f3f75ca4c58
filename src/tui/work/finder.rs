//! Searches. The library is read through a snapshot, which is rebuilt when the library has changed.

use super::latest::Latest;
use super::{Context, explained, guarded};
use crate::exit::{Exit, exit_of};
use crate::model_choice;
use crate::search::question::{self, Means, Question};
use crate::tui::event::{Answer, FoundPhoto, Listing, Message};
use crate::tui::source::{Seek, Source};
use snapseek_index::query::{PartKind, Query, QueryPart};
use snapseek_index::{By, Error, Library, Order, RankedPhoto, Searcher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Generation, source, and what to list of it.
pub(super) type FindRequest = (u64, Source, Listing);

/// An outdated snapshot is still used for this many times as long as it took to make, so that a library that changes
/// all the time is not read again for every search.
const WORTH: u32 = 10;
/// Upper limit of a snapshot's cost: the measured time also includes loading the model.
const DEAREST: Duration = Duration::from_millis(500);
/// How many photos are sent with their details in the answer.
const DETAILED: usize = 500;

struct Finder {
    context: Arc<Context>,
    /// The library has changed: a new snapshot is needed.
    renew: Arc<AtomicBool>,
    library: Option<Library>,
    snapshot: Option<Snapshot>,
}

struct Snapshot {
    searcher: Searcher,
    version: i64,
    made: Instant,
    cost: Duration,
}

pub(super) fn start(context: Arc<Context>, renew: Arc<AtomicBool>) -> std::io::Result<Latest<FindRequest>> {
    let mut finder = Finder { context: context.clone(), renew, library: None, snapshot: None };
    Latest::start("finder", move |(generation, source, listing), cancel| {
        let answer = guarded(|| finder.find(&source, listing, cancel));
        // A wrong or cancelled query does not mean that the library is broken.
        let of_library = |error| !matches!(exit_of(error), Exit::Usage | Exit::Interrupted | Exit::NothingFound);
        if answer.as_ref().is_err_and(of_library) {
            (finder.library, finder.snapshot) = (None, None);
        }
        if !cancel.load(Ordering::Relaxed) || answer.is_ok() {
            context.send(Message::Found(generation, answer.map_err(|error| explained(&error))));
        }
    })
}

impl Finder {
    fn find(&mut self, source: &Source, listing: Listing, cancel: &Arc<AtomicBool>) -> anyhow::Result<Answer> {
        let started = Instant::now();
        let seek = source.seek();
        let query = if seek.text.trim().is_empty() { Query::default() } else { question::parse(&seek.text)? };
        let library = match self.library.take() {
            Some(library) => library,
            None => match model_choice::library(&self.context.settings) {
                Ok(library) => library,
                Err(error) if matches!(error.downcast_ref(), Some(Error::NoLibrary { .. })) => {
                    return Ok(Answer::default());
                }
                Err(error) => return Err(error),
            },
        };
        let library = self.library.insert(library);
        let version = library.data_version()?;
        let renew = self.renew.swap(false, Ordering::Relaxed);
        let fresh = self.snapshot.take().filter(|snapshot| {
            snapshot.version == version || !renew && snapshot.made.elapsed() < snapshot.cost.saturating_mul(WORTH)
        });
        let snapshot = match fresh {
            Some(snapshot) => snapshot,
            None => {
                let made = Instant::now();
                if self.context.settings.model == "auto" {
                    // The one that is current now.
                    library.answer_with(None);
                }
                Snapshot { searcher: library.searcher()?, version, made, cost: Duration::ZERO }
            }
        };
        let snapshot = self.snapshot.insert(snapshot);
        // Another one may be current meanwhile, and vectors of two models cannot be compared.
        library.answer_with(snapshot.searcher.model()?.as_ref());
        let answer = if let Source::Chosen { ids, .. } = source {
            listed(&snapshot.searcher, ids.to_vec(), listing)?
        } else if seek.is_empty() {
            listed(&snapshot.searcher, snapshot.searcher.newest()?, listing)?
        } else {
            ask(&self.context, library, &snapshot.searcher, &seek, query, listing, cancel)?
        };
        if snapshot.cost.is_zero() {
            // The first search loads vectors and words.
            snapshot.cost = snapshot.made.elapsed().min(DEAREST);
        }
        Ok(Answer { took: started.elapsed(), ..answer })
    }
}

/// These photos, in the order that is wanted.
fn listed(searcher: &Searcher, mut ids: Vec<i64>, listing: Listing) -> anyhow::Result<Answer> {
    if listing.order != Order::Best {
        searcher.sort(listing.order, &mut ids, |id| *id)?;
    }
    if listing.reverse {
        ids.reverse();
    }
    let more = ids.len() > listing.limit;
    let found = ids.into_iter().take(listing.limit).map(|id| FoundPhoto { id, score: None, is_match: true }).collect();
    Ok(Answer { found, more, total: searcher.len(), ..Answer::default() })
}

fn ask(
    context: &Arc<Context>,
    library: &Library,
    searcher: &Searcher,
    seek: &Seek,
    mut query: Query,
    listing: Listing,
    cancel: &AtomicBool,
) -> anyhow::Result<Answer> {
    let likes =
        seek.likes.iter().map(|like| QueryPart { kind: PartKind::Image(like.path.clone()), weight: like.weight });
    query.parts.extend(likes);
    let console = context.quiet_console();
    let model = || context.model(library, &console);
    let means = Means { library, model: &model, cancel, console: &console };
    let mut question = Question::new(query, By::Both, None, &means)?;
    question.request.stacked = true;
    (question.request.order, question.request.reverse) = (listing.order, listing.reverse);
    question.request.exclude = seek.likes.iter().map(|like| like.id).collect();
    let ranked = question.rank_in_order(searcher, listing.limit)?.photos;
    let more = listing.is_as_ranked() && ranked.len() >= listing.limit;
    let first: Vec<RankedPhoto> = ranked.iter().take(DETAILED).map(|(photo, _)| *photo).collect();
    let photos = searcher.details(&question.request.filters, &first)?;
    let found = ranked.into_iter();
    let found = found.map(|(photo, is_match)| FoundPhoto { id: photo.id, score: photo.cosine, is_match }).collect();
    Ok(Answer { found, photos, more, total: searcher.len(), took: Duration::ZERO })
}
