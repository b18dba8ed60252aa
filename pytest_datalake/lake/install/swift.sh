#!/bin/sh
# Builds the environment of OpenStack Swift, apart from the project's own, from Debian's Python: the account that Swift
# runs as can reach both. Does nothing where it is up to date; a build that fails leaves what was there.
set -eu
umask 022
requirements=$(dirname "$0")/swift-requirements.txt
version=$(sed -n 's/^swift==//p' "$requirements")
if [ "$(id -u)" -eq 0 ]; then
    base=/var/lib/pytest-datalake
else
    base=$HOME/.local/share/pytest-datalake
fi
target=$base/swift-$version
up_to_date() { cmp -s "$requirements" "$target/requirements.txt"; }
up_to_date && exit 0

mkdir -p "$base"
exec 9>"$base/swift.lock"
flock 9
up_to_date && exit 0

echo "Building the environment of OpenStack Swift $version in $target"
fresh=$base/swift-$version.new
rm -rf "$fresh"
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
/usr/bin/python3 -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
cp "$requirements" "$fresh/requirements.txt"
rm -rf "$target"
mv "$fresh" "$target"
