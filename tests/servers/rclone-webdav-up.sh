#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rclone serve webdav of DIR/dav at /dav/, with Depth: infinity. There is nothing at /. What is put on the disk behind it
# shows after a tenth of a second: with no such cache at all a listing takes time by the square of its entries (1,234: 10 s).
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need rclone
www=$dir/dav prefix=/dav
serve rclone --config /dev/null --cache-dir "$dir/tmp" --dir-cache-time 100ms \
	serve webdav --addr "127.0.0.1:$port" --baseurl /dav "$www"
