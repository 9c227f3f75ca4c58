//! The shipped list of labels: the names of ImageNet's 1,000 classes as torchvision writes them.

use super::Label;

/// Maximum number of labels for a photo.
const MOST: usize = 5;
/// A label less likely than this is not worth naming.
const THRESHOLD: f32 = 0.05;

/// The class names, in the order of the classifier's outputs.
pub(super) fn names() -> impl ExactSizeIterator<Item = &'static str> + Clone {
    let list: &'static [&'static str] = {
        static LIST: std::sync::OnceLock<Vec<&'static str>> = std::sync::OnceLock::new();
        LIST.get_or_init(|| include_str!("../../models/starter/labels.txt").lines().collect())
    };
    list.iter().copied()
}

/// The labels over the threshold, best first, from one logit per label.
pub(super) fn likeliest(logits: &[f32]) -> Vec<Label> {
    let probabilities = softmax(logits);
    let mut best: Vec<_> = probabilities.iter().copied().zip(names()).filter(|(p, _)| *p >= THRESHOLD).collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best.truncate(MOST);
    best.into_iter().map(|(score, label)| Label { label: label.to_owned(), score }).collect()
}

/// Softmax in double precision, the same bits on every processor.
pub(super) fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp: Vec<f64> = logits.iter().map(|l| libm::exp(f64::from(l - max))).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|e| (e / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_likely_labels_are_named_best_first() {
        assert_eq!(names().len(), 1000);
        let mut logits = vec![0.0; 1000];
        logits[1] = 10.0;
        logits[0] = 9.0;
        let tags = likeliest(&logits);
        assert_eq!(tags.iter().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["goldfish", "tench"]);
        assert!(tags[0].score > tags[1].score && tags[0].score < 1.0);
        assert!(likeliest(&vec![0.0; 1000]).is_empty(), "a thousand labels of 0.1 % each say nothing");
    }
}
