//! Prompts by the chat template that a checkpoint brings: a Jinja template, which is a foreign program and gets little
//! fuel and memory.

use crate::model::preprocess::read_json;
use anyhow::Context;
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Files that hold a template, in the order in which `transformers` looks.
const TEMPLATE: &str = "chat_template.jinja";
pub(super) const TEMPLATE_JSON: &str = "chat_template.json";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The longest template, in bytes; that of Qwen3-VL with its tools has some 6,000.
const LONGEST_TEMPLATE: usize = 1 << 18;
/// Steps that a template may take. A conversation of a thousand turns takes some ten thousand.
const FUEL: u64 = 2_000_000;
/// How deep macros and loops may call each other.
const DEPTH: usize = 50;
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
    environment: Environment<'static>,
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
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_keep_trailing_newline(true);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        // Methods of Python's strings, lists and dictionaries.
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |why: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, why))
        });
        let added = environment.add_template_owned("chat", without_generation_tags(&source));
        added.map_err(|error| anyhow::anyhow!("{name}: the chat template is damaged: {error}"))?;
        Ok(Self { environment, name, bos, eos })
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
        let failed = |error: Error| anyhow::anyhow!("{}: the chat template cannot be used: {error}", self.name);
        let template = self.environment.get_template("chat").map_err(failed)?;
        let with = context! { messages, add_generation_prompt => true, bos_token => self.bos, eos_token => self.eos };
        let mut prompt = BoundedText::default();
        template.render_captured_to(with, &mut prompt).map_err(failed)?;
        String::from_utf8(prompt.0).with_context(|| self.name.clone())
    }
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

    #[test]
    fn tags_of_training_are_taken_out_and_others_stay() {
        assert_eq!(without_generation_tags("a{% generation %}b{%- endgeneration -%}c{% if x %}"), "abc{% if x %}");
        assert_eq!(without_generation_tags("{% for"), "{% for");
    }
}
