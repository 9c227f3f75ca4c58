//! Leaves photos out of the library; their files stay.

use super::Context;
use super::desktop::{aside, warning};
use crate::terminal::text::count;
use crate::tui::event::{Forgotten, Message};
use snapseek_index::Library;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) fn run(context: &Arc<Context>, what: Forgotten) {
    let mine = context.clone();
    aside(context, warning, move |context| {
        let library = Library::open(&context.settings.library)?;
        let paths: Vec<PathBuf> = match what {
            Forgotten::Folder(folder) => vec![folder],
            // All files of each, or it would still be there.
            Forgotten::Photos(ids) => library.searcher()?.photos(&ids)?.into_iter().flat_map(|hit| hit.paths).collect(),
        };
        let mut writer = library.lock()?;
        let mut files = 0;
        for path in &paths {
            files += writer.forget(path)?;
        }
        writer.refresh_caches(&mut |_, _, _| true)?;
        writer.refresh_stacks()?;
        let files = count(usize::try_from(files)?, "file");
        let done = format!("{files} left out of the library, and untouched");
        mine.send(Message::Forgotten(done, paths));
        // That says it, and how it is undone.
        Ok(String::new())
    });
}
