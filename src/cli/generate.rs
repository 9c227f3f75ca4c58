//! How a text is generated: flags that `caption`, `ask` and `chat` share.

use crate::exit::Failure;
use crate::model::generation::GenerateOptions;
use clap::Args;

/// How a text is generated.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Text generation")]
pub struct GenerateArgs {
    /// Beam search over this many candidate texts (5 is usual for captions); 1 takes the likeliest word each time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub num_beams: u16,
    /// Maximum number of tokens (roughly: words) [default: 20 for captions, 100 for answers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_new_tokens: Option<u32>,
    /// Minimum number of tokens
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub min_new_tokens: u32,
    /// Draw words at random: 1 uses the model's own probabilities, lower values favour likely words, 0 turns it off
    /// [default: 0, or 1 with --top-p]
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub temperature: Option<f32>,
    /// Draw only among the likeliest words, up to this total probability
    #[arg(long, value_name = "P", value_parser = probability)]
    pub top_p: Option<f32>,
    /// Seed of the random numbers: the same seed gives the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

impl GenerateArgs {
    /// The options that the flags select; `most` is the maximum number of tokens unless the user sets one.
    ///
    /// # Errors
    /// Two flags contradict each other (exit code 2).
    pub fn options(&self, most: usize) -> anyhow::Result<GenerateOptions> {
        let max_new_tokens = self.max_new_tokens.map_or(most, |n| n as usize);
        let min_new_tokens = self.min_new_tokens as usize;
        if min_new_tokens > max_new_tokens {
            return Err(Failure::usage(format!(
                "--min-new-tokens {min_new_tokens} is more than --max-new-tokens {max_new_tokens}"
            )));
        }
        let temperature = self.temperature.unwrap_or(if self.top_p.is_some() { 1.0 } else { 0.0 });
        if self.num_beams > 1 && temperature > 0.0 {
            return Err(Failure::usage("--num-beams cannot be combined with --temperature or --top-p: drop one"));
        }
        Ok(GenerateOptions {
            num_beams: self.num_beams.into(),
            max_new_tokens,
            min_new_tokens,
            temperature,
            top_p: self.top_p.unwrap_or(1.0),
            seed: self.seed,
        })
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|t| (0.0..=10.0).contains(t)).ok_or_else(|| "must be a number from 0 to 10".into())
}

fn probability(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|p| *p > 0.0 && *p <= 1.0).ok_or_else(|| "must be a number above 0 and at most 1".into())
}
