//! The structure of the code: which module imports which, how many files are in src itself, and that a type name means
//! one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Imports that would close a circle and are allowed, each with the reason. At present there are none.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Types that may have the same name in several places: the associated types of traits.
const SHARED_NAMES: [&str; 5] = ["Job", "Weights", "Inputs", "Error", "Target"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The module path and the code, without tests and comments, of every Rust file below a folder.
fn modules(folder: &str) -> Vec<(Vec<String>, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    let folder = root().join(folder);
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let module = |file: &Path| {
        let parts = file.strip_prefix(&folder).unwrap().with_extension("");
        let mut parts: Vec<String> = parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    };
    let code = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let text = text.split("#[cfg(test)]\n#[allow(clippy::unwrap_used)]\nmod tests {").next().unwrap();
        text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let all = files.iter().map(|file| (module(file), code(file)));
    all.filter(|(module, _)| !module.iter().any(|part| part == "tests")).collect()
}

/// The paths in the code that begin with `crate::` or `super::`, with braces resolved one level deep.
fn imports(module: &[String], code: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, keyword) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = &code[..at];
        if before.ends_with("::") || before.ends_with(is_word) || before.ends_with('$') {
            continue;
        }
        let mut rest = &code[at..];
        let mut base = if keyword == "crate::" {
            rest = &rest["crate::".len()..];
            Vec::new()
        } else {
            let mut base = module.to_vec();
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            base
        };
        loop {
            if let Some(list) = rest.strip_prefix('{') {
                let mut depth = 1;
                let end = list.find(|c| {
                    depth += match c {
                        '{' => 1,
                        '}' => -1,
                        _ => 0,
                    };
                    depth == 0
                });
                for item in list[..end.unwrap()].split(',') {
                    let name: String = item.trim().chars().take_while(|c| is_word(*c)).collect();
                    found.push(base.iter().cloned().chain([name]).collect());
                }
                break;
            }
            let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
            rest = &rest[name.len()..];
            base.push(name);
            match rest.strip_prefix("::") {
                Some(after) => rest = after,
                None => break,
            }
        }
        found.push(base);
    }
    found
}

/// Fails if nodes of a graph import each other in a circle, and names them.
fn assert_no_circle(graph: &BTreeMap<String, BTreeSet<String>>, what: &str) {
    let mut left = graph.clone();
    // Remove nodes that import none of the remaining ones; those that stay are in a circle, or import one.
    loop {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        let free: Vec<String> =
            left.iter().filter(|(_, to)| to.is_disjoint(&names)).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            break;
        }
        free.iter().for_each(|name| drop(left.remove(name)));
    }
    let names: BTreeSet<String> = left.keys().cloned().collect();
    left.values_mut().for_each(|to| to.retain(|name| names.contains(name)));
    assert!(left.is_empty(), "{what} import each other in a circle: {left:#?}");
}

fn graph(edges: impl Iterator<Item = (String, String)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges.filter(|(from, to)| from != to && !EXCEPTIONS.contains(&(from, to))) {
        graph.entry(to.clone()).or_default();
        graph.entry(from).or_default().insert(to);
    }
    graph
}

#[test]
fn no_two_rooms_of_the_application_import_each_other() {
    let modules = modules("src");
    let edges = modules.iter().filter(|(module, _)| !module.is_empty()).flat_map(|(module, code)| {
        let room = module[0].clone();
        imports(module, code)
            .into_iter()
            .filter(|path| !path.is_empty())
            .map(move |path| (room.clone(), path[0].clone()))
    });
    let graph = graph(edges);
    assert!(graph.len() > 10 && graph["commands"].contains("search"), "{graph:#?}");
    assert_no_circle(&graph, "rooms of src");
}

#[test]
fn no_two_files_of_the_index_import_each_other() {
    let modules = modules("index/src");
    let names: BTreeSet<String> = modules.iter().map(|(module, _)| module.join("::")).collect();
    // The file that a path refers to.
    let file = |path: &[String]| {
        let leads = (1..=path.len()).rev().map(|length| path[..length].join("::"));
        leads.into_iter().find(|name| names.contains(name))
    };
    let edges = modules.iter().filter(|(module, _)| !module.is_empty()).flat_map(|(module, code)| {
        let from = module.join("::");
        let to = imports(module, code).into_iter().filter_map(|path| file(&path));
        // A module and the modules inside it may import each other.
        to.filter(|to| !module.join("::").starts_with(to.as_str()))
            .map(move |to| (from.clone(), to))
            .collect::<Vec<_>>()
    });
    let graph = graph(edges);
    assert!(graph.len() > 15 && graph["search::searcher"].contains("search::vectors"), "{graph:#?}");
    assert_no_circle(&graph, "files of index/src");
}

#[test]
fn a_circle_would_be_found() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")];
    let circle = graph(edges.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned())));
    assert!(std::panic::catch_unwind(|| assert_no_circle(&circle, "rooms")).is_err());
    let code = "use crate::{one, two::Three};\nuse super::four::{Five, six};\n\
                fn f() { crate::seven::eight(); $crate::no::no(); }";
    let module = ["room".to_owned(), "file".to_owned()];
    let found: BTreeSet<String> = imports(&module, code).into_iter().map(|path| path.join("::")).collect();
    for path in ["one", "two", "room::four::Five", "room::four::six", "seven::eight"] {
        assert!(found.contains(path), "{path} in {found:?}");
    }
    assert!(!found.contains("no::no"));
}

#[test]
fn few_files_lie_flat_and_each_type_has_a_name_of_its_own() {
    let flat = fs::read_dir(root().join("src"))
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|ext| ext == "rs")));
    assert!(flat.count() <= 7);
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for folder in ["src", "index/src"] {
        for (module, code) in modules(folder) {
            for line in code.lines() {
                // An associated type has the name that its trait gives it.
                if line.starts_with(' ') && line.trim_start().starts_with("type ") {
                    continue;
                }
                let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "crate)");
                if !matches!(words.next(), Some("struct" | "enum" | "trait" | "type")) {
                    continue;
                }
                let name: String =
                    words.next().unwrap_or_default().chars().take_while(|c| c.is_alphanumeric()).collect();
                if name.starts_with(char::is_uppercase) && !SHARED_NAMES.contains(&name.as_str()) {
                    places.entry(name).or_default().insert(format!("{folder}::{}", module.join("::")));
                }
            }
        }
    }
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(places.len() > 200 && twice.is_empty(), "{twice:#?}");
}

#[test]
fn documents_keep_their_length() {
    for (file, most) in [("README.md", 150), ("ARCHITECTURE.md", 200)] {
        let lines = fs::read_to_string(root().join(file)).unwrap().lines().count();
        assert!(lines <= most, "{file} has {lines} lines, {most} are allowed");
    }
}
