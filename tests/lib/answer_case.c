/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_case.h"

#include <stdio.h>

#include "jump_clock.h"
#include "test.h"
#include "tmpdir.h"

struct fault_server *server, *other;
struct larder_fs *fs, *cached;
char *scratch;

int answer_case_setup(void **state)
{
    char url[128], dir[512];
    const char *options[] = {dir, "cache.ttl=0", NULL};
    scratch = tmpdir_make();
    server = fault_server_start();
    other = fault_server_start();
    fault_file_content(server, "/f", SIZE, SEED, "\"v1\"");
    fault_file_content(server, "/d/x", 10, SEED, "\"x\"");
    snprintf(url, sizeof url, "cache::%s", fault_server_url(server));
    snprintf(dir, sizeof dir, "cache.dir=%s/cache", scratch);
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &fs, NULL));
    assert_ok(larder_open(NULL, url, options, &cached, NULL));
    jump_clock_forget();
    return 0;
}

int answer_case_teardown(void **state)
{
    larder_fs_free(fs);
    larder_fs_free(cached);
    fault_server_stop(server);
    fault_server_stop(other);
    tmpdir_remove(scratch);
    return 0;
}

void fault_next(unsigned count, const char *method, struct fault fault)
{
    fault_clear(server);
    fault_forget(server);
    fault_on(server, (struct fault_match){.method = method, .count = count}, fault);
}

int read_slice(struct larder_fs *from, int64_t start, int64_t end, size_t first, size_t count)
{
    return read_content(from, &(struct larder_range){start, end}, SEED, first, count);
}

int read_whole(struct larder_fs *from)
{
    return read_content(from, NULL, SEED, 0, SIZE);
}

void assert_asked(size_t count)
{
    assert_int_equal(fault_count(server, NULL, NULL), count);
    fault_forget(server);
}
