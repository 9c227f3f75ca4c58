//! How long a frame of the terminal UI takes. Not a test: it prints figures, which docs/figures.md quotes.
//!
//!     cargo bench --bench tui [-- COUNT]   # a library of COUNT (100,000) synthetic photos, while indexing and typing
//!
//! Half of the time, the list of filters is open. At the end, it goes down the start page, until the covers are there.
//! The real workers answer; the real update function and views run on one thread, as in the program. Their frames go
//! through ratatui's diff, are encoded and then discarded. A frame's time runs from taking the first waiting event to
//! the last byte.

use clap::Parser;
use crossbeam_channel::Receiver;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use ratatui_image::picker::Picker;
use snapseek::cli::Cli;
use snapseek::config::Settings;
use snapseek::model::{Embed, Starter};
use snapseek::tui::event::{Beginning, Effect, Event, Message};
use snapseek::tui::overlay::Overlay;
use snapseek::tui::state::{State, TuiOptions};
use snapseek::tui::update::update;
use snapseek::tui::work::Workers;
use snapseek::tui::{view, wanted};
use snapseek_index::{Change, FacetField, FileIdentity, FileStamp, Library, Metadata, ModelRecord, PhotoFacts, Tag};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The variable that is set in the process that measures.
const AGAIN: &str = "SNAPSEEK_BENCH";
/// How many changes are written at once.
const BATCH: usize = 2_000;
/// How many photos are indexed meanwhile.
const INDEXED: usize = 3_000;
/// The text that is typed repeatedly.
const TEXT: &str = "a brown dog runs on the beach ";
/// The time between two keys: a fast typist.
const KEY: Duration = Duration::from_millis(100);
/// How long is typed.
const TYPED: Duration = Duration::from_secs(60);
/// A saved search for each row of the start page that is gone through.
const SAVED: [&str; 6] =
    ["tag:dog", "taken:2019", "tag:beach -taken:2010", "path:/made/042/", "camera:canon", "tag:cup"];

