//! Label sets: saved lists of labels to classify photos by.
//!
//! The application makes one classifier for each set and model. With it, this crate can label any photo, new ones
//! included, without running a model: `label:pets=dog` in a query costs dot products and a softmax.

use crate::catalogue::library::Library;
use crate::catalogue::paths::fold;
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, row_checksum, text_of};
use crate::engine::{Database, SqlRow};
use crate::error::{Error, Result};
use crate::escape;
use crate::search::filters::{Clause, Filter};
use crate::search::vectors::{Vectors, cosine};
use rayon::prelude::*;
use rusqlite::{OptionalExtension, params};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Photos whose labels are found at once: their vectors may have to be read first.
const AT_ONCE: usize = 4_096;

/// The most labels that a set may have, and the most background labels.
const MOST_LABELS: usize = 1_000;
/// The most prompt templates that a set may have.
const MOST_TEMPLATES: usize = 100;
/// The most characters that a name, a label or a template may have.
const LONGEST: usize = 200;

/// A saved list of labels, of which a photo gets one or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSet {
    /// Its name; no two sets have names that differ only by case or accents. Foreign text.
    pub name: String,
    /// The labels; foreign text.
    pub labels: Vec<String>,
    /// Labels that compete with the others but mean "none of these".
    pub background: Vec<String>,
    /// Prompt templates with `{}` where the label goes; if empty, those that suit the model are used.
    pub templates: Vec<String>,
    /// A photo whose likeliest label has a lower probability gets no label; from 0 to 1.
    pub threshold: f32,
}

/// A label set in the space of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// Factor of the cosines before the softmax; greater than 0.
    pub scale: f32,
    /// One unit vector for each label, then for each background label: (labels, dimensions of the model), row by row.
    pub rows: Vec<f32>,
}

impl Classifier {
    /// Scale times cosine of each label and then each background label with the embedding of a photo (a unit vector).
    #[must_use]
    pub fn logits(&self, embedding: &[f32]) -> Vec<f32> {
        self.rows.chunks_exact(embedding.len().max(1)).map(|row| self.scale * cosine(embedding, row)).collect()
    }

    /// The probability of each label and then each background label, for the embedding of a photo (a unit vector): the
    /// softmax of scale times cosine (Radford et al. 2021, section 3.1.2). The probabilities add up to 1.
    #[must_use]
    pub fn probabilities(&self, embedding: &[f32]) -> Vec<f32> {
        let logits = self.logits(embedding);
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| (power / sum) as f32).collect()
    }

    /// Whether its numbers can be used and fit this many labels (background labels included) of a model of `dim`
    /// dimensions.
    fn fits(&self, labels: usize, dim: usize) -> bool {
        let finite = self.scale.is_finite() && self.scale > 0.0 && self.rows.iter().all(|v| v.is_finite());
        finite && labels.checked_mul(dim) == Some(self.rows.len())
    }

    /// As the catalogue stores it: the scale, then the rows.
    fn bytes(&self) -> Vec<u8> {
        std::iter::once(&self.scale).chain(&self.rows).flat_map(|v| v.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8], checksum: i64) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let (scale, rows) = numbers.split_first()?;
        let sound = rest.is_empty() && row_checksum(bytes) == checksum;
        let rows = || rows.iter().map(|b| f32::from_le_bytes(*b)).collect();
        sound.then(|| Self { scale: f32::from_le_bytes(*scale), rows: rows() })
    }
}

