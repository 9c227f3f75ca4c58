#!/usr/bin/env bash
# Makes pictures of real runs for the documentation: docs/NAME.svg.
#
#     scripts/capture.sh          # all of them; needs tmux and Python 3
#
# The program runs in a tmux and a home of its own, with the photos of fixtures/photos indexed.
set -euo pipefail
cd "$(dirname "$0")/.."
columns=120 rows=36 patience=60

# A line for each picture. `run` starts a program in an empty terminal (and ends the one before), `keys` presses keys by
# their tmux names, `types` types text, `sees` waits until the screen holds a text, `picture` keeps what it shows.
steps() {
    run snapseek search "a bird with a long beak" -n 2 --preview; sees "chicken.jpg"; picture preview
}

run() {
    tmux_ respawn-pane -k -t 0 "$work/run" "$@"
}

keys() {
    tmux_ send-keys -t 0 "$@"
}

types() {
    tmux_ send-keys -t 0 -l -- "$1"
}

sees() {
    local deadline=$((SECONDS + patience))
    until tmux_ capture-pane -t 0 -p | grep -qF -- "$1"; do
        if ((SECONDS > deadline)); then
            echo "the screen does not show \"$1\" but:" >&2
            tmux_ capture-pane -t 0 -p >&2
            exit 1
        fi
        sleep 0.1
    done
}

# Pictures on the screen come one after the other: what is kept has not changed for half a second.
picture() {
    local now before="" deadline=$((SECONDS + patience))
    now=$(tmux_ capture-pane -t 0 -e -p)
    while [[ $now != "$before" ]] && ((SECONDS < deadline)); do
        sleep 0.5
        before=$now now=$(tmux_ capture-pane -t 0 -e -p)
    done
    mkdir -p docs
    scripts/ansi-to-svg.py --title snapseek --columns $columns --rows $rows <<<"$now" >"docs/$1.svg"
    echo "docs/$1.svg: $(stat -c %s "docs/$1.svg") bytes"
}

tmux_() {
    "${world[@]}" tmux -u -S "$work/tmux" -f /dev/null "$@"
}

cargo build --release --quiet
program=$(realpath "${CARGO_TARGET_DIR:-target}/release")
work=$(mktemp -d)
trap 'tmux_ kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
home=$work/home
mkdir -p "$home"
cp -r fixtures/photos "$home/Pictures"
world=(env -i "PATH=$program:$PATH" LANG=C.UTF-8 "HOME=$home" "SHELL=/bin/sh" COLORTERM=truecolor TERM=xterm-256color
    "XDG_DATA_HOME=$home/.local/share" "XDG_CONFIG_HOME=$home/.config" "XDG_CACHE_HOME=$home/.cache"
    "SNAPSEEK_BLIP2=$PWD/fixtures/models/blip2-shapes" SNAPSEEK_OFFLINE=1)
# A program that has ended leaves its screen.
printf '#!/bin/sh\ncd "$HOME" && "$@"\nexec cat\n' >"$work/run"
chmod +x "$work/run"

"${world[@]}" snapseek index "$home/Pictures" --quiet >/dev/null
tmux_ start-server \; set -g status off \; set -g escape-time 0 \; set -g default-terminal tmux-256color \; \
    set -as terminal-features ",*:RGB" \; new-session -d -x $columns -y $rows cat
steps
