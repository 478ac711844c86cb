/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks on a libuv loop of the caller's: read the keys "0" to "99" of a map, all at once. */
#include <larder.h>
#include <stdio.h>
#include <uv.h>

#define COUNT 100

struct job {
    struct larder_map *map;
    char keys[COUNT][8];
    struct larder_item items[COUNT];
    int status;
};

/* A task: straight-line code that suspends inside larder_map_get_many, while the loop goes on. */
static int read_all(void *arg)
{
    struct job *job = arg;
    size_t total = 0;
    for (int i = 0; i < COUNT; i++) {
        snprintf(job->keys[i], sizeof job->keys[i], "%d", i);
        job->items[i].path = job->keys[i];
    }
    int rc = larder_map_get_many(job->map, job->items, COUNT, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", larder_error());
    for (int i = 0; i < COUNT; i++) {
        total += job->items[i].bytes.size;
        larder_bytes_free(&job->items[i].bytes);
    }
    if (rc == 0)
        printf("%d values, %zu bytes\n", COUNT, total);
    return rc;
}

/* On the loop's thread, like any uv callback. */
static void read_done(void *arg, int status)
{
    struct job *job = arg;
    job->status = status;
}

int main(int argc, char **argv)
{
    static struct job job;
    uv_loop_t uv;
    struct larder_loop *loop = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: uvloop URL\n");
        return 2;
    }
    uv_loop_init(&uv);
    int rc = larder_loop_attach(&uv, &loop);
    if (rc == 0)
        rc = larder_get_mapper(loop, argv[1], NULL, 0, &job.map);
    if (rc == 0)
        rc = larder_spawn(loop, read_all, &job, read_done, &job, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", larder_error());
    uv_run(&uv, UV_RUN_DEFAULT); /* returns when the task has ended */

    larder_map_free(job.map);
    if (loop)
        larder_loop_close(loop, NULL, NULL);
    uv_run(&uv, UV_RUN_DEFAULT); /* closes what Larder had on it */
    uv_loop_close(&uv);
    return rc < 0 || job.status < 0;
}
