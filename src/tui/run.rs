//! The main loop: receives events, calls the update function, executes effects, draws frames. It waits only for events.

use super::burst::{Bursts, PASTED};
use super::event::{Effect, Ending, Event, WantedPicture};
use super::place::Place;
use super::state::{State, TuiOptions};
use super::terminal::{self, Screen};
use super::update::update;
use super::work::Workers;
use super::{layout, view};
use crate::config::{Pictures, Settings, ThemeName};
use crate::exit::Exit;
use crate::panics;
use crate::terminal::abilities::{Abilities, ColorDepth};
use crate::terminal::graphics;
use crossbeam_channel::{Receiver, Sender};
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{Event as Input, KeyEventKind};
use ratatui_image::picker::{Picker, ProtocolType};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(12);
/// Time between two ticks while the screen shows a spinner.
const TURN: Duration = Duration::from_millis(100);
/// Longest wait for an event while nothing is running.
const IDLE: Duration = Duration::from_secs(1);
/// Events that are handled together before a frame is drawn.
const TOGETHER: usize = 512;

/// Runs the terminal UI to its end.
///
/// # Errors
/// There is no terminal, or using it fails.
pub fn run(
    settings: &Settings,
    mut options: TuiOptions,
    beginning: super::event::Beginning,
    pictures: Pictures,
) -> anyhow::Result<Ending> {
    let (out, events) = crossbeam_channel::unbounded();
    let (urgent_out, urgent) = crossbeam_channel::unbounded();
    let inbox = Inbox { urgent, events };
    // Before the terminal is taken over, so that no signal ends the program without giving it back.
    signals(urgent_out)?;
    let (mut screen, guard) = terminal::take()?;
    let abilities = graphics::ask();
    (options.colors, options.background) = (abilities.colors, abilities.background);
    let picker = picker(pictures, options.theme, &abilities);
    if picker.as_ref().is_some_and(|picker| picker.protocol_type() == ProtocolType::Kitty) {
        // It hides the ids of pictures in colours.
        options.colors = ColorDepth::True;
    }
    options.pictures = picker.is_some();
    options.cell = picker.as_ref().map_or((1, 2), graphics::cell_pixels);
    options.pictures_float = picker
        .as_ref()
        .is_some_and(|picker| matches!(picker.protocol_type(), ProtocolType::Sixel | ProtocolType::Iterm2));
    let mut workers = Workers::start(settings, picker, out.clone())?;
    keys(out)?;
    let (mut state, effects) = State::new(options, beginning, screen.size()?.into());
    let mut wanted = Default::default();
    let mut ending = execute(effects, &mut workers, &mut screen)?;
    let mut turned = Instant::now();
    while ending.is_none() {
        // A terminal that was resized while the program was suspended may not have sent an event.
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
        ending = ending.or(next(&mut state, &inbox, &mut workers, &mut screen)?);
        // Further events share the next frame.
        while ending.is_none() && drawn.elapsed() < FRAME {
            match inbox.wait(FRAME.saturating_sub(drawn.elapsed())) {
                Some(event) => ending = execute(update(&mut state, event), &mut workers, &mut screen)?,
                None => break,
            }
        }
        anyhow::ensure!(!panics::has_reported(), "snapseek ends because of the fault reported above");
    }
    // From here on, nothing waits for the terminal.
    ENDS.store(true, Ordering::SeqCst);
    // First the terminal: the indexer may need a moment to write what it has finished.
    drop(guard);
    workers.stop();
    Ok(ending.unwrap_or(Ending::Left))
}

/// What has happened and is not handled yet.
struct Inbox {
    /// Signals: they do not wait behind a million pasted keys.
    urgent: Receiver<Event>,
    events: Receiver<Event>,
}

impl Inbox {
    /// The next event, if there is one.
    fn next(&self) -> Option<Event> {
        self.urgent.try_recv().or_else(|_| self.events.try_recv()).ok()
    }

    /// The next event, if one comes within this time.
    fn wait(&self, patience: Duration) -> Option<Event> {
        self.next().or_else(|| {
            crossbeam_channel::select_biased! {
                recv(self.urgent) -> event => event.ok(),
                recv(self.events) -> event => event.ok(),
                default(patience) => None,
            }
        })
    }
}

/// Waits for an event, then handles it and those that are already queued.
fn next(
    state: &mut State,
    inbox: &Inbox,
    workers: &mut Workers,
    screen: &mut Screen,
) -> anyhow::Result<Option<Ending>> {
    // Wakes up now and then even when idle: a panic in another thread ends the program.
    let patience = if state.is_busy() { TURN } else { IDLE };
    let mut event = inbox.wait(patience);
    for _ in 0..TOGETHER {
        let Some(happened) = event.take() else { break };
        if let Some(ending) = execute(update(state, happened), workers, screen)? {
            return Ok(Some(ending));
        }
        event = inbox.next();
    }
    if let Some(happened) = event {
        return execute(update(state, happened), workers, screen);
    }
    Ok(None)
}

