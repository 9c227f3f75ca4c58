//! Places and moments that a query names: cities, and photos with where and when they were taken.

use crate::exit::Failure;
use crate::photo::identity::outline;
use crate::photo::sidecars::SidecarFolder;
use crate::photo::{self, DecodeLimits};
use crate::places::{self, NamedPlace};
use crate::search::photo_file;
use crate::terminal::sanitize;
use anyhow::Context;
use snapseek_index::{Center, Filter, Filters, Library, Metadata, Moment, folded_name};
use std::path::Path;

/// Puts coordinates and moments in the place of names and photos.
///
/// # Errors
/// There is no such place or photo, or the photo does not say where or when it was taken (exit code 2); or the catalogue
/// cannot be read.
pub(super) fn resolve(filters: &mut Filters, library: &Library) -> anyhow::Result<()> {
    for clause in &mut filters.clauses {
        match &mut clause.filter {
            Filter::Near { center, .. } => {
                let (latitude, longitude) = match center {
                    Center::At(latitude, longitude) => (*latitude, *longitude),
                    Center::Named(name) => named(name)?,
                    Center::Photo(path) => {
                        let said = said(path, library)?;
                        let place = said.latitude.zip(said.longitude);
                        place.ok_or_else(|| unknown(path, "where"))?
                    }
                };
                *center = Center::At(latitude, longitude);
            }
            Filter::Around { moment, .. } => {
                if let Moment::Photo(path) = moment {
                    // A day alone is no moment.
                    let taken = said(path, library)?.taken.filter(|taken| taken.len() > 10);
                    *moment = Moment::At(taken.ok_or_else(|| unknown(path, "when"))?);
                }
            }
            Filter::Place(names) => {
                let other = names.first().and_then(|name| in_the_atlas(name));
                names.extend(other);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name that the atlas has for a place, if this is only what another language calls it.
fn in_the_atlas(name: &str) -> Option<String> {
    let found = places::find(name);
    let own = |place: &NamedPlace| {
        let region = || place.region.clone().unwrap_or_else(|| place.country.clone());
        if place.city.is_empty() { region() } else { place.city.clone() }
    };
    let is_own = found.iter().any(|place| folded_name(&own(place)) == folded_name(name));
    found.first().filter(|_| !is_own).map(own)
}

fn unknown(path: &Path, what: &str) -> anyhow::Error {
    Failure::usage(format!("{} does not say {what} it was taken", sanitize::path(path)))
}

fn named(name: &str) -> anyhow::Result<(f64, f64)> {
    let found = places::find(name).into_iter().next();
    if found.as_ref().is_some_and(|place| place.city.is_empty()) {
        let name = sanitize::text(name);
        return Err(Failure::usage(format!("{name} is no town but a whole region: write place:\"{name}\"")));
    }
    let place = found.ok_or_else(|| {
        let name = sanitize::text(name);
        Failure::usage(format!(
            "no place of this name is known: {name} (write coordinates, as in near:38.72,-9.14,5km)"
        ))
    })?;
    Ok((place.latitude, place.longitude))
}

/// What is known about a photo of the library, or said about any other picture file.
fn said(path: &Path, library: &Library) -> anyhow::Result<Metadata> {
    photo_file::must_exist(path)?;
    if let Some(hit) = photo_file::known(path, library)? {
        return Ok(hit.facts.metadata);
    }
    let bytes = photo::read(path, &DecodeLimits::default()).with_context(|| sanitize::path(path))?;
    let beside = SidecarFolder::around(path).beside(path);
    Ok(photo_file::told(path, None, outline(&bytes).statements, &beside))
}
