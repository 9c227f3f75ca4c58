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
    open; types "a bird with a long beak"; sees "nearest of the rest"; picture search
    to_photos; keys Enter; sees "full screen"; picture look
    types zl; sees "100 %"; picture closely
    open; types "path:fish "; to_photos; types F; sees "goldfish"; picture filters
    open; to_photos; types 2; sees "coherence"; picture clusters
    types 0; sees "Recent searches"; keys j j; picture start
    types 7; sees "writes a script"; keys l; picture duplicates
    types 3; sees "╋"; picture map
    types 4; sees "dog, cat, car"; types "animal, building, tool, vehicle"; keys Enter; sees "this photo"; picture classify
    # None that writes is named.
    run env -u SNAPSEEK_BLIP2 snapseek tui --pictures halfblocks; sees "newest first"; to_photos
    types 8; sees "To download"; keys j j; picture models
    open "$home/Shapes" --library "$home/shapes"; sees "indexed"; types "path:21"; sees "1 match"; to_photos
    types c; sees "about this"
    ask "How many crosses are there?"; ask "What colour is it?"; ask "Is it large or small?"; picture chat
}

open() {
    run snapseek tui --pictures halfblocks "$@"
    sees "newest first"
}

# Gives the keys to the photos.
to_photos() {
    keys Enter
    sees "enter look"
}

ask() {
    local now
    types "$1"
    keys Enter
    settle
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

# Waits until the screen, `now`, has not changed for half a second: pictures and answers come one after the other. -N keeps
# blanks at the ends of lines: they have colours.
settle() {
    local before="" deadline=$((SECONDS + patience))
    now=$(tmux_ capture-pane -t 0 -e -p -N)
    while [[ $now != "$before" ]] && ((SECONDS < deadline)); do
        sleep 0.5
        before=$now now=$(tmux_ capture-pane -t 0 -e -p -N)
    done
}

picture() {
    local now
    settle
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
cp -r fixtures/shapes/heldout "$home/Shapes"
# A copy, for Duplicates.
mkdir "$home/Pictures/phone"
cp fixtures/photos/giraffe.jpg "$home/Pictures/phone/giraffe (1).jpg"
world=(env -i "PATH=$program:$PATH" LANG=C.UTF-8 "HOME=$home" "SHELL=/bin/sh" COLORTERM=truecolor TERM=xterm-256color
    "XDG_DATA_HOME=$home/.local/share" "XDG_CONFIG_HOME=$home/.config" "XDG_CACHE_HOME=$home/.cache"
    "SNAPSEEK_BLIP2=$PWD/fixtures/models/blip2-shapes" SNAPSEEK_OFFLINE=1)
# A program that has ended leaves its screen.
printf '#!/bin/sh\ncd "$HOME" && "$@"\nexec cat\n' >"$work/run"
chmod +x "$work/run"

"${world[@]}" snapseek index "$home/Pictures" --quiet >/dev/null
"${world[@]}" snapseek cluster --quiet >/dev/null
tmux_ start-server \; set -g status off \; set -g escape-time 0 \; set -g default-terminal tmux-256color \; \
    set -as terminal-features ",*:RGB" \; new-session -d -x $columns -y $rows cat
steps
