#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ceph's RADOS Gateway: S3 by path (http://127.0.0.1:PORT/BUCKET/KEY) and by host (BUCKET.localhost), access key
# "testkey", secret key "testsecret", over one monitor (on TLS_PORT) and one OSD that keeps all in memory.
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin
mkdir -p "$dir/mon" "$dir/osd" "$dir/run" "$dir/log"
fsid=$(cat /proc/sys/kernel/random/uuid)
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_initial_members = a
mon_host = v2:127.0.0.1:$tls
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr1 = false
# Any free ports, so that clusters stand beside each other.
ms_bind_port_min = 20000
ms_bind_port_max = 32000
ms_async_op_threads = 1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# The gateway's default, secure, never gets through where nobody authenticates.
ms_mon_client_mode = crc
run_dir = $dir/run
admin_socket =
log_file = $dir/log/\$type.\$id.log
log_to_stderr = false
err_to_stderr = true
mon_cluster_log_file = $dir/log/cluster.log
crash_dir = $dir/log
keyring = /dev/null
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_client_hunt_interval = 0.5
objecter_tick_interval = 0.5
[mon.a]
mon_data = $dir/mon
mon_data_avail_crit = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_osd_min_in_ratio = 0
mon_tick_interval = 1
[osd]
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_check_max_object_name_len_on_startup = false
osd_max_object_name_len = 2048
[client.rgw]
rgw_data = $dir/run
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_enable_apis = s3
rgw_dns_name = localhost
rgw_thread_pool_size = 64
rgw_rados_pool_pg_num_min = 1
rgw_num_control_oids = 1
rgw_override_bucket_index_max_shards = 1
rgw_dynamic_resharding = false
rgw_run_sync_thread = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_md_log_max_shards = 1
rgw_data_log_num_shards = 1
rgw_usage_max_shards = 1
rgw_objexp_hints_num_shards = 1
rgw_reshard_num_logs = 1
CONF
export CEPH_CONF="$dir/ceph.conf"

# The whole cluster in one group of processes; the gateway last, since it loses seconds when the OSD is not up yet.
cat >"$dir/cluster" <<'CLUSTER'
set -eu
dir=$1 mon_port=$2 fsid=$3
{
	monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap"
	ceph-mon --mkfs -i a --monmap "$dir/monmap"
} >"$dir/log/mkfs.out" 2>&1
ceph-mon -f -i a &
ceph --connect-timeout 20 osd new "$(cat /proc/sys/kernel/random/uuid)" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$(ceph osd dump | sed -n 's/^osd\.0 .* //p')" >"$dir/log/mkfs-osd.out" 2>&1
ceph-osd -f -i 0 &
tries=0
until grep -qs 'booting -> active' "$dir/log/osd.0.log" || [ $tries -eq 200 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
radosgw -f -n client.rgw &
radosgw-admin -n client.rgw user create --uid=test --display-name=test --access-key=testkey --secret-key=testsecret \
	>"$dir/log/user.out" 2>&1
: >"$dir/user"
wait
CLUSTER

answers() {
	[ -e "$dir/user" ] && curl -s --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port/"
}
serve sh "$dir/cluster" "$dir" "$tls" "$fsid"
