#!/bin/sh
# Installs the Debian packages that the embedded lake, or the list that is named, needs and lacks. Starts no service:
# a policy-rc.d (Debian Policy 9.3.3) forbids it while dpkg runs, and what was there before is put back.
set -eu
list=${1:-$(dirname "$0")/debian-packages.txt}
missing=
while read -r package proof _purpose; do
    case "$package" in '#'* | '') continue ;; esac
    [ -e "$proof" ] || missing="$missing $package"
done <"$list"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "Cannot install Debian packages: neither root nor sudo. Ask an administrator for: apt-get install$missing" >&2
    exit 1
fi
echo "Installing Debian packages:$missing"

policy=/usr/sbin/policy-rc.d
kept=
no_cluster=/etc/postgresql-common/createcluster.d/pytest-datalake.conf
restore() {
    $as_root rm -f "$no_cluster"
    if [ -n "$kept" ]; then $as_root mv -f "$kept" "$policy"; else $as_root rm -f "$policy"; fi
}
if [ -e "$policy" ]; then
    kept=$policy.before-pytest-datalake
    $as_root cp -p "$policy" "$kept"
fi
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' | $as_root sh -c "cat >$policy && chmod 755 $policy"
$as_root mkdir -p "${no_cluster%/*}" # PostgreSQL's package makes a cluster for the machine otherwise
echo 'create_main_cluster = off' | $as_root sh -c "cat >$no_cluster"

$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086  # a list of words is meant
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
