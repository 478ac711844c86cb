#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Caddy's file_server: a directory is listed as JSON when that is accepted, else as HTML.
#   /html/          the same tree, always as HTML
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need caddy openssl
certificate cert
cat >"$dir/Caddyfile" <<CONF
{
	admin off
	auto_https off
	storage file_system $dir/tmp
	servers 127.0.0.1:$port {
		protocols h1
	}
	servers 127.0.0.1:$tls {
		protocols h1 h2
	}
}
http://:$port {
	bind 127.0.0.1
	root * $www
	handle_path /html/* {
		request_header Accept text/html
		file_server browse
	}
	handle {
		file_server browse
	}
}
https://:$tls {
	bind 127.0.0.1
	tls $dir/cert.pem $dir/cert-key.pem
	root * $www
	file_server browse
}
CONF
export HOME="$dir/tmp" XDG_CONFIG_HOME="$dir/tmp" XDG_DATA_HOME="$dir/tmp"
serve caddy run --config "$dir/Caddyfile" --adapter caddyfile
