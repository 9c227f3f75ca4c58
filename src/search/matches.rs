//! Which results are real matches.
//!
//! Every photo has a cosine with every query, so a ranking alone never says "none". What a cosine means depends on the
//! model: unrelated pairs score around 0.2 with CLIP and around zero with the starter. Therefore the library's photos
//! are scored once with neutral prompts. A match must stand out from these scores and from the scores of the library's
//! photos with this query, and it must not be dwarfed by the best hit. A photo whose tags and names contain every word
//! of the query always matches. A model that was trained to judge each pair by itself (SigLIP) has a say of its own:
//! what it thinks likelier than not is a match, and what it rules out is none. The constants are tuned on
//! fixtures/photos (tests/quality/matches.rs prints the figures).

use crate::model::Embed;
use snapseek_index::{By, Library, RankedPhoto, ScoreStats, SearchRequest};

/// Things that people photograph. No library shows more than a few of them in most of its photos.
const NEUTRAL: [&str; 32] = [
    "a photo",
    "a person",
    "a house",
    "food",
    "a street",
    "a computer",
    "water",
    "a sunny day",
    "a group of friends",
    "words on paper",
    "a car",
    "clothes",
    "the sky",
    "a city at night",
    "a sports event",
    "furniture",
    "a plant",
    "an animal",
    "a toy",
    "a machine",
    "a drink",
    "a road",
    "a mountain",
    "the sea",
    "a garden",
    "a shop",
    "a concert",
    "a meal",
    "a tool",
    "a boat",
    "a child",
    "a bird",
];
/// Standard deviations above the mean of the neutral scores that a match needs.
const OVER_NEUTRAL: f32 = 2.6;
/// Standard deviations above the mean of this query's scores that it also needs, unless it is `SURE`.
const OVER_LIBRARY: f32 = 1.5;
/// Standard deviations above the mean of the neutral scores from which a match need not stand out from this query's
/// scores: a library may be full of what the query asks for.
const SURE: f32 = 4.0;
/// Minimum share of the way from the neutral mean up to the best hit that a match reaches.
const SHARE_OF_BEST: f32 = 0.7;
/// The same for a query that contains a picture, from the mean of its scores: pictures are nearer to each other than
/// texts are to pictures.
const SHARE_OF_BEST_PICTURE: f32 = 0.5;
/// From this probability on, a photo matches.
const LIKELY: f32 = 0.5;
/// Below this one, it does not.
const RULED_OUT: f32 = 0.001;
/// With fewer photos, the spread of the scores means nothing.
const FEW: usize = 20;

/// How the library's photos score with neutral prompts; `None` for a library without photos.
///
/// # Errors
/// The model fails, or the catalogue cannot be read.
pub fn neutral_scores(library: &Library, model: &dyn Embed) -> anyhow::Result<Option<ScoreStats>> {
    let searcher = library.searcher()?;
    let (mut count, mut sum, mut squares) = (0, 0.0_f64, 0.0_f64);
    for vector in model.embed_texts(&NEUTRAL.map(str::to_owned), None)? {
        let request = SearchRequest { vector: Some(vector), by: By::Meaning, limit: 1, ..SearchRequest::default() };
        if let Some(stats) = searcher.search(&request)?.stats {
            let (n, mean, std) = (stats.count as f64, f64::from(stats.mean), f64::from(stats.std));
            count += stats.count;
            sum += n * mean;
            squares += n * (std * std + mean * mean);
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let mean = sum / count as f64;
    let std = (squares / count as f64 - mean * mean).max(0.0).sqrt();
    Ok(Some(ScoreStats { count, mean: mean as f32, std: std as f32 }))
}

/// The rule that decides which hits of one query are matches.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The library's scores with neutral prompts; `None` for a query that contains a picture, to which they do not
    /// apply.
    pub neutral: Option<ScoreStats>,
    /// The library's scores with this query.
    pub library: Option<ScoreStats>,
    /// What makes a probability of a cosine; `None` for a model whose cosines mean nothing by themselves, and for a
    /// query that is more than one text.
    pub sigmoid: Option<Sigmoid>,
}

/// `1 / (1 + exp(-(scale * cosine + bias)))`, as SigLIP was trained with (Zhai et al. 2023, arXiv 2303.15343).
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid {
    /// [`Embed::logit_scale`]
    pub scale: f32,
    /// [`Embed::logit_bias`]
    pub bias: f32,
}

impl Sigmoid {
    /// That of a model, if it has one.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn of(model: &dyn Embed) -> anyhow::Result<Option<Self>> {
        let Some(bias) = model.logit_bias()? else { return Ok(None) };
        Ok(Some(Self { scale: model.logit_scale()?, bias }))
    }

    /// The probability that a photo and a text with this cosine belong together.
    #[must_use]
    pub fn probability(self, cosine: f32) -> f32 {
        (1.0 / (1.0 + (-f64::from(self.scale * cosine + self.bias)).exp())) as f32
    }
}

