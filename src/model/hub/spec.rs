//! How a user names a model.

use super::presets::{CHAT_PRESETS, HELPERS, PRESETS};
use std::path::PathBuf;
use std::str::FromStr;

/// A model as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSpec {
    /// CLIP if it is installed, otherwise the starter.
    Auto,
    /// The one built into the program.
    Starter,
    /// openai/clip-vit-base-patch32, at the pinned revision.
    Clip,
    /// Salesforce/blip2-opt-2.7b, at the pinned revision.
    Blip2,
    /// `org/name` on Hugging Face, or `org/name@revision`.
    Repo(String),
    /// A folder.
    Dir(PathBuf),
}

impl FromStr for ModelSpec {
    type Err = String;

    /// A known name, otherwise an existing folder, otherwise `org/name`.
    fn from_str(name: &str) -> Result<Self, String> {
        let folder = PathBuf::from(name);
        if let Some(preset) = PRESETS[1..].iter().find(|preset| preset.name == name) {
            return Ok(Self::Repo(preset.repo.to_owned()));
        }
        if let Some(preset) = CHAT_PRESETS.iter().find(|preset| preset.name == name && name != "blip2") {
            return Ok(Self::Repo(preset.repo.to_owned()));
        }
        if let Some((_, repo)) = HELPERS.iter().find(|(short, _)| *short == name) {
            return Ok(Self::Repo((*repo).to_owned()));
        }
        match name {
            "auto" => Ok(Self::Auto),
            "starter" => Ok(Self::Starter),
            "clip" => Ok(Self::Clip),
            "blip2" => Ok(Self::Blip2),
            _ if folder.is_dir() => Ok(Self::Dir(folder)),
            _ if is_repo(name.split_once('@').map_or(name, |(repo, _)| repo))
                && name.split_once('@').is_none_or(|(_, revision)| is_revision(revision)) =>
            {
                Ok(Self::Repo(name.to_owned()))
            }
            _ => Err(format!(
                "no model is called {name:?}: use auto, starter, clip, smolvlm, blip2, blip2-itm, clip-multilingual, a name of \
                 `snapseek models list --available`, a Hugging Face name like org/name or org/name@revision, or a folder that exists"
            )),
        }
    }
}

/// Whether a name could be a Hugging Face repository; it becomes part of paths and URLs.
fn is_repo(name: &str) -> bool {
    let word = |s: &str| {
        !s.is_empty()
            && s.len() <= 96
            && !s.starts_with(['.', '-'])
            && !s.contains("..")
            && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.split_once('/').is_some_and(|(org, model)| word(org) && word(model))
}

/// Whether a text could be a branch, a tag, a commit or `refs/pr/1`; it becomes part of paths and URLs.
fn is_revision(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    text.len() <= 96 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!("clip".parse(), Ok(ModelSpec::Clip));
        assert_eq!("blip2".parse(), Ok(ModelSpec::Blip2));
        assert_eq!("blip2-itm".parse(), Ok(ModelSpec::Repo("Salesforce/blip2-itm-vit-g".into())));
        let siglip = ModelSpec::Repo("google/siglip2-base-patch16-224".into());
        assert_eq!("siglip2-b16".parse(), Ok(siglip));
        assert_eq!(
            "openai/clip-vit-large-patch14".parse(),
            Ok(ModelSpec::Repo("openai/clip-vit-large-patch14".into()))
        );
        for revision in ["main", "5ef227a78de3f75873f373246dac80def63b0003", "refs/pr/17"] {
            let name = format!("openai/clip-vit-base-patch16@{revision}");
            assert_eq!(name.parse(), Ok(ModelSpec::Repo(name.clone())));
        }
        assert_eq!(env!("CARGO_MANIFEST_DIR").parse(), Ok(ModelSpec::Dir(env!("CARGO_MANIFEST_DIR").into())));
        for bad in [
            "",
            "klip",
            "a/b/c",
            "../x",
            "org/..",
            "/no/such/folder",
            "org/na me",
            "org/name@",
            "org/name@../x",
            "org/name@a//b",
        ] {
            assert!(bad.parse::<ModelSpec>().is_err(), "{bad}");
        }
    }
}
