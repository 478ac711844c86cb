#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rclone serve http: no ETag, only Last-Modified.
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need rclone
serve rclone --config /dev/null --cache-dir "$dir/tmp" --dir-cache-time 0s serve http --addr "127.0.0.1:$port" "$www"
