use super::*;
use crate::search::filters::{Fact, Filter};

fn parts(text: &str) -> Vec<(String, f32)> {
    let query = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let name = |kind: PartKind| match kind {
        PartKind::Text(text) => text,
        PartKind::Image(path) => format!("@{}", path.display()),
    };
    query.parts.into_iter().map(|p| (name(p.kind), p.weight)).collect()
}

fn filter(text: &str) -> Filter {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).filters.clauses.remove(0).filter
}

#[test]
fn words_signs_pictures_and_weights() {
    for (text, expected) in [
        ("a dog  on the grass", vec![("a dog on the grass", 1.0)]),
        ("castle -night", vec![("castle", 1.0), ("night", -1.0)]),
        ("castle -night sky", vec![("castle sky", 1.0), ("night", -1.0)]),
        ("castle - night sky", vec![("castle", 1.0), ("night sky", -1.0)]),
        ("@a.jpg + in winter - people", vec![("@a.jpg", 1.0), ("in winter", 1.0), ("people", -1.0)]),
        ("2*sunset 0.5*@b.jpg -3*cars", vec![("sunset", 2.0), ("@b.jpg", 0.5), ("cars", -3.0)]),
        ("- @b.jpg +sea", vec![("@b.jpg", -1.0), ("sea", 1.0)]),
        ("@\"my holiday.jpg\" x", vec![("@my holiday.jpg", 1.0), ("x", 1.0)]),
        (r"\-word \@word \path:x", vec![("-word @word path:x", 1.0)]),
        ("12:30 http://x.y/z C:\\x well-known a+b", vec![("12:30 http://x.y/z C:\\x well-known a+b", 1.0)]),
        ("Note: this", vec![("Note: this", 1.0)]),
        ("3*4 7 *", vec![("4", 3.0), ("7 *", 1.0)]),
        ("日本 -雪", vec![("日本", 1.0), ("雪", -1.0)]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(t, w)| (t.to_owned(), w)).collect();
        assert_eq!(parts(text), expected, "{text}");
    }
}

#[test]
fn phrases_and_filters() {
    let query = parse("\"red pyramid\" -\"blue sky\" -path:x dog - cat \"at home\" camera:\"Canon EOS\"").unwrap();
    let phrase = |text: &str, exclude| Phrase { text: text.into(), exclude };
    assert_eq!(query.phrases, [phrase("red pyramid", false), phrase("blue sky", true), phrase("at home", true)]);
    assert_eq!(query.filters.clauses[0], Clause { filter: Filter::Path("x".into()), exclude: true });
    assert_eq!(query.filters.clauses[1], Clause { filter: Filter::Camera("Canon EOS".into()), exclude: false });
    let date = |from: Option<&str>, to: Option<&str>| Filter::Taken {
        from: from.map(Into::into),
        to: to.map(Into::into),
        guess: false,
    };
    let size = |min, max| Filter::Size { min, max };
    let label = |set: &str, label: Option<&str>| Filter::Label { set: set.into(), label: label.map(Into::into) };
    for (text, expected) in [
        ("taken:2019", date(Some("2019"), Some("2019"))),
        ("taken:2019-06..2019-09", date(Some("2019-06"), Some("2019-09"))),
        ("taken:..2018", date(None, Some("2018"))),
        ("taken:2019-06-15..", date(Some("2019-06-15"), None)),
        ("taken:2019-06..2019", date(Some("2019-06"), Some("2019"))),
        ("label:pets=dog", label("pets", Some("dog"))),
        ("label:pets", label("pets", None)),
        ("LABEL:pets=\"red panda\"", label("pets", Some("red panda"))),
        ("label:\"my pets\"=dog=hot", label("my pets", Some("dog=hot"))),
        ("label:\"my pets=red panda\"", label("my pets", Some("red panda"))),
        ("wider:2000", Filter::Wider(2000)),
        ("TALLER:1000", Filter::Taller(1000)),
        ("size:>2M", size(Some(2_000_001), None)),
        ("size:<500k", size(None, Some(499_999))),
        ("size:1M..3MB", size(Some(1_000_000), Some(3_000_000))),
        ("size:1.5k..", size(Some(1_500), None)),
        ("ext:jpg,.PNG", Filter::Ext(vec!["jpg".into(), "PNG".into()])),
        ("tag:\"fox terrier\"", Filter::Tag("fox terrier".into())),
        ("caption:dog", Filter::Caption("dog".into())),
        ("Caption:\"red car\"", Filter::Caption("red car".into())),
        ("has:caption", Filter::Has(Fact::Caption)),
        ("has:Date", Filter::Has(Fact::Date)),
        ("has:place", Filter::Has(Fact::Place)),
        ("wider:>2000", Filter::Wider(2001)),
        ("taller:>=1000", Filter::Taller(1000)),
        ("taken:>2020", date(Some("2021"), None)),
        ("taken:>=2020-02", date(Some("2020-02"), None)),
        ("taken:>2019-12", date(Some("2020-01"), None)),
        ("taken:>2020-02-29", date(Some("2020-03-01"), None)),
        ("taken:<2019", date(None, Some("2018"))),
        ("taken:<2019-01", date(None, Some("2018-12"))),
        ("taken:<2020-03-01", date(None, Some("2020-02-29"))),
        ("taken:<=2019-6-5", date(None, Some("2019-06-05"))),
        ("taken:2015/06", date(Some("2015-06"), Some("2015-06"))),
        ("taken:2015.6.30", date(Some("2015-06-30"), Some("2015-06-30"))),
        ("taken:sep-2019", date(Some("2019-09"), Some("2019-09"))),
        ("taken:2019-September..2020", date(Some("2019-09"), Some("2020"))),
    ] {
        assert_eq!(filter(text), expected, "{text}");
    }
}

