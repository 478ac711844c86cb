#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nginx-down.sh DIR: stop what nginx-up.sh started there, and wait until it is gone.
set -eu
[ $# -eq 1 ] || { echo "usage: ${0##*/} DIR" >&2; exit 2; }
[ -s "$1/nginx.pid" ] || exit 0
pid=$(cat "$1/nginx.pid")
grep -qa nginx "/proc/$pid/cmdline" 2>/dev/null || exit 0
kill -TERM "$pid" 2>/dev/null || exit 0
tries=0
while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
