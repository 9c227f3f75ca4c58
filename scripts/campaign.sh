#!/usr/bin/env bash
# Attacks the program and its library in every way that the tests know, for minutes to an hour: kills, full and failing
# disks, damage, mutated pictures, bombs. The seed (1) chooses where; SNAPSEEK_POINTS makes it shorter.
set -euo pipefail
cd "$(dirname "$0")/.."

export SNAPSEEK_SEED="${1:-1}" SNAPSEEK_TEST_ALL=1
# Nothing here depends on the disk, and a file system in memory is faster.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then
  TMPDIR="$(mktemp -d /dev/shm/campaign.XXXXXX)"
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
fi

family() { sed -n "s/^$1[[:space:]]*: //p" /proc/cpuinfo | head -1; }
echo "$(family 'model name'), family $(family 'cpu family') model $(family model), $(nproc) cores; seed $SNAPSEEK_SEED"
cargo test --release --locked --test cli --no-run --quiet
for test in campaign_kills campaign_errors campaign_damage ten_thousand; do
  cargo test --release --locked --quiet --test cli "$test" -- --ignored --nocapture | grep -E '^  |seed|panicked|FAILED'
done
SNAPSEEK_BOMBS=1 cargo test --release --locked --quiet --test cli bombs -- --nocapture --test-threads 1 |
  awk '/ ms .* MB .*exit/ { runs++; if ($3 + 0 > slow) slow = $3 + 0; if ($5 + 0 > peak) peak = $5 + 0 }
       /^index/ { print "  " $0 } /panicked|FAILED/ { print }
       END { print "bombs: " runs " runs, the slowest " slow " ms, peak memory " peak " MB" }'
