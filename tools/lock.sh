#!/bin/sh
# Writes requirements.lock (what the server needs to run) and requirements-dev.lock (that, and the tests and checks)
# from pyproject.toml: exact versions, for every platform and every supported Python, with the hash of every file.
#
#   tools/lock.sh                             keep the pins that still fit, add and drop what pyproject.toml asks for
#   tools/lock.sh --upgrade                   take the newest release of everything
#   tools/lock.sh --upgrade-package litestar  take the newest release of one package
#
# Both files pin the build backend as well, so that `make setup` builds Recaudo with files whose hashes it has checked.
set -eu
cd "$(dirname "$0")/.."

resolver=$(mktemp -d)
trap 'rm -rf "$resolver"' EXIT
"${PYTHON:-python3}" -m venv "$resolver"
"$resolver/bin/python" -m pip install --quiet --disable-pip-version-check "uv==0.13.9"

lock() {
    output=$1
    shift
    "$resolver/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "tools/lock.sh" --output-file "$output" "$@" pyproject.toml >/dev/null
}

lock requirements.lock --group build "$@"
# The second lock takes the first as given: the tests run against what the server runs with.
lock requirements-dev.lock --group dev --constraint requirements.lock "$@"
