#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rclone serve webdav of DIR/dav at /dav/, with Depth: infinity. There is nothing at /.
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need rclone
www=$dir/dav prefix=/dav
serve rclone --config /dev/null --cache-dir "$dir/tmp" --dir-cache-time 0s \
	serve webdav --etag-hash auto --addr "127.0.0.1:$port" --baseurl /dav "$www"
