#!/bin/sh
# Make a virtual environment with everything the lock file names and this project in it: setup.sh FOLDER
# PYTHON may name the interpreter. Running it again brings the environment up to date.
set -eu
cd "$(dirname "$0")/.."
venv=$1

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' > /dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || {
            echo "setup: PYTHON=$PYTHON is not Python 3.11 or newer" >&2
            return 1
        }
        echo "$PYTHON"
        return
    fi
    # 3.11 first: it is the one the tests run on
    for candidate in python3.11 python3.12 python3.13 python3; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: no Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
    return 1
}

if ! usable "$venv/bin/python"; then
    python=$(find_python)
    echo "setup: making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" || {
        echo "setup: $python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi

pip="$venv/bin/python -m pip --disable-pip-version-check"
echo "setup: installing what requirements/dev.txt names"
if $pip install --quiet --require-hashes --requirement requirements/uv.txt \
    && "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement requirements/dev.txt; then
    :
else
    echo "setup: uv could not do it; trying again with pip, which is slower"
    $pip install --quiet --require-hashes --requirement requirements/dev.txt
fi
# everything it needs is there by now, the build backend too: nothing may come from anywhere else
$pip install --quiet --no-deps --no-build-isolation --no-index --editable .
"$venv/bin/python" -c 'import headgate; print(f"setup: headgate {headgate.__version__} is ready")'
