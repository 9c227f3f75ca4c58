//! Arguments of `completions` and `man`.

use clap::Args;

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `complete`.
#[derive(Args, Debug)]
pub struct CompleteArgs {
    /// The word that is being typed
    #[arg(allow_hyphen_values = true)]
    pub word: String,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The command
    pub command: Option<String>,
}
