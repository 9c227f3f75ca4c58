//! What is asked of a model that writes captions.

use super::open::NamedChatModel;
use crate::exit::Failure;
use crate::model::chat_model::CaptionStyle;

/// Maximum number of tokens of a caption by a model that follows no instructions.
const SHORT_CAPTION: usize = 20;
/// The same for an instruction of the user's.
const OWN_PROMPT: usize = 100;

/// How captions are to be written.
#[derive(Clone, Debug, Default)]
pub struct CaptionWish {
    /// The style, if one was asked for.
    pub style: Option<CaptionStyle>,
    /// An instruction in place of the style's; for a model that follows none, how every caption begins.
    pub prompt: Option<String>,
    /// Whether the model is told what the library knows of a photo.
    pub context: bool,
}

impl CaptionWish {
    /// The style that counts.
    #[must_use]
    pub fn style(&self) -> CaptionStyle {
        self.style.unwrap_or_default()
    }

    /// Whether a model can do what is asked.
    ///
    /// # Errors
    /// It follows no instructions, and gets some (exit code 2).
    pub fn check(&self, chat_model: &NamedChatModel) -> anyhow::Result<()> {
        let refused = match self {
            _ if chat_model.model.follows_instructions() => return Ok(()),
            Self { style: Some(style), .. } if *style != CaptionStyle::Short => {
                format!("--caption-style {}", style.name())
            }
            Self { context: true, .. } => "--context".to_owned(),
            _ => return Ok(()),
        };
        Err(Failure::usage(format!(
            "{refused} needs a model that follows instructions, such as smolvlm (--captioner smolvlm); {} only writes short \
             captions",
            chat_model.name
        )))
    }

    /// The most tokens of a caption, unless the user sets another number.
    #[must_use]
    pub fn tokens(&self, chat_model: &NamedChatModel) -> usize {
        match (chat_model.model.follows_instructions(), &self.prompt) {
            (false, _) => SHORT_CAPTION,
            (true, Some(_)) => OWN_PROMPT,
            (true, None) => self.style().tokens(),
        }
    }

    /// What a library remembers of who wrote a caption: the model and, if it was asked for anything but the default,
    /// for what. So a run that replaces captions of others replaces those of another style too.
    #[must_use]
    pub fn captioner(&self, fingerprint: &str) -> String {
        let mut name = fingerprint.to_owned();
        match (&self.prompt, self.style) {
            (Some(prompt), _) => name += &format!("+prompt:{}", &blake3::hash(prompt.as_bytes()).to_hex()[..12]),
            (None, Some(style)) if style != CaptionStyle::default() => name += &format!("+{}", style.name()),
            _ => {}
        }
        if self.context {
            name += CONTEXT;
        }
        name
    }
}

/// How the name of a captioner ends that was told what the library knows.
const CONTEXT: &str = "+context";

/// Whether a caption was written by a model that knew what the library knows.
#[must_use]
pub fn knew_the_library(captioner: Option<&str>) -> bool {
    captioner.is_some_and(|name| name.ends_with(CONTEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captioners_differ_by_what_they_were_asked() {
        let name = |style, prompt: Option<&str>, context| {
            CaptionWish { style, prompt: prompt.map(str::to_owned), context }.captioner("print")
        };
        assert_eq!(name(None, None, false), "print");
        assert_eq!(name(Some(CaptionStyle::Sentence), None, false), "print");
        assert_eq!(name(Some(CaptionStyle::Tags), None, true), "print+tags+context");
        assert_ne!(name(None, Some("a"), false), name(None, Some("b"), false));
        assert!(knew_the_library(Some(&name(None, Some("a"), true))) && !knew_the_library(Some("print")));
    }
}
