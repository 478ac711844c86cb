/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_LOCAL_PARTS_H
#define BACKENDS_LOCAL_PARTS_H
/* Between local.c, which opens, reads and lists, and local_write.c, which changes. */
#include <sys/stat.h>

#include "fs/backend.h"

/* Is `name` left out of listings? */
bool local_is_hidden(const char *name);

int local_name(const char *path, char **out); /* "/" in front; mem */

#define LOCAL_VERSION_SIZE 96
/* What a file is; its version changes when the bytes do, as far as a file system tells. `out` borrows `version`. */
void local_describe(const struct stat *st, char version[LOCAL_VERSION_SIZE], struct answer *out);

/* Between two pieces of this size a cancel is looked at. */
#define LOCAL_PIECE ((size_t)16 << 20)
int local_go_on(const char *name); /* -ECANCELED */
int local_write_pieces(int fd, const void *data, size_t size, int64_t offset, const char *name);

/* A local file's bytes, as the table's read. */
int local_read_file(const char *name, const struct larder_range *range, const struct terms *terms,
                    struct sink *sink, struct answer *out);

/* What a write is to replace, or to make. */
struct target {
    char *name; /* mem; where a link leads to */
    char *dir;  /* mem; "" is the root */
    struct stat st;
    bool exists;
};
int target_find(const char *path, unsigned flags, struct target *out); /* to be ended, also when it fails */
void target_fini(struct target *target);
#define autotarget __attribute__((cleanup(target_fini)))
/* The file that is open as `fd` is whole: its name becomes the target's, and what is there then. */
int target_finish(struct instance *instance, int fd, const char *temporary, const struct target *target,
                  unsigned flags, const char *if_match, struct answer *out);
/* A directory's name out of what stands in front of a name in it: "" is the root. */
static inline const char *directory_name(const char *dir)
{
    return *dir ? dir : "/";
}
char *temporary_in(const char *dir, uint64_t id); /* mem */
/* A new one of this id, or with 0 of any, for the file `of`, which a failure speaks of: a descriptor, and *name (mem). */
int temporary_open(const char *dir, const char *of, uint64_t id, mode_t mode, char **name);

/* local_write.c and local_stage.c, as in the table */
int local_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                const char *if_match, struct answer *out);
int local_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int local_mkdir(struct instance *instance, const char *path, unsigned flags);
int local_rmdir(struct instance *instance, const char *path);
int local_touch(struct instance *instance, const char *path, int64_t mtime_ns);
int local_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
               const struct labels *labels);
int local_move(struct instance *instance, const char *from, const char *to, unsigned flags);
int local_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                struct token *out);
int local_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                     int64_t offset, const void *data, size_t size);
int local_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                  unsigned flags, const char *if_match, struct answer *out);
int local_discard(struct instance *instance, const char *path, const struct token *token);
int local_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns);
int local_read_staged(struct instance *instance, const char *path, const struct token *token,
                      const struct larder_range *range, struct sink *sink, struct answer *out);
int local_sync(struct instance *instance, const char *const paths[], size_t count);

#endif
