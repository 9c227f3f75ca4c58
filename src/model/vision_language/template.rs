//! Prompts by the chat template that a checkpoint brings: a Jinja template, which is a foreign program and gets little
//! fuel, memory and time, and a stack of its own.

use crate::model::preprocess::read_json;
use crate::panics::contained;
use anyhow::Context;
use crossbeam_channel::bounded;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, State, Value as TemplateValue, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Files that hold a template, in the order in which `transformers` looks.
const TEMPLATE: &str = "chat_template.jinja";
pub(super) const TEMPLATE_JSON: &str = "chat_template.json";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The longest template, in bytes; that of Qwen3-VL with its tools has some 6,000.
const LONGEST_TEMPLATE: usize = 1 << 15;
/// Steps that a template may take; every 64 bytes that it makes count as one, so that they bound its memory to 64 MB.
/// A conversation of a thousand turns takes some ten thousand.
const FUEL: u64 = 1_000_000;
/// How deep macros and loops may call each other.
const DEPTH: usize = 25;
/// Bytes of stack: a template of the greatest length that is nothing but minus signs needs about a third of it.
const STACK: usize = 1 << 27;
/// How long a prompt may take. Fuel bounds what a template makes, but not how often it looks at lists that share parts.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest prompt, in bytes.
const LONGEST_PROMPT: usize = 1 << 22;

/// The names of the files that may hold a template.
pub(super) const FILES: [&str; 3] = [TEMPLATE, TEMPLATE_JSON, TOKENIZER_CONFIG];

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Something that is said in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// By whom.
    pub speaker: Speaker,
    /// How many pictures come before the text.
    pub pictures: usize,
    /// The text.
    pub text: String,
}

#[derive(Serialize)]
struct TemplateMessage<'a> {
    role: Speaker,
    content: Vec<TemplateContent<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum TemplateContent<'a> {
    Image,
    Text { text: &'a str },
}

/// A checkpoint's template.
pub(super) struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    /// Set once it took too long: what it began cannot be stopped, and is not begun again.
    is_lost: AtomicBool,
    name: String,
    /// Control tokens that templates name.
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Reads the template in a folder.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let of_json = |file: &str| -> anyhow::Result<Option<Value>> {
            let path = folder.join(file);
            if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
        };
        let config = of_json(TOKENIZER_CONFIG)?.unwrap_or_default();
        let plain = folder.join(TEMPLATE);
        let (file, source) = if plain.is_file() {
            let text =
                std::fs::read_to_string(&plain).with_context(|| format!("{} cannot be read", plain.display()))?;
            (TEMPLATE, Some(text))
        } else if let Some(json) = of_json(TEMPLATE_JSON)? {
            (TEMPLATE_JSON, text_of(&json["chat_template"]))
        } else {
            (TOKENIZER_CONFIG, text_of(&config["chat_template"]))
        };
        let name = folder.join(file).display().to_string();
        let source = source.with_context(|| format!("{} holds no chat template", folder.display()))?;
        let token = |key: &str| {
            let token = &config[key];
            token.as_str().or_else(|| token["content"].as_str()).unwrap_or_default().to_owned()
        };
        Self::new(source, name, token("bos_token"), token("eos_token"))
    }

    fn new(source: String, name: String, bos: String, eos: String) -> anyhow::Result<Self> {
        anyhow::ensure!(source.len() <= LONGEST_TEMPLATE, "{name}: the chat template is too long");
        let damaged = |error: anyhow::Error| anyhow::anyhow!("{name}: the chat template is damaged: {error:#}");
        let environment = apart(move || environment(&source)).map_err(damaged)?;
        Ok(Self { environment: Arc::new(environment), is_lost: AtomicBool::new(false), name, bos, eos })
    }

    /// The prompt of a conversation, up to where the model's next answer begins.
    ///
    /// # Errors
    /// The template fails, or does not end.
    pub(super) fn prompt(&self, messages: &[ChatMessage]) -> anyhow::Result<String> {
        let messages: Vec<TemplateMessage> = messages
            .iter()
            .map(|message| TemplateMessage {
                role: message.speaker,
                content: std::iter::repeat_n((), message.pictures)
                    .map(|()| TemplateContent::Image)
                    .chain((!message.text.is_empty()).then_some(TemplateContent::Text { text: &message.text }))
                    .collect(),
            })
            .collect();
        let given = Serde(messages).into();
        let failed =
            |error: anyhow::Error| anyhow::anyhow!("{}: the chat template cannot be used: {error:#}", self.name);
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(failed(anyhow::anyhow!(ENDLESS)));
        }
        let (environment, bos, eos) = (Arc::clone(&self.environment), self.bos.clone(), self.eos.clone());
        let made = apart(move || render(&environment, given, &bos, &eos));
        if made.as_ref().is_err_and(|error| error.to_string() == ENDLESS) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        String::from_utf8(made.map_err(failed)?).with_context(|| self.name.clone())
    }
}

