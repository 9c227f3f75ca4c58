//! Words, filters, fusion, folding and the graph.

use crate::support::*;
use snapseek_index::{
    By, Captioned, Change, Classifier, LabelSet, Library, Metadata, Order, PlacedLine, SearchRequest, Tag, query,
};
use std::collections::HashMap;
use std::path::PathBuf;

/// Photos with all kinds of facts.
fn zoo() -> Vec<Change> {
    let mut changes = vec![
        photo("Urlaub 2019/IMG_2019-giraffeBaby.jpg", 1, DIM, &["giraffe"]),
        photo("caf\u{e9}/dogs.png", 2_000_000, DIM, &["fox terrier, wire-haired", "running dog"]),
        photo("castle/night sky.jpg", 3_000_000, DIM, &["castle", "night"]),
        photo("castle/day.JPG", 40, DIM, &["castle", "red", "pyramid"]),
        photo("pyramid.jpg", 5, DIM, &["red pyramid"]),
        photo("cafe\u{301}/cup.jpg", 6, DIM, &["espresso"]),
    ];
    let mut set = |n: usize, date: Option<&str>, maker: Option<&str>, across: u32| {
        if let Change::Photo { facts, .. } = &mut changes[n] {
            facts.metadata.taken = date.map(Into::into);
            facts.metadata.camera = maker.map(Into::into);
            facts.width = across;
        }
    };
    set(0, Some("2019-06-15T12:00:00"), Some("Canon EOS 5D"), 4000);
    set(1, Some("2019-09-30T23:59:59"), Some("NIKON D70"), 2000);
    set(2, Some("2018-12-31T00:00:00"), None, 1999);
    changes
}

