#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Apache httpd, with an access log in DIR/access.log: port of the client, request line, status, Range.
#   /               mod_autoindex: the fancy listing as a table
#   /pre/           the same tree in <pre>                 /plain/       as a plain <ul>
#   /dav/           mod_dav, classes 1 and 2               /dav-deep/    the same, with Depth: infinity
#   /basic/         user "test", password "test"
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need apache2 openssl setpriv
certificate cert
printf 'test:%s\n' "$(openssl passwd -apr1 test)" >"$dir/htpasswd"
modules=/usr/lib/apache2/modules
{
	for name in mpm_event authz_core authn_core authn_file auth_basic authz_user mime dir autoindex alias \
		ssl socache_shmcb http2 dav dav_fs; do
		echo "LoadModule ${name}_module $modules/mod_$name.so"
	done
	cat <<CONF
ServerRoot $dir
ServerName localhost
Listen 127.0.0.1:$port
Listen 127.0.0.1:$tls https
PidFile $dir/apache.pid
DefaultRuntimeDir $dir/tmp
Mutex file:$dir/tmp default
ErrorLog $dir/error.log
LogFormat "%{remote}p %r %>s %{Range}i" brief
CustomLog $dir/access.log brief
TypesConfig /etc/mime.types
AllowEncodedSlashes NoDecode
MaxKeepAliveRequests 0
KeepAliveTimeout 30
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
DocumentRoot $www
DirectoryIndex index.html
DavLockDB $dir/tmp/locks
<Directory />
	Require all granted
	Options Indexes FollowSymLinks
	IndexOptions FancyIndexing HTMLTable NameWidth=* Charset=UTF-8
</Directory>
Alias /pre $www
<Location /pre>
	IndexOptions -HTMLTable
</Location>
Alias /plain $www
<Location /plain>
	IndexOptions -FancyIndexing -HTMLTable
</Location>
Alias /basic $www
<Location /basic>
	AuthType Basic
	AuthName test
	AuthUserFile $dir/htpasswd
	Require valid-user
</Location>
Alias /dav-deep $dir/dav
<Location /dav-deep>
	Dav On
	DavDepthInfinity On
</Location>
Alias /dav $dir/dav
<Location /dav>
	Dav On
</Location>
<VirtualHost 127.0.0.1:$port>
	Protocols http/1.1
</VirtualHost>
<VirtualHost 127.0.0.1:$tls>
	SSLEngine on
	SSLCertificateFile $dir/cert.pem
	SSLCertificateKeyFile $dir/cert-key.pem
	Protocols h2 http/1.1
</VirtualHost>
CONF
} >"$dir/httpd.conf"
# It refuses to be root. As somebody else who may do as much with files, it needs nothing of the tree's owners and modes.
as=
if [ "$(id -u)" = 0 ]; then
	as='setpriv --reuid=www-data --regid=www-data --clear-groups'
	as="$as --inh-caps=-all,+dac_override,+fowner --ambient-caps=-all,+dac_override,+fowner"
fi
# shellcheck disable=SC2086 # several words
serve $as apache2 -d "$dir" -f "$dir/httpd.conf" -X
