//! The loop: events in, the update function, effects out, a frame. Nothing in it waits for anything but events.

use super::event::{Effect, Ending, Event, WantedPicture};
use super::state::{State, TuiOptions};
use super::terminal::{self, Screen};
use super::update::update;
use super::work::Workers;
use super::{graphics, layout, view};
use crate::config::{Pictures, Settings};
use crate::panics;
use crossbeam_channel::{Receiver, Sender};
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{Event as Input, KeyEventKind};
use ratatui_image::picker::ProtocolType;
use std::time::{Duration, Instant};

/// Between two frames, at least.
const FRAME: Duration = Duration::from_millis(12);
/// While something turns on the screen, a turn takes so long.
const TURN: Duration = Duration::from_millis(100);
/// How long nothing may happen.
const IDLE: Duration = Duration::from_secs(1);
/// Events that are taken together before a frame is drawn.
const TOGETHER: usize = 512;

/// Runs the terminal UI to its end.
///
/// # Errors
/// There is no terminal, or it fails.
pub fn run(
    settings: &Settings,
    mut options: TuiOptions,
    beginning: super::event::Beginning,
    pictures: Pictures,
) -> anyhow::Result<Ending> {
    let (out, events) = crossbeam_channel::unbounded();
    // Before the terminal is taken, so that no signal finds it taken.
    signals(&out)?;
    let (mut screen, guard) = terminal::take()?;
    let picker = graphics::picker(pictures, options.theme);
    options.pictures = picker.is_some();
    options.pictures_float = picker
        .as_ref()
        .is_some_and(|picker| matches!(picker.protocol_type(), ProtocolType::Sixel | ProtocolType::Iterm2));
    let mut workers = Workers::start(settings, picker, out.clone())?;
    keys(out)?;
    let (mut state, effects) = State::new(options, beginning, screen.size()?.into());
    let mut wanted = Vec::new();
    let mut ending = execute(effects, &mut workers, &mut screen)?;
    let mut turned = Instant::now();
    while ending.is_none() {
        // A terminal that was resized while it was away may not have said so.
        let size = screen.size()?;
        if state.screen.as_size() != size {
            ending = execute(update(&mut state, Event::Resize(size.width, size.height)), &mut workers, &mut screen)?;
        }
        if state.is_busy() && turned.elapsed() >= TURN {
            turned = Instant::now();
            ending = ending.or(execute(update(&mut state, Event::Tick), &mut workers, &mut screen)?);
        }
        want(&state, &mut wanted, &workers);
        screen.draw(|frame| view::draw(frame, &state))?;
        let drawn = Instant::now();
        ending = ending.or(next(&mut state, &events, &mut workers, &mut screen)?);
        // Many events make one frame.
        while ending.is_none() && drawn.elapsed() < FRAME {
            match events.recv_timeout(FRAME.saturating_sub(drawn.elapsed())) {
                Ok(event) => ending = execute(update(&mut state, event), &mut workers, &mut screen)?,
                Err(_) => break,
            }
        }
        anyhow::ensure!(!panics::has_reported(), "snapseek ends because of a fault that was told above");
    }
    // What is in the hands of the indexer may take a moment to be written.
    drop(guard);
    workers.stop();
    Ok(ending.unwrap_or(Ending::Left))
}

/// Waits for an event, and takes those along that are there already.
fn next(
    state: &mut State,
    events: &Receiver<Event>,
    workers: &mut Workers,
    screen: &mut Screen,
) -> anyhow::Result<Option<Ending>> {
    // Even with nothing going on it looks up now and then: a fault in another thread ends the program.
    let patience = if state.is_busy() { TURN } else { IDLE };
    let mut event = events.recv_timeout(patience).ok();
    for _ in 0..TOGETHER {
        let Some(happened) = event.take() else { break };
        if let Some(ending) = execute(update(state, happened), workers, screen)? {
            return Ok(Some(ending));
        }
        event = events.try_recv().ok();
    }
    if let Some(happened) = event {
        return execute(update(state, happened), workers, screen);
    }
    Ok(None)
}

/// Does what is asked for, or has it done; how the program ends, if it does.
fn execute(effects: Vec<Effect>, workers: &mut Workers, screen: &mut Screen) -> anyhow::Result<Option<Ending>> {
    for effect in effects {
        match effect {
            Effect::Quit(ending) => return Ok(Some(ending)),
            Effect::Suspend => terminal::suspend(screen)?,
            Effect::Copy(text) => crossterm::execute!(screen.backend_mut(), CopyToClipboard::to_clipboard_from(text))?,
            effect => workers.run(effect),
        }
    }
    Ok(None)
}

/// Tells the painters what is to be seen and not there yet, if that is not what they know.
fn want(state: &State, before: &mut Vec<WantedPicture>, workers: &Workers) {
    let wanted: Vec<WantedPicture> = wanted(state);
    if wanted != *before {
        workers.paint(wanted.clone());
        *before = wanted;
    }
}

/// The pictures that are to be seen and not there yet, the most wanted first.
#[must_use]
pub fn wanted(state: &State) -> Vec<WantedPicture> {
    let missing = layout::pictures(state).into_iter().filter(|(key, _)| !state.pictures.contains_key(key));
    let wanted = missing.filter_map(|(key, _)| {
        let photo = state.photos.get(&key.id)?;
        Some(WantedPicture { key, path: photo.paths.first()?.clone(), hash: photo.hash })
    });
    wanted.collect()
}

/// Signals become events.
#[cfg(unix)]
fn signals(out: &Sender<Event>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP])?;
    let out = out.clone();
    super::work::spawn("signals", move || {
        for signal in signals.forever() {
            let event = if signal == SIGTSTP { Event::Suspend } else { Event::Terminate };
            if out.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn signals(_: &Sender<Event>) -> anyhow::Result<()> {
    Ok(())
}

/// Keys, mouse and sizes become events.
fn keys(out: Sender<Event>) -> anyhow::Result<()> {
    super::work::spawn("keys", move || {
        loop {
            let event = match crossterm::event::read() {
                Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
                Ok(Input::Mouse(mouse)) => Event::Mouse(mouse),
                Ok(Input::Paste(text)) => Event::Paste(text),
                Ok(Input::Resize(width, height)) => Event::Resize(width, height),
                Ok(_) => continue,
                // The terminal has gone.
                Err(_) => {
                    let _ = out.send(Event::Terminate);
                    return;
                }
            };
            if out.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
