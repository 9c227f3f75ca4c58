//! Names for coordinates and coordinates for names, without a network: the places of [GeoNames] with 1,000 inhabitants
//! and more, and smaller ones where there is nothing else for kilometres.
//!
//! `cities.bin` is made by `scripts/make-places.py`, which describes its layout. Its places are GeoNames' of July 2026
//! (CC BY 4.0), its names of countries in other languages are those of the Unicode CLDR 48 (Unicode License v3).
//!
//! [GeoNames]: https://www.geonames.org

mod atlas;
mod names;
mod tree;

use atlas::Atlas;
use names::Index;
use std::sync::LazyLock;

/// The data as it is in the program.
static PACKED: &[u8] = include_bytes!("cities.bin");
/// `None` only if the data are damaged: then no place has a name, and no name a place.
static ATLAS: LazyLock<Option<Atlas>> = LazyLock::new(|| Atlas::unpack(PACKED));
static INDEX: LazyLock<Option<Index>> = LazyLock::new(|| ATLAS.as_ref().map(Index::of));

/// The earth's mean radius in km.
const RADIUS: f64 = 6371.0088;

/// A settlement, a region or a country.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPlace {
    /// The settlement's name, as GeoNames has it: in English if it has an English name, otherwise its own. Empty for a
    /// region or a country as a whole.
    pub city: String,
    /// The state, province or county, in English if it has an English name. `None` where there are none, and for a
    /// country as a whole.
    pub region: Option<String>,
    /// The country's English name.
    pub country: String,
    /// Degrees north, exact to 0.0005°. A region or a country has those of its largest settlement.
    pub latitude: f64,
    /// Degrees east, as exact.
    pub longitude: f64,
    /// Inhabitants, exact to 6 %; 0 if unknown. Those of a region are the sum of its settlements, and some overlap.
    pub population: u32,
}

/// The place that a person would say these coordinates (in degrees, WGS 84) are in or near, or `None` if nothing is
/// within 50 km or they are not coordinates.
///
/// That is the settlement whose edge is nearest. A settlement is taken for a disc that grows with its inhabitants, to
/// the power of 0.4: 0.5 km for a thousand of them, 3 km for a hundred thousand, 8 km for a million, at most 15 km. So
/// a city beats the hamlet that is a little nearer, and a town beside a city keeps its name. Parts of a city count as
/// the city.
#[must_use]
pub fn at(latitude: f64, longitude: f64) -> Option<NamedPlace> {
    // What is not a number is in no range.
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return None;
    }
    let atlas = ATLAS.as_ref()?;
    atlas.settlement(atlas.nearest(latitude, longitude)?)
}

