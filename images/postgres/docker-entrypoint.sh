#!/usr/bin/env bash
# The entrypoint of the Debian-made Postgres image. It follows the contract of the official
# `postgres` image, so that a stack may run on either:
#
#   POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_INITDB_WALDIR,
#   POSTGRES_HOST_AUTH_METHOD, each also as NAME_FILE; PGDATA; /docker-entrypoint-initdb.d
#
# In one point it is safer: a first start works in $PGDATA/.new and moves the result into place when
# all of it is there. One that is killed, or whose init script fails, begins anew at the next start
# instead of looking finished.
set -Eeuo pipefail

fail() {
  printf 'error: %s\n' "$@" >&2
  exit 1
}

# from_file NAME [DEFAULT]: NAME from itself, else from the file that NAME_FILE names, else DEFAULT.
from_file() {
  local name=$1 file=$1_FILE value
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    fail "$name and $file are both set; only one may be"
  fi
  value=${!name:-${2:-}}
  if [ -n "${!file:-}" ]; then
    value=$(cat -- "${!file}") || fail "$file names ${!file}, which cannot be read"
  fi
  export "$name=$value"
  unset "$file"
}

read_settings() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS
  from_file POSTGRES_INITDB_WALDIR
  from_file POSTGRES_HOST_AUTH_METHOD
}

require_password() {
  [ -n "$POSTGRES_PASSWORD" ] || [ "$POSTGRES_HOST_AUTH_METHOD" = trust ] ||
    fail 'Database is uninitialized and superuser password is not specified.' \
      'Set POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) to a value that is not empty,' \
      'or POSTGRES_HOST_AUTH_METHOD=trust to let in everybody without one (not recommended).'
}

# As root: directories that the server may write, then on as postgres, in the same process.
drop_root() {
  mkdir -p "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  chmod 3775 /run/postgresql
  if [ -n "$POSTGRES_INITDB_WALDIR" ]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 700 "$POSTGRES_INITDB_WALDIR"
    find "$POSTGRES_INITDB_WALDIR" \! -user postgres -exec chown postgres {} +
  fi
  find "$PGDATA" /run/postgresql \! -user postgres -exec chown postgres {} +
  HOME=/var/lib/postgresql exec setpriv --reuid=postgres --regid=postgres --init-groups \
    -- "${BASH_SOURCE[0]}" "$@"
}

make_cluster() {
  local args=(--username="$POSTGRES_USER" -D "$PGDATA")
  [ -z "$POSTGRES_INITDB_WALDIR" ] || args+=(--waldir="$POSTGRES_INITDB_WALDIR")
  # shellcheck disable=SC2294  # the variable holds words as a shell would split them
  if [ -n "$POSTGRES_PASSWORD" ]; then
    eval 'initdb "${args[@]}" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' "$POSTGRES_INITDB_ARGS"
  else
    eval 'initdb "${args[@]}"' "$POSTGRES_INITDB_ARGS"
  fi
}

# Everybody from outside by password. The local socket, and the loopback of this container, are
# initdb's own business (trust), as in the official image.
let_hosts_in() {
  local method=$POSTGRES_HOST_AUTH_METHOD
  [ -n "$method" ] || method=$(postgres -C password_encryption -D "$PGDATA")
  printf '\n# added by the image\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

# A server that only the local socket reaches: nobody outside can take it for the real one.
start_privately() {
  local options
  printf -v options '%q ' "$@" -c 'listen_addresses=' -p "${PGPORT:-5432}"
  NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w -t 3600 start
}

# For init scripts too: psql with what they need, stopping at the first error.
run_psql() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
    --username "$POSTGRES_USER" "$@"
}

make_database() {
  [ "$POSTGRES_DB" != postgres ] || return 0
  run_psql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

run_init_files() {
  local file psql=(run_psql --dbname "$POSTGRES_DB")
  for file in /docker-entrypoint-initdb.d/*; do
    [ -e "$file" ] || continue
    printf 'init: %s\n' "$file"
    case $file in
      *.sh)
        if [ -x "$file" ]; then
          "$file"
        else
          # shellcheck disable=SC1090
          . "$file"
        fi
        ;;
      *.sql) "${psql[@]}" -f "$file" ;;
      *.sql.gz) gzip -dc "$file" | "${psql[@]}" ;;
      *.sql.xz) xz -dc "$file" | "${psql[@]}" ;;
      *.sql.zst) zstd -dcq "$file" | "${psql[@]}" ;;
      *) printf 'init: %s is left out: neither .sh nor .sql\n' "$file" ;;
    esac
  done
}

# Moves a finished cluster into place. PG_VERSION goes last: it is what says "initialised".
publish() {
  local file
  for file in "$PGDATA"/.new/*; do
    case ${file##*/} in
      PG_VERSION | .finished | postmaster.opts) ;;
      *) mv -- "$file" "$PGDATA/" ;;
    esac
  done
  sync
  mv -- "$PGDATA/.new/PG_VERSION" "$PGDATA/"
  rm -rf "$PGDATA/.new"
}

# Never on top of what somebody else put here.
require_empty() {
  local left
  left=$(find "$PGDATA" -mindepth 1 -maxdepth 1 \! -name .new \! -name lost+found -printf '%f ')
  [ -z "$left" ] || fail "$PGDATA is not empty and not a data directory: it holds $left"
}

initialise() {
  local final=$PGDATA
  require_empty
  require_password
  # What an earlier first start left half made, also in the other directory that it had.
  if [ -e "$final/.new" ] && [ -n "$POSTGRES_INITDB_WALDIR" ]; then find "$POSTGRES_INITDB_WALDIR" -mindepth 1 -delete; fi
  rm -rf "$final/.new"
  export PGDATA=$final/.new
  if [ -n "$POSTGRES_PASSWORD" ]; then export PGPASSWORD=$POSTGRES_PASSWORD; fi
  make_cluster
  let_hosts_in
  start_privately "${@:2}"
  make_database
  run_init_files
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
  touch "$PGDATA/.finished"
  export PGDATA=$final
  publish
  printf '\nPostgreSQL is initialised; starting it\n\n'
}

# Whether the arguments only ask something of the binary.
only_asks() {
  local word
  for word; do
    case $word in
      -'?' | --help | --describe-config | -V | --version | -C) return 0 ;;
    esac
  done
  return 1
}

main() {
  if [ "${1:-}" = '' ] || [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
  if [ "$1" = postgres ] && ! only_asks "$@"; then
    # First, because files of secrets may be for root alone.
    read_settings
    [ "$(id -u)" != 0 ] || drop_root "$@"
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" 2>/dev/null || true
    if [ ! -s "$PGDATA/PG_VERSION" ] && [ -e "$PGDATA/.new/.finished" ]; then publish; fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise "$@"; fi
    # The server has no use for it, and its environment can be read.
    unset POSTGRES_PASSWORD
  fi
  exec "$@"
}

main "$@"
