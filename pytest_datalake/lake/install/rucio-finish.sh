#!/bin/sh
# Completes the environment of Rucio: gfal2 for the daemon that deletes files, and in ./cluster a PostgreSQL cluster
# with Rucio's schema, which a lake copies. PostgreSQL refuses to be root: then it is its Debian package's account.
set -eu
environment=$1
ln -s /usr/lib/python3/dist-packages/gfal2.cpython-311-x86_64-linux-gnu.so "$environment"/lib/python3.11/site-packages/

work=$(mktemp -d)
if [ "$(id -u)" -eq 0 ]; then
    chown postgres: "$work"
    as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
else
    as_postgres() { "$@"; }
fi
programs=/usr/lib/postgresql/15/bin
cd "$work"
trap 'as_postgres "$programs/pg_ctl" -D "$work/cluster" -s -m immediate stop 2>/dev/null || :; rm -rf "$work"' EXIT
as_postgres "$programs/initdb" -D "$work/cluster" -U rucio -A trust -E UTF8 --locale=C --no-sync >/dev/null
as_postgres "$programs/pg_ctl" -D "$work/cluster" -s -w -l "$work/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off" start
as_postgres "$programs/createdb" -h "$work" -U rucio rucio

mkdir "$work/etc"
cat >"$work/etc/rucio.cfg" <<CONFIGURATION
[database]
default = postgresql+psycopg://rucio@/rucio?host=$work
[alembic]
cfg = $work/etc/alembic.ini
[common]
logdir = $work
CONFIGURATION
cat >"$work/etc/alembic.ini" <<CONFIGURATION
[alembic]
script_location = rucio.db.sqla:migrate_repo
sqlalchemy.url = postgresql+psycopg://rucio@/rucio?host=$work
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
CONFIGURATION
RUCIO_HOME=$work "$environment/bin/python" -c '
from rucio.db.sqla.util import build_database, create_base_vo
build_database()
create_base_vo()'
as_postgres "$programs/pg_ctl" -D "$work/cluster" -s -w -m fast stop
cp -r "$work/cluster" "$environment/cluster"
chmod -R go-rwx "$environment/cluster"
