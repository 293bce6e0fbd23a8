#!/bin/sh
# What `make device` needs of the system: PortAudio, a PulseAudio daemon that it starts itself, and ALSA's way from one to the other.
set -eu

packages="libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins"

there() {
  for program in pulseaudio pactl parec pacat; do
    command -v "$program" >/dev/null 2>&1 || return 1
  done
  ldconfig -p 2>/dev/null | grep -q 'libportaudio\.so\.2' || return 1
  ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1
}

there && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  there && exit 0
fi
echo "make device needs, on Debian and Ubuntu: apt-get install $packages (as root)" >&2
exit 1
