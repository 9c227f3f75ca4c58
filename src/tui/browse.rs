//! The place to begin from, and to browse by folder and by month: lists of what can be asked for, with counts.

use super::source::{Seek, Source};
use super::state::State;
use crate::terminal::text::count;
use snapseek_index::query::quoted;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Most recent searches, albums and clusters that are listed each.
const MOST: usize = 12;

/// What is browsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BrowseKind {
    /// Photos of this day, saved and recent searches, albums, clusters.
    #[default]
    Start,
    /// The folders.
    Folders,
    /// Years and months.
    Time,
}

impl BrowseKind {
    /// All of them, with their names.
    pub const ALL: [(Self, &str); 3] = [(Self::Start, "Start"), (Self::Folders, "Folders"), (Self::Time, "Timeline")];
}

/// What is browsed, and where.
#[derive(Clone, Debug, Default)]
pub struct Browse {
    /// What is listed.
    pub kind: BrowseKind,
    /// The folders that files lie in, with how many; `None` while they are counted.
    pub folders: Option<Vec<(String, u64)>>,
    /// Months with how many photos were taken in each, the newest first.
    pub months: Option<Vec<(String, u64)>>,
    /// The photos that were taken on this day of other years.
    pub today: Option<Vec<i64>>,
    /// The rows whose parts are listed: paths of folders, and years.
    pub open: HashSet<String>,
    /// The position of the selected row.
    pub at: usize,
    /// The row whose covers are known or asked for, and they.
    pub covers: (String, Vec<i64>),
    /// Generation of the request for covers whose answer is wanted.
    pub generation: u64,
    /// The rows, unless something that they are made of has changed.
    pub rows: Option<Arc<[BrowseRow]>>,
}

/// A row of a list to browse.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowseRow {
    /// What distinguishes it from the other rows.
    pub key: String,
    /// How many rows it is inside of.
    pub level: usize,
    /// What it is called; foreign text.
    pub name: String,
    /// What stands beside that; foreign text.
    pub beside: String,
    /// How many photos it has, if that is known.
    pub photos: Option<u64>,
    /// Whether it has parts.
    pub has_parts: bool,
    /// What it opens; `None` for a heading.
    pub target: Option<Source>,
}

impl BrowseRow {
    fn heading(name: &str) -> Self {
        Self {
            key: format!("heading {name}"),
            level: 0,
            name: name.into(),
            beside: String::new(),
            photos: None,
            has_parts: false,
            target: None,
        }
    }

    fn query(key: String, level: usize, name: &str, photos: Option<u64>, query: String) -> Self {
        let target = Some(Source::Query(Seek::text(query)));
        Self { key, level, name: name.into(), beside: String::new(), photos, has_parts: false, target }
    }
}

impl State {
    /// The rows of the list that is browsed.
    #[must_use]
    pub fn browse_rows(&self) -> Arc<[BrowseRow]> {
        if let Some(rows) = &self.browse.rows {
            return rows.clone();
        }
        let rows = match self.browse.kind {
            BrowseKind::Start => self.start_rows(),
            BrowseKind::Folders => folder_rows(self.browse.folders.as_deref().unwrap_or_default(), &self.browse.open),
            BrowseKind::Time => month_rows(self.browse.months.as_deref().unwrap_or_default(), &self.browse.open),
        };
        rows.into()
    }

    /// Keeps the rows until something changes: they are looked up several times for each frame.
    pub fn keep_rows(&mut self) {
        if self.browse.rows.is_none() {
            self.browse.rows = Some(self.browse_rows());
        }
    }