impl LabelSet {
    /// The label that a photo with these probabilities ([`Classifier::probabilities`]) gets, as a position in `labels`.
    /// `None` if a background label is likelier, or if the likeliest label's probability is below the threshold.
    #[must_use]
    pub fn choose(&self, probabilities: &[f32]) -> Option<usize> {
        let (best, probability) =
            probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))?;
        (best < self.labels.len() && *probability >= self.threshold).then_some(best)
    }

    /// Refuses a set that cannot be used: with no labels, too many, an empty one, two that differ only by case or
    /// accents, or a single one (which every photo would get); with a template without `{}`; or with a threshold out of
    /// range.
    ///
    /// # Errors
    /// [`Error::Refused`], which says what is wrong.
    pub fn check(&self) -> Result<()> {
        let refused = |reason: String| Err(Error::Refused { what: "the list of labels".into(), reason });
        if self.labels.is_empty() {
            return refused("it is empty".into());
        }
        let mut seen = HashSet::new();
        for (list, what) in [(&self.labels, "labels"), (&self.background, "background labels")] {
            if list.len() > MOST_LABELS {
                return refused(format!("it has {} {what}; {MOST_LABELS} are allowed", list.len()));
            }
            for (n, label) in list.iter().enumerate() {
                check_length("a label", label, LONGEST)?;
                let folded = fold(label);
                if folded.trim().is_empty() {
                    return refused(format!("number {} of its {what} is empty", n + 1));
                }
                if !seen.insert(folded) {
                    return refused(format!("{:?} is in it twice", escape::text(label)));
                }
            }
        }
        if self.labels.len() + self.background.len() < 2 {
            return refused(
                "with only one label, every photo gets it: add another, or a background label for all other photos"
                    .into(),
            );
        }
        if self.templates.len() > MOST_TEMPLATES {
            return refused(format!("it has {} templates; {MOST_TEMPLATES} are allowed", self.templates.len()));
        }
        for template in &self.templates {
            check_length("a template", template, LONGEST)?;
            if !template.contains("{}") {
                return refused(format!(
                    "the template {:?} must contain {{}} where the label goes",
                    escape::text(template)
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            return refused("its threshold is not a number from 0 to 1".into());
        }
        Ok(())
    }

    /// [`LabelSet::check`], and refuses a name that a query cannot contain.
    pub(crate) fn check_all(&self) -> Result<()> {
        self.check()?;
        check_name(&self.name)
    }
}

impl Library {
    /// Stores a label set under its name, and returns the set that had the name before. The classifiers of that set are
    /// deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] for a set that cannot be used ([`LabelSet::check`]) or a name that a query cannot contain; or
    /// the catalogue cannot be written.
    pub fn save_label_set(&self, set: &LabelSet) -> Result<Option<LabelSet>> {
        set.check_all()?;
        self.write(|db| put(db, set, None))
    }

    /// The label sets, by name.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn label_sets(&self) -> Result<Vec<LabelSet>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM label_set ORDER BY folded"))?;
            let rows = statement.query_map([], |row| Ok(set_of(row)?.1))?;
            rows.collect()
        })
    }

    /// The label set of this name; case and accents are ignored.
    ///
    /// # Errors
    /// [`Error::NoLabelSet`], [`Error::DamagedLabelSet`], or the catalogue cannot be read.
    pub fn label_set(&self, name: &str) -> Result<LabelSet> {
        let Some((_, set)) = self.sql(|db| read(db, name))? else { return Err(self.no_label_set(name)?) };
        if set.check().is_err() {
            return Err(Error::DamagedLabelSet { name: set.name });
        }
        Ok(set)
    }

    /// Deletes a label set.
    ///
    /// # Errors
    /// [`Error::NoLabelSet`], or the catalogue cannot be written.
    pub fn delete_label_set(&self, name: &str) -> Result<()> {
        let deleted = self.write(|db| db.execute("DELETE FROM label_set WHERE folded = ?1", [fold(name)]))?;
        if deleted > 0 { Ok(()) } else { Err(self.no_label_set(name)?) }
    }

    /// The classifier of a saved set by the texts of the model with this fingerprint, for embeddings of `dim` numbers;
    /// `None` if it has not been made yet or is damaged: it can be made again.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn classifier(&self, set: &LabelSet, fingerprint: &str, dim: usize) -> Result<Option<Classifier>> {
        let kept = self.sql(|db| {
            db.prepare_cached(
                "SELECT c.data, c.checksum FROM classifier c JOIN label_set s ON s.id = c.label_set
                 WHERE s.folded = ?1 AND c.fingerprint = ?2",
            )?
            .query_row(params![fold(&set.name), fingerprint], |row| {
                Ok(Classifier::from_bytes(row.get_ref(0)?.as_blob()?, row.get(1)?))
            })
            .optional()
        })?;
        let labels = set.labels.len() + set.background.len();
        Ok(kept.flatten().filter(|classifier| classifier.fits(labels, dim)))
    }

    /// Stores the classifier of a saved set by the texts of the model with this fingerprint, unless the set has changed
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::Refused`] for one that does not fit the set or has unusable numbers, or the catalogue cannot be
    /// written.
    pub fn save_classifier(&self, set: &LabelSet, fingerprint: &str, classifier: &Classifier) -> Result<()> {
        let labels = set.labels.len() + set.background.len();
        if labels == 0 || !classifier.fits(labels, classifier.rows.len() / labels) {
            let what = format!("the classifier of {:?}", escape::text(&set.name));
            return Err(Error::Refused {
                what,
                reason: "it does not fit the labels, or contains numbers that cannot be used".into(),
            });
        }
        let bytes = classifier.bytes();
        self.write(|db| {
            if let Some((id, kept)) = read(db, &set.name)?
                && kept == *set
            {
                db.execute(
                    "INSERT OR REPLACE INTO classifier (label_set, fingerprint, checksum, data) VALUES (?1, ?2, ?3, ?4)",
                    params![id, fingerprint, row_checksum(&bytes), bytes],
                )?;
                seal::CLASSIFIER.seal(db, "label_set = ?1 AND fingerprint = ?2", params![id, fingerprint])?;
            }
            Ok(())
        })
    }

    fn no_label_set(&self, name: &str) -> Result<Error> {
        let known = self.label_sets()?.into_iter().map(|set| set.name).collect();
        Ok(Error::NoLabelSet { name: name.to_owned(), known })
    }
}

/// What the label clauses of a query ask of a photo: one filter for each set.
pub(crate) struct LabelFilter {
    set: LabelSet,
    classifier: Classifier,
    /// The label asked for (`None`: any) and whether the photo must not have it.
    asked: Vec<(Option<usize>, bool)>,
}

impl LabelFilter {
    /// The filters of all label clauses, one for each set, with its classifier for the library's model.
    pub(crate) fn of(library: &Library, clauses: &[Clause]) -> Result<Vec<Self>> {
        let mut filters: HashMap<String, Self> = HashMap::new();
        for clause in clauses {
            let Filter::Label { set: name, label } = &clause.filter else { continue };
            let filter = match filters.entry(fold(name)) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let set = library.label_set(name)?;
                    let model = library.model()?.ok_or(Error::NoModel)?;
                    let texts = library.text_model(&model)?.map_or(model.fingerprint, |texts| texts.fingerprint);
                    let classifier = library.classifier(&set, &texts, model.dim)?;
                    let Some(classifier) = classifier else { return Err(Error::NoClassifier { name: set.name }) };
                    entry.insert(Self { set, classifier, asked: Vec::new() })
                }
            };
            let asked = label.as_ref().map(|label| filter.position(label)).transpose()?;
            filter.asked.push((asked, clause.exclude));
        }
        Ok(filters.into_values().collect())
    }

    fn position(&self, label: &str) -> Result<usize> {
        let folded = fold(label);
        self.set.labels.iter().position(|known| fold(known) == folded).ok_or_else(|| Error::NoLabel {
            name: label.to_owned(),
            set: self.set.name.clone(),
            known: self.set.labels.clone(),
        })
    }

    /// Keeps the photos that satisfy the clauses, and returns the probabilities of the labels that are asked for. A
    /// photo without an embedding has no label.
    pub(crate) fn retain(
        &self,
        ids: &mut Vec<i64>,
        db: &Database,
        vectors: Option<&Vectors>,
    ) -> rusqlite::Result<Vec<(i64, f32)>> {
        let look = |(id, row): &(i64, Option<Cow<'_, [f32]>>)| {
            let label = row.as_deref().and_then(|row| {
                let probabilities = self.classifier.probabilities(row);
                let label = self.set.choose(&probabilities)?;
                Some((label, probabilities.get(label).copied()?))
            });
            let has = |asked: &Option<usize>| label.is_some_and(|(label, _)| asked.is_none_or(|asked| label == asked));
            let passes = self.asked.iter().all(|(asked, exclude)| has(asked) != *exclude);
            passes.then_some((*id, label.map(|(_, probability)| probability)))
        };
        let mut kept: Vec<(i64, Option<f32>)> = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let row = |id: &i64| -> rusqlite::Result<(i64, Option<Cow<'_, [f32]>>)> {
                Ok((*id, vectors.map(|vectors| vectors.row(db, *id)).transpose()?.flatten()))
            };
            let rows = some.iter().map(row).collect::<rusqlite::Result<Vec<_>>>()?;
            kept.par_extend(rows.par_iter().filter_map(look));
        }
        *ids = kept.iter().map(|(id, _)| *id).collect();
        let wanted = self.asked.iter().any(|(_, exclude)| !exclude);
        Ok(kept.into_iter().filter_map(|(id, probability)| Some((id, probability.filter(|_| wanted)?))).collect())
    }
}

/// Stores a set in the place of one of the same name, which it returns; `written` is when, in seconds since 1970, if
/// not now.
pub(crate) fn put(db: &Database, set: &LabelSet, written: Option<i64>) -> rusqlite::Result<Option<LabelSet>> {
    let json = |list: &[String]| serde_json::to_string(list).unwrap_or_default();
    let before = read(db, &set.name)?.map(|(_, set)| set);
    db.execute("DELETE FROM label_set WHERE folded = ?1", [fold(&set.name)])?;
    db.execute(
        "INSERT INTO label_set (name, folded, labels, background, templates, threshold, written)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, unixepoch()))",
        params![
            set.name,
            fold(&set.name),
            json(&set.labels),
            json(&set.background),
            json(&set.templates),
            set.threshold,
            written
        ],
    )?;
    seal::LABEL_SET.seal(db, "folded = ?1", [fold(&set.name)])?;
    Ok(before)
}

pub(crate) const COLUMNS: &str = "id, name, labels, background, templates, threshold";
/// How many they are.
pub(crate) const WIDTH: usize = 6;

fn read(db: &Database, name: &str) -> rusqlite::Result<Option<(i64, LabelSet)>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM label_set WHERE folded = ?1"))?
        .query_row([fold(name)], set_of)
        .optional()
}

/// Reads a label set from [`COLUMNS`]. A damaged list is read as empty, which [`LabelSet::check`] refuses for labels.
pub(crate) fn set_of(row: &SqlRow<'_>) -> rusqlite::Result<(i64, LabelSet)> {
    let list = |at| Ok::<_, rusqlite::Error>(serde_json::from_str(&text_of(row, at)?).unwrap_or_default());
    let set = LabelSet {
        name: text_of(row, 1)?,
        labels: list(2)?,
        background: list(3)?,
        templates: list(4)?,
        threshold: row.get(5)?,
    };
    Ok((row.get(0)?, set))
}

/// Refuses names that a query cannot contain.
fn check_name(name: &str) -> Result<()> {
    let refused = |reason: &str| Err(Error::Refused { what: "the name of a label set".into(), reason: reason.into() });
    check_length("the name of a label set", name, LONGEST)?;
    if fold(name).trim().is_empty() || name.trim() != name {
        return refused("it is empty, or starts or ends with a space");
    }
    if name.contains(['=', '"']) || name.contains(char::is_control) {
        return refused("it holds =, \" or a control character, which the NAME in label:NAME=LABEL cannot contain");
    }
    Ok(())
}

/// Set and fingerprint of the classifiers whose checksum or length is wrong.
pub(crate) fn damaged_classifiers(db: &Database) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = db.prepare("SELECT label_set, fingerprint, data, checksum FROM classifier")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        if Classifier::from_bytes(row.get_ref(2)?.as_blob()?, row.get(3)?).is_none() {
            damaged.push((row.get(0)?, text_of(&row, 1)?));
        }
    }
    Ok(damaged)
}
