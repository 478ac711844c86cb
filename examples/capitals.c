/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: a text in capitals. FROM is read while its next bytes are fetched; TO shows when all of it is written, and
 * stays as it was when FROM is no text; LOG gets a line behind those that it has.
 */
#include <ctype.h>
#include <errno.h>
#include <larder.h>
#include <stdio.h>
#include <string.h>

/* The file holds the place open that it is of. */
static int open_url(const char *url, const char *mode, const char *const options[], struct larder_file **file)
{
    struct larder_fs *fs;
    char *path;
    int rc = larder_open(NULL, url, NULL, &fs, &path);
    if (rc < 0)
        return rc;
    rc = larder_file_open(fs, path, mode, options, file);
    larder_free(path);
    larder_fs_free(fs);
    return rc;
}

static int copy_in_capitals(struct larder_file *from, struct larder_file *to)
{
    static char buffer[65536];
    int64_t count;
    while ((count = larder_file_read(from, buffer, sizeof buffer)) > 0) {
        if (memchr(buffer, '\0', (size_t)count))
            return -EILSEQ;
        for (int64_t i = 0; i < count; i++)
            buffer[i] = (char)toupper((unsigned char)buffer[i]);
        int rc = larder_file_write(to, buffer, (size_t)count);
        if (rc < 0)
            return rc;
    }
    return (int)count;
}

static int write_capitals(const char *from_url, const char *to_url)
{
    static const char *const ahead[] = {"strategy=readahead", "prefetch=4", NULL};
    static const char *const whole[] = {"parents=true", NULL};
    struct larder_file *from, *to;
    int rc = open_url(from_url, "r", ahead, &from);
    if (rc < 0)
        return rc;
    rc = open_url(to_url, "w", whole, &to);
    if (rc == 0) {
        rc = copy_in_capitals(from, to);
        if (rc < 0)
            larder_file_discard(to); /* nothing shows */
        else
            rc = larder_file_close(to); /* all of it shows, or it failed */
    }
    larder_file_discard(from); /* which leaves larder_error() as it is */
    return rc;
}

static int append_line(const char *url, const char *line)
{
    struct larder_file *log;
    int rc = open_url(url, "a", NULL, &log);
    if (rc < 0)
        return rc;
    if ((rc = larder_file_write(log, line, strlen(line))) < 0 || (rc = larder_file_write(log, "\n", 1)) < 0) {
        larder_file_discard(log);
        return rc;
    }
    return larder_file_close(log);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: capitals FROM TO LOG\n");
        return 2;
    }
    int rc = write_capitals(argv[1], argv[2]);
    if (rc == -EILSEQ)
        fprintf(stderr, "%s: no text\n", argv[1]);
    else if (rc < 0 || (rc = append_line(argv[3], argv[2])) < 0)
        fprintf(stderr, "%s\n", larder_error());
    return rc < 0;
}