/// The settlements, regions and countries with this name in English, in their own language, or, for countries, cities
/// of 100,000 inhabitants (in Europe 20,000) and capitals of regions, in another in Latin script.
///
/// Case, accents, spaces and punctuation do not matter; ä is also ae, ß is ss, Saint is St. Qualifiers narrow, each
/// behind a comma: a country, a region, what people write for them ("Paris, TX", "Lisbon, PT"), or the city that a part
/// is of.
///
/// The most populous comes first. But a region counts a tenth of its inhabitants, as "New York" and "Salzburg" rather
/// are the cities; and a city that has the name as another one counts 3 %, so that York comes before Toronto, which
/// once was York. A part of a city is found by its own name, although [`at`] gives the city's.
#[must_use]
pub fn find(name: &str) -> Vec<NamedPlace> {
    match (ATLAS.as_ref(), INDEX.as_ref()) {
        (Some(atlas), Some(index)) => index.find(atlas, name),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use snapseek_index::kilometres as distance;

    fn city_at(latitude: f64, longitude: f64) -> String {
        at(latitude, longitude).map(|place| place.city).unwrap_or_default()
    }

    /// The first that is found, as "city, region, country".
    fn first(name: &str) -> String {
        let first = find(name).into_iter().next();
        first.map_or_else(String::new, |place| [place.city, place.region.unwrap_or_default(), place.country].join(", "))
    }

    #[test]
    fn coordinates_have_the_name_that_people_use() {
        let zandvoort = at(52.37, 4.53).unwrap();
        assert_eq!((zandvoort.city.as_str(), zandvoort.country.as_str()), ("Zandvoort", "Netherlands"));
        assert_eq!(zandvoort.region.as_deref(), Some("North Holland"));
        assert!((zandvoort.population as f64 / 16868.0 - 1.0).abs() < 0.06);
        assert!(distance((zandvoort.latitude, zandvoort.longitude), (52.37125, 4.53306)) < 0.08);
        for (latitude, longitude, city) in [
            (38.7136, -9.1394, "Lisbon"),
            (38.6916, -9.2160, "Lisbon"), // Belém
            (-33.8568, 151.2153, "Sydney"),
            (-33.8908, 151.2743, "Sydney"), // Bondi
            (21.2765, -157.8270, "Honolulu"),
            (52.498, 13.403, "Berlin"), // Kreuzberg
            (52.443, 13.575, "Berlin"), // Köpenick, 14 km from the middle
            (52.4042, 13.0385, "Potsdam"),
            (48.8584, 2.2945, "Paris"),
            (48.8049, 2.1204, "Versailles"),
            (51.5007, -0.1246, "London"),
            (40.7580, -73.9855, "New York City"),
            (40.8296, -73.9262, "New York City"), // the Bronx
            (40.7357, -74.1724, "Newark"),
            (35.7148, 139.7967, "Tokyo"),
            (35.4437, 139.6380, "Yokohama"),
            (-22.9519, -43.2105, "Rio de Janeiro"),
            (47.5622, 13.6493, "Hallstatt"),
            (63.4186, -19.0060, "Vík í Mýrdal"),
        ] {
            assert_eq!(city_at(latitude, longitude), city);
        }
    }

    #[test]
    fn the_antimeridian_divides_nothing() {
        let (savusavu, tubou) = (at(-16.78, 179.35).unwrap(), at(-18.23, -178.8).unwrap());
        assert_eq!((savusavu.city.as_str(), tubou.city.as_str()), ("Savusavu", "Tubou"));
        assert_eq!((savusavu.country.as_str(), tubou.country.as_str()), ("Fiji", "Fiji"));
        // In Chukotka, where a degree is 45 km.
        for longitude in [-179.2, -179.99, -180.0, 180.0, 179.95] {
            assert_eq!(city_at(66.3, longitude), "Egvekinot", "{longitude}");
        }
    }

    #[test]
    fn nothing_is_near_the_poles_and_the_open_sea_and_nonsense_is_nowhere() {
        for (latitude, longitude) in [
            (90.0, 0.0),
            (-90.0, 120.0),
            (89.999, 180.0),
            (35.0, -40.0),
            (0.0, 0.0),
            (-48.9, -123.4),
            (90.1, 0.0),
            (0.0, 180.1),
            (f64::NAN, 4.5),
            (52.0, f64::NAN),
            (f64::INFINITY, 0.0),
            (0.0, f64::NEG_INFINITY),
        ] {
            assert_eq!(at(latitude, longitude), None, "{latitude} {longitude}");
        }
    }

    #[test]
    fn a_name_finds_its_place_in_other_languages_too() {
        for (name, city, country) in [
            ("Lisbon", "Lisbon", "Portugal"),
            ("lissabon", "Lisbon", "Portugal"),
            ("LISBOA", "Lisbon", "Portugal"),
            ("Cologne", "Köln", "Germany"),
            ("koeln", "Köln", "Germany"),
            ("Munich", "Munich", "Germany"),
            ("München", "Munich", "Germany"),
            ("muenchen", "Munich", "Germany"),
            ("Praha", "Prague", "Czechia"),
            ("Londres", "London", "United Kingdom"),
            ("Den Haag", "The Hague", "Netherlands"),
            ("Firenze", "Florence", "Italy"),
            ("Warszawa", "Warsaw", "Poland"),
            ("Kobenhavn", "Copenhagen", "Denmark"),
            ("Luzern", "Luzern", "Switzerland"),
            ("Lucerne", "Luzern", "Switzerland"),
            ("zandvoort", "Zandvoort", "Netherlands"),
            ("Kreuzberg", "Kreuzberg", "Germany"),
            ("St. Petersburg", "Saint Petersburg", "Russia"),
            ("NYC", "New York City", "United States"),
            ("New York", "New York City", "United States"),
            ("York", "York", "United Kingdom"),
            ("Frankfurt", "Frankfurt am Main", "Germany"),
            ("Venedig", "Venice", "Italy"),
            ("Meran", "Merano", "Italy"),
            ("Ypres", "Ieper", "Belgium"),
            ("Mallorca", "Palma", "Spain"),
            ("Bali", "Denpasar", "Indonesia"),
        ] {
            let place = find(name).into_iter().next().unwrap_or_else(|| panic!("{name} is not found"));
            assert_eq!((place.city.as_str(), place.country.as_str()), (city, country), "{name}");
        }
        assert!(find("Atlantis is not a place").is_empty());
        assert!(find("").is_empty() && find(" , ").is_empty() && find(", Texas").is_empty());
    }

    #[test]
    fn countries_and_regions_are_found_as_a_whole() {
        for (name, whole) in [
            ("Portugal", ", , Portugal"),
            ("Deutschland", ", , Germany"),
            ("USA", ", , United States"),
            ("UK", ", , United Kingdom"),
            ("Holland", ", , Netherlands"),
            ("Österreich", ", , Austria"),
            ("Tuscany", ", Tuscany, Italy"),
            ("Toscana", ", Tuscany, Italy"),
            ("Kreta", ", Crete, Greece"),
            ("Bayern", ", Bavaria, Germany"),
            ("California", ", California, United States"),
            ("Georgia", ", , Georgia"),
            ("Georgia, USA", ", Georgia, United States"),
        ] {
            assert_eq!(first(name), whole, "{name}");
        }
        let portugal = &find("Portugal")[0];
        assert_eq!(city_at(portugal.latitude, portugal.longitude), "Lisbon");
        assert!(portugal.population > 9_000_000);
        assert!((10_000_000..16_000_000).contains(&find("Bavaria")[0].population));
    }

    #[test]
    fn ambiguous_names_are_narrowed_by_qualifiers() {
        assert_eq!(first("Paris"), "Paris, Île-de-France, France");
        let all = find("paris");
        assert!(all.len() > 5 && all.iter().all(|place| place.city.starts_with("Paris")));
        for texas in ["Paris, Texas", "paris,tx", "Paris, TX, USA", "Paris, Texas, United States"] {
            assert_eq!(first(texas), "Paris, Texas, United States");
        }
        assert!(find("Paris, US").iter().all(|place| place.country == "United States"));
        assert_eq!(first("Lisbon, Portugal"), "Lisbon, Lisbon, Portugal");
        assert_eq!(first("Lisbon, US"), "Lisbon, Maine, United States");
        assert_eq!(first("London, ON"), "London, Ontario, Canada");
        assert_eq!(first("London, Canada"), "London, Ontario, Canada");
        assert_eq!(first("Kreuzberg, Berlin"), "Kreuzberg, Berlin, Germany");
        assert!(find("Paris, Japan").is_empty());
    }

    #[test]
    fn every_place_is_at_its_coordinates_or_a_more_populous_neighbour_is() {
        let atlas = ATLAS.as_ref().unwrap();
        let mut others = 0;
        for line in 0..atlas.lines() {
            let atlas::Named::Settlement(_) = atlas.named(line) else { continue };
            let place = atlas.place(atlas.named(line)).unwrap();
            let there = at(place.latitude, place.longitude).unwrap();
            assert!(there == place || there.population >= place.population, "{place:?} {there:?}");
            others += usize::from(there != place);
        }
        assert!(others < atlas.lines() / 4, "{others} of {}", atlas.lines());
    }

    #[test]
    fn distances_are_those_of_a_sphere() {
        assert!((distance((52.37, 4.53), (52.37, 4.53))).abs() < 1e-9);
        // Lisbon to Sydney, Paris to London, and half around the earth.
        assert!((distance((38.7223, -9.1393), (-33.8688, 151.2093)) - 18_180.0).abs() < 20.0);
        assert!((distance((48.8566, 2.3522), (51.5074, -0.1278)) - 343.5).abs() < 1.0);
        assert!((distance((0.0, 0.0), (0.0, 180.0)) - std::f64::consts::PI * RADIUS).abs() < 1e-6);
        assert!((distance((-16.8, 179.99), (-16.8, -179.99)) - 2.129).abs() < 0.01);
        assert!(distance((f64::NAN, 0.0), (0.0, 0.0)).is_nan());
    }

    proptest! {
        #[test]
        fn any_coordinates_and_any_names_do_no_harm(latitude: f64, longitude: f64, name: String) {
            prop_assert!(at(latitude, longitude).is_none_or(|place| !place.city.is_empty()));
            prop_assert!(at(latitude % 90.0, longitude % 180.0).is_none_or(|place| !place.city.is_empty()));
            for place in find(&name) {
                prop_assert!(!place.country.is_empty());
            }
        }
    }
}
