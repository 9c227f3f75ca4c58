//! `cluster`: groups of photos that look alike, and their names.

use crate::cli::{ClusterAction, ClusterArgs};
use crate::clusters::linkage::LinkageOptions;
use crate::clusters::{self, Remake};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::model_choice::{self, Offer};
use crate::output::csv;
use crate::output::page::{self, Page};
use crate::photo::shrink;
use crate::terminal::console::{self, Console};
use crate::terminal::progress::Progress;
use crate::terminal::{sanitize, signals, text};
use serde_json::json;
use snapseek_index::{Cluster, ClusterMember, Error, Hit, Library, PastClusters, Searcher, folded_name};
use std::path::Path;

/// Number of photos of a cluster that a page shows, and that JSON names.
const SHOWN: usize = 24;
const EXAMPLES: usize = 3;
/// Maximum number of keywords in a file.
const MOST_KEYWORDS: usize = 5_000;

pub(super) fn cluster(args: &ClusterArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = model_choice::library(settings)?;
    match &args.action {
        Some(ClusterAction::Rename { name, new }) => {
            library.rename_cluster(name, new.trim()).map_err(Failure::refused)?;
            console.note(format_args!("{} is now {}", sanitize::text(name), sanitize::text(new.trim())));
            return Ok(Exit::Success);
        }
        Some(ClusterAction::History) => return history(&library, settings, console),
        Some(ClusterAction::Restore { number }) => {
            library.restore_clusters(*number).map_err(Failure::refused)?;
            return show(&library, args, settings, console);
        }
        Some(ClusterAction::Split { name }) => return split(&library, name, args, settings, console),
        None => {}
    }
    if let Some(file) = &args.html {
        page::check(file)?;
    }
    let rebuild =
        args.count.is_some() || args.auto || args.rebuild_named || args.min_size.is_some() || args.keywords.is_some();
    if rebuild || library.clusters()?.is_empty() {
        if !make(&library, args, settings, console)? {
            console.note("interrupted: the clusters are unchanged");
            return Ok(Exit::Interrupted);
        }
    } else {
        let new = clusters::adopt(&library)?;
        if new > 0 {
            console.note(format_args!("compared {} indexed since the last run", text::count(new, "photo")));
        }
    }
    show(&library, args, settings, console)
}

/// Replaces a cluster by the groups inside it, and shows all clusters.
fn split(
    library: &Library,
    name: &str,
    args: &ClusterArgs,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<Exit> {
    let known = library.clusters()?;
    let Some(cluster) = known.iter().find(|cluster| folded_name(&cluster.name) == folded_name(name)) else {
        let known = known.into_iter().map(|cluster| cluster.name).collect();
        return Err(Error::NoCluster { name: name.to_owned(), known }.into());
    };
    let model = model_choice::choose(Some(library), settings, console, Offer::None)?.model;
    let mut progress = Progress::new(console, signals::cancel()?);
    let parts = clusters::split(library, model.as_ref(), cluster.id, &Settings::cache_dir()?, &mut progress)?;
    drop(progress);
    let name = sanitize::text(&cluster.name);
    match parts {
        None => {
            console.note("interrupted: the clusters are unchanged");
            Ok(Exit::Interrupted)
        }
        Some(1) => {
            console.note(format_args!("the photos of {name} are too similar to split: the cluster is unchanged"));
            Ok(Exit::NothingFound)
        }
        Some(parts) => {
            console.note(format_args!("{name} was split into {parts} clusters"));
            show(library, args, settings, console)
        }
    }
}

/// Makes the clusters from scratch; returns false if interrupted.
pub(super) fn make(
    library: &Library,
    args: &ClusterArgs,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<bool> {
    let keywords = args.keywords.as_deref().map(words_of).transpose()?.unwrap_or_default();
    let model = model_choice::choose(Some(library), settings, console, Offer::None)?.model;
    let usual = clusters::options(library.searcher()?.len());
    let options = LinkageOptions {
        count: args.count,
        min_size: args.min_size.unwrap_or(usual.min_size),
        least_size: args.min_size.unwrap_or(usual.least_size),
    };
    let remake = if args.rebuild_named { Remake::All } else { Remake::Unnamed };
    let cache = Settings::cache_dir()?;
    let mut progress = Progress::new(console, signals::cancel()?);
    let made = clusters::make(library, model.as_ref(), options, remake, &keywords, &cache, &mut progress)?;
    drop(progress);
    let Some(made) = made else { return Ok(false) };
    if let Some(asked) = args.count.filter(|asked| *asked != made.now) {
        if made.now < asked {
            let smaller = if options.least_size > 1 { "; --min-size 1 allows smaller ones" } else { "" };
            console.note(format_args!("only {} can be told apart{smaller}", made.now));
        } else {
            console.note(format_args!("{} named by hand stay; --rebuild-named makes them anew, too", made.named));
        }
    }
    if made.now < made.before {
        let before = text::count(made.before, "cluster");
        console.note(format_args!(
            "there are fewer than before ({before}): `snapseek cluster history` lists them, `cluster restore` brings \
             them back"
        ));
    }
    for name in made.waiting {
        console.note(format_args!(
            "no cluster contains most of the photos of {} any more: the name is kept for one that does",
            sanitize::text(&name)
        ));
    }
    Ok(true)
}

fn history(library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let past = library.past_clusters()?;
    for PastClusters { id, until, names, photos } in &past {
        if settings.json {
            console.json(&json!({"schema": 1, "number": id, "until": until, "photos": photos, "clusters": names}))?;
            continue;
        }
        let (clusters, photos) = (text::count(names.len(), "cluster"), text::count(usize::try_from(*photos)?, "photo"));
        let names = sanitize::text(&names.join(" · "));
        if console.terminal {
            let head = format!("{id:>4}  until {}  {clusters} of {photos}", text::time(*until));
            let room = console::width().saturating_sub(head.len() + 2);
            console.line(&format!("{head}  {}", console.style("2", &text::shorten_end(&names, room))))?;
        } else {
            console.line(&format!("{id}\t{}\t{clusters}\t{photos}\t{names}", text::time(*until)))?;
        }
    }
    if past.is_empty() {
        console.note("there are no earlier clusters");
    }
    Ok(if past.is_empty() { Exit::NothingFound } else { Exit::Success })
}

fn words_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::usage(format!("the keywords file {} cannot be read: {e}", sanitize::path(file))))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words: Vec<String> = lines.map(str::to_owned).collect();
    if words.len() > MOST_KEYWORDS {
        return Err(Failure::usage(format!(
            "the keywords file {} contains {} keywords, but only {MOST_KEYWORDS} are allowed",
            sanitize::path(file),
            words.len()
        )));
    }
    Ok(words)
}

