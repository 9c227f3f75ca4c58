//! Smaller forms of models that write.

use super::installed;
use crate::config::Settings;
use crate::exit::Failure;
use crate::model::blip2::{self, Blip2Use};
use crate::model::chat_model;
use crate::model::hub::quantized::{self, Form};
use crate::model::{self, Bits, Manifest};
use crate::model_choice;
use crate::terminal::console::Console;
use crate::terminal::progress::{Gauge, Unit};
use crate::terminal::sanitize;
use std::sync::atomic::{AtomicBool, Ordering};

/// A smaller form that was made.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The model's name.
    pub name: String,
    /// The form.
    pub form: Form,
    /// Bytes of what it was made from.
    pub before: u64,
}

/// Makes a smaller form of an installed model; `None` if cancelled.
///
/// # Errors
/// It is not installed, writes nothing, cannot be made smaller, or is damaged; or the disk has no room.
pub fn quantize(name: &str, bits: Bits, console: &Console, cancel: &AtomicBool) -> anyhow::Result<Option<Quantized>> {
    let source = installed(name)?;
    if !chat_model::is_chat_model(&source) {
        return Err(Failure::usage(format!(
            "{} describes no model that writes captions, or is damaged: only those can be quantized",
            sanitize::path(&source.join("config.json"))
        )));
    }
    let refused = match chat_model::is_instructed(&source) {
        true => None,
        false => match blip2::use_of(&source)? {
            Blip2Use::Writes => None,
            Blip2Use::WritesWithT5 => Some("its language model is T5"),
            Blip2Use::Matches => Some("it compares photos with texts"),
        },
    };
    if let Some(why) = refused {
        return Err(Failure::usage(format!(
            "{name} cannot be quantized: {why}, and of BLIP-2 only those with OPT can be"
        )));
    }
    if Manifest::read(&source)?.is_some() {
        return Err(Failure::usage(format!(
            "{} is already quantized: name the model that it was made from",
            sanitize::path(&source)
        )));
    }
    let name = model_choice::name(&model_choice::spec(name)?);
    let name = model::short_name(&name).to_owned();
    let mut gauge = Gauge::new(console, Unit::Percent, cancel);
    let made = quantized::make(&Settings::cache_dir()?, &name, &source, bits, &mut |done, total| {
        gauge.show("quantizing", done, total)
    });
    gauge.clear();
    if made.is_err() && cancel.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let form = made?;
    Ok(Some(Quantized { name, form, before: model::bytes_of(&source).unwrap_or(0) }))
}
