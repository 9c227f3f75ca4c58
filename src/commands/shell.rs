//! `completions` and `man`.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Failure};
use crate::terminal::console::to_stdout;
use clap::CommandFactory;
use clap_complete::Shell;

/// Names of clusters and labels in queries. Bash completes what follows the last colon or equals sign only, unless the
/// user has said otherwise.
const BASH: &str = r#"
_snapseek_with_names() {
    _snapseek "$@"
    local word=${COMP_LINE:0:COMP_POINT} found IFS=$'\n'
    word=${word##*[[:space:]]}
    case $word in
        cluster:*|label:*|has:*) ;;
        *) return ;;
    esac
    COMPREPLY=()
    for found in $(snapseek complete "$word" 2>/dev/null); do
        found=$(printf '%q' "$found")
        [[ $COMP_WORDBREAKS == *:* ]] && found=${found#*:}
        [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && found=${found##*=}
        COMPREPLY+=("$found")
    done
}
complete -F _snapseek_with_names -o nosort -o bashdefault -o default snapseek
"#;
/// The same for zsh.
const ZSH: &str = r#"
_snapseek_with_names() {
    case $PREFIX in
        cluster:*|label:*|has:*) compadd -S ' ' -U -- ${(f)"$(snapseek complete "$PREFIX" 2>/dev/null)"} ;;
        *) _snapseek "$@" ;;
    esac
}
_snapseek_names() {
    local option=${@[-1]}
    compadd -- ${(f)"$(snapseek complete -- $option 2>/dev/null)"}
    [[ $option == --set ]] || _files -/
}
compdef _snapseek_with_names snapseek
"#;
/// The same for fish.
const FISH: &str = r#"
complete -c snapseek -n "__fish_seen_subcommand_from search classify" -f -a "(snapseek complete (commandline -ct) 2>/dev/null)"
complete -c snapseek -n "__fish_seen_subcommand_from classify" -l set -f -a "(snapseek complete -- --set 2>/dev/null)"
complete -c snapseek -l model -r -a "(snapseek complete -- --model 2>/dev/null)"
complete -c snapseek -l text-model -r -a "(snapseek complete -- --text-model 2>/dev/null)"
complete -c snapseek -l captioner -r -a "(snapseek complete -- --captioner 2>/dev/null)"
complete -c snapseek -l blip2 -r -a "(snapseek complete -- --blip2 2>/dev/null)"
complete -c snapseek -n "__fish_seen_subcommand_from search" -l rerank -a "(snapseek complete -- --rerank 2>/dev/null)"
complete -c snapseek -n "__fish_seen_subcommand_from score" -l matcher -r -a "(snapseek complete -- --matcher 2>/dev/null)"
"#;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snapseek", &mut script);
    let script = String::from_utf8(script)?;
    let mut lines = String::with_capacity(script.len());
    let mut option = "";
    for line in script.split_inclusive('\n') {
        match option {
            "--set)" | "--model)" | "--text-model)" | "--captioner)" | "--blip2)" | "--rerank)" | "--matcher)"
                if line.contains("compgen -f") =>
            {
                let kind = option.trim_end_matches(')');
                lines.push_str(&format!(
                    "                    local IFS=$'\\n'; COMPREPLY=($(compgen -W \"$(snapseek complete -- {kind} 2>/dev/null)\" \
                     -- \"${{cur}}\"))\n"
                ));
            }
            _ => lines.push_str(&names_in_zsh(&commands_first(line))),
        }
        option = line.trim();
    }
    lines.push_str(match args.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    });
    to_stdout(lines.as_bytes())?;
    Ok(Exit::Success)
}

/// A line of a script for bash that lists what can be completed, with commands before options; any other as it is.
fn commands_first(line: &str) -> String {
    let words = line.trim_start().strip_prefix("opts=\"").and_then(|rest| rest.trim_end().strip_suffix('"'));
    let Some(words) = words else { return line.to_owned() };
    let (options, commands): (Vec<&str>, Vec<&str>) = words.split(' ').partition(|word| word.starts_with('-'));
    let indent = &line[..line.len() - line.trim_start().len()];
    format!("{indent}opts=\"{}\"\n", [commands, options].concat().join(" "))
}

/// A line of a script for zsh in which an option takes a name that snapseek knows; any other as it is.
fn names_in_zsh(line: &str) -> String {
    for option in ["--set", "--model", "--text-model", "--captioner", "--blip2", "--rerank", "--matcher"] {
        if line.contains(&format!("'{option}=[")) || line.contains(&format!("){option}=[")) {
            return line.replace(":_default'", &format!(":_snapseek_names {option}'"));
        }
    }
    line.to_owned()
}

pub(super) fn manual(args: &ManArgs) -> anyhow::Result<Exit> {
    let mut program = Cli::command();
    program.build();
    let described = match args.command.as_deref() {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("there is no command {name:?}; `snapseek help` lists them")))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described).render(&mut page)?;
    to_stdout(&page)?;
    Ok(Exit::Success)
}