#[test]
fn phrases_and_filters_are_counted() {
    assert!(parse(&"\"a\" path:x ".repeat(64)).is_ok());
    for text in ["\"a\" ".repeat(65), "path:x ".repeat(65)] {
        let error = parse(&text).unwrap_err();
        assert_eq!(error.column, text.len() - text.len() / 65 + 1, "{error}");
        assert!(error.message.contains("at most 64"), "{error}");
    }
}

#[test]
fn errors_point_at_the_place() {
    for (text, column, message) in [
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        ("dog -", 5, "nothing follows"),
        ("dog - + cat", 7, "sign too many"),
        ("dog \"red", 5, "never closed"),
        ("é dog -\"red", 8, "never closed"),
        ("\"...\"", 1, "no word"),
        ("a @", 3, "which picture"),
        ("x pth:2019", 3, "no filter pth"),
        ("x path:", 8, "needs a value"),
        ("taken:2019-13", 7, "there is no 2019-13"),
        ("taken:2020..2019", 7, "is later than"),
        ("taken:..", 7, "write a date"),
        ("size:2M", 6, "write a size"),
        ("size:<0", 6, "no file"),
        ("size:3M..1M", 6, "larger"),
        ("wider:-5", 7, "write pixels"),
        ("ext:jpg,,png", 5, "commas"),
        ("tag:!", 5, "needs a word"),
        ("caption:...", 9, "needs a word, as in caption:dog"),
        ("a caption:", 11, "needs a value"),
        ("label:pets=", 7, "write label:SET"),
        ("label:=dog", 7, "write label:SET"),
        ("label:pets=\"dog", 12, "never closed"),
        ("x label:", 9, "needs a value"),
        ("has:caption has:nothing", 17, "write one of has:caption has:date"),
        ("taken:2019-02-31", 7, "there is no 2019-02-31"),
        ("taken:1900-02-29", 7, "there is no 1900-02-29"),
        ("taken:>9999", 7, "nothing is later"),
        ("taken:<0000-01", 7, "nothing is earlier"),
        ("taken:ma-2019", 7, "write a date"),
        ("taken:june", 7, "write a date"),
        ("wider:<2000", 7, "-wider:2000 is the opposite"),
        ("-caption:a 2*caption:b", 12, "no weight"),
        ("0*dog", 1, "a weight"),
        ("1.2.3*dog", 1, "a weight"),
        ("2* dog", 1, "without a space"),
        ("2*\"dog\"", 1, "no weight"),
        ("2*path:x", 1, "no weight"),
        ("cat - path:x", 7, "right before"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
    let shown = parse("a dog pth:x").unwrap_err().to_string();
    assert!(shown.ends_with("\n  a dog pth:x\n        ^"), "{shown}");
    let shown = parse("a \u{1b}[31m pth:x").unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}'));
    let long = format!("{} pth:x {}", "w ".repeat(500), "w ".repeat(500));
    let shown = parse(&long).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].chars().count() <= 2 + 2 * AROUND);
    assert_eq!(lines[1].chars().nth(lines[2].find('^').unwrap()), Some('p'));
}

