#!/bin/sh
# What `make browser` needs of the system: Chromium. It runs without a display.
set -eu

there() {
  test -x "${CHROMIUM:-/usr/bin/chromium}"
}

there && exit 0
if [ -z "${CHROMIUM:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || true
  there && exit 0
fi
echo "make browser needs Chromium: install it (Debian: apt-get install chromium), or say CHROMIUM=/path/to/it" >&2
exit 1