impl Rule {
    /// Each photo that was found, with whether it is a match.
    #[must_use]
    pub fn matches(&self, found: &[RankedPhoto]) -> Vec<(RankedPhoto, bool)> {
        let best = found.iter().filter_map(|photo| photo.cosine).fold(f32::NEG_INFINITY, f32::max);
        let stands_out = |cosine: Option<f32>| cosine.is_none_or(|cosine| self.stands_out(cosine, best));
        found.iter().map(|photo| (*photo, photo.all_words || stands_out(photo.cosine))).collect()
    }

    fn stands_out(&self, cosine: f32, best: f32) -> bool {
        match self.sigmoid.map(|sigmoid| sigmoid.probability(cosine)) {
            Some(probability) if probability >= LIKELY => return true,
            Some(probability) if probability < RULED_OUT => return false,
            _ => {}
        }
        let library = self.library.filter(|stats| stats.count >= FEW);
        let over_library = library.is_none_or(|stats| cosine >= stats.mean + OVER_LIBRARY * stats.std);
        let share = |mean: f32, share: f32| cosine - mean >= share * (best - mean);
        match (self.neutral, library) {
            (Some(neutral), _) => {
                cosine >= neutral.mean + OVER_NEUTRAL * neutral.std
                    && (over_library || cosine >= neutral.mean + SURE * neutral.std)
                    && share(neutral.mean, SHARE_OF_BEST)
            }
            (None, Some(stats)) => over_library && share(stats.mean, SHARE_OF_BEST_PICTURE),
            (None, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(mean: f32, std: f32) -> Option<ScoreStats> {
        Some(ScoreStats { count: 100, mean, std })
    }

    #[test]
    fn a_match_stands_out_from_neutral_scores_and_from_the_library() {
        let rule = Rule { neutral: stats(0.2, 0.02), library: stats(0.2, 0.02), sigmoid: None };
        assert!(rule.stands_out(0.30, 0.32));
        assert!(!rule.stands_out(0.24, 0.24), "no better than a neutral prompt");
        assert!(!rule.stands_out(0.26, 0.36), "dwarfed by the best");
        let many = Rule { library: stats(0.27, 0.02), ..rule };
        assert!(!many.stands_out(0.27, 0.28), "what every photo of this library scores");
        let full = Rule { library: stats(0.29, 0.01), ..rule };
        assert!(full.stands_out(0.29, 0.31), "a library full of what is asked for");
        let picture = Rule { neutral: None, library: stats(0.5, 0.1), sigmoid: None };
        assert!(picture.stands_out(0.8, 0.9) && !picture.stands_out(0.6, 0.9));
        // SigLIP's numbers: 0.5 at a cosine of 0.11.
        let sigmoid = Sigmoid { scale: 117.3, bias: -12.93 };
        assert!((sigmoid.probability(0.110_23) - 0.5).abs() < 1e-3);
        let all = Rule { neutral: stats(0.02, 0.03), library: stats(0.13, 0.01), sigmoid: Some(sigmoid) };
        assert!(all.stands_out(0.12, 0.14), "likelier than not, though every photo of this library is");
        let none = Rule { neutral: stats(-0.01, 0.01), library: stats(0.0, 0.01), sigmoid: Some(sigmoid) };
        assert!(!none.stands_out(0.04, 0.04), "ruled out, though it stands out");
    }
}
