//! `duplicates`: copies of the same picture, and which of them to keep. It never changes or deletes a photo.

use crate::cli::DuplicatesArgs;
use crate::config::Settings;
use crate::duplicates::{self, CopyGroup, CopyKinds, CopyMember, DuplicateGroups, NEAR};
use crate::exit::Exit;
use crate::output::copy_lines::{self, FileLine, lines};
use crate::output::page::{self, Page};
use crate::output::trash_script::{self, Copies, Copy};
use crate::output::{self, csv};
use crate::photo::shrink;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use crate::terminal::text::{self, display_path};
use crate::terminal::{sanitize, signals};
use rayon::prelude::*;
use serde_json::{Value, json};
use snapseek_index::{FileStamp, Library, PhotoFile};
use std::path::Path;

/// Maximum number of problems reported without `-v`.
const SHOWN: usize = 20;

pub(super) fn duplicates(args: &DuplicatesArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    if let Some(file) = &args.html {
        page::check(file)?;
    }
    let wanted = match (args.exact, args.near) {
        (true, _) => CopyKinds::Exact,
        (false, Some(near)) => CopyKinds::Near(near),
        (false, None) => CopyKinds::Both(NEAR),
    };
    let mut progress = Progress::new(console, signals::cancel()?);
    let found = duplicates::find(&library, wanted, &mut progress)?;
    drop(progress);
    let Some(found) = found else {
        console.note("interrupted: what is done is kept, and the next run continues from there");
        return Ok(Exit::Interrupted);
    };
    tell_problems(&found, console);
    if let Some(file) = &args.script {
        let mut progress = Progress::new(console, signals::cancel()?);
        let moved = trash_script::write(&copies(&found, &library)?, file, &mut |done, total| {
            progress.step("hashing", done, total)
        })?;
        drop(progress);
        let Some(moved) = moved else {
            console.note("interrupted: the script was not written");
            return Ok(Exit::Interrupted);
        };
        library.propose_removal(&moved)?;
        let files = text::count(moved.len(), "file");
        console.note(format_args!("{} moves {files} to the trash: read it, then run it with sh", sanitize::path(file)));
    } else if args.paths0 {
        let paths: Vec<&Path> = others(&found).map(|file| file.path.as_path()).collect();
        library.propose_removal(&paths)?;
    }
    if let Some(file) = &args.html {
        html(&found, file)?;
        console.note(format_args!("wrote {} to {}", groups(&found), sanitize::path(file)));
    }
    if settings.json {
        found.groups.iter().enumerate().try_for_each(|(n, group)| console.json(&record(n + 1, group)))?;
    } else if args.paths0 {
        for PhotoFile { path, .. } in others(&found) {
            console.bytes(&[&console.path_bytes(path), b"\0".as_slice()].concat())?;
        }
    } else if args.csv {
        records(&found, console)?;
    } else {
        table(&found, console)?;
    }
    if found.groups.is_empty() {
        console.note("no duplicates");
    } else {
        let files = found.groups.iter().map(|group| group.files().count() - 1).sum();
        let bytes = found.groups.iter().map(CopyGroup::wasted).sum();
        let files = text::count(files, "file");
        console.note(format_args!("{}; {files} could be deleted, {}", groups(&found), text::size(bytes)));
    }
    Ok(match (found.problems.is_empty(), found.groups.is_empty()) {
        (false, _) => Exit::Partial,
        (true, true) => Exit::NothingFound,
        (true, false) => Exit::Success,
    })
}

/// All files but those to keep.
fn others(found: &DuplicateGroups) -> impl Iterator<Item = &PhotoFile> {
    found.groups.iter().flat_map(|group| group.files().skip(1)).map(|(_, file)| file)
}

/// The groups for a script, with what each copy says that the file to keep does not.
fn copies<'a>(found: &'a DuplicateGroups, library: &Library) -> anyhow::Result<Vec<Copies<'a>>> {
    let mut groups = Vec::with_capacity(found.groups.len());
    for group in &found.groups {
        let mut lines = lines(group).into_iter();
        let Some(kept) = lines.next() else { continue };
        let mut copies = Vec::new();
        for FileLine { member, path, says, .. } in lines {
            let mut says = vec![says];
            says.extend(copy_lines::left_behind(&member.hit, &kept.member.hit, library)?);
            copies.push(Copy { path, says: says.join("; ") });
        }
        groups.push(Copies { kept: kept.path, reason: kept.says, copies });
    }
    Ok(groups)
}

fn groups(found: &DuplicateGroups) -> String {
    text::count(found.groups.len(), "group")
}

fn tell_problems(found: &DuplicateGroups, console: &Console) {
    let shown = if console.is_verbose() { found.problems.len() } else { SHOWN };
    found.problems.iter().take(shown).for_each(|problem| console.warn(problem));
    if found.problems.len() > shown {
        console.warn(format_args!("{} more files are left out (-v lists them)", found.problems.len() - shown));
    }
}

