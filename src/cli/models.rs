//! Arguments of `models`.

use clap::Subcommand;

/// What `models` can do.
#[derive(Subcommand, Debug)]
pub enum ModelsAction {
    /// What is installed, where, how large, under which licence
    List,
    /// Download a model from Hugging Face, once
    Pull {
        /// clip, blip2, or org/name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Print the folder of an installed model
    Path {
        /// clip, blip2, or org/name
        name: String,
    },
    /// Make a smaller and faster form of a BLIP-2, once; `--precision` chooses among the forms
    Quantize {
        /// blip2, org/name, or a model folder
        name: String,
        /// Bits of a weight
        #[arg(long, value_name = "4|8", default_value = "4", value_parser = ["4", "8"])]
        bits: String,
    },
}
