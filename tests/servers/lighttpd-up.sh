#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lighttpd, with an access log in DIR/access.log: port of the client, request line, status, Range.
#   /               mod_dirlisting
#   /dav/           mod_webdav: If-Match and If-None-Match count on PUT
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need lighttpd
: >"$dir/access.log" # there from the start, as the others' are
cat >"$dir/lighttpd.conf" <<CONF
server.modules = ("mod_dirlisting", "mod_webdav", "mod_accesslog")
server.document-root = "$www"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$dir/error.log"
server.upload-dirs = ("$dir/tmp")
server.http-parseopts = ("url-invalid-utf8-reject" => "disable")
server.max-keep-alive-requests = 1000000
server.stream-request-body = 0
server.stat-cache-engine = "disable" # a PUT of nothing does not tell it: for a second the old length is sent
accesslog.filename = "|/usr/bin/tee -a $dir/access.log"
accesslog.format = "%{remote}p %r %>s %{Range}i"
static-file.disable-pathinfo = "enable"
dir-listing.activate = "enable"
dir-listing.hide-dotfiles = "disable"
mimetype.assign = ("" => "application/octet-stream")
\$HTTP["url"] =~ "^/dav(\$|/)" {
	server.document-root = "$dir"
	webdav.activate = "enable"
	webdav.is-readonly = "disable"
	webdav.sqlite-db-name = "$dir/tmp/webdav.db"
	webdav.opts = ("partial-put-copy-modify" => "enable")
}
CONF
serve lighttpd -D -f "$dir/lighttpd.conf"
