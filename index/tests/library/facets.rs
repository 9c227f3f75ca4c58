//! Which values photos have, and how many have each: what is listed is found by the filter of its field.

use crate::support::*;
use snapseek_index::query::quoted;
use snapseek_index::{Change, FacetField, Metadata};

#[test]
fn every_value_that_is_listed_is_found_as_often_by_its_filter() {
    let facts = |n: u64, metadata: Metadata| {
        let mut change =
            photo(&format!("{}/{n}.jpg", if n < 3 { "old stuff" } else { "new" }), n, DIM, &["cat", "sofa"]);
        let Change::Photo { facts, .. } = &mut change else { panic!() };
        facts.metadata = Metadata { reader: 1, ..metadata };
        change
    };
    let some = |text: &str| Some(text.to_owned());
    let photos = [
        facts(
            1,
            Metadata {
                taken: some("2019-06-01T12:00:00"),
                camera: some("Canon \"Pro\""),
                rating: Some(5),
                ..Metadata::default()
            },
        ),
        facts(
            2,
            Metadata {
                taken: some("2019-07-01"),
                camera: some("Nikon"),
                keywords: vec!["Sea side".into()],
                ..Metadata::default()
            },
        ),
        facts(
            3,
            Metadata {
                taken: some("2021-07-01T08:00:00"),
                camera: some("Nikon"),
                lens: some("50 mm f/1.8"),
                city: some("S\u{e3}o Paulo"),
                people: vec!["Anna B.".into(), "Ben".into()],
                keywords: vec!["sea side".into()],
                rating: Some(3),
                ..Metadata::default()
            },
        ),
    ];
    let (_folder, library) = library_of(&photos, true);
    let listed = |field| -> Vec<(String, u64)> {
        library.facets(field).unwrap().into_iter().map(|facet| (facet.value, facet.photos)).collect()
    };
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(value, photos)| ((*value).to_owned(), *photos)).collect()
    };
    assert_eq!(listed(FacetField::Year), pairs(&[("2021", 1), ("2019", 2)]));
    assert_eq!(listed(FacetField::Month), pairs(&[("2021-07", 1), ("2019-07", 1), ("2019-06", 1)]));
    assert_eq!(listed(FacetField::Camera), pairs(&[("Nikon", 2), ("Canon \"Pro\"", 1)]));
    assert_eq!(listed(FacetField::Tag), pairs(&[("cat", 3), ("sofa", 3)]));
    assert_eq!(listed(FacetField::Rating), pairs(&[("5", 1), ("3", 1)]));
    assert_eq!(listed(FacetField::Keyword)[0].1, 2, "case is ignored");
    assert_eq!(listed(FacetField::Folder), pairs(&[("/photos/old stuff", 2), ("/photos/new", 1)]));
    for (field, name, filter) in FacetField::ALL {
        let facets = library.facets(field).unwrap();
        assert!(!facets.is_empty(), "{name}");
        for facet in facets {
            let query = format!("{filter}:{}", quoted(&facet.value));
            assert_eq!(find(&library, &query).len() as u64, facet.photos, "{query}");
        }
    }
}
