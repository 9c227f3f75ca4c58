//! Reads from the catalogue and makes small changes to it.

use super::{Context, explained, guarded, spawn};
use crate::output::facts;
use crate::search::photo_file;
use crate::terminal::text::count;
use crate::tui::event::{AlbumChange, ClusterItem, Groups, Message, OwnChange, Purpose, Standing, Way};
use crate::tui::overlay::Prompt;
use anyhow::Context as _;
use crossbeam_channel::Sender;
use snapseek_index::query::quoted;
use snapseek_index::{Error, LabelSet, Library, PhotoText, Searcher};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Most covers of a cluster.
const COVERS: usize = 16;

pub(super) enum ReadRequest {
    Photos(Vec<i64>),
    Paths(Purpose, Vec<i64>),
    Groups,
    /// Old and new name.
    Rename(String, String, Way),
    RestoreClusters(i64, Way),
    Searches,
    SaveSearch(String, Option<String>, Way),
    Albums,
    Album(AlbumChange, Way),
    Own(OwnChange, Way),
    Facts(PathBuf),
    StackPhoto(PathBuf),
    SetCaption {
        photo: i64,
        text: Option<(String, Option<String>)>,
        way: Way,
    },
    SetText(i64, Option<PhotoText>, Way),
    LabelSets,
    SaveSet(LabelSet),
    Standing,
}

impl ReadRequest {
    /// Why something is changed, if it is.
    fn way(&self) -> Way {
        match self {
            Self::Rename(_, _, way)
            | Self::RestoreClusters(_, way)
            | Self::SaveSearch(_, _, way)
            | Self::Album(_, way)
            | Self::Own(_, way)
            | Self::SetCaption { way, .. }
            | Self::SetText(_, _, way) => *way,
            _ => Way::Do,
        }
    }
}

pub(super) fn start(context: Arc<Context>) -> std::io::Result<Sender<ReadRequest>> {
    let (out, requests) = crossbeam_channel::unbounded();
    spawn("reader", move || {
        let (mut library, mut snapshot) = (None, None);
        for request in requests {
            if let Err(error) = guarded(|| answer(&context, &mut library, &mut snapshot, &request)) {
                (library, snapshot) = (None, None);
                match request {
                    request if request.way() != Way::Do => {
                        context.send(Message::NotTaken(request.way(), explained(&error)));
                    }
                    ReadRequest::Groups => context.send(Message::Groups(Err(explained(&error)))),
                    ReadRequest::Standing => context.send(Message::Library(Err(explained(&error)))),
                    ReadRequest::Rename(old, new, Way::Do) => {
                        context.send(Message::Refused(Prompt::Rename(old), new, explained(&error)));
                    }
                    ReadRequest::SetCaption { photo, text: Some((text, None)), way: Way::Do } => {
                        context.send(Message::Refused(Prompt::Caption(photo), text, explained(&error)));
                    }
                    ReadRequest::Album(AlbumChange::Add(name, _), _) => {
                        context.send(Message::Refused(Prompt::AddToAlbum, name, explained(&error)));
                    }
                    ReadRequest::Album(AlbumChange::Remove(name, _), _) => {
                        context.send(Message::Refused(Prompt::RemoveFromAlbum, name, explained(&error)));
                    }
                    ReadRequest::Own(OwnChange::Tags { photos, add, remove }, _) => {
                        let removed = remove.iter().map(|tag| format!("-{tag}"));
                        let typed: Vec<String> = add.into_iter().chain(removed).collect();
                        context.send(Message::Refused(Prompt::Tags(photos), typed.join(", "), explained(&error)));
                    }
                    ReadRequest::SaveSearch(name, Some(query), _) => {
                        context.send(Message::Refused(Prompt::SearchName(query), name, explained(&error)));
                    }
                    ReadRequest::SaveSet(set) => {
                        context.send(Message::Refused(Prompt::SetName, set.name, explained(&error)));
                    }
                    _ => context.send(Message::Note(true, explained(&error))),
                }
            }
        }
    })?;
    Ok(out)
}

