//! Frames of a video, by the program `ffmpeg`, which must be installed.
//!
//! It is told which container it reads, so that a list of other files is never followed, may open nothing but that
//! file, and is stopped when it takes too long.

use super::{ErrorKind, PhotoError};
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Most bytes of a frame.
const LONGEST: u64 = 16 << 20;
/// Most bytes of what it says about a video.
const LONGEST_TEXT: u64 = 256 << 10;
/// How long one call may take: a disk may have to wake up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most bytes of all frames of a video together.
pub(super) const MOST: u64 = 5 * LONGEST;

/// Whether the program is there.
#[must_use]
pub fn is_installed() -> bool {
    let quiet =
        |command: &mut Command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new("ffmpeg").arg("-version")).is_ok_and(|status| status.success())
}

/// Up to five key frames of a video as JPEGs, and what it says about itself: lines of `name=value`.
///
/// Of less than 10 seconds there is one frame, of less than a minute there are three. The one in the middle comes
/// first.
pub(super) fn frames(path: &Path, container: &str) -> Result<(Vec<u8>, Vec<Vec<u8>>), PhotoError> {
    // It writes how long the video is among its messages.
    let about =
        call(path, container, &["-v", "info"], &["-map_metadata", "0", "-f", "ffmetadata", "pipe:1"], LONGEST_TEXT)?;
    let seconds = duration(&String::from_utf8_lossy(&about.messages)).unwrap_or(0.0);
    let parts: &[f64] = match seconds {
        ..10.0 => &[0.5],
        ..60.0 => &[0.5, 1.0 / 6.0, 5.0 / 6.0],
        _ => &[0.5, 0.1, 0.3, 0.7, 0.9],
    };
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut last = None;
    for part in parts {
        let at = format!("{:.3}", part * seconds);
        let found = frame(path, container, &["-ss", &at, "-noaccurate_seek", "-skip_frame", "nokey"])?;
        if found.written.is_empty() {
            last = Some(found);
        } else if !frames.contains(&found.written) {
            frames.push(found.written);
        }
    }
    if frames.is_empty() {
        // Of a damaged one, whatever comes first.
        let found = frame(path, container, &[])?;
        if found.written.is_empty() {
            let found = if found.messages.is_empty() { last.unwrap_or(found) } else { found };
            let messages = String::from_utf8_lossy(&found.messages);
            let reason = messages.lines().last().map_or("it has no picture", str::trim);
            return Err(PhotoError::new(ErrorKind::Damaged, format!("ffmpeg finds no frame in this video: {reason}")));
        }
        frames.push(found.written);
    }
    Ok((about.written, frames))
}

fn frame(path: &Path, container: &str, input: &[&str]) -> Result<Output, PhotoError> {
    // Square pixels, and the colours that JPEG has.
    const FILTER: &str = "scale=iw*sar:ih:out_color_matrix=bt601:out_range=full,setsar=1,format=yuvj420p";
    let input: Vec<&str> = ["-v", "error", "-threads", "1"].iter().chain(input).copied().collect();
    let output = ["-map", "0:V:0", "-frames:v", "1", "-vf", FILTER, "-c:v", "mjpeg", "-q:v", "2", "-threads", "1"];
    let output: Vec<&str> = output.into_iter().chain(["-f", "image2pipe", "pipe:1"]).collect();
    call(path, container, &input, &output, LONGEST)
}

/// What a call has written, and said.
struct Output {
    written: Vec<u8>,
    messages: Vec<u8>,
}

fn call(path: &Path, container: &str, input: &[&str], output: &[&str], most: u64) -> Result<Output, PhotoError> {
    let failed = |what: String| PhotoError::new(ErrorKind::Unreadable, what);
    let mut file = std::ffi::OsString::from("file:");
    file.push(path);
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe"]).args(input);
    command.args(["-f", container, "-i"]).arg(file).args(output);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        IoErrorKind::NotFound => {
            PhotoError::new(ErrorKind::Unsupported, "a video: the program ffmpeg is not installed")
        }
        _ => failed(format!("ffmpeg cannot be started: {error}")),
    })?;
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("ffmpeg has no output".to_owned()));
    };
    let (done, wait) = channel();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut written, mut messages) = (Vec::new(), Vec::new());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // What is too much is read too, so that the program is not kept from ending.
                    let _ = (&mut stderr).take(LONGEST_TEXT).read_to_end(&mut messages);
                    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
                });
                let _ = (&mut stdout).take(most + 1).read_to_end(&mut written);
                drop(stdout);
            });
            let _ = done.send(Output { written, messages });
        });
        let outcome = wait.recv_timeout(PATIENCE);
        // It has closed its outputs, or takes too long.
        if outcome.is_err() {
            let _ = child.kill();
        }
        let _ = child.wait();
        outcome
    });
    let Ok(outcome) = outcome else {
        return Err(PhotoError::new(ErrorKind::Damaged, "ffmpeg takes longer than a minute for this video"));
    };
    if outcome.written.len() as u64 > most {
        return Err(PhotoError::new(ErrorKind::TooLarge, format!("a frame of this video has more than {most} bytes")));
    }
    Ok(outcome)
}

/// Seconds, from `Duration: 00:01:23.45` among the messages.
fn duration(messages: &str) -> Option<f64> {
    let text = messages.split("Duration: ").nth(1)?.split(',').next()?;
    let parts: Vec<f64> = text.trim().split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    Some(hours * 3600.0 + minutes * 60.0 + seconds).filter(|seconds| *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_read() {
        let text = "Input #0, mov, from 'file:a':\n  Duration: 01:02:03.50, start: 0.0, bitrate: 1 kb/s\n";
        assert_eq!(duration(text), Some(3723.5));
        for text in ["", "  Duration: N/A, start", "Duration: 1:2", "Duration: -1:00:00, "] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
