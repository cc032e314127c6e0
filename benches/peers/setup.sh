#!/usr/bin/env bash
# Installs the engines that `dvms bench --peers` compares with, from PyPI, into .venv beside this file. They need
# Python 3.12 or newer, which is looked for on PATH and among pyenv's versions.
set -euo pipefail
cd "$(dirname "$0")"

good() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; }
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.14 python3.13 python3.12 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9].*/bin/python; do
    if [ -n "$candidate" ] && good "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

if [ -x .venv/bin/python ] && .venv/bin/python -c 'import rebalancer, ortools, highspy' 2>/dev/null; then
  echo "peers: installed in $PWD/.venv"
else
  python=$(find_python) || {
    echo "peers: Python 3.12 or newer is needed (Rebalancer asks for it) and was not found on PATH or in pyenv;" >&2
    echo "peers: install it, or name it: PYTHON=/path/to/python3.12 make peers" >&2
    exit 1
  }
  echo "peers: with $python, into $PWD/.venv"
  "$python" -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
fi
.venv/bin/pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(rebalancer|ortools|highspy) '