/// What is said of a template that takes too long.
const ENDLESS: &str = "it does not end";

/// Runs what a template does in a thread with a stack of its own, and waits for it only so long.
fn apart<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    let (sender, receiver) = bounded(1);
    let thread = std::thread::Builder::new().name("chat template".into()).stack_size(STACK);
    thread.spawn(move || {
        let made = contained(work).unwrap_or_else(|panicked| Err(panicked.into()));
        // Nobody waits any longer.
        let _ = sender.send(made);
    })?;
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(anyhow::anyhow!(ENDLESS)))
}

/// What runs a template.
fn environment(source: &str) -> anyhow::Result<Environment<'static>> {
    let mut environment = Environment::new();
    // As `transformers` sets them.
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_unknown_method_callback(method);
    environment.add_function("raise_exception", |why: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, why))
    });
    environment.add_template_owned("chat", without_generation_tags(source))?;
    Ok(environment)
}

/// Methods of Python's strings, lists and dictionaries.
fn method(
    state: &mut State,
    value: &TemplateValue,
    name: &str,
    given: &[TemplateValue],
) -> Result<TemplateValue, Error> {
    // A width takes no fuel, and could ask for more than all memory.
    let is_wide = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 4);
    if name == "format" && value.as_str().is_some_and(is_wide) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a format is too wide"));
    }
    unknown_method_callback(state, value, name, given)
}

fn render(environment: &Environment, messages: TemplateValue, bos: &str, eos: &str) -> anyhow::Result<Vec<u8>> {
    let with = context! { messages, add_generation_prompt => true, bos_token => bos, eos_token => eos };
    let mut prompt = BoundedText::default();
    environment.get_template("chat")?.render_captured_to(with, &mut prompt)?;
    Ok(prompt.0)
}

/// A prompt in the making, which does not grow without end.
#[derive(Default)]
struct BoundedText(Vec<u8>);

