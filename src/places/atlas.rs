//! The data unpacked: countries, their regions, and the settlements in those, with the tree that finds the nearest.

use super::NamedPlace;
use super::tree::{Disc, DiscTree, position};
use flate2::read::ZlibDecoder;
use std::io::Read;
use std::iter;
use std::ops::Range;

/// How far in km a settlement may be from what is named after it.
const FARTHEST: f32 = 50.0;

/// What has names, by its number among its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Country(usize),
    Region(usize),
    Settlement(usize),
}

/// All places.
#[derive(Debug)]
pub(super) struct Atlas {
    /// A line for each country, then for each region, then for each settlement, without their ends.
    text: String,
    /// Where each line ends.
    ends: Vec<u32>,
    countries: Vec<CountryRow>,
    regions: Vec<RegionRow>,
    settlements: Vec<Settlement>,
    tree: DiscTree,
}

#[derive(Debug)]
struct CountryRow {
    population: u32,
    settlements: Range<usize>,
}

#[derive(Debug)]
struct RegionRow {
    country: u32,
    settlements: Range<usize>,
}

#[derive(Debug)]
struct Settlement {
    /// In thousandths of a degree.
    latitude: i32,
    longitude: i32,
    region: u32,
    /// The city that it is a part of, or itself.
    city: u32,
    population: u32,
}

impl Atlas {
    /// Unpacks what `scripts/make-places.py` packed; `None` if anything about it is wrong.
    pub(super) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut bytes = Vec::with_capacity(3 * packed.len());
        ZlibDecoder::new(packed).read_to_end(&mut bytes).ok()?;
        let mut bytes = Unread(&bytes);
        let [text, countries, regions, settlements, parts] = bytes.sizes()?;
        let text = std::str::from_utf8(bytes.take(text)?).ok()?.to_owned();
        let ends: Vec<u32> = (0..).zip(text.bytes()).filter(|(_, byte)| *byte == b'\n').map(|(end, _)| end).collect();

        let people = bytes.take(countries.checked_mul(4)?)?.as_chunks().0.iter();
        let people: Vec<u32> = people.map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let in_country = bytes.column(countries)?;
        let in_region = bytes.column(regions)?;
        let latitudes = bytes.column(settlements)?;
        let longitudes = bytes.column(settlements)?;
        let (parts, cities) = (bytes.column(parts)?, bytes.column(parts)?);
        let levels = bytes.take(settlements)?;
        let whole = ends.len() == countries + regions + settlements && text.ends_with('\n') && bytes.0.is_empty();

        let region_ranges = ranges(&in_region, settlements)?;
        let (mut rows, mut countries) = (Vec::with_capacity(regions), Vec::with_capacity(countries));
        for ((of_country, population), country) in ranges(&in_country, regions)?.into_iter().zip(people).zip(0..) {
            let inside = region_ranges.get(of_country)?;
            countries.push(CountryRow { population, settlements: inside.first()?.start..inside.last()?.end });
            rows.extend(inside.iter().map(|settlements| RegionRow { country, settlements: settlements.clone() }));
        }

        let scale: Vec<u32> = populations().collect();
        let of_region = region_ranges.iter().zip(0..).flat_map(|(range, region)| iter::repeat_n(region, range.len()));
        let coordinates = latitudes.into_iter().zip(longitudes).zip(of_region);
        let mut settlements = Vec::with_capacity(settlements);
        for ((((latitude, longitude), region), level), city) in coordinates.zip(levels).zip(0..) {
            let population = *scale.get(usize::from(*level))?;
            settlements.push(Settlement { latitude, longitude, region, city, population });
        }
        for (part, city) in parts.into_iter().zip(cities) {
            let city = usize::try_from(city).ok().filter(|city| *city < settlements.len())?;
            settlements.get_mut(usize::try_from(part).ok()?)?.city = city as u32;
        }

