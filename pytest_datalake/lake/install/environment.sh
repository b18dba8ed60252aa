#!/bin/sh
# Builds the environment of a service that must stand apart from the project's own: `environment.sh swift`. It is made
# with Debian's Python, where the account that the service runs as can reach it. NAME-requirements.txt pins what is in
# it, its first requirement names its version; NAME-finish.sh, if there is one, completes it. Does nothing where it is
# up to date; a build that fails leaves what was there.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
name=$1
requirements=$here/$name-requirements.txt
finish=$here/$name-finish.sh
version=$(sed -n '/^[^#]/{s/^.*==//p;q}' "$requirements")
if [ "$(id -u)" -eq 0 ]; then
    base=/var/lib/pytest-datalake
else
    base=$HOME/.local/share/pytest-datalake
fi
target=$base/$name-$version
up_to_date() {
    cmp -s "$requirements" "$target/requirements.txt" && { [ ! -e "$finish" ] || cmp -s "$finish" "$target/finish.sh"; }
}
up_to_date && exit 0

mkdir -p "$base"
exec 9>"$base/$name.lock"
flock 9
up_to_date && exit 0

echo "Building the environment of $name $version in $target"
fresh=$base/$name-$version.new
rm -rf "$fresh"
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
/usr/bin/python3 -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
if [ -e "$finish" ]; then
    sh "$finish" "$fresh"
    cp "$finish" "$fresh/finish.sh"
fi
cp "$requirements" "$fresh/requirements.txt"
rm -rf "$target"
mv "$fresh" "$target"
