/* SPDX-License-Identifier: Apache-2.0 */
/*
 * larder_commit FILES SIZE DIR [URL [plain]]: so many files in one transaction, whose journal is in DIR, as is the tree
 * where no URL of another is given; or `plain`, without a transaction.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "larder.h"

#include "bench.h"

static void must(int rc)
{
    if (rc < 0)
        bench_die("%s", larder_error());
}

static char *below(const char *dir, const char *name)
{
    char *path = bench_alloc(strlen(dir) + strlen(name) + 2);
    strcpy(stpcpy(stpcpy(path, dir), "/"), name);
    return path;
}

static void commit(struct larder_fs *fs, struct larder_item *items, size_t files)
{
    struct larder_fs *view;
    struct larder_txn *txn;
    must(larder_txn_begin(NULL, &txn));
    must(larder_txn_fs(txn, fs, &view));
    must(larder_pipe(view, items, files, 0, NULL));
    must(larder_txn_commit(txn, NULL));
    larder_fs_free(view);
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"plain", NULL};
    if (argc < 4 || argc > 6)
        bench_die("usage: larder_commit FILES SIZE DIR [URL [plain]]");
    size_t files = bench_count(argv[1]), size = bench_count(argv[2]);
    char **names = bench_names("", files), *tree = below(argv[3], "tree");
    struct larder_item *items = bench_alloc(files * sizeof *items);
    bool plain = argc > 5 && bench_word(argv[5], words) == 0;
    void *data = bench_noise(size, 1);
    struct larder_fs *fs;
    memset(items, 0, files * sizeof *items);
    for (size_t i = 0; i < files; i++)
        items[i] = (struct larder_item){.path = names[i], .bytes = {.data = data, .size = size}};
    mkdir(argv[3], 0700);
    mkdir(tree, 0700);
    setenv("LARDER_STATE_DIR", below(argv[3], "journal"), 1);
    must(larder_open(NULL, argc > 4 ? argv[4] : tree, NULL, &fs, NULL));
    if (argc > 4) /* what connecting costs is no row's */
        must(larder_exists(fs, names[0]));

    double start = bench_now();
    if (plain)
        must(larder_pipe(fs, items, files, 0, NULL));
    else
        commit(fs, items, files);
    bench_figure(bench_now() - start, files, files * size);
    larder_fs_free(fs);
    return 0;
}
