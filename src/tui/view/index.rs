//! Index: the library's folders, the current indexing run, and the files that could not be read.

use super::text::{bar, clean, fit};
use crate::terminal::text::{count, display_path, pad, shorten};
use crate::tui::layout;
use crate::tui::state::{RunState, State};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The progress of a run, in one line.
pub(super) fn progress(run: &RunState) -> String {
    if run.cancelled {
        return "stopping; what is done is kept".into();
    }
    if let Some(step) = run.step.filter(|step| step.total > 0 && (run.found == run.done || run.found == 0)) {
        return format!("{}: {} of {}", step.what, step.done, step.total);
    }
    if run.found == 0 {
        return "looking for photos".into();
    }
    let seconds = run.ticks as f64 / 10.0;
    let rate = if seconds > 0.5 { run.done as f64 / seconds } else { 0.0 };
    let rate_text = if rate > 0.0 { format!(", {rate:.1} a second") } else { String::new() };
    let left = match rate {
        _ if run.walking => ", still looking".to_owned(),
        rate if rate > 0.0 => format!(", {} left", duration((run.found.saturating_sub(run.done)) as f64 / rate)),
        _ => String::new(),
    };
    format!("{} of {} photos{rate_text}{left}", run.done, run.found)
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.min(1e9) as u64;
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What somebody must know who has no library yet.
fn first_run(state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let keys = &state.options.keymap;
    let key = |name: &str| keys.keys_of(name).split(' ').next().unwrap_or_default().to_owned();
    let [uses, better] = &state.options.models;
    let says = [
        (
            "",
            "Finds your own photos by what they show. Nothing leaves this machine; photos are never written to.".into(),
        ),
        (&*key("add-folder"), "adds a folder of photos: they appear in Search (1) while they are read.".into()),
        ("", uses.clone()),
        ("", better.clone()),
        (&*key("help"), format!("shows the keys of a place; {} finds every action by its name.", key("palette"))),
    ]
    .map(|(key, says): (&str, String)| (key.to_owned(), says));
    let mut lines = Vec::new();
    for (key, says) in says {
        let mut key = Some(key).filter(|key| !key.is_empty());
        for line in super::text::wrap(&clean(&says), width.saturating_sub(4), 3) {
            let sign = key.take().map_or("   ".to_owned(), |key| format!("{key:<3}"));
            lines.push(Line::from(vec![Span::styled(sign, theme.accent), Span::styled(line, theme.text)]));
        }
    }
    lines.push(Line::default());
    lines
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let (theme, index) = (&state.theme, &state.index);
    let body = layout::areas(state).body;
    let inner = Rect {
        x: body.x + 2,
        y: body.y + u16::from(body.height > 8),
        width: body.width.saturating_sub(4),
        height: body.height.saturating_sub(u16::from(body.height > 8)),
    };
    let width = usize::from(inner.width);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let row = |name: &str, value: String| {
        Line::from(vec![
            Span::styled(format!("{name:<10}"), theme.dim),
            Span::styled(shorten(&value, width.saturating_sub(10)), theme.text),
        ])
    };
    match &index.standing {
        Some(standing) => {
            let status = &standing.status;
            lines.push(row("photos", format!("{} in {} files", status.photos, status.files)));
            lines.push(row("model", status.model.as_ref().map_or("none yet".into(), |model| clean(&model.name))));
            if status.captions.captioned > 0 {
                lines.push(row("captioned", format!("{} of {}", status.captions.captioned, status.captions.photos)));
            }
            if status.texts.read > 0 {
                let texts = status.texts;
                lines.push(row("read", format!("{} of {}, {} with text", texts.read, status.photos, texts.with_text)));
            }
            for root in &status.roots {
                lines.push(row("folder", crate::terminal::sanitize::path(root)));
            }
            if status.awaiting > 0 {
                lines.push(row("awaiting", format!("{} to be embedded: i does it", status.awaiting)));
            }
            if status.waiting.captions > 0 {
                let captions = usize::try_from(status.waiting.captions).unwrap_or(usize::MAX);
                lines.push(row("waiting", format!("{} for a picture that is gone", count(captions, "caption"))));
            }
            if status.lost_commits > 0 {
                lines.push(row("lost", "the last changes: `snapseek check` says more".into()));
            }
        }
        None if index.known && index.run.is_none() => lines.extend(first_run(state, width)),
        None => {}
    }
    lines.push(row(
        "watching",
        if index.watch { "yes: changes are indexed automatically" } else { "no (w watches the folders)" }.into(),
    ));
    lines.push(Line::default());
    if let Some(run) = &index.run {
        let share = if run.found > 0 { run.done as f32 / run.found as f32 } else { 0.0 };
        lines.push(Line::from(Span::styled(progress(run), theme.accent)));
        let room = width.min(60);
        let filled = bar(share, room);
        let rest = "·".repeat(room.saturating_sub(filled.chars().count()));
        lines.push(Line::from(vec![Span::styled(filled, theme.gauge), Span::styled(rest, theme.dim)]));
        lines.push(Line::from(Span::styled("x cancels; what is done is kept", theme.dim)));
    } else if let Some(last) = &index.last {
        let (text, style) = match last {
            Ok(done) if index.was_cancelled => (format!("stopped: {done}; what is done is kept"), theme.text),
            Ok(done) => (done.clone(), theme.good),
            Err(why) => (why.clone(), theme.wrong),
        };
        for line in super::text::wrap(&clean(&text), width, 4) {
            lines.push(Line::from(Span::styled(line, style)));
        }
    }
    if !index.failures.is_empty() {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled(
            format!("{} could not be read:", count(index.failures.len(), "file")),
            theme.wrong,
        )));
        let room = usize::from(inner.height).saturating_sub(lines.len()).max(1);
        let first = (index.at + 1).saturating_sub(room);
        for (at, (path, kind, message)) in index.failures.iter().enumerate().skip(first).take(room) {
            let is_selected = at == index.at;
            let name = shorten(&display_path(path), width / 2);
            let why = fit(&format!("{}: {}", clean(kind), clean(message)), width.saturating_sub(width / 2 + 2));
            lines.push(Line::from(vec![
                Span::styled(pad(&name, width / 2 + 2), if is_selected { theme.selected } else { theme.text }),
                Span::styled(why, if is_selected { theme.selected } else { theme.dim }),
            ]));
        }
    }
    frame.render_widget(Paragraph::new(lines), inner);
}
