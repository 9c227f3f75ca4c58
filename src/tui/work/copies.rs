//! Looks for copies, and writes the script that moves some of them to the trash.

use super::library_work::stopped;
use crate::config::expand;
use crate::duplicates::{self, CopyKinds, NEAR};
use crate::output::copy_lines::{left_behind, lines};
use crate::output::trash_script::{self, Copies, Copy};
use crate::search::photo_file::stamp_of;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::sanitize;
use crate::terminal::text::count;
use crate::tui::copies::{CopyFile, CopySet, FoundCopies, Removal};
use anyhow::Context as _;
use snapseek_index::{Hit, Library};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

pub(super) fn find(console: &Console, library: &Library, cancel: &AtomicBool) -> anyhow::Result<FoundCopies> {
    let mut progress = Progress::new(console, cancel);
    let found = duplicates::find(library, CopyKinds::Both(NEAR), &mut progress)?;
    let found = found.ok_or_else(stopped)?;
    let file = |line: crate::output::copy_lines::FileLine<'_>| {
        let facts = &line.member.hit.facts;
        CopyFile {
            photo: line.member.hit.id,
            path: line.path.to_owned(),
            stamp: line.stamp,
            size: (facts.width, facts.height),
            says: line.says,
            likeness: line.member.likeness.map(|likeness| likeness.score),
        }
    };
    let sets = found.groups.iter().map(|group| CopySet { files: lines(group).into_iter().map(file).collect() });
    Ok(FoundCopies { sets: sets.collect(), problems: found.problems })
}

/// Writes the script; says what was done.
pub(super) fn script(
    console: &Console,
    library: &Library,
    removals: &[Removal],
    file: &Path,
    cancel: &AtomicBool,
) -> anyhow::Result<String> {
    let file = expand(file)?;
    let ids: Vec<i64> =
        removals.iter().flat_map(|set| set.dropped.iter().chain([&set.kept])).map(|f| f.photo).collect();
    let hits: HashMap<i64, Hit> = library.searcher()?.photos(&ids)?.into_iter().map(|hit| (hit.id, hit)).collect();
    // What was compared may have changed while somebody decided.
    let is_same = |file: &CopyFile| stamp_of(&file.path).is_ok_and(|now| now == file.stamp);
    let (mut groups, mut changed) = (Vec::new(), 0);
    for set in removals {
        if !is_same(&set.kept) {
            changed += set.dropped.len();
            continue;
        }
        let mut copies = Vec::new();
        for (n, dropped) in set.dropped.iter().enumerate() {
            if !is_same(dropped) {
                changed += 1;
                continue;
            }
            copies.push(Copy { path: &dropped.path, says: says(set, n, &hits, library)? });
        }
        let reason = if set.is_proposed { set.kept.says.clone() } else { "chosen by hand".to_owned() };
        groups.push(Copies { kept: &set.kept.path, reason, copies });
    }
    groups.retain(|group| !group.copies.is_empty());
    anyhow::ensure!(!groups.is_empty(), "all of these files have changed since: look for duplicates again");
    let mut progress = Progress::new(console, cancel);
    let moved = trash_script::write(&groups, &file, &mut |done, total| progress.step("hashing", done, total))?;
    let moved = moved.context("stopped: the script was not written")?;
    library.propose_removal(&moved)?;
    let left =
        if changed > 0 { format!(" ({} left out: changed since)", count(changed, "file")) } else { String::new() };
    let shown = sanitize::path(&file);
    Ok(format!("{shown} moves {} to the trash{left}: read it, then run it with sh", count(moved.len(), "file")))
}

/// How a file that goes differs from the one that is kept, and what it says that that one does not.
fn says(set: &Removal, at: usize, hits: &HashMap<i64, Hit>, library: &Library) -> anyhow::Result<String> {
    let Some(dropped) = set.dropped.get(at) else { return Ok(String::new()) };
    // What is known was found out beside the one that was proposed: the first of those that go, if it goes.
    let mut says = vec![match (set.is_proposed, at) {
        (true, _) => dropped.says.clone(),
        (false, 0) => format!("it was proposed to be kept: {}", dropped.says),
        (false, _) => format!("beside the one proposed: {}", dropped.says),
    }];
    if let (Some(own), Some(kept)) = (hits.get(&dropped.photo), hits.get(&set.kept.photo)) {
        says.extend(left_behind(own, kept, library)?);
    }
    Ok(says.join("; "))
}
