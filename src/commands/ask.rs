//! `ask`: one question about a photo.

use crate::captions::open;
use crate::chat::session::ANSWER_TOKENS;
use crate::cli::AskArgs;
use crate::config::Settings;
use crate::exit::Exit;
use crate::model::blip2::{Finish, GenerateRequest, question_prompt};
use crate::output;
use crate::terminal::console::Console;
use crate::terminal::{sanitize, signals};
use serde_json::json;

pub(super) fn ask(args: &AskArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let options = args.generate.options(ANSWER_TOKENS)?;
    let blip2 = open::open(settings, console)?;
    let library = open::library(settings, console);
    let cancel = signals::cancel()?;
    let Some(picture) = blip2.picture(&args.photo, library.as_ref(), cancel, console)? else {
        return Ok(Exit::Interrupted);
    };
    let prompt = question_prompt(&[], &args.question);
    let request = GenerateRequest { encoding: &picture.encoding, prompt: &prompt };
    let streams = console.terminal && !settings.json;
    let mut shown = Ok(());
    let mut answers = blip2.model.generate(&[request], &options, cancel, &mut |_, text| {
        if streams && shown.is_ok() {
            shown = console.piece(&sanitize::text(text));
        }
    })?;
    shown?;
    let Some(answer) = answers.pop() else { anyhow::bail!("the model returned no answer") };
    if streams {
        console.line("")?;
    }
    if answer.finish == Finish::Cancelled {
        return Ok(Exit::Interrupted);
    }
    if settings.json {
        let mut record =
            json!({"schema": 1, "question": args.question, "answer": answer.text, "tokens": answer.tokens});
        output::put_path(&mut record, &args.photo);
        console.json(&record)?;
    } else if !streams {
        console.line(&sanitize::text(&answer.text))?;
    }
    Ok(Exit::Success)
}