fn show(library: &Library, args: &ClusterArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let clusters = library.clusters()?;
    let searcher = library.searcher()?;
    let mut members = library.members()?;
    members.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.photo.cmp(&b.photo)));
    let inside: u64 = clusters.iter().map(|cluster| cluster.photos).sum();
    let outside = (searcher.len() as u64).saturating_sub(inside);
    if let Some(file) = &args.html {
        write_page(&clusters, &members, &searcher, outside, file)?;
        console.note(format_args!("wrote {}", sanitize::path(file)));
    }
    if settings.json {
        for cluster in &clusters {
            let examples = nearest(cluster, &members, &searcher, EXAMPLES)?;
            let mut value = json!({"schema": 1, "cluster": cluster.name, "photos": cluster.photos,
                "coherence": cluster.coherence, "keywords": cluster.keywords, "by_hand": cluster.by_hand});
            value["examples"] =
                examples.iter().filter_map(|hit| hit.paths.first()).map(|path| path.to_string_lossy()).collect();
            console.json(&value)?;
        }
        console.json(&json!({"schema": 1, "cluster": null, "photos": outside}))?;
    } else if args.csv {
        csv::record(&["cluster", "photos", "coherence", "keywords"].map(Into::into), console)?;
        for cluster in &clusters {
            let (photos, coherence) =
                (csv::number(cluster.photos), csv::number(format_args!("{:.3}", cluster.coherence)));
            let keywords = cluster.keywords.join("; ");
            csv::record(&[cluster.name.as_str().into(), photos, coherence, keywords.into()], console)?;
        }
    } else {
        table(&clusters, console)?;
    }
    if clusters.is_empty() {
        console.note("no group of photos stands out: try -k N for N clusters, or --min-size for smaller ones");
    } else {
        console
            .note(format_args!("{outside} of {} fit no cluster (cluster:none)", text::count(searcher.len(), "photo")));
    }
    Ok(if clusters.is_empty() { Exit::NothingFound } else { Exit::Success })
}

fn table(clusters: &[Cluster], console: &Console) -> anyhow::Result<()> {
    use unicode_width::UnicodeWidthStr;
    let keywords = |cluster: &Cluster| sanitize::text(&cluster.keywords.join(", "));
    if !console.terminal {
        return clusters.iter().try_for_each(|cluster| {
            let name = sanitize::text(&cluster.name);
            Ok(console.line(&format!("{}\t{:.3}\t{name}\t{}", cluster.photos, cluster.coherence, keywords(cluster)))?)
        });
    }
    let names: Vec<String> = clusters.iter().map(|cluster| sanitize::text(&cluster.name)).collect();
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    if !clusters.is_empty() {
        console.line(&console.style("2", &format!("photos  coherence  {:<widest$}  keywords", "cluster")))?;
    }
    for (cluster, name) in clusters.iter().zip(&names) {
        let name = console.style("1", &text::pad(name, widest));
        let (photos, coherence) = (cluster.photos, cluster.coherence);
        let room = console::width().saturating_sub(widest + 21).max(10);
        let keywords = console.style("2", &text::shorten_end(&keywords(cluster), room));
        console.line(&format!("{photos:>6}  {coherence:>9.2}  {name}  {keywords}"))?;
    }
    Ok(())
}

/// The photos of a cluster that are nearest to its centroid; `members` must be sorted by cosine, highest first.
fn nearest(
    cluster: &Cluster,
    members: &[ClusterMember<i64>],
    searcher: &Searcher,
    most: usize,
) -> anyhow::Result<Vec<Hit>> {
    let inside = members.iter().filter(|member| member.cluster == Some(cluster.id));
    Ok(searcher.photos(&inside.take(most).map(|member| member.photo).collect::<Vec<_>>())?)
}

fn write_page(
    clusters: &[Cluster],
    members: &[ClusterMember<i64>],
    searcher: &Searcher,
    outside: u64,
    file: &Path,
) -> anyhow::Result<()> {
    let title = format!("{} of {}", text::count(clusters.len(), "cluster"), text::count(searcher.len(), "photo"));
    let mut html = Page::begin(file, &title, "")?;
    html.push("<main>")?;
    for cluster in clusters {
        let photos = text::count(usize::try_from(cluster.photos)?, "photo");
        let keywords = cluster.keywords.join(", ");
        html.heading(&cluster.name, &format!("{photos} · coherence {:.2} · {keywords}", cluster.coherence))?;
        for hit in nearest(cluster, members, searcher, SHOWN)? {
            if let Some(path) = hit.paths.first() {
                html.push(&page::figure(path, &shrink::file, hit.caption.as_deref(), ""))?;
            }
        }
    }
    html.push(&format!("</main><p>{} in no cluster.</p>", text::count(usize::try_from(outside)?, "photo")))?;
    html.finish()
}