#[test]
fn hostile_queries_are_answered() {
    assert!(parse(&"x".repeat(LONGEST + 1)).unwrap_err().to_string().contains("16384"));
    assert!(parse(&"-x ".repeat(1_000)).unwrap_err().message.contains("at most 64"));
    let pieces = [
        "-",
        "+",
        "\"",
        "@",
        "\\",
        "*",
        ":",
        "..",
        " ",
        "\t",
        "\n",
        "\0",
        "2*",
        "0.5*",
        "path:",
        "taken:",
        "size:>",
        "ext:,",
        "2019-06",
        "dog",
        "é",
        "e\u{301}",
        "\u{202e}",
        "日本",
        "🦒",
        "(",
        ")",
        "{",
        "a:b",
        "//",
        "9999999999999999999999",
        "tag:\"",
        "caption:",
        "has:caption",
        "label:",
        "=",
        "1e9*",
        "NaN",
        "wider:",
        "\u{feff}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..10_000 {
        let text: String = (0..next() % 12).map(|_| pieces[next() % pieces.len()]).collect();
        match parse(&text) {
            Ok(query) => {
                good += 1;
                assert!(query != Query::default());
                assert!(query.parts.iter().all(|p| p.weight != 0.0 && p.weight.is_finite()));
            }
            Err(error) => {
                bad += 1;
                assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{text:?}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(good > 500 && bad > 500, "{good} {bad}");
}

#[test]
fn every_value_can_be_quoted_and_is_read_as_it_was() {
    for name in
        ["dog", "dog, wolf", "Our \"buildings\", \u{65e5}\u{672c}", "\"", "\"\"", "a\"", "\"a b", "x=y", "C:\\a b\\"]
    {
        let clauses = parse(&format!("before cluster:{} after", quoted(name))).unwrap();
        assert_eq!(clauses.filters.clauses[0].filter, Filter::Cluster(name.to_owned()), "{name}");
        assert!(
            matches!(&clauses.parts[0].kind, PartKind::Text(text) if text == "before after"),
            "{name}: {clauses:?}"
        );
    }
    let set = format!("label:{}={}", quoted("my \"pets\""), quoted("a=b"));
    assert!(parse(&set).is_ok(), "{set}");
    assert!(parse("\"never \"\" closed").is_err());
}

#[test]
fn filters_are_taken_out_of_a_query() {
    let text = "a dog  camera:\"Canon \"\"Pro\"\" 5\" -tag:cat + \"red car\" taken:2019 -night";
    assert_eq!(without(text, &[0]), "a dog  -tag:cat + \"red car\" taken:2019 -night");
    assert_eq!(without(text, &[1]), "a dog  camera:\"Canon \"\"Pro\"\" 5\" + \"red car\" taken:2019 -night");
    assert_eq!(without(text, &[0, 2]), "a dog  -tag:cat + \"red car\" -night");
    assert_eq!(filters_of(text), ["camera:\"Canon \"\"Pro\"\" 5\"", "-tag:cat", "taken:2019"]);
    assert!(filters_of("a dog").is_empty() && filters_of("camera:").is_empty());
    assert_eq!(without(text, &[]), text);
    assert_eq!(without(text, &[7]), text);
    assert_eq!(without("taken:2019", &[0]), "");
    assert_eq!(without("hei\u{df} taken:2019 \u{1f469}", &[0]), "hei\u{df} \u{1f469}");
    assert_eq!(without("taken:2019 camera:", &[0]), "taken:2019 camera:", "it cannot be parsed");
}
