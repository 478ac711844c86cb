#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the NAME-up.sh scripts beside this one share; it is sourced by them.
#
#     NAME-up.sh DIR PORT TLS_PORT
#
# runs the server NAME on http://127.0.0.1:PORT, and where it does that on https://127.0.0.1:TLS_PORT (HTTP/2, a
# certificate of its own in DIR/cert.pem), for as long as the script's standard input is open: who starts it holds the
# other end of a pipe, and stops it by closing that. DIR/up is there while the server answers.
#
# Nothing is left behind by whoever is killed. When a test is, the pipe ends; and since a fork of it may still hold the
# pipe, who starts the script does that by "setpriv --pdeathsig KILL". When the script is, the kernel tells the keeper, the
# first of the server's group, which kills all of it.
#
# It serves DIR/www at /, and DIR/dav by WebDAV at /dav/, where it knows that; both are made when they are missing.
#
# Exit 0: it was stopped; 1: it does not start (a port is taken), which stderr explains; 3: it is not installed.
set -eu
[ $# -eq 3 ] || { echo "usage: ${0##*/} DIR PORT TLS_PORT" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
export TZ=UTC # Apache and lighttpd print local times
mkdir -p "$1/www" "$1/dav" "$1/tmp"
dir=$(cd "$1" && pwd -P)
www=$(cd "$1/www" && pwd -P)
prefix= # of the URL of what is in $www
# shellcheck disable=SC2034 # for the scripts
port=$2 tls=$3

# need PROGRAM...: or say that it is missing.
need() {
	for program; do
		command -v "$program" >/dev/null || { echo "${0##*/}: $program is not installed" >&2; exit 3; }
	done
}

# certificate NAME: a self-signed one for loopback in DIR/NAME.pem, its key in DIR/NAME-key.pem.
certificate() {
	need openssl
	[ -s "$dir/$1.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj "/CN=$1" -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
		-keyout "$dir/$1-key.pem" -out "$dir/$1.pem" 2>/dev/null
}

# Does this server, and no other, answer at PORT? It shows a file that no other has.
answers() {
	curl -fs --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port$prefix/$mark"
}

# stop: kill the server with all of its group. There is nothing that it had to save.
stop() {
	kill -s KILL -- "-$server" 2>/dev/null || :
	wait "$server" 2>/dev/null || :
}

# The keeper of PID, and of COMMAND..., whose group is its own: it ends with the one and the other.
# shellcheck disable=SC2016 # it is another shell's
keeper='pid=$1
shift
trap "kill -s KILL 0" TERM
"$@" &
[ "$PPID" = "$pid" ] || kill -s KILL 0 # it was killed before anybody was to be told
wait $!'

# serve COMMAND...: until standard input ends.
serve() {
	need curl setsid setpriv
	trap : HUP INT TERM # these end the reading below, not this script
	mark=up-$$-$port
	tries=0
	: >"$www/$mark"
	setsid setpriv --pdeathsig TERM sh -c "$keeper" keeper $$ "$@" </dev/null >"$dir/server.log" 2>&1 &
	server=$!
	until answers; do
		tries=$((tries + 1))
		if ! kill -0 "$server" 2>/dev/null || [ $tries -eq 500 ]; then
			cat "$dir/server.log" "$dir"/error.log >&2 2>/dev/null || :
			rm "$www/$mark"
			stop
			exit 1
		fi
		sleep 0.02
	done
	rm "$www/$mark"
	: >"$dir/up"
	# shellcheck disable=SC2016 # it is another shell's
	setpriv --pdeathsig KILL sh -c '[ "$PPID" != "$1" ] || exec cat >/dev/null' reader $$ || :
	rm "$dir/up"
	stop
}
