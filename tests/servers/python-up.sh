#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Python's http.server: HTTP/1.0, no ranges, no ETag.
# shellcheck source=tests/servers/serve.sh
. "${0%/*}/serve.sh"
need python3
serve python3 -m http.server --bind 127.0.0.1 --directory "$www" "$port"
