#!/bin/sh
# See that Debian packages are there: debian.sh NAME... Installs what is missing when it may, else says what to do.
set -eu

have() {
    case $1 in
        postgresql) ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || command -v initdb > /dev/null 2>&1 ;;
        awscli) [ -x /usr/bin/aws ] ;; # another aws on the PATH is the first version, from the lock
        *) command -v "$1" > /dev/null 2>&1 ;;
    esac
}

hint() {
    case " $missing " in
        *" postgresql "*) echo "debian: or go without it: HEADGATE_NO_POSTGRES=1 make test" >&2 ;;
        *" chromium "*) echo "debian: or go without it: HEADGATE_NO_BROWSER=1 make test" >&2 ;;
    esac
}

missing=
for name in "$@"; do
    have "$name" || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null 2>&1; then
    echo "debian: missing:$missing; install what your system has for it and run this again" >&2
    hint
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "debian: missing:$missing; run this as root once: apt-get install$missing" >&2
    hint
    exit 1
fi
echo "debian: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # a list of names
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } > "$log" 2>&1 < /dev/null; then
    tail -n 20 "$log" >&2
    echo "debian: apt-get install$missing failed" >&2
    exit 1
fi
rm -f "$log"
