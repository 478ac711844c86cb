/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_writer TREE JOURNAL MARKS: does what its standard input says, in one transaction after the other.
 *
 *     write PATH SIZE WORD      WORD again and again, SIZE bytes of it, in the parts of an open file
 *     create PATH SIZE WORD     the same at once, if there is nothing
 *     replace PATH SIZE WORD    the same in place of what is there now
 *     remove PATH
 *     commit MARK               and once it is acknowledged, MARK into the file MARKS
 *     rollback MARK
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

static struct larder_fs *fs, *view;
static struct larder_txn *txn;

static void must(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s\n", larder_error());
    exit(1);
}

static char *content_of(const char *word, size_t size)
{
    char *data = malloc(size + 1);
    size_t length = strlen(word);
    if (!data)
        abort();
    for (size_t i = 0; i < size; i++)
        data[i] = word[i % length];
    return data;
}

static void write_in_parts(const char *path, const char *data, size_t size)
{
    struct larder_file *file;
    const char *slash = strrchr(path, '/');
    char parent[256] = "";
    if (slash) {
        memcpy(parent, path, (size_t)(slash - path));
        must(larder_makedirs(view, parent, true));
    }
    must(larder_file_open(view, path, "w", NULL, &file));
    must((int)larder_file_write(file, data, size));
    must(larder_file_close(file));
}

static void write_file(const char *how, const char *path, size_t size, const char *word)
{
    char *data = content_of(word, size);
    struct larder_info info;
    if (strcmp(how, "write") == 0) {
        write_in_parts(path, data, size);
    } else if (strcmp(how, "create") == 0) {
        must(larder_pipe_file(view, path, data, size, LARDER_CREATE | LARDER_PARENTS));
    } else {
        must(larder_info(fs, path, &info));
        must(larder_replace_file(view, path, data, size, info.version, 0));
        larder_info_free(&info);
    }
    free(data);
}

static void begin(const char *journal)
{
    char option[600];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    must(larder_txn_begin(options, &txn));
    must(larder_txn_fs(txn, fs, &view));
}

static void end(bool commit, const char *mark, int marks)
{
    must(commit ? larder_txn_commit(txn, NULL) : larder_txn_rollback(txn));
    larder_fs_free(view);
    view = NULL;
    if (write(marks, mark, strlen(mark)) < 0)
        exit(1);
}

int main(int argc, char **argv)
{
    char line[600], how[16], path[256], word[128];
    size_t size;
    if (argc != 4)
        return 2;
    int marks = open(argv[3], O_WRONLY | O_APPEND | O_CLOEXEC);
    must(larder_open(NULL, argv[1], NULL, &fs, NULL));
    while (fgets(line, sizeof line, stdin)) {
        int count = sscanf(line, "%15s %255s %zu %127s", how, path, &size, word);
        if (count >= 2 && !view)
            begin(argv[2]);
        if (count == 4)
            write_file(how, path, size, word);
        else if (count == 2 && strcmp(how, "remove") == 0)
            must(larder_rm_file(view, path));
        else if (count == 2)
            end(strcmp(how, "commit") == 0, path, marks);
        else
            return 2;
    }
    larder_fs_free(fs);
    return 0;
}
