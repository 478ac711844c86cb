#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nginx, on DIR/nginx.sock as well, with an access log in DIR/access.log: connection, request line, status, Range.
#   /               autoindex as HTML          /json/ /xml/  the same tree, listed otherwise
#   /gzip/          encodes when asked to      /encoded/     encodes, asked or not
#   /noetag/        neither ETag nor           /lastmod/     Last-Modified alone
#                   Last-Modified              /weak/        a weak ETag
#   /norange/       200 to every Range         /basic/       user "test", password "test"
#   /slow/          100 kB/s after 64 kB       /status/NNN   answers NNN
#   /drop/          closes without an answer   /redirect/X   302 to /X
#   /cached/        Cache-Control: max-age=60  /nohead/      405 to HEAD
#   /noindex/       lists nothing: 403
#   /hop/X          302 to the TLS port's /X   /loop/        302 to itself
#   /text/          text/plain, for all             /away          302 to where nobody listens
#   /bearer/        the token "hush"           /cert/        DIR/client.pem
#   /echo           what credentials came, as text
#   /put/           PUT and DELETE alone, of DIR/put; directories are made as needed
#   /dav/           WebDAV, PROPFIND and locks by dav-ext; no If-Match, no Depth: infinity
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need nginx openssl
certificate cert
certificate client # which proves who one is at /cert/; its key is also there under the password "hush"
[ -s "$dir/client-key-locked.pem" ] ||
	openssl pkey -in "$dir/client-key.pem" -aes128 -passout pass:hush -out "$dir/client-key-locked.pem"
rm -f "$dir/nginx.sock"
printf 'test:%s\n' "$(openssl passwd -apr1 test)" >"$dir/htpasswd"
user=
[ "$(id -u)" != 0 ] || user="user $(id -un) $(id -gn);"
ext=/usr/lib/nginx/modules/ngx_http_dav_ext_module.so
load='' ext_zone='' ext_methods=''
if [ -e $ext ]; then
	load="load_module $ext;"
	ext_zone="dav_ext_lock_zone zone=locks:1m;"
	ext_methods="dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=locks;"
fi
cat >"$dir/nginx.conf" <<CONF
$load
$user
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/error.log info;
events { worker_connections 1024; }
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	log_format brief '\$connection \$request \$status \$http_range';
	access_log $dir/access.log brief;
	client_body_temp_path $dir/tmp/body;
	proxy_temp_path $dir/tmp/proxy;
	fastcgi_temp_path $dir/tmp/fastcgi;
	uwsgi_temp_path $dir/tmp/uwsgi;
	scgi_temp_path $dir/tmp/scgi;
	client_max_body_size 0;
	keepalive_timeout 30;
	keepalive_requests 1000000;
	$ext_zone
	server {
		listen 127.0.0.1:$port;
		listen 127.0.0.1:$tls ssl http2;
		listen unix:$dir/nginx.sock;
		ssl_certificate $dir/cert.pem;
		ssl_certificate_key $dir/cert-key.pem;
		ssl_verify_client optional;
		ssl_client_certificate $dir/client.pem;
		root $dir/www;
		autoindex on;
		location /json/ { alias $dir/www/; autoindex_format json; }
		location /xml/ { alias $dir/www/; autoindex_format xml; }
		location /gzip/ { alias $dir/www/; gzip on; gzip_types *; gzip_min_length 1; }
		location /encoded/ { alias $dir/www/; add_header Content-Encoding gzip; }
		location /noetag/ { alias $dir/www/; etag off; add_header Last-Modified ""; }
		location /lastmod/ { alias $dir/www/; etag off; }
		location /weak/ { alias $dir/www/; etag off; add_header ETag 'W/"weak"'; }
		location /cached/ { alias $dir/www/; add_header Cache-Control max-age=60; }
		location /norange/ { alias $dir/www/; max_ranges 0; }
		location /noindex/ { alias $dir/www/; autoindex off; }
		location /nohead/ { alias $dir/www/; if (\$request_method = HEAD) { return 405; } }
		location /basic/ { alias $dir/www/; auth_basic test; auth_basic_user_file $dir/htpasswd; }
		location /bearer/ { alias $dir/www/; if (\$http_authorization != "Bearer hush") { return 401; } }
		location /cert/ { alias $dir/www/; if (\$ssl_client_verify != SUCCESS) { return 403; } }
		location /slow/ { alias $dir/www/; limit_rate 100k; limit_rate_after 64k; }
		location /drop/ { return 444; }
		location /put/ { root $dir; dav_methods PUT DELETE; create_full_put_path on; }
		location /flat/ { alias $dir/put/; dav_methods PUT DELETE; }
		location /dav/ {
			root $dir;
			dav_methods PUT DELETE MKCOL COPY MOVE;
			dav_access user:rw group:r all:r;
			$ext_methods
		}
		location /text/ { default_type text/plain; return 200 "no index"; }
		location = /echo { default_type text/plain; return 200 "[\$http_authorization][\$http_x_key]"; }
		location ~ ^/redirect/(?<rest>.*)\$ { return 302 /\$rest; }
		location ~ ^/hop/(?<rest>.*)\$ { return 302 https://127.0.0.1:$tls/\$rest; }
		location = /away { return 302 http://127.0.0.1:1/; }
		location ~ ^/loop/ { return 302 \$request_uri; }
		location ~ ^/status/(?<code>[45]..)\$ {
			if (\$code = 400) { return 400; } if (\$code = 401) { return 401; }
			if (\$code = 403) { return 403; } if (\$code = 404) { return 404; }
			if (\$code = 410) { return 410; } if (\$code = 412) { return 412; }
			if (\$code = 416) { return 416; }
			if (\$code = 429) { return 429; } if (\$code = 500) { return 500; }
			if (\$code = 502) { return 502; } if (\$code = 503) { return 503; }
			if (\$code = 504) { return 504; }
			return 501;
		}
	}
}
CONF
serve nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf"