fn answer(
    context: &Context,
    kept: &mut Option<Library>,
    snapshot: &mut Option<(i64, Searcher)>,
    request: &ReadRequest,
) -> anyhow::Result<()> {
    if kept.is_none() {
        match Library::open(&context.settings.library) {
            Ok(library) => *kept = Some(library),
            Err(Error::NoLibrary { .. }) => {
                match request {
                    ReadRequest::Photos(ids) => context.send(Message::Photos(Vec::new(), ids.clone())),
                    ReadRequest::Groups => context.send(Message::Groups(Ok(Groups::default()))),
                    ReadRequest::LabelSets => context.send(Message::LabelSets(Vec::new())),
                    ReadRequest::Standing => context.send(Message::Library(Ok(None))),
                    ReadRequest::Albums => context.send(Message::Albums(Vec::new())),
                    ReadRequest::Searches => context.send(Message::Searches(Vec::new())),
                    ReadRequest::Rename(..)
                    | ReadRequest::RestoreClusters(..)
                    | ReadRequest::Facts(_)
                    | ReadRequest::StackPhoto(_)
                    | ReadRequest::Album(..)
                    | ReadRequest::Own(..)
                    | ReadRequest::SaveSearch(..)
                    | ReadRequest::SetCaption { .. }
                    | ReadRequest::SetText(..)
                    | ReadRequest::SaveSet(_)
                    | ReadRequest::Paths(..) => {
                        anyhow::bail!("there is no library yet")
                    }
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let library = kept.as_ref().context("there is no library")?;
    match request {
        ReadRequest::Photos(ids) => {
            let version = library.data_version()?;
            let searcher = match snapshot.take() {
                Some((known, searcher)) if known == version => searcher,
                _ => library.searcher()?,
            };
            let photos = searcher.photos(ids)?;
            *snapshot = Some((version, searcher));
            let there: HashSet<i64> = photos.iter().map(|photo| photo.id).collect();
            let gone = ids.iter().copied().filter(|id| !there.contains(id)).collect();
            context.send(Message::Photos(photos, gone));
        }
        ReadRequest::Paths(purpose, ids) => {
            let paths = library.searcher()?.paths(ids)?;
            let there = ids.iter().copied().zip(paths).filter_map(|(id, path)| Some((id, path?)));
            let (ids, paths) = there.unzip();
            context.send(Message::Paths(*purpose, ids, paths));
        }
        ReadRequest::Groups => context.send(Message::Groups(Ok(groups(library)?))),
        ReadRequest::Rename(old, new, way) => {
            library.rename_cluster(old, new)?;
            context.send(Message::Renamed { old: old.clone(), new: new.clone(), way: *way });
            context.send(Message::Groups(Ok(groups(library)?)));
        }
        ReadRequest::Searches => context.send(Message::Searches(library.saved_searches()?)),
        ReadRequest::SaveSearch(name, query, way) => {
            let before = library.save_search(name, query.as_deref())?;
            context.send(Message::Searches(library.saved_searches()?));
            context.send(Message::SearchSaved(name.clone(), before, query.is_some(), *way));
        }
        ReadRequest::Albums => context.send(Message::Albums(library.albums()?)),
        ReadRequest::Album(change, way) => {
            let (AlbumChange::Add(name, _) | AlbumChange::Remove(name, _) | AlbumChange::Set(name, _)) = change;
            let before = library.album_pictures(name)?;
            let done = match change {
                AlbumChange::Add(name, photos) => {
                    format!("{} added to {name}", count(library.add_to_album(name, photos)?, "photo"))
                }
                AlbumChange::Remove(name, photos) => {
                    format!("{} taken out of {name}", count(library.remove_from_album(name, photos)?, "photo"))
                }
                AlbumChange::Set(name, pictures) => {
                    library.set_album(name, pictures.as_deref())?;
                    format!("the album {name} is changed")
                }
            };
            *snapshot = None;
            context.send(Message::Albums(library.albums()?));
            context.send(Message::AlbumChanged(name.clone(), done, before, *way));
        }
        ReadRequest::Own(change, way) => {
            let (done, before) = own(library, change)?;
            *snapshot = None;
            context.send(Message::OwnChanged(done, before, *way));
        }
        ReadRequest::StackPhoto(path) => {
            context.send(Message::StackPhoto(
                library.photo_at(path)?.context("this photo is not in the library any more")?,
            ));
        }
        ReadRequest::Facts(path) => {
            let hit = photo_file::known(path, library)?;
            let said = facts::said(path, Some(library)).unwrap_or_default();
            let lines = facts::lines((path, path), hit.as_ref(), &said, Some(library))?;
            context.send(Message::Text("What is known about the photo".into(), lines));
        }
        ReadRequest::SetCaption { photo, text, way } => {
            let before = library.caption(*photo)?.map(|caption| (caption.text, caption.captioner));
            match text {
                Some((text, None)) => library.set_caption_by_hand(*photo, text)?,
                Some((text, Some(captioner))) => {
                    library.clear_caption(*photo)?;
                    library.save_caption(*photo, text, captioner)?;
                }
                None => drop(library.clear_caption(*photo)?),
            }
            // What this connection writes does not change the version that it sees.
            *snapshot = None;
            context.send(Message::Captioned { photo: *photo, before, now: text.is_some(), way: *way });
        }
        ReadRequest::SetText(photo, text, way) => {
            let before = library.clear_text(*photo)?;
            if let Some(text) = text {
                library.restore_text(*photo, text)?;
            }
            *snapshot = None;
            context.send(Message::TextSet { photo: *photo, before, now: text.is_some(), way: *way });
        }
        ReadRequest::RestoreClusters(id, way) => {
            library.restore_clusters(*id)?;
            let now = groups(library)?;
            let before = library.past_clusters()?.first().filter(|past| !past.names.is_empty()).map(|past| past.id);
            context.send(Message::Restored(now.groups.len(), before, *way));
            context.send(Message::Groups(Ok(now)));
        }
        ReadRequest::LabelSets => context.send(Message::LabelSets(library.label_sets()?)),
        ReadRequest::SaveSet(set) => {
            library.save_label_set(set)?;
            context.send(Message::Note(false, format!("saved: `label:{}` finds its photos", quoted(&set.name))));
        }
        ReadRequest::Standing => {
            let failures = library.failures()?;
            let failures = failures.into_iter().map(|failure| (failure.path, failure.kind, failure.message)).collect();
            context.send(Message::Library(Ok(Some(Box::new(Standing { status: library.status()?, failures })))));
        }
    }
    Ok(())
}

/// Changes what the user wrote on photos; says what was done, and what it was before.
fn own(library: &Library, change: &OwnChange) -> anyhow::Result<(String, OwnChange)> {
    Ok(match change {
        OwnChange::Tags { photos, add, remove } => {
            let change = library.change_own_tags(photos, add, remove)?;
            let said = |tags: &[String], verb: &str, photos| {
                (!tags.is_empty()).then(|| format!("{} {verb} {}", tags.join(", "), count(photos, "photo")))
            };
            let done: Vec<String> = [said(add, "given to", change.added), said(remove, "taken from", change.removed)]
                .into_iter()
                .flatten()
                .collect();
            (done.join("; "), OwnChange::SetTags(change.before))
        }
        OwnChange::Rate(photos, stars) => {
            let before = library.rate(photos, *stars)?;
            let what = stars.map_or("rated as files say".to_owned(), facts::stars);
            (format!("{}: {what}", count(before.len(), "photo")), OwnChange::SetRatings(before))
        }
        OwnChange::SetTags(tags) => ("the tags are changed".into(), OwnChange::SetTags(library.set_own_tags(tags)?)),
        OwnChange::SetRatings(stars) => {
            ("the rating is changed".into(), OwnChange::SetRatings(library.set_own_ratings(stars)?))
        }
    })
}

/// Reads of a library that is changing all the time: the last one counts, though its numbers may not fit together.
const TRIES: usize = 4;

/// The clusters, largest first, with their covers.
pub(super) fn groups(library: &Library) -> anyhow::Result<Groups> {
    let mut version = library.data_version()?;
    let mut groups = groups_now(library)?;
    for _ in 1..TRIES {
        let now = library.data_version()?;
        if now == version {
            break;
        }
        version = now;
        groups = groups_now(library)?;
    }
    Ok(groups)
}

fn groups_now(library: &Library) -> anyhow::Result<Groups> {
    let clusters = library.clusters()?;
    let inside: u64 = clusters.iter().map(|cluster| cluster.photos).sum();
    let outside = library.status()?.photos.saturating_sub(inside);
    let group = |cluster: snapseek_index::Cluster| {
        let covers = library.cluster_members(cluster.id)?.into_iter().take(COVERS).collect();
        let snapseek_index::Cluster { id, name, keywords, photos, coherence, .. } = cluster;
        Ok(ClusterItem { id, name, keywords, photos, coherence, covers })
    };
    let groups = clusters.into_iter().map(group).collect::<anyhow::Result<_>>()?;
    Ok(Groups { groups, outside })
}