impl std::io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_PROMPT {
            return Err(std::io::Error::other("the prompt is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A template, or the one called default of several.
fn text_of(value: &Value) -> Option<String> {
    let named = |list: &Vec<Value>| {
        let default = list.iter().find(|one| one["name"] == "default")?;
        default["template"].as_str().map(str::to_owned)
    };
    value.as_str().map(str::to_owned).or_else(|| value.as_array().and_then(named))
}

/// Takes out the tags `{% generation %}` and `{% endgeneration %}`, which mark answers for training and are known to
/// `transformers` alone.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(end) = rest[start..].find("%}") else { break };
        let inside = rest[start + 2..start + end].trim_matches(['-', '+']).trim();
        let after = &rest[start + end + 2..];
        if matches!(inside, "generation" | "endgeneration") {
            out.push_str(&rest[..start]);
        } else {
            out.push_str(&rest[..start + end + 2]);
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, messages: &[ChatMessage]) -> anyhow::Result<String> {
        ChatTemplate::new(source.to_owned(), "file".into(), "<s>".into(), "</s>".into())?.prompt(messages)
    }

    fn said(speaker: Speaker, pictures: usize, text: &str) -> ChatMessage {
        ChatMessage { speaker, pictures, text: text.into() }
    }

    #[test]
    fn published_templates_render() {
        let turns = [
            said(Speaker::User, 1, "What is it?"),
            said(Speaker::Assistant, 0, "A cat"),
            said(Speaker::User, 0, "Why?"),
        ];
        let llava = "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}\
                     {% endif %}{# all images first #}{% for content in message['content'] | selectattr('type', \
                     'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{% for content in message['content'] | \
                     selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}\
                     {%- endgeneration -%}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}\
                     {% endif %}";
        assert_eq!(render(llava, &turns).unwrap(), "USER: <image>\nWhat is it? ASSISTANT: A cat USER: Why? ASSISTANT:");
        let smol = "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]\
                    ['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}\
                    {% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}\
                    {% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}\
                    {{ 'Assistant:' }}{% endif %}";
        assert_eq!(
            render(smol, &turns).unwrap(),
            "<|im_start|>User:<image>What is it?<end_of_utterance>\nAssistant: A cat<end_of_utterance>\n\
             User: Why?<end_of_utterance>\nAssistant:"
        );
    }

    #[test]
    fn a_template_that_does_not_end_or_fails_is_an_error() {
        let turns = [said(Speaker::User, 1, "What is it?")];
        for (source, word) in [
            ("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "template"),
            ("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "template"),
            ("{{ raise_exception('only text') }}", "only text"),
            ("{% if %}", "damaged"),
            ("{{ messages[0].no.such }}", "template"),
        ] {
            let error = render(source, &turns).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("file"), "{source}: {error}");
        }
    }

    /// Errors name the template, and come while a person still waits.
    fn is_refused(source: &str) {
        let started = std::time::Instant::now();
        let start: String = source.chars().take(80).collect();
        let error = render(source, &[said(Speaker::User, 1, "What is it?")]).unwrap_err().to_string();
        assert!(error.contains("file: the chat template"), "{start}: {error}");
        assert!(started.elapsed() < 2 * PATIENCE, "{start} took {:?}", started.elapsed());
    }

    #[test]
    fn a_template_that_makes_much_of_little_is_an_error() {
        let grows = |step: &str| {
            format!(
                "{{% set s = namespace(t='ab') %}}{{% for i in range(60) %}}{step}{{% endfor %}}{{{{ s.t|length }}}}"
            )
        };
        is_refused(&grows("{% set s.t = s.t ~ s.t %}"));
        is_refused(&grows("{% set s.t = s.t + s.t %}"));
        is_refused(&grows("{% set t %}{{ s.t }}{{ s.t }}{% endset %}{% set s.t = t %}"));
        for source in [
            "{% macro f(t, n) %}{% if n %}{{ f(t ~ t, n - 1) }}{% endif %}{% endmacro %}{{ f('ab', 45) }}",
            "{{ 'ab' * 99999999999 }}",
            "{{ ('ab' * 40000000) ~ ('ab' * 40000000) }}",
            "{{ ([1] * 90000000)|list|length }}",
            "{{ 'a\nb'|indent(99999999999) }}",
            "{{ '%99999999999d'|format(1) }}",
            "{{ '{:99999999999}'.format(1) }}",
            "{{ [1]|batch(99999999999, 0)|list }}",
            "{{ [1]|slice(99999999999, 0)|list }}",
            "{{ range(100000)|map('string')|join('x' * 100000) }}",
            "{{ ('a' * 1000000).replace('', 'a' * 1000000) }}",
        ] {
            is_refused(source);
        }
        let many = |filter: &str| format!("{{{{ 'aa'{}|length }}}}", filter.repeat(40));
        is_refused(&many("|replace('a', 'aaaaaaaa')"));
        is_refused(&many(".replace('a', 'aaaaaaaa')"));
    }

    #[test]
    fn a_template_of_deep_parts_needs_no_more_stack_than_there_is() {
        for (before, unit, after) in [
            ("{{ ", "not ", "1 }}"),
            ("{{ ", "-", "1 }}"),
            ("{{ 1", "+1", " }}"),
            ("{{ 1", "|int", " }}"),
            ("{{ a", ".a", " }}"),
            ("{{ a", "()", " }}"),
            ("{{ ", "1 if 0 else ", "1 }}"),
            ("{% if 0 %}", "{% elif 0 %}", "{% endif %}"),
            ("{{ ", "(", "1 }}"),
            ("{{ ", "[", "1 }}"),
            ("", "{% if 1 %}", ""),
        ] {
            let times = (LONGEST_TEMPLATE - before.len() - after.len()) / unit.len();
            let source = format!("{before}{}{after}", unit.repeat(times));
            // Whether it is right or not: the process lives.
            let _ = render(&source, &[said(Speaker::User, 1, "What is it?")]);
        }
        is_refused(&" ".repeat(LONGEST_TEMPLATE + 1));
    }

    #[test]
    fn a_template_that_keeps_busy_without_making_anything_is_given_up_once() {
        // Two lists that are equal, with 2^60 paths through them.
        let source = "{% set s = namespace(a=1, b=1) %}{% for i in range(60) %}{% set s.a = [s.a, s.a] %}\
                      {% set s.b = [s.b, s.b] %}{% endfor %}{{ s.a == s.b }}";
        let template = ChatTemplate::new(source.to_owned(), "file".into(), String::new(), String::new()).unwrap();
        let error = template.prompt(&[]).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains(ENDLESS), "{error}");
        let started = std::time::Instant::now();
        template.prompt(&[]).unwrap_err();
        assert!(started.elapsed() < PATIENCE / 2);
    }

    #[test]
    fn tags_of_training_are_taken_out_and_others_stay() {
        assert_eq!(without_generation_tags("a{% generation %}b{%- endgeneration -%}c{% if x %}"), "abc{% if x %}");
        assert_eq!(without_generation_tags("{% for"), "{% for");
    }
}
