#!/bin/sh
# postgresql.sh PROGRAM DIRECTORY: serve the cluster in DIRECTORY/cluster; the first time, set the password.
set -eu
if [ -e "$2/password.sql" ]; then
    "$1" --single -D "$2/cluster" rucio <"$2/password.sql" >"$2/password.out"
    rm "$2/password.sql" "$2/password.out"
fi
exec "$1" -D "$2/cluster"
