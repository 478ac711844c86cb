#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# OpenStack Swift with s3api: S3 by path (http://127.0.0.1:PORT/BUCKET/KEY), access key "test:tester", secret key
# "testing". DIR must be where files have user xattrs. Its account, container and object servers, and memcached, without
# which s3api answers 500, take ports of their own.
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need swift-proxy-server swift-account-server swift-container-server swift-object-server memcached
mkdir -p "$dir/srv/d" "$dir/log"
cat >"$dir/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = tests
[swift-constraints]
max_file_size = 5368709122
CONF

# Four free ports, and the three rings: swift-ring-builder would take a second for each step.
cat >"$dir/rings.py" <<'PY'
import socket
import sys

from swift.common.ring import RingBuilder

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
ports = [one.getsockname()[1] for one in sockets]
for name, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(3, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d", "weight": 1, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
print(*ports)
PY
ports=$(/usr/bin/python3 "$dir/rings.py" "$dir") || { echo "${0##*/}: no rings" >&2; exit 1; }
# shellcheck disable=SC2086 # words
set -- $ports
memcached_port=$4 backends="$1 $2 $3"

# default PORT: what the configurations of all servers begin with.
default() {
	cat <<CONF
[DEFAULT]
swift_dir = $dir
devices = $dir/srv
mount_check = false
disable_fallocate = true
bind_ip = 127.0.0.1
bind_port = $1
workers = 0
user = $(id -un)
log_level = WARNING
CONF
}

# filter NAME [LINE]...
filter() {
	printf '[filter:%s]\nuse = egg:swift#%s\n' "$1" "$1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@"
}

for type in account container object; do
	default "$1" >"$dir/$type.conf"
	printf '[pipeline:main]\npipeline = %s-server\n[app:%s-server]\nuse = egg:swift#%s\n' $type $type $type >>"$dir/$type.conf"
	shift
done
{
	default "$port"
	cat <<CONF
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck memcache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
CONF
	for name in catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo symlink; do
		filter $name
	done
	filter memcache "memcache_servers = 127.0.0.1:$memcached_port"
	filter s3api 'location = us-east-1' 'storage_domain = localhost' 's3_acl = false'
	filter tempauth 'user_test_tester = testing .admin'
	filter versioned_writes 'allow_object_versioning = true'
} >"$dir/proxy.conf"

# Swift's servers leave their group (setsid), so each is told to end with the shell that started it, which does not.
cat >"$dir/cluster" <<'CLUSTER'
dir=$1
memcached -l 127.0.0.1 -p "$2" -U 0 -u "$(id -un)" >"$dir/log/memcached.out" 2>&1 &
for type in account container object proxy; do
	setpriv --pdeathsig KILL "swift-$type-server" "$dir/$type.conf" >"$dir/log/$type.out" 2>&1 &
done
wait
CLUSTER

# The proxy is up before those behind it, and says 503 until they are.
answers() {
	for backend in $backends; do
		curl -s --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$backend/" || return 1
	done
	[ "$(curl -fs --noproxy '*' --max-time 5 "http://127.0.0.1:$port/healthcheck")" = OK ]
}
serve sh "$dir/cluster" "$dir" "$memcached_port"
