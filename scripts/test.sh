#!/usr/bin/env bash
# Runs every test. On Debian and its kin it first installs what they need beside Rust and a C compiler (as root, or by
# sudo): strace to kill the program at a chosen system call, util-linux (setpriv, script) to run it without rights and on a
# terminal, tmux to drive the terminal UI, exiftool to write metadata as other programs do, ffmpeg to make and read videos. A PostgreSQL
# server runs beside the tests (scripts/postgres.sh). Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for pair in strace:strace setpriv:util-linux script:util-linux tmux:tmux exiftool:libimage-exiftool-perl ffmpeg:ffmpeg; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# `script` is a package of its own on newer Debian.
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root=sudo
  echo "installing: ${missing[*]}"
  $as_root apt-get update -qq
  $as_root apt-get install -y -qq "${missing[@]}" >/dev/null
  if ! command -v script >/dev/null; then
    $as_root apt-get install -y -qq bsdutils >/dev/null
  fi
fi

# A test whose tool is still missing fails now, instead of being skipped.
export SNAPSEEK_TEST_ALL=1
# One more than there are cores, because many tests wait for a terminal or for a process to die.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc 2>/dev/null || echo 2) + 1))}"
scripts/postgres.sh cargo test --release --workspace --locked "$@"