#[test]
fn words_phrases_and_filters_find_what_they_should() {
    for cached in [false, true] {
        let (_folder, library) = library_of(&zoo(), cached);
        for (text, expected) in [
            ("giraffes", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("baby", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("urlaub", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("cafe", vec!["cup.jpg", "dogs.png"]),
            ("CAF\u{c9}", vec!["cup.jpg", "dogs.png"]),
            ("runs", vec!["dogs.png"]),
            ("nikon", vec!["dogs.png"]),
            ("\"red pyramid\"", vec!["pyramid.jpg"]),
            ("castle -\"night sky\"", vec!["day.JPG"]),
            ("\"running dogs\"", vec!["dogs.png"]),
            ("\"dog running\"", vec![]),
            ("the of", vec![]),
            ("walrus", vec![]),
            ("path:castle", vec!["day.JPG", "night sky.jpg"]),
            ("path:CAFE", vec!["cup.jpg", "dogs.png"]),
            ("-path:castle -path:cafe", vec!["IMG_2019-giraffeBaby.jpg", "pyramid.jpg"]),
            ("tag:terrier", vec!["dogs.png"]),
            ("tag:\"wire haired\"", vec!["dogs.png"]),
            ("tag:terr", vec![]),
            ("ext:png", vec!["dogs.png"]),
            ("ext:jpg castle", vec!["day.JPG", "night sky.jpg"]),
            ("camera:\"canon eos\"", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("-camera:canon castle", vec!["day.JPG", "night sky.jpg"]),
            ("taken:2019", vec!["IMG_2019-giraffeBaby.jpg", "dogs.png"]),
            ("taken:2019-06", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("taken:2019-06-15", vec!["IMG_2019-giraffeBaby.jpg"]),
            ("taken:2019-07..2019-09", vec!["dogs.png"]),
            ("taken:..2018", vec!["night sky.jpg"]),
            ("taken:2019-06-16.. castle", vec![]),
            ("-taken:2019 castle", vec!["day.JPG", "night sky.jpg"]),
            ("wider:2000", vec!["IMG_2019-giraffeBaby.jpg", "dogs.png"]),
            ("size:>2M", vec!["night sky.jpg"]),
            ("size:2M..", vec!["dogs.png", "night sky.jpg"]),
            ("size:<6", vec!["IMG_2019-giraffeBaby.jpg", "pyramid.jpg"]),
        ] {
            let mut found = names(&find(&library, text));
            found.sort();
            assert_eq!(found, expected, "{text} (cached: {cached})");
        }
        let all_words = |text: &str| find(&library, text).iter().filter(|h| h.all_words).count();
        assert_eq!(all_words("castle at night"), 1);
        assert_eq!(all_words("castle"), 2);
        assert_eq!(all_words("castle walrus"), 0);
        // The photo with both words comes first.
        assert_eq!(names(&find(&library, "night castle"))[0], "night sky.jpg");
    }
}

#[test]
fn names_are_found_however_their_letters_are_put_together() {
    // Composed as most systems write them, decomposed as macOS does: Russian, Japanese, Korean.
    let pairs = [
        ("\u{442}\u{440}\u{43e}\u{439}\u{43a}\u{430}", "\u{442}\u{440}\u{43e}\u{438}\u{306}\u{43a}\u{430}"),
        ("\u{30d1}\u{30ac}", "\u{30cf}\u{309a}\u{30ab}\u{3099}"),
        ("\u{ac01}\u{ac01}", "\u{1100}\u{1161}\u{11a8}\u{1100}\u{1161}\u{11a8}"),
    ];
    let names = pairs.iter().flat_map(|(one, other)| [one, other]).enumerate();
    let changes: Vec<Change> = names.map(|(n, name)| photo(&format!("{name}.jpg"), n as u64, DIM, &[])).collect();
    for cached in [false, true] {
        let (_folder, library) = library_of(&changes, cached);
        for (one, other) in pairs {
            for text in [one, other] {
                for query in [text.to_owned(), format!("\"{text}\""), format!("path:{text}")] {
                    assert_eq!(find(&library, &query).len(), 2, "{query} (cached: {cached})");
                }
            }
        }
    }
}

#[test]
fn names_have_endings_and_umlauts_two_spellings() {
    let changes = [
        photo("DSC_0020.JPG", 1, DIM, &["giraffe"]),
        photo("Köln/dom am rhein.jpg", 2, DIM, &["giraffe", "church"]),
        photo("Koeln/bruecke.heic", 3, DIM, &["bridge"]),
    ];
    for cached in [false, true] {
        let (_folder, library) = library_of(&changes, cached);
        for query in ["DSC_0020.JPG", "\"DSC_0020.JPG\"", "dsc_0020.jpg", "DSC_0020"] {
            assert_eq!(names(&find(&library, query)), ["DSC_0020.JPG"], "{query}");
        }
        for (query, count) in
            [("köln", 2), ("koeln", 2), ("\"Köln dom\"", 0), ("\"dom am rhein\"", 1), ("koln", 1), ("brücke.heic", 1)]
        {
            assert_eq!(find(&library, query).len(), count, "{query} (cached: {cached})");
        }
        let searcher = library.searcher().unwrap();
        let nearest = |words: &str| searcher.misspelled(words).unwrap();
        assert_eq!(nearest("a girafe at the chruch"), [("girafe", "giraffe"), ("chruch", "church")].map(owned));
        assert_eq!(nearest("giraffe giraffes dog zebra"), []);
    }
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn what_has_no_score_is_sorted_by_what_is_asked_for() {
    let at = |name: &str, content: u64, taken: Option<&str>| {
        let mut change = photo(name, content, DIM, &[]);
        let Change::Photo { facts, .. } = &mut change else { panic!() };
        facts.metadata.taken = taken.map(Into::into);
        change
    };
    let changes = [
        at("b/1.jpg", 5, Some("2019-01-01T00:00:00")),
        at("a/Älter.jpg", 9, Some("2021-01-01T00:00:00")),
        at("c/zebra.jpg", 7, None),
    ];
    let (_folder, library) = library_of(&changes, true);
    let found = |order: Order, reverse: bool, limit: usize| {
        let filters = query::parse("ext:jpg").unwrap().filters;
        let request = SearchRequest { filters, order, reverse, limit, ..SearchRequest::default() };
        let response = library.searcher().unwrap().search(&request).unwrap();
        assert_eq!(response.total, 3);
        names(&response.hits)
    };
    assert_eq!(found(Order::Best, false, 9), ["Älter.jpg", "1.jpg", "zebra.jpg"]);
    assert_eq!(found(Order::Date, true, 2), ["zebra.jpg", "1.jpg"]);
    assert_eq!(found(Order::Name, false, 9), ["1.jpg", "Älter.jpg", "zebra.jpg"]);
    assert_eq!(found(Order::Size, false, 1), ["Älter.jpg"]);
    assert_eq!(found(Order::Path, false, 9), ["Älter.jpg", "1.jpg", "zebra.jpg"]);
}

#[test]
fn the_largest_query_that_is_understood_can_be_run() {
    let (_folder, library) = library_of(&zoo(), false);
    let filters = [format!("ext:{}", vec!["jpg"; 50].join(",")).as_str(), "path:s", "tag:castle"].join(" ");
    let filters = filters.split(' ').cycle().take(64).collect::<Vec<_>>().join(" ");
    assert_eq!(find(&library, &filters).len(), 2);
    let error = snapseek_index::query::parse(&format!("{filters} path:x")).unwrap_err();
    assert_eq!(error.column, filters.len() + 2, "{error}");
}

#[test]
fn cached_and_fresh_words_rank_together() {
    let mut changes = zoo();
    let (_folder, library) = library_of(&changes, true);
    let mut writer = library.lock().unwrap();
    let renamed = photo("castle/giraffe.jpg", 40, DIM, &["giraffe"]);
    changes.push(renamed.clone());
    writer.apply(&[renamed, Change::Remove { path: "/photos/pyramid.jpg".into() }]).unwrap();
    assert_eq!(find(&library, "pyramid").len(), 0);
    // The photo with id 4 got other tags: the old ones no longer find it, not even in the cache.
    assert_eq!(names(&find(&library, "red")), Vec::<String>::new());
    let mut found = names(&find(&library, "giraffe"));
    found.sort();
    assert_eq!(found, ["IMG_2019-giraffeBaby.jpg", "day.JPG"]);
    assert_eq!(find(&library, "path:castle/g")[0].paths[0], PathBuf::from("/photos/castle/giraffe.jpg"));
}

fn with_vector(name: &str, content: u64, v: Vec<f32>, label: &str) -> Change {
    let mut change = photo(name, content, DIM, &[]);
    if let Change::Photo { embedding, tags, .. } = &mut change {
        *embedding = unit(v);
        *tags = vec![Tag { label: label.into(), score: 1.0 }];
    }
    change
}

fn axis(x: f32, y: f32, z: f32) -> Vec<f32> {
    let mut v = vec![0.0; DIM];
    (v[0], v[1], v[2]) = (x, y, z);
    v
}

#[test]
fn bm25_is_the_same_to_the_bit_whatever_the_caches_hold() {
    const WORDS: [&str; 8] = ["castle", "night", "dog", "sea", "red", "old tower", "snow", "market"];
    let mut random = Random(5);
    // Longer than BM25 knows exactly, and shorter.
    let mut text = |longest: usize| -> String {
        (0..=random.below(longest)).map(|_| WORDS[random.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    };
    let name = |n: u64| format!("{} {n}.jpg", WORDS[n as usize % WORDS.len()]);
    let photos: Vec<Change> = (0..120).map(|n| photo(&name(n), n, DIM, &[&text(3), &text(2)])).collect();
    let (_folder, library) = library_of(&photos, true);
    let scores = || -> Vec<Vec<(i64, u32)>> {
        let queries =
            ["castle", "night dog old red snow", "market sea sea", "\"old tower\" dog", "tag:dog castle tower"];
        let score = |query: &str| {
            let mut hits: Vec<_> =
                find(&library, query).iter().map(|hit| (hit.id, hit.bm25.map_or(0, f32::to_bits))).collect();
            hits.sort_unstable();
            hits
        };
        queries.into_iter().map(score).collect()
    };
    for round in 0..4_u64 {
        for photo in (1 + round as i64..110).step_by(17) {
            // Some have been removed. A caption by hand would follow to another content.
            let _ = library.save_caption(photo, &text(90), "print");
        }
        let mut writer = library.lock().unwrap();
        let changes: Vec<Change> = (0..9)
            .map(|n| match n % 3 {
                0 => photo(&name(200 + 10 * round + n), 200 + 10 * round + n, DIM, &[&text(4)]),
                1 => Change::Remove { path: PathBuf::from("/photos").join(name(30 * round + n)) },
                // Another content at the same path.
                _ => photo(&name(30 * round + n), 500 + 10 * round + n, DIM, &[&text(4)]),
            })
            .collect();
        writer.apply(&changes).unwrap();
        drop(writer);
        let overlaid = scores();
        assert!(overlaid.iter().all(|hits| hits.len() > 5), "{overlaid:?}");
        let (text, aside) = (library.dir().join("text"), library.dir().join("aside"));
        std::fs::rename(&text, &aside).unwrap();
        assert_eq!(scores(), overlaid, "without a cache");
        if round < 2 {
            // The next round overlays more.
            std::fs::rename(&aside, &text).unwrap();
        } else {
            std::fs::remove_dir_all(&aside).unwrap();
            refresh(&mut library.lock().unwrap());
            assert!(text.exists());
            assert_eq!(scores(), overlaid, "with a fresh cache");
        }
    }
}

#[test]
fn fusion_folding_and_limits() {
    let changes = [
        with_vector("near.jpg", 1, axis(1.0, 0.1, 0.0), "sea"),
        with_vector("twin.jpg", 2, axis(1.0, 0.11, 0.0), "sea"),
        with_vector("word.jpg", 3, axis(0.2, 1.0, 0.0), "lighthouse"),
        with_vector("both.jpg", 4, axis(1.0, 0.4, 0.0), "lighthouse"),
        with_vector("far.jpg", 5, axis(-1.0, 0.0, 1.0), "cat"),
    ];
    for cached in [false, true] {
        let (_folder, library) = library_of(&changes, cached);
        let searcher = library.searcher().unwrap();
        let ask = |change: &dyn Fn(&mut SearchRequest)| {
            let words = Some("lighthouse".into());
            let mut request = SearchRequest { vector: Some(unit(axis(1.0, 0.0, 0.0))), words, ..request(By::Both) };
            change(&mut request);
            searcher.search(&request).unwrap()
        };
        let both = ask(&|_| {});
        assert_eq!(names(&both.hits), ["both.jpg", "word.jpg", "near.jpg", "twin.jpg", "far.jpg"]);
        assert!(both.exact);
        // Reciprocal ranks: third by meaning, and first by words, like its equal.
        assert!((both.hits[0].fused - (1.0 / 63.0 + 1.0 / 61.0)).abs() < 1e-6);
        let stats = both.stats.unwrap();
        let cosines: Vec<f32> = both.hits.iter().map(|h| h.cosine.unwrap()).collect();
        assert_eq!(stats.count, 5);
        assert!((stats.mean - cosines.iter().sum::<f32>() / 5.0).abs() < 1e-6 && stats.std > 0.1);

        let meaning = ask(&|r| r.by = By::Meaning);
        assert_eq!(names(&meaning.hits), ["near.jpg", "twin.jpg", "both.jpg", "word.jpg", "far.jpg"]);
        let words = ask(&|r| r.by = By::Words);
        assert_eq!(names(&words.hits), ["word.jpg", "both.jpg"]);
        let unique = ask(&|r| (r.by, r.unique) = (By::Meaning, Some(0.99)));
        assert_eq!(names(&unique.hits), ["near.jpg", "both.jpg", "word.jpg", "far.jpg"]);
        assert_eq!(unique.hits[0].folded, 1);
        let high = ask(&|r| (r.by, r.min_score) = (By::Meaning, Some(0.5)));
        assert_eq!(names(&high.hits), ["near.jpg", "twin.jpg", "both.jpg"]);
        let first = meaning.hits[0].id;
        let rest = ask(&|r| (r.by, r.exclude, r.limit) = (By::Meaning, vec![first], 2));
        assert_eq!(names(&rest.hits), ["twin.jpg", "both.jpg"]);
    }
}

#[test]
fn what_owners_wrote_comes_before_what_only_looks_like_it() {
    let put = |name: &str, content: u64, across: f32, said: Metadata| {
        let mut change = with_vector(name, content, axis(1.0, across, 0.0), "sea");
        if let Change::Photo { facts, .. } = &mut change {
            facts.metadata = said;
        }
        change
    };
    let keywords = |words: &[&str]| Metadata {
        keywords: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Metadata::default()
    };
    let there = Metadata { place: Some("Strand, Norway".into()), ..Metadata::default() };
    let changes = [
        put("Familie Strand.jpg", 1, 0.0, Metadata::default()),
        put("sea.jpg", 2, 0.1, Metadata::default()),
        put("third.jpg", 3, 0.2, Metadata::default()),
        put("place.jpg", 4, 0.3, there),
        put("one.jpg", 5, 0.4, keywords(&["Familie"])),
        put("all.jpg", 6, 0.5, Metadata { title: Some("Strand".into()), ..keywords(&["Familie"]) }),
    ];
    for cached in [false, true] {
        let (_folder, library) = library_of(&changes, cached);
        let found = |words: &str, by| {
            let vector = Some(unit(axis(1.0, 0.0, 0.0)));
            let request = SearchRequest { vector, words: Some(words.into()), ..request(by) };
            names(&library.searcher().unwrap().search(&request).unwrap().hits)
        };
        // "am" and "2019" are on no photo and ask for nothing.
        for words in ["Familie Strand", "Familie am Strand 2019"] {
            assert_eq!(found(words, By::Both)[..3], ["all.jpg", "one.jpg", "Familie Strand.jpg"], "{words}");
            assert_eq!(found(words, By::Words)[0], "all.jpg", "{words}");
            assert_eq!(found(words, By::Meaning)[0], "Familie Strand.jpg", "{words}");
        }
        // Nobody wrote where a photo was taken: its place is a word like others.
        assert_eq!(found("Strand", By::Both)[..2], ["all.jpg", "Familie Strand.jpg"]);
        assert_eq!(found("Norway", By::Words), ["place.jpg"]);
    }
}

#[test]
fn the_graph_finds_what_an_exact_search_finds() {
    if is_on_server() {
        return; // About the caches of this machine.
    }
    const COUNT: usize = 5_000;
    const WIDE: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", WIDE)).unwrap();
    let mut random = Random(7);
    let centres: Vec<Vec<f32>> = (0..60).map(|n| vector(n + 1, WIDE)).collect();
    let near = |random: &mut Random, centre: &[f32]| unit(centre.iter().map(|c| c + 0.12 * random.normal()).collect());
    let rows: Vec<Vec<f32>> = (0..COUNT).map(|n| near(&mut random, &centres[n % centres.len()])).collect();
    let put = |n: usize, v: &Vec<f32>| {
        let mut change = photo(&format!("{n}.jpg"), n as u64 + 1, WIDE, &[]);
        if let Change::Photo { embedding, .. } = &mut change {
            *embedding = v.clone();
        }
        change
    };
    writer.apply(&rows.iter().enumerate().map(|(n, v)| put(n, v)).collect::<Vec<_>>()).unwrap();
    writer.refresh_with_graph_from(1_000, &mut |_, _, _| true).unwrap();
    // Afterwards, some photos are removed and some are added.
    let fresh: Vec<Vec<f32>> = (0..20).map(|n| near(&mut random, &centres[n])).collect();
    let mut later: Vec<Change> = (0..20).map(|n| Change::Remove { path: format!("/photos/{n}.jpg").into() }).collect();
    later.extend(fresh.iter().enumerate().map(|(n, v)| put(COUNT + n, v)));
    writer.apply(&later).unwrap();
    let searcher = library.searcher().unwrap();
    let ask = |v: &Vec<f32>, limit| {
        let request = SearchRequest { vector: Some(v.clone()), limit, ..request(By::Meaning) };
        searcher.search(&request).unwrap()
    };
    for (n, row) in
        rows.iter().enumerate().skip(20).step_by(3).chain(fresh.iter().enumerate().map(|(n, v)| (COUNT + n, v)))
    {
        let response = ask(row, 1);
        assert!(!response.exact);
        assert_eq!(response.hits[0].size, n as u64 + 1, "row {n} finds itself first");
    }
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..200 {
        let centre = random.below(centres.len());
        let query = near(&mut random, &centres[centre]);
        let exact = ask(&query, COUNT);
        assert!(exact.exact);
        let truth: Vec<i64> = exact.hits.iter().take(10).map(|h| h.id).collect();
        let response = ask(&query, 10);
        assert!(response.hits.iter().all(|h| h.size > 20));
        found += response.hits.iter().filter(|h| truth.contains(&h.id)).count();
        wanted += 10;
    }
    assert!(found * 100 >= wanted * 99, "recall {found} of {wanted}");
}

#[test]
fn filters_pass_the_same_photos_whether_a_graph_finds_them_or_all_are_listed() {
    const COUNT: u64 = 2_400;
    const BEST: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    let made = |n: u64| {
        let tags: &[&str] = match n % 12 {
            5 => &["a sea lion", "Übersee"],
            7 => &["sea"],
            8 | 9 => &["sealion", "dog"],
            3 if n < 40 => &["lighthouse"],
            _ => &[],
        };
        let mut change = photo(&format!("{n}.jpg"), n, DIM, tags);
        let Change::Photo { path, facts, .. } = &mut change else { panic!() };
        if n.is_multiple_of(10) {
            // The raw file of the one before.
            (*path, facts.format) = (format!("/photos/{}.nef", n - 1).into(), "raw".into());
        }
        facts.metadata.keywords = if n.is_multiple_of(3) { vec!["Sea".into()] } else { Vec::new() };
        facts.metadata.camera = (n % 6 < 3).then(|| format!("Canon {}", n % 6));
        facts.metadata.city = (n % 7 < 3).then(|| "Porto".into());
        facts.metadata.people = if n % 4 == 1 { vec!["Anna".into()] } else { Vec::new() };
        change
    };
    writer.apply(&(1..=COUNT).map(made).collect::<Vec<_>>()).unwrap();
    writer.refresh_stacks().unwrap();
    let ids = library.searcher().unwrap().embeddings().unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let some = |of: i64, n: i64| ids.iter().copied().filter(|id| id % of == n).collect::<Vec<i64>>();
    let captions = some(5, 1).into_iter().chain(some(5, 4));
    let captions = captions.map(|photo| Captioned { photo, text: "a dog".into(), encoding: None });
    library.captioner("print", false).unwrap().save(&captions.collect::<Vec<_>>()).unwrap();
    let line = || PlacedLine { text: "Exit".into(), score: 0.9, quad: [[1.0, 2.0]; 4] };
    let read: Vec<_> = some(6, 5).into_iter().map(|id| (id, vec![line()], "Exit".to_owned())).collect();
    library.text_keeper("reader", false).unwrap().save(&read).unwrap();
    library.change_own_tags(&some(7, 3), &["Sea".into()], &[]).unwrap();
    library.add_to_album("Lisbon", &some(4, 2)).unwrap();
    let labels = vec!["cat".into(), "dog".into()];
    let set = LabelSet { name: "pets".into(), labels, ..LabelSet::default() };
    library.save_label_set(&set).unwrap();
    let rows = [vector(1, DIM), vector(2, DIM)].concat();
    library.save_classifier(&set, &model("a", DIM).fingerprint, &Classifier { scale: 10.0, rows }).unwrap();
    writer.refresh_with_graph_from(1_000, &mut |_, _, _| true).unwrap();

    let searcher = library.searcher().unwrap();
    let (mut found, mut wanted) = (0, 0);
    for text in [
        "caption:dog",
        "-caption:dog",
        "text:exit",
        "keyword:sea",
        "-keyword:sea",
        "person:anna",
        "has:caption",
        "has:text",
        "has:keyword has:person",
        "album:lisbon",
        "has:album",
        "label:pets=cat",
        "-label:pets=dog caption:dog person:anna",
        "caption:dog label:pets wider:>100",
        "tag:sea",
        "tag:\"sea lion\"",
        "-tag:sea -tag:dog",
        "tag:ubersee",
        "path:7",
        "-path:7",
        "ext:nef,png -tag:dog",
        "size:>2kb",
        "camera:canon",
        "-camera:\"canon 1\"",
        "place:porto -place:lisbon",
        "-place:porto",
        "-person:anna",
        "-is:raw has:tags",
    ] {
        for (stacked, words, query) in
            [(false, None, COUNT + 1), (true, None, COUNT + 2), (true, Some("exit"), COUNT + 3)]
        {
            let by = if words.is_some() { By::Both } else { By::Meaning };
            let ask = |limit| {
                let (vector, words) = (Some(vector(query, DIM)), words.map(str::to_owned));
                let filters = query::parse(text).unwrap().filters;
                searcher.search(&SearchRequest { vector, words, filters, limit, stacked, ..request(by) }).unwrap()
            };
            let (walked, listed) = (ask(BEST), ask(usize::try_from(COUNT).unwrap()));
            assert_eq!((walked.exact, listed.exact, walked.hits.len()), (false, true, BEST), "{text} {stacked}");
            let truth: HashMap<i64, Option<f32>> = listed.hits.iter().map(|h| (h.id, h.probability)).collect();
            assert!(truth.len() < ids.len());
            for hit in &walked.hits {
                assert_eq!(truth.get(&hit.id), Some(&hit.probability), "{text} {stacked} {words:?}");
            }
            // Where words count too, ranks are those among what was found.
            if words.is_some() {
                continue;
            }
            let best: Vec<i64> = listed.hits.iter().take(BEST).map(|hit| hit.id).collect();
            found += walked.hits.iter().filter(|hit| best.contains(&hit.id)).count();
            wanted += BEST;
        }
    }
    assert!(found * 100 >= wanted * 98, "{found} of {wanted}");

    // Those that an index tells to be few are compared at once.
    if !is_on_server() {
        let filters = query::parse("tag:lighthouse -path:/27.jpg").unwrap().filters;
        let few = SearchRequest { filters, vector: Some(vector(1, DIM)), limit: 2, ..request(By::Meaning) };
        let response = searcher.search(&few).unwrap();
        assert!(response.exact && response.hits.len() == 2 && response.hits[0].cosine >= response.hits[1].cosine);
        assert!(response.hits.iter().all(|hit| [3, 15, 39].contains(&hit.size)));
    }
}
