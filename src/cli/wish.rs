//! What is asked of a model that writes captions: a flag that `caption` and `index` share.

use crate::model::chat_model::CaptionStyle;
use clap::ValueEnum;

/// How captions are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StyleChoice {
    /// A few words
    Short,
    /// One sentence
    Sentence,
    /// What there is to see, where, and how it looks
    Detailed,
    /// Keywords
    Tags,
}

impl StyleChoice {
    /// The same for the model.
    #[must_use]
    pub fn style(self) -> CaptionStyle {
        match self {
            Self::Short => CaptionStyle::Short,
            Self::Sentence => CaptionStyle::Sentence,
            Self::Detailed => CaptionStyle::Detailed,
            Self::Tags => CaptionStyle::Tags,
        }
    }
}