        let tree = tree(&settlements, levels);
        whole.then_some(Self { text, ends, countries, regions: rows, settlements, tree })
    }

    /// The settlement, never a part of one, whose edge is nearest.
    pub(super) fn nearest(&self, latitude: f64, longitude: f64) -> Option<usize> {
        self.tree.nearest(&position(latitude, longitude), FARTHEST).map(|disc| disc.place as usize)
    }

    /// How many lines of names there are.
    pub(super) fn lines(&self) -> usize {
        self.ends.len()
    }

    /// What a line has the names of.
    pub(super) fn named(&self, line: usize) -> Named {
        let (countries, regions) = (self.countries.len(), self.regions.len());
        match line {
            _ if line < countries => Named::Country(line),
            _ if line < countries + regions => Named::Region(line - countries),
            _ => Named::Settlement(line - countries - regions),
        }
    }

    /// Its names, with the one that is shown first. None for what has no name.
    pub(super) fn names(&self, entry: Named) -> impl Iterator<Item = &str> {
        let codes = usize::from(!matches!(entry, Named::Settlement(_)));
        self.line(entry).split('\t').skip(codes).filter(|name| !name.is_empty())
    }

    /// The codes that are written for a country or a region.
    pub(super) fn codes(&self, entry: Named) -> impl Iterator<Item = &str> {
        let codes = match entry {
            Named::Settlement(_) => None,
            _ => self.line(entry).split('\t').next(),
        };
        codes.unwrap_or_default().split(',')
    }

    /// What it lies in, the smallest first.
    pub(super) fn around(&self, entry: Named) -> impl Iterator<Item = Named> {
        let (city, region, country) = match entry {
            Named::Country(_) => (None, None, None),
            Named::Region(region) => (None, None, self.regions.get(region).map(|region| region.country)),
            Named::Settlement(number) => {
                let settlement = self.settlements.get(number);
                let region = settlement.map(|settlement| settlement.region);
                let country = region.and_then(|region| self.regions.get(region as usize)).map(|region| region.country);
                let city = settlement.map(|settlement| settlement.city).filter(|city| *city as usize != number);
                (city, region, country)
            }
        };
        let city = city.map(|city| Named::Settlement(city as usize));
        let region = region.map(|region| Named::Region(region as usize));
        city.into_iter().chain(region).chain(country.map(|country| Named::Country(country as usize)))
    }

    /// A settlement by its number.
    pub(super) fn settlement(&self, number: usize) -> Option<NamedPlace> {
        self.place(Named::Settlement(number))
    }

    /// What there is to say about it.
    pub(super) fn place(&self, entry: Named) -> Option<NamedPlace> {
        let (at, population) = match entry {
            Named::Country(country) => {
                let country = self.countries.get(country)?;
                (self.largest(&country.settlements)?, country.population)
            }
            Named::Region(region) => {
                let inside = &self.regions.get(region)?.settlements;
                let whole = self.settlements.get(inside.clone())?.iter().zip(inside.clone());
                let whole = whole.filter(|(settlement, number)| settlement.city as usize == *number);
                (self.largest(inside)?, whole.map(|(settlement, _)| settlement.population).fold(0, u32::saturating_add))
            }
            Named::Settlement(number) => {
                let settlement = self.settlements.get(number)?;
                (settlement, settlement.population)
            }
        };
        let (latitude, longitude) = at.coordinates();
        let (mut city, mut region, mut country) = (None, None, None);
        for entry in iter::once(entry).chain(self.around(entry)) {
            let name = self.names(entry).next().map(str::to_owned);
            match entry {
                Named::Country(_) => country = name,
                Named::Region(_) => region = name,
                // The first is the part, the second the city that it is a part of.
                Named::Settlement(_) => city = city.or(name),
            }
        }
        Some(NamedPlace { city: city.unwrap_or_default(), region, country: country?, latitude, longitude, population })
    }

    fn largest(&self, among: &Range<usize>) -> Option<&Settlement> {
        self.settlements.get(among.clone())?.iter().max_by_key(|settlement| settlement.population)
    }

    fn line(&self, entry: Named) -> &str {
        let line = match entry {
            Named::Country(country) => country,
            Named::Region(region) => self.countries.len() + region,
            Named::Settlement(number) => self.countries.len() + self.regions.len() + number,
        };
        let start = line.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize + 1);
        let end = self.ends.get(line).map_or(start, |end| *end as usize);
        self.text.get(start..end).unwrap_or_default()
    }
}

impl Settlement {
    fn coordinates(&self) -> (f64, f64) {
        (f64::from(self.latitude) / 1000.0, f64::from(self.longitude) / 1000.0)
    }
}

/// How far in km from its middle people say that they are in a place of so many inhabitants. Cities of more than 5
/// million are denser, or have parts, which have a reach of their own.
fn reach(population: u32) -> f32 {
    (8.0 * (f64::from(population) / 1e6).powf(0.4)).min(15.0) as f32
}

/// The tree of the settlements, with the discs of parts as discs of their city.
fn tree(settlements: &[Settlement], levels: &[u8]) -> DiscTree {
    let reaches: Vec<f32> = populations().map(reach).collect();
    let discs = settlements.iter().zip(levels).map(|(settlement, level)| {
        let (latitude, longitude) = settlement.coordinates();
        let reach = reaches.get(usize::from(*level)).copied().unwrap_or_default();
        Disc { position: position(latitude, longitude), reach, place: settlement.city }
    });
    DiscTree::new(discs.collect())
}

/// How many inhabitants each level stands for: 0 for unknown, then from 100 on in steps of 11 %.
fn populations() -> impl Iterator<Item = u32> {
    let steps = iter::successors(Some(100.0_f64), |people| Some(people * 1.11));
    iter::once(0).chain(steps.map(|people| people.round() as u32)).take(256)
}

