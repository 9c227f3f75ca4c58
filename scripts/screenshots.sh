#!/bin/sh
# Takes pictures of the terminal UI in real terminals, to look at: xterm with a light and a dark background, with sixel,
# with sixteen colours and without any, and kitty. They go to DIR (default: target/screenshots).
#
# Needs Xvfb, xterm, kitty (any version), ImageMagick, and the release program:
#     apt-get install xvfb xterm kitty imagemagick && cargo build --release && scripts/screenshots.sh
set -eu
cd "$(dirname "$0")/.."
dir=$(mkdir -p "${1:-target/screenshots}" && cd "${1:-target/screenshots}" && pwd)
program=${SNAPSEEK:-$PWD/target/release/snapseek}
work=$(mktemp -d)
export DISPLAY="${DISPLAY_FOR_SCREENSHOTS:-:91}" LIBGL_ALWAYS_SOFTWARE=1 HOME="$work"
unset COLORTERM NO_COLOR
Xvfb "$DISPLAY" -screen 0 1100x720x24 >/dev/null 2>&1 &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
sleep 1
"$program" index fixtures/photos --library "$work/library" -q

# NAME TERMINAL...: opens the UI in this terminal, and takes a picture of it.
shoot() {
    name=$1
    shift
    "$@" sh -c "exec '$program' tui --library '$work/library' --query 'a dog' --theme \"\${THEME:-auto}\"" >/dev/null 2>&1 &
    terminal=$!
    sleep 5
    import -window root "$dir/$name.png"
    kill $terminal
    wait $terminal 2>/dev/null || true
}

xterm="xterm -fa Monospace -fs 10 -geometry 130x42"
shoot xterm-light $xterm -bg '#fdf6e3' -fg '#333333' -tn xterm-256color -e
shoot xterm-dark $xterm -bg '#101010' -fg '#dddddd' -tn xterm-256color -e
shoot xterm-sixel $xterm -bg '#fdf6e3' -fg '#333333' -ti vt340 -tn xterm-256color -e
shoot xterm-ansi $xterm -bg '#fdf6e3' -fg '#333333' -e env THEME=ansi
shoot xterm-mono $xterm -bg white -fg black -e env NO_COLOR=1
shoot kitty kitty -o update_check_interval=0 -o initial_window_width=1100 -o initial_window_height=720 \
    -o remember_window_size=no
echo "$dir"
