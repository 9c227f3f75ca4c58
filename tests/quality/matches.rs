//! How well search decides which results are matches: precision and recall on the judged queries of fixtures/photos,
//! and how often a query that fits no fixture photo gets no match.
//!
//! `cargo test --release --test quality -- --nocapture matches` prints the figures in docs/figures.md.

use snapseek::model::Starter;
use snapseek::search::matches::{Rule, neutral_scores};
use snapseek::search::query_vector;
use snapseek::search::row::rows;
use snapseek_index::{By, Filters, Library, SearchRequest, query};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

#[derive(serde::Deserialize)]
struct Judged {
    query: String,
    relevant: Vec<String>,
    partly: Vec<String>,
}

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The names of the photos that a search calls matches, decided as in `snapseek search`.
fn matches(text: &str, library: &Library, model: &Starter) -> HashSet<String> {
    let query = query::parse(text).unwrap();
    let searcher = library.searcher().unwrap();
    let found = searcher.rank(&SearchRequest {
        vector: query_vector::vector(&query.parts, model, library, None).unwrap(),
        words: Some(text.to_owned()),
        filters: query.filters,
        by: By::Both,
        limit: 200,
        ..SearchRequest::default()
    });
    let found = found.unwrap();
    let rule = Rule { neutral: library.neutral_scores().unwrap(), library: found.stats, sigmoid: None };
    let rows = rows(&searcher, &Filters::default(), &rule.matches(&found.photos)).unwrap();
    let matches = rows.iter().filter(|row| row.is_match);
    matches.map(|row| row.path().file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn matches_are_told_from_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
    let indexed = Command::new(env!("CARGO_BIN_EXE_snapseek"))
        .args(["index", "--quiet", "--model", "starter", "--library"])
        .arg(folder.path())
        .arg(photos)
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .unwrap();
    assert!(indexed.status.success(), "{}", String::from_utf8_lossy(&indexed.stderr));
    let library = Library::open(folder.path()).unwrap();
    let model = Starter::built_in().unwrap();
    assert_eq!(library.neutral_scores().unwrap(), neutral_scores(&library, &model).unwrap());

    let judged: Vec<Judged> = fixture("queries.json");
    let (mut right, mut wrong, mut missed, mut answered) = (0, 0, 0, 0);
    for Judged { query, relevant, partly } in &judged {
        let found = matches(query, &library, &model);
        let good = found.iter().filter(|name| relevant.contains(name) || partly.contains(name)).count();
        right += good;
        wrong += found.len() - good;
        missed += relevant.iter().filter(|name| !found.contains(*name)).count();
        answered += usize::from(good > 0);
    }
    let absent: Vec<String> = fixture("absent-queries.json");
    let empty = absent.iter().filter(|query| matches(query, &library, &model).is_empty()).count();
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let (precision, recall) = (share(right, right + wrong), share(right, right + missed));
    println!("{} judged queries: precision {precision:.2}, recall {recall:.2}", judged.len());
    println!("judged queries with a right match: {answered} of {}", judged.len());
    println!("queries that fit no photo, answered with none: {empty} of {}", absent.len());
    assert!(precision >= 0.5 && recall >= 0.65, "precision {precision:.3}, recall {recall:.3}");
    assert!(share(answered, judged.len()) >= 0.8 && share(empty, absent.len()) >= 0.7, "{answered} {empty}");
}