/// Consecutive ranges of these lengths, if that makes `whole`.
fn ranges(lengths: &[i32], whole: usize) -> Option<Vec<Range<usize>>> {
    let mut end = 0_usize;
    let mut ranges = Vec::with_capacity(lengths.len());
    for length in lengths {
        let start = end;
        end = start.checked_add(usize::try_from(*length).ok()?)?;
        ranges.push(start..end);
    }
    (end == whole).then_some(ranges)
}

/// What has not been read yet.
struct Unread<'b>(&'b [u8]);

impl<'b> Unread<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn sizes(&mut self) -> Option<[usize; 5]> {
        let (numbers, _) = self.take(20)?.as_chunks::<4>();
        let numbers: &[[u8; 4]; 5] = numbers.try_into().ok()?;
        Some(numbers.map(|bytes| u32::from_le_bytes(bytes) as usize))
    }

    /// Numbers that are kept as differences (zigzag), in a plane of low, one of middle and one of high bytes.
    fn column(&mut self, count: usize) -> Option<Vec<i32>> {
        let planes = self.take(count)?.iter().zip(self.take(count)?).zip(self.take(count)?);
        let differences = planes.map(|((low, middle), high)| {
            let zigzag = i32::from_le_bytes([*low, *middle, *high, 0]);
            (zigzag >> 1) ^ -(zigzag & 1)
        });
        let sums = differences.scan(0_i32, |sum, difference| {
            *sum = sum.wrapping_add(difference);
            Some(*sum)
        });
        Some(sums.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::PACKED;
    use super::*;

    #[test]
    fn the_data_unpack_whole() {
        let atlas = Atlas::unpack(PACKED).unwrap();
        assert!(atlas.settlements.len() > 150_000 && atlas.regions.len() > 3500 && atlas.countries.len() > 240);
        for settlement in &atlas.settlements {
            assert!(settlement.latitude.abs() <= 90_000 && settlement.longitude.abs() <= 180_000);
            let city = &atlas.settlements[settlement.city as usize];
            assert_eq!(atlas.settlements[city.city as usize].city, settlement.city, "a city is not a part");
            assert!(city.population >= settlement.population);
        }
        for line in 0..atlas.lines() {
            let entry = atlas.named(line);
            assert!(atlas.place(entry).is_some(), "{entry:?}");
            let named = atlas.names(entry).next().is_some_and(|name| name.trim() == name);
            assert!(named || matches!(entry, Named::Region(_)), "{entry:?}");
        }
    }

    #[test]
    fn the_nearest_is_that_of_comparing_all() {
        let atlas = Atlas::unpack(PACKED).unwrap();
        // Around every hundredth settlement, and all over the globe.
        let (mut points, mut seed) = (Vec::new(), 1_u64);
        let mut random = |least: f64, most: f64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            least + (most - least) * ((seed >> 11) as f64 / (1_u64 << 53) as f64)
        };
        for settlement in atlas.settlements.iter().step_by(100) {
            let (latitude, longitude) = settlement.coordinates();
            points.push((latitude + random(-0.3, 0.3), longitude + random(-0.3, 0.3)));
        }
        points.extend((0..400).map(|_| (random(-90.0, 90.0), random(-180.0, 180.0))));
        points.extend((0..100).map(|_| (random(50.0, 75.0), random(179.5, 180.5))));
        points.extend([(90.0, 0.0), (-90.0, 0.0), (78.22, 15.65)]);
        let mut found = 0;
        for (latitude, longitude) in points {
            let from = position(latitude, longitude);
            let fast = atlas.tree.nearest(&from, FARTHEST).map(|disc| disc.edge(&from));
            assert_eq!(fast, atlas.tree.slowly_nearest(&from, FARTHEST), "{latitude} {longitude}");
            found += usize::from(fast.is_some());
        }
        assert!(found > 1600, "{found}");
    }

    #[test]
    fn damaged_data_are_refused() {
        assert!(Atlas::unpack(&[]).is_none());
        assert!(Atlas::unpack(&PACKED[..PACKED.len() / 2]).is_none());
        assert!(Atlas::unpack(&PACKED[..PACKED.len() - 1]).is_none());
        let mut whole = Vec::new();
        ZlibDecoder::new(PACKED).read_to_end(&mut whole).unwrap();
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for (at, value) in [(0, 1), (4, 1), (8, 1), (12, 1), (16, 1), (30, 0xff), (line, 1)] {
            let mut damaged = whole.clone();
            damaged[at] ^= value;
            assert!(Atlas::unpack(&pack(&damaged)).is_none(), "byte {at}");
        }
        assert!(Atlas::unpack(&pack(&whole[..whole.len() - 1])).is_none());
    }

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
        packed
    }
}
