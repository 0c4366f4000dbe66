#!/bin/sh
# Run the tests: test.sh [PATH...]. Those that kill processes come last and alone, so that they disturb no other.
# They wait (for processes, answers, time) a good deal, so there are four workers for CI's two cores.
set -u
cd "$(dirname "$0")/.."

.venv/bin/pytest -n 4 --dist loadscope --no-loadscope-reorder -m "not chaos" "$@"
quiet=$?
.venv/bin/pytest -m chaos "$@"
chaos=$?

# 5 is pytest's word for: none of these were asked for
[ "$quiet" -eq 5 ] && [ "$chaos" -eq 5 ] && exit 5
[ "$quiet" -eq 0 ] || [ "$quiet" -eq 5 ] || exit "$quiet"
[ "$chaos" -eq 0 ] || [ "$chaos" -eq 5 ] || exit "$chaos"
