//! Arguments of `tag` and `rate`.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// What `tag` can do.
#[derive(Subcommand, Debug)]
pub enum TagAction {
    /// Give photos tags of your own
    Add {
        /// The tags, separated by commas
        tags: String,
        /// Files, folders, or a query whose matches are meant
        #[arg(required = true, value_name = "PHOTO|FOLDER|QUERY")]
        photos: Vec<OsString>,
    },
    /// Take tags of your own away from photos; keywords in files stay
    Remove {
        /// The tags, separated by commas
        tags: String,
        /// Files, folders, or a query whose matches are meant
        #[arg(required = true, value_name = "PHOTO|FOLDER|QUERY")]
        photos: Vec<OsString>,
    },
    /// List your tags, or those of photos
    List {
        /// Files, folders, or a query whose matches are meant
        #[arg(value_name = "PHOTO|FOLDER|QUERY")]
        photos: Vec<OsString>,
    },
    /// Give a tag another name, on all photos
    Rename {
        /// The tag
        tag: String,
        /// Its new name
        new: String,
    },
}

/// Arguments of `rate`.
#[derive(Args, Debug)]
pub struct RateArgs {
    /// 1 to 5 stars, 0 for none, -1 to reject, or `files`: what the files say counts again
    #[arg(allow_negative_numbers = true, value_parser = stars)]
    pub stars: OwnStars,
    /// Files, folders, or a query whose matches are meant
    #[arg(required = true, value_name = "PHOTO|FOLDER|QUERY")]
    pub photos: Vec<OsString>,
}

/// A rating; `None`: what the files say counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnStars(pub Option<i8>);

fn stars(text: &str) -> Result<OwnStars, String> {
    match text.parse() {
        Ok(stars @ -1..=5) => Ok(OwnStars(Some(stars))),
        _ if text == "files" => Ok(OwnStars(None)),
        _ => Err("stars are 0 to 5; -1 rejects, and `files` takes your rating back".into()),
    }
}

pub(super) const TAG_HELP: &str = "\
EXAMPLES
  snapseek tag add \"Lisbon, summer\" holiday.jpg beach.jpg
  snapseek tag add favourites \"a dog on the grass\"
  snapseek search keyword:lisbon
Tags are kept in the library, and count as keywords; photos are never written to. `snapseek export --xmp DIR` writes them for
other programs.";

pub(super) const RATE_HELP: &str = "\
EXAMPLES
  snapseek rate 5 holiday.jpg
  snapseek rate -1 \"path:2019 blurred\"
  snapseek search 'rating:>=4' --sort rating
Ratings are kept in the library, and count before those in files; photos are never written to.";