    fn start_rows(&self) -> Vec<BrowseRow> {
        let mut rows = Vec::new();
        let mut section = |name: &str, inside: Vec<BrowseRow>| {
            if !inside.is_empty() {
                rows.push(BrowseRow::heading(name));
                rows.extend(inside);
            }
        };
        let today = self.browse.today.as_deref().unwrap_or_default();
        if !today.is_empty() {
            let ids: Arc<[i64]> = today.into();
            let target = Some(Source::Chosen { title: "on this day".into(), ids });
            let photos = u64::try_from(today.len()).ok();
            let name = "On this day, in other years".to_owned();
            let key = "today".to_owned();
            let row = BrowseRow { key, level: 1, name, beside: String::new(), photos, has_parts: false, target };
            section("Today", vec![row]);
        }
        let saved = self.searches.iter().map(|search| BrowseRow {
            beside: search.query.clone(),
            ..BrowseRow::query(format!("saved {}", search.name), 1, &search.name, None, search.query.clone())
        });
        section("Saved searches", saved.collect());
        let recent = self.search.history.iter().rev().take(MOST);
        let recent = recent.map(|query| BrowseRow::query(format!("recent {query}"), 1, query, None, query.clone()));
        section("Recent searches", recent.collect());
        let albums = self.albums.iter().take(MOST).map(|album| {
            let query = format!("album:{} ", quoted(&album.name));
            BrowseRow::query(format!("album {}", album.name), 1, &album.name, Some(album.photos), query)
        });
        section("Albums", albums.collect());
        let groups = self.clusters.groups.iter().flat_map(|groups| &groups.groups).take(MOST);
        let clusters = groups.map(|group| BrowseRow {
            beside: group.keywords.join(", "),
            ..BrowseRow::query(
                format!("cluster {}", group.name),
                1,
                &group.name,
                Some(group.photos),
                format!("cluster:{} ", quoted(&group.name)),
            )
        });
        section("Clusters", clusters.collect());
        rows
    }

    /// What is said where there are no rows.
    #[must_use]
    pub fn browse_emptiness(&self) -> String {
        match self.browse.kind {
            BrowseKind::Start => {
                let key = self.options.keymap.keys_of("save-search");
                format!("Nothing to begin from yet: {key} in Search saves a search.")
            }
            BrowseKind::Folders if self.browse.folders.is_none() => "counting".into(),
            BrowseKind::Time if self.browse.months.is_none() => "counting".into(),
            BrowseKind::Folders => "There are no photos yet.".into(),
            BrowseKind::Time => "No photo says when it was taken.".into(),
        }
    }
}

/// The folders as a tree, with how many photos are in each and below. Folders that have only one folder and nothing else
/// are not worth a row.
fn folder_rows(folders: &[(String, u64)], open: &HashSet<String>) -> Vec<BrowseRow> {
    let mut below: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (folder, photos) in folders {
        below.entry(folder.clone()).or_default().1 += photos;
        let mut at = folder.as_str();
        loop {
            let is_new = {
                let counts = below.entry(at.to_owned()).or_default();
                counts.0 += photos;
                counts.0 == *photos
            };
            let Some((parent, _)) = at.rsplit_once('/').filter(|_| !at.is_empty()) else { break };
            if is_new && !children.get(parent).is_some_and(|known| known.iter().any(|child| child == at)) {
                children.entry(parent.to_owned()).or_default().push(at.to_owned());
            }
            at = parent;
        }
    }
    let mut rows = Vec::new();
    let own = |folder: &str| below.get(folder).map_or(0, |(_, own)| *own);
    let parts = |folder: &str| children.get(folder).map(Vec::as_slice).unwrap_or_default();
    // From the root down to where folders begin to differ.
    let mut top = String::new();
    while let ([only], 0) = (parts(&top), own(&top)) {
        top.clone_from(only);
    }
    let mut waiting: Vec<(String, usize)> = match (top.is_empty(), own(&top) > 0 || !parts(&top).is_empty()) {
        (_, false) => Vec::new(),
        (true, _) => parts("").iter().rev().map(|folder| (folder.clone(), 0)).collect(),
        (false, _) => vec![(top.clone(), 0)],
    };
    while let Some((folder, level)) = waiting.pop() {
        let name = if level == 0 { folder.as_str() } else { folder.rsplit('/').next().unwrap_or(&folder) };
        let photos = below.get(&folder).map(|(all, _)| *all);
        let mut inside = parts(&folder).to_vec();
        inside.sort();
        // What lies in the folder itself is part of what is below it.
        let query = format!("path:{} ", quoted(&format!("{folder}/")));
        rows.push(BrowseRow {
            has_parts: !inside.is_empty(),
            ..BrowseRow::query(folder.clone(), level, name, photos, query)
        });
        if open.contains(&folder) || level == 0 && folder == top && !open.contains(&format!("closed {folder}")) {
            waiting.extend(inside.into_iter().rev().map(|child| (child, level + 1)));
        }
    }
    rows
}