/// The kind of pictures that are drawn; `None`: none.
fn picker(pictures: Pictures, theme: ThemeName, abilities: &Abilities) -> Option<Picker> {
    let forced = match pictures {
        Pictures::None => return None,
        // Half blocks show nothing without colours.
        Pictures::Auto if theme == ThemeName::None => return None,
        Pictures::Auto => None,
        Pictures::Halfblocks => Some(ProtocolType::Halfblocks),
        Pictures::Kitty => Some(ProtocolType::Kitty),
        Pictures::Iterm2 => Some(ProtocolType::Iterm2),
        Pictures::Sixel => Some(ProtocolType::Sixel),
    };
    Some(graphics::picker(abilities, forced))
}

/// Executes effects or passes them to the workers; returns how the program ends, if it does.
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

/// Passes the visible pictures that are missing to the painters if they differ from the last call's.
fn want(state: &State, before: &mut (Vec<WantedPicture>, bool), workers: &Workers) {
    let now = (wanted(state), state.place == Place::Look && state.look.zoom.is_some());
    if now != *before {
        workers.paint(now.0.clone(), now.1);
        *before = now;
    }
}

/// The visible pictures that are missing, the most important first.
#[must_use]
pub fn wanted(state: &State) -> Vec<WantedPicture> {
    let missing = layout::pictures(state).into_iter().filter(|(key, _)| !state.pictures.contains_key(key));
    let wanted = missing.filter_map(|(key, _)| {
        let photo = state.photos.get(&key.id)?;
        let size = (photo.facts.width, photo.facts.height);
        Some(WantedPicture { key, path: photo.paths.first()?.clone(), picture: photo.picture, size })
    });
    wanted.collect()
}

/// The main loop has ended.
static ENDS: AtomicBool = AtomicBool::new(false);
/// How long the main loop may take to end: it can hang only in writing to a terminal that reads no more.
#[cfg(unix)]
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Turns signals into events.
#[cfg(unix)]
fn signals(out: Sender<Event>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP])?;
    super::work::spawn("signals", move || {
        for signal in signals.forever() {
            let event = if signal == SIGTSTP { Event::Suspend } else { Event::Terminate };
            if out.send(event).is_err() {
                return;
            }
            if signal != SIGTSTP {
                std::thread::sleep(LAST_WORDS);
                if !ENDS.load(Ordering::SeqCst) {
                    let _ = crossterm::terminal::disable_raw_mode();
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn signals(_: Sender<Event>) -> anyhow::Result<()> {
    Ok(())
}

/// The most keys that are handed over together.
const BURST: usize = 1 << 14;
/// How long the next key of those that came together may take: with none at all, crossterm does not even look.
const AT_ONCE: Duration = Duration::from_micros(200);
/// How long the next key of a pasted text may take.
const PASTE_GAP: Duration = Duration::from_millis(10);

/// Turns keys, mouse actions, pastes and resizes into events. Keys that are already there are handed over together.
fn keys(out: Sender<Event>) -> anyhow::Result<()> {
    super::work::spawn("keys", move || {
        let (mut waiting, mut bursts) = (None, Bursts::default());
        loop {
            if waiting.is_none()
                && let Some(deadline) = bursts.deadline()
            {
                let left = deadline.saturating_duration_since(Instant::now());
                if !crossterm::event::poll(left.max(AT_ONCE)).unwrap_or(true) {
                    if bursts.rest().is_some_and(|event| out.send(event).is_err()) {
                        return;
                    }
                    continue;
                }
            }
            let events = match waiting.take().map_or_else(crossterm::event::read, Ok) {
                Ok(Input::Key(key)) => {
                    let mut keys = vec![key];
                    while keys.len() < BURST {
                        let patience = if keys.len() < PASTED { AT_ONCE } else { PASTE_GAP };
                        let next = crossterm::event::poll(patience);
                        match next.and_then(|is_there| is_there.then(crossterm::event::read).transpose()) {
                            Ok(Some(Input::Key(key))) => keys.push(key),
                            Ok(other) => {
                                waiting = other;
                                break;
                            }
                            // It is told by the next read.
                            Err(_) => break,
                        }
                    }
                    keys.retain(|key| key.kind != KeyEventKind::Release);
                    bursts.take(keys, Instant::now())
                }
                Ok(Input::Mouse(mouse)) => vec![Event::Mouse(mouse)],
                Ok(Input::Paste(text)) => vec![Event::Paste(text)],
                Ok(Input::Resize(width, height)) => vec![Event::Resize(width, height)],
                Ok(_) => continue,
                // The terminal is gone.
                Err(_) => {
                    let _ = out.send(Event::Terminate);
                    return;
                }
            };
            if events.into_iter().any(|event| out.send(event).is_err()) {
                return;
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_does_not_wait_behind_keys() {
        let ((urgent_out, urgent), (out, events)) = (crossbeam_channel::unbounded(), crossbeam_channel::unbounded());
        let inbox = Inbox { urgent, events };
        (0..100_000).for_each(|_| out.send(Event::Tick).unwrap());
        urgent_out.send(Event::Terminate).unwrap();
        assert!(matches!(inbox.wait(Duration::ZERO), Some(Event::Terminate)));
        assert!(matches!(inbox.next(), Some(Event::Tick)));
        urgent_out.send(Event::Suspend).unwrap();
        assert!(matches!(inbox.next(), Some(Event::Suspend)));
    }
}