fn main() -> anyhow::Result<()> {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tui-{count}-photos"));
    // Runs itself again, with the program's folders separate from the user's.
    if std::env::var_os(AGAIN).is_none() {
        let mut again = Command::new(std::env::current_exe()?);
        again.arg(count.to_string()).env(AGAIN, "1");
        for folder in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            again.env(folder, place.join(folder));
        }
        anyhow::ensure!(again.status()?.success(), "the bench failed");
        return Ok(());
    }
    let library = place.join("library");
    if !library.join("catalogue.sqlite").exists() {
        println!("making a library of {count} photos in {}", place.display());
        make(&library, count)?;
    }
    for query in SAVED {
        Library::open(&library)?.save_search(query, Some(query))?;
    }
    let photos = photos(&place)?;
    let cli = Cli::try_parse_from(["snapseek", "--offline", "status"])?;
    let settings = Settings { library, ..Settings::resolve(&cli.global)? };
    let (out, events) = crossbeam_channel::unbounded();
    let mut workers = Workers::start(&settings, Some(Picker::halfblocks()), out.clone())?;
    let options =
        TuiOptions { pictures: true, colors: snapseek::terminal::abilities::ColorDepth::True, ..TuiOptions::default() };
    let beginning = Beginning { index: vec![photos.clone()], ..Beginning::default() };
    let (mut state, effects) = State::new(options, beginning, Rect::new(0, 0, 200, 60));
    effects.into_iter().for_each(|effect| workers.run(effect));
    let viewport = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, 200, 60)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(std::io::sink()), viewport)?;

    std::thread::spawn(move || {
        let started = Instant::now();
        let mut letters = TEXT.chars().cycle();
        let mut typed = 0;
        while started.elapsed() < TYPED {
            std::thread::sleep(KEY);
            typed += 1;
            let code = match letters.next() {
                // The list of filters, of the whole library and within a filter.
                _ if typed % 120 == 60 => KeyCode::Esc,
                _ if typed % 120 == 61 => KeyCode::Char('F'),
                _ if (62..88).contains(&(typed % 120)) => KeyCode::Char(if typed % 4 == 0 { 'l' } else { 'j' }),
                _ if typed % 120 == 88 => KeyCode::Enter,
                _ if typed % 120 == 89 => KeyCode::Char('j'),
                _ if typed % 120 == 119 => KeyCode::Esc,
                _ if typed % 120 == 90 => KeyCode::Char('F'),
                _ if (91..119).contains(&(typed % 120)) => KeyCode::Char(if typed % 4 == 0 { 'h' } else { 'j' }),
                // Now and then the line is cleared, and the selection moves through the photos.
                _ if typed % 60 == 0 => KeyCode::Esc,
                _ if typed % 60 < 12 => KeyCode::Char('j'),
                _ if typed % 60 == 12 => KeyCode::Char('/'),
                Some(letter) => KeyCode::Char(letter),
                None => KeyCode::Esc,
            };
            if out.send(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))).is_err() {
                return;
            }
            if typed % 120 == 13 {
                let clear = KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL);
                let _ = out.send(Event::Key(clear));
            }
        }
        let _ = out.send(Event::Terminate);
    });

    let (mut frames, mut answers, mut indexing) = (Vec::new(), Vec::new(), 0_u32);
    let (mut with_filters, mut counts, mut opened) = (Vec::new(), Vec::new(), None::<Instant>);
    let (mut asked, mut ended) = (None::<Instant>, false);
    let mut before = Vec::new();
    while !ended {
        let first = if state.is_busy() {
            events.recv_timeout(Duration::from_millis(100)).unwrap_or(Event::Tick)
        } else {
            events.recv()?
        };
        let started = Instant::now();
        let mut event = Some(first);
        while let Some(happened) = event.take() {
            let (is_key, generation) = (matches!(happened, Event::Key(_)), state.search.generation);
            let counted = state.filters.generation;
            for effect in update(&mut state, happened) {
                match effect {
                    Effect::Quit(_) => ended = true,
                    effect => workers.run(effect),
                }
            }
            if is_key && generation != state.search.generation {
                asked = Some(started);
            }
            if counted != state.filters.generation {
                opened = Some(started);
            }
            event = events.try_recv().ok();
        }
        let wants = wanted(&state);
        if wants != before {
            workers.paint(wants.clone(), false);
            before = wants;
        }
        terminal.draw(|frame| view::draw(frame, &state))?;
        frames.push(started.elapsed());
        if matches!(state.overlay, Some(Overlay::Filters(..))) {
            with_filters.push(started.elapsed());
        }
        if let Some(when) = opened.filter(|_| state.filters.fields.len() == FacetField::ALL.len()) {
            counts.push(when.elapsed());
            opened = None;
        }
        indexing += u32::from(state.index.run.is_some());
        if let Some(when) = asked.filter(|_| !state.search.waiting) {
            answers.push(when.elapsed());
            asked = None;
        }
    }
    let mut covers = covers(&mut state, &mut workers, &events)?;
    workers.stop();
    std::fs::remove_dir_all(photos)?;
    println!(
        "{} frames of 200x60 ({:.0} % while indexing): median {:.2} ms, 99th percentile {:.2} ms, longest {:.2} ms",
        frames.len(),
        100.0 * f64::from(indexing) / frames.len() as f64,
        at(&mut frames, 0.5),
        at(&mut frames, 0.99),
        at(&mut frames, 1.0)
    );
    println!(
        "of these {} with the list of filters: median {:.2} ms, 99th percentile {:.2} ms, longest {:.2} ms; all fields \
         are counted ({} times) after {:.0} ms in the median, {:.0} ms at most",
        with_filters.len(),
        at(&mut with_filters, 0.5),
        at(&mut with_filters, 0.99),
        at(&mut with_filters, 1.0),
        counts.len(),
        at(&mut counts, 0.5),
        at(&mut counts, 1.0)
    );
    println!(
        "covers of a row of the start page ({} times): median {:.0} ms, longest {:.0} ms",
        covers.len(),
        at(&mut covers, 0.5),
        at(&mut covers, 1.0)
    );
    println!(
        "from a key to the photos of its query ({} times, debounce included): median {:.0} ms, \
         95th percentile {:.0} ms",
        answers.len(),
        at(&mut answers, 0.5),
        at(&mut answers, 0.95)
    );
    Ok(())
}

/// How long it takes from a key that selects a row of the start page until its covers are known.
fn covers(state: &mut State, workers: &mut Workers, events: &Receiver<Event>) -> anyhow::Result<Vec<Duration>> {
    let mut step = |state: &mut State, event: Event| {
        for effect in update(state, event) {
            workers.run(effect);
        }
    };
    let mut times = Vec::new();
    let key = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    for code in [KeyCode::Esc, KeyCode::Esc, KeyCode::Char('0')] {
        step(state, key(code));
    }
    // What was asked for when the page was opened comes first.
    while let Ok(event) = events.recv_timeout(Duration::from_secs(2)) {
        step(state, event);
    }
    for _ in 0..4 {
        for code in [KeyCode::Char('j'); SAVED.len() - 1].into_iter().chain([KeyCode::Char('g')]) {
            let started = Instant::now();
            let before = state.browse.generation;
            step(state, key(code));
            let mut waits = state.browse.generation != before;
            while waits {
                let event = events.recv_timeout(Duration::from_secs(60))?;
                waits = !matches!(event, Event::Message(Message::Covers(..)));
                step(state, event);
                if !waits {
                    times.push(started.elapsed());
                }
            }
        }
    }
    Ok(times)
}