/// `near` if the group contains changed copies, else `exact`.
fn kind(group: &CopyGroup) -> &'static str {
    if group.is_exact() { "exact" } else { "near" }
}

fn table(found: &DuplicateGroups, console: &Console) -> anyhow::Result<()> {
    for (n, group) in found.groups.iter().enumerate() {
        let lines = lines(group);
        if !console.terminal {
            for line in lines {
                let mut bytes = format!("{}\t{}\t", n + 1, if line.keep { "keep" } else { "copy" }).into_bytes();
                bytes.extend(console.path_bytes(line.path));
                bytes.extend(format!("\t{}\n", line.says).into_bytes());
                console.bytes(&bytes)?;
            }
            continue;
        }
        console.line(&console.style("2", &format!("{}  {}", n + 1, text::count(lines.len(), "file"))))?;
        for line in lines {
            let facts = format!("{}  {}", dimensions(line.member), text::size(line.stamp.size));
            let (mark, style) = if line.keep { ("keep", "1") } else { ("    ", "0") };
            console.line(&format!(
                "  {mark}  {}  {}",
                console.style(style, &display_path(line.path)),
                console.style("2", &format!("{facts}  {}", line.says))
            ))?;
        }
    }
    Ok(())
}

fn record(n: usize, group: &CopyGroup) -> Value {
    let files: Vec<Value> = lines(group)
        .into_iter()
        .map(|line| {
            let CopyMember { hit, quality, likeness, cosine, .. } = line.member;
            let mut file = json!({
                "keep": line.keep, "reason": line.says, "bytes": line.stamp.size, "modified": date(line.stamp),
                "width": hit.facts.width, "height": hit.facts.height, "format": hit.facts.format,
                "taken": hit.facts.metadata.taken, "camera": hit.facts.metadata.camera,
                "sharpness": quality.map(|quality| quality.sharpness), "cosine": cosine,
                "likeness": likeness.map(|l| l.score), "turns": likeness.map(|l| l.turns),
            });
            output::put_path(&mut file, line.path);
            file
        })
        .collect();
    json!({"schema": 1, "group": n, "kind": kind(group), "wasted": group.wasted(), "files": files})
}

fn records(found: &DuplicateGroups, console: &Console) -> anyhow::Result<()> {
    let head = "group kind keep path width height format bytes taken modified sharpness cosine likeness reason";
    csv::record(&head.split(' ').map(Into::into).collect::<Vec<_>>(), console)?;
    for (n, group) in found.groups.iter().enumerate() {
        for line in lines(group) {
            let CopyMember { hit, quality, likeness, cosine, .. } = line.member;
            let number = |value: Option<f32>| csv::number(value.map_or(String::new(), |value| format!("{value:.4}")));
            let fields = [
                csv::number(n + 1),
                kind(group).into(),
                line.keep.to_string().into(),
                line.path.into(),
                csv::number(hit.facts.width),
                csv::number(hit.facts.height),
                hit.facts.format.as_str().into(),
                csv::number(line.stamp.size),
                hit.facts.metadata.taken.as_deref().unwrap_or_default().into(),
                date(line.stamp).into(),
                number(quality.map(|quality| quality.sharpness)),
                number(*cosine),
                number(likeness.map(|likeness| likeness.score)),
                line.says.into(),
            ];
            csv::record(&fields, console)?;
        }
    }
    Ok(())
}

/// Writes the page with all groups, the file to keep first in each.
fn html(found: &DuplicateGroups, file: &Path) -> anyhow::Result<()> {
    let mut page = Page::begin(file, &format!("{} of duplicates", groups(found)), ".keep img{outline:3px solid #2a2}")?;
    page.push("<main>")?;
    for (n, group) in found.groups.iter().enumerate() {
        let lines = lines(group);
        let files = text::count(lines.len(), "file");
        page.heading(&format!("{}. {files}", n + 1), &format!("{} could be freed", text::size(group.wasted())))?;
        let figures = lines.par_iter().map(|line| {
            let says = if line.keep { format!("keep: {}", line.says) } else { line.says.clone() };
            let facts = format!("{} · {} · {}", dimensions(line.member), text::size(line.stamp.size), date(line.stamp));
            let class = if line.keep { "keep" } else { "copy" };
            format!("<div class={class}>{}</div>", page::figure(line.path, &shrink::file, Some(&says), &facts))
        });
        figures.collect::<Vec<_>>().iter().try_for_each(|figure| page.push(figure))?;
    }
    page.push("</main>")?;
    page.finish()
}

fn dimensions(member: &CopyMember) -> String {
    format!("{}x{}", member.hit.facts.width, member.hit.facts.height)
}

/// When a file was last modified, as local date and time.
fn date(stamp: FileStamp) -> String {
    let time = jiff::Timestamp::from_nanosecond(stamp.mtime_ns.into());
    let local = time.map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map_or_else(|_| "-".into(), |time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}