/// Years with how many photos were taken in each; the months of those that are open.
fn month_rows(months: &[(String, u64)], open: &HashSet<String>) -> Vec<BrowseRow> {
    let mut rows: Vec<BrowseRow> = Vec::new();
    let mut years: Vec<(&str, u64)> = Vec::new();
    for (month, photos) in months {
        let year = month.get(..4).unwrap_or(month);
        match years.last_mut() {
            Some((last, all)) if *last == year => *all += photos,
            _ => years.push((year, *photos)),
        }
    }
    for (year, photos) in years {
        let inside = months.iter().filter(|(month, _)| month.starts_with(year) && month.len() > 4);
        let row = BrowseRow::query(year.to_owned(), 0, year, Some(photos), format!("taken:{year} "));
        rows.push(BrowseRow { has_parts: inside.clone().next().is_some(), ..row });
        if open.contains(year) {
            rows.extend(inside.map(|(month, photos)| {
                BrowseRow::query(month.clone(), 1, month, Some(*photos), format!("taken:{month} "))
            }));
        }
    }
    rows
}

/// How many photos, for a row.
#[must_use]
pub fn photos(row: &BrowseRow) -> String {
    row.photos.map_or(String::new(), |photos| count(usize::try_from(photos).unwrap_or(usize::MAX), "photo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(list: &[(&str, u64)], open: &[&str]) -> Vec<(usize, String, u64)> {
        let list: Vec<(String, u64)> = list.iter().map(|(folder, photos)| ((*folder).to_owned(), *photos)).collect();
        let open = open.iter().map(|key| (*key).to_owned()).collect();
        folder_rows(&list, &open).into_iter().map(|row| (row.level, row.name, row.photos.unwrap_or(0))).collect()
    }

    #[test]
    fn folders_are_a_tree_from_where_they_differ() {
        let list = [("/home/me/Pictures/2019/rome", 4), ("/home/me/Pictures/2019", 1), ("/home/me/Pictures/2020", 2)];
        let row = |level, name: &str, photos| (level, name.to_owned(), photos);
        let closed = [row(0, "/home/me/Pictures", 7), row(1, "2019", 5), row(1, "2020", 2)];
        assert_eq!(folders(&list, &[]), closed);
        let open = folders(&list, &["/home/me/Pictures/2019"]);
        assert_eq!(open, [&closed[..2], &[row(2, "rome", 4)], &closed[2..]].concat());
        assert_eq!(folders(&list, &["closed /home/me/Pictures"]), closed[..1]);
        assert_eq!(folders(&[("/a/x", 1), ("/b", 2)], &[]), [row(0, "/a", 1), row(0, "/b", 2)]);
        assert_eq!(folders(&[("/a", 3)], &[]), [row(0, "/a", 3)]);
        assert!(folders(&[], &[]).is_empty());
    }

    #[test]
    fn months_are_listed_in_years_that_are_open() {
        let months: Vec<(String, u64)> =
            [("2021-07", 2), ("2021-01", 1), ("2021", 4), ("2019-12", 3)].map(|(m, n)| (m.to_owned(), n)).into();
        let names = |open: &[&str]| -> Vec<(String, Option<u64>)> {
            let open = open.iter().map(|key| (*key).to_owned()).collect();
            month_rows(&months, &open).into_iter().map(|row| (row.name, row.photos)).collect()
        };
        assert_eq!(names(&[]), [("2021".into(), Some(7)), ("2019".into(), Some(3))]);
        assert_eq!(names(&["2021"])[1..3], [("2021-07".into(), Some(2)), ("2021-01".into(), Some(1))]);
        assert_eq!(names(&["2021"]).len(), 4);
    }
}