/// The quantile of the times at `share`, in milliseconds.
fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((share * last as f64).round() as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// A folder with variants of the fixture photos: a photo is known by what it shows, so each shows something else.
fn photos(place: &Path) -> anyhow::Result<PathBuf> {
    let folder = place.join(format!("photos-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
    let mut names: Vec<PathBuf> = std::fs::read_dir(fixtures)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .collect();
    names.sort();
    let mut pictures =
        names.iter().map(|name| Ok(image::open(name)?.into_rgb8())).collect::<anyhow::Result<Vec<_>>>()?;
    let (count, mark) = (pictures.len(), std::process::id() as usize % 300);
    for n in 0..INDEXED {
        let Some(picture) = pictures.get_mut(n % count) else { continue };
        for (bit, x) in (0..20).flat_map(|bit| (0..8).map(move |x| (bit, bit * 8 + x))) {
            let shade = if (mark * INDEXED + n) >> bit & 1 == 1 { 255 } else { 0 };
            (0..8).for_each(|y| picture.put_pixel(x, y, image::Rgb([shade; 3])));
        }
        picture.save(folder.join(format!("{n}.jpg")))?;
    }
    Ok(folder)
}

/// Makes a library of synthetic photos for the starter.
fn make(dir: &Path, count: usize) -> anyhow::Result<()> {
    let starter = Starter::built_in()?;
    let identity = starter.identity();
    let record = ModelRecord { name: "starter".into(), fingerprint: identity.fingerprint.clone(), dim: identity.dim };
    let library = Library::create(dir)?;
    let mut writer = library.lock()?;
    writer.set_model(&record)?;
    let mut state = 7_u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    for batch in 0..count.div_ceil(BATCH) {
        let photo = |n: usize, noise: &mut dyn FnMut() -> f32| {
            let mut embedding: Vec<f32> = (0..record.dim).map(|_| noise()).collect();
            let norm = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
            embedding.iter_mut().for_each(|v| *v /= norm);
            Change::Photo {
                path: format!("/made/{:03}/{n}.jpg", n / 1_000).into(),
                root: "/made".into(),
                stamp: FileStamp { size: 3_000_000, mtime_ns: n as i64 },
                identity: FileIdentity {
                    file: *blake3::hash(&(n as u64 + 1).to_be_bytes()).as_bytes(),
                    picture: *blake3::hash(&n.to_le_bytes()).as_bytes(),
                    version: 1,
                },
                facts: PhotoFacts {
                    width: 4000,
                    height: 3000,
                    format: "jpeg".into(),
                    remark: None,
                    colors: None,
                    metadata: Metadata {
                        taken: Some(format!("20{:02}-{:02}-{:02}T12:00:00", n % 20, n % 12 + 1, n % 28 + 1)),
                        camera: Some(format!("Canon EOS {}D", n % 9 * 10)),
                        lens: Some(format!("{} mm", 20 + n % 5 * 30)),
                        city: n.is_multiple_of(3).then(|| format!("Town {}", n / 1_000)),
                        keywords: vec![format!("trip {}", n / 500), format!("friend {}", n % 40)],
                        rating: i8::try_from(n % 40).ok().filter(|stars| (1..=5).contains(stars)),
                        reader: 1,
                        ..Metadata::default()
                    },
                },
                embedding,
                tags: (0..5)
                    .map(|k| match k {
                        0 => Tag { label: ["dog", "beach", "castle", "cup"][n % 4].into(), score: 0.5 },
                        _ => Tag { label: format!("thing {}", n * (2 * k + 1) % 700), score: 0.1 },
                    })
                    .collect(),
            }
        };
        let last = count.min((batch + 1) * BATCH);
        let changes: Vec<Change> = (batch * BATCH..last).map(|n| photo(n, &mut noise)).collect();
        writer.apply(&changes)?;
    }
    writer.refresh_caches(&mut |_, _, _| true)?;
    let scores = snapseek_index::ScoreStats { count: 32 * count, mean: 0.0, std: 0.05 };
    library.set_neutral_scores(&record, &scores)?;
    Ok(())
}
