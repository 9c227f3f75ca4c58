//! Pictures for the terminal: read at reduced size, fitted to their cells and encoded, the most important first.

use super::full_size::FullSize;
use super::{Context, explained, guarded, spawn};
use crate::photo::shrink;
use crate::photo::thumbnails::{EDGE, Thumbnails};
use crate::terminal::graphics;
use crate::tui::event::{EncodedPicture, Message, PictureKey, WantedPicture};
use ratatui::layout::Size;
use ratatui_image::picker::Picker;
use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Most bytes of thumbnails that are kept on disk.
const KEPT: u64 = 512 << 20;
/// Longest edge of a picture in pixels.
const LARGEST: u32 = 2_048;
/// Most threads that encode pictures; indexing and searching need processor time too.
const MOST_THREADS: usize = 4;

/// Passes the needed pictures to the threads.
pub struct Painter {
    shared: Arc<PainterShared>,
    full_size: Arc<FullSize>,
}

#[derive(Default)]
struct PainterShared {
    list: Mutex<List>,
    filled: Condvar,
}

#[derive(Default)]
struct List {
    /// Pictures that are needed and not started, the most important last.
    wanted: Vec<WantedPicture>,
    /// Needed pictures that have been started.
    begun: HashSet<PictureKey>,
    ended: bool,
}

impl PainterShared {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Painter {
    /// Starts the threads; none if the terminal cannot show pictures.
    pub(super) fn start(context: &Arc<Context>, picker: Option<Picker>) -> std::io::Result<Self> {
        let (shared, full_size) = (Arc::<PainterShared>::default(), Arc::<FullSize>::default());
        let Some(picker) = picker else { return Ok(Self { shared, full_size }) };
        let thumbnails = Arc::new(Thumbnails::new(&context.cache, KEPT));
        for n in 0..context.settings.threads.clamp(1, MOST_THREADS) {
            let (mine, context, picker, thumbnails, full_size) =
                (shared.clone(), context.clone(), picker.clone(), thumbnails.clone(), full_size.clone());
            spawn("painter", move || {
                if n == 0 {
                    thumbnails.trim();
                }
                while let Some(wanted) = next(&mine) {
                    let picture = guarded(|| paint(&wanted, &picker, &thumbnails, &full_size));
                    context
                        .send(Message::Picture(wanted.key, picture.map(Arc::new).map_err(|error| explained(&error))));
                }
            })?;
        }
        Ok(Self { shared, full_size })
    }

    /// Sets the pictures that are needed now, the most important first. What is kept of photos at full size is dropped
    /// unless they are looked at closely.
    pub fn want(&self, mut wanted: Vec<WantedPicture>, closely: bool) {
        self.full_size.keep(closely);
        let mut list = self.shared.lock();
        let keys: HashSet<PictureKey> = wanted.iter().map(|wanted| wanted.key).collect();
        list.begun.retain(|key| keys.contains(key));
        wanted.retain(|wanted| !list.begun.contains(&wanted.key));
        wanted.reverse();
        list.wanted = wanted;
        self.shared.filled.notify_all();
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_all();
    }
}

fn next(shared: &PainterShared) -> Option<WantedPicture> {
    let mut list = shared.lock();
    loop {
        if list.ended {
            return None;
        }
        if let Some(wanted) = list.wanted.pop() {
            list.begun.insert(wanted.key);
            return Some(wanted);
        }
        list = shared.filled.wait(list).unwrap_or_else(PoisonError::into_inner);
    }
}

fn paint(
    wanted: &WantedPicture,
    picker: &Picker,
    thumbnails: &Thumbnails,
    full_size: &FullSize,
) -> anyhow::Result<EncodedPicture> {
    let PictureKey { width, height, crop, .. } = wanted.key;
    let cell = graphics::cell_pixels(picker);
    let (across, down) = (u32::from(width) * u32::from(cell.0), u32::from(height) * u32::from(cell.1));
    if let Some(crop) = crop {
        let picture = full_size.part(wanted, crop, (across, down))?;
        return Ok(EncodedPicture(graphics::encode(picture, picker, Size::new(width, height))?));
    }
    let edge = across.max(down).min(LARGEST);
    let picture =
        if edge <= EDGE { thumbnails.get(&wanted.picture, &wanted.path)? } else { shrink::file(&wanted.path, edge)? };
    let protocol = graphics::encode(picture, picker, Size::new(width, height))?;
    Ok(EncodedPicture(protocol))
}
