/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_LMDB_FILE_H
#define CACHE_LMDB_FILE_H
/*
 * An LMDB file in a directory that processes of one machine share: the store's, the journal's. Opened with care for what
 * LMDB takes for granted: a local file system, a whole file, address space, pages under its lock file.
 */
#include <stdbool.h>
#include <sys/types.h>

#include <lmdb.h>

/* Sparse, and never changed while it is open: a live map resize across processes corrupts. */
extern size_t lmdb_map_size;

/* With its parents, of mode 0700. `dir` is as before when it returns. With text. */
int lmdb_make_directory(char *dir);
/* LMDB's maps and locks are coherent on one machine only: -ENOTSUP on file systems of several. With text, on `what`. */
int lmdb_check_directory(const char *dir, const char *what);
/* One process at a time opens a file of the directory and looks at what it is. *out is for lmdb_unlock_directory. With
 * text. */
int lmdb_lock_directory(const char *dir, int *out);
void lmdb_unlock_directory(int fd);

/*
 * LMDB maps its lock file, which may have no more than holes yet: who touches one on a full disk is killed. So all of it
 * is there before. No text. (Closing it here drops no lock of ours: the process has no other environment in this file.)
 */
int lmdb_fill_lock_file(const char *file, unsigned readers_max);
/* LMDB's own status. MDB_NOSUBDIR and MDB_NOTLS are always among the flags. */
int lmdb_open(const char *file, unsigned readers_max, unsigned flags, MDB_env **out);
/* A file that was cut would kill whoever touches the missing pages: -EBADMSG. No text. */
int lmdb_check_length(MDB_env *env, dev_t *device, ino_t *inode);
/* The dbi of the unnamed database, and whether what is there is ours: it has `mark` at `key`. An empty one gets it,
 * in its directory `make_in`; NULL: it stays. -EBADMSG: it is something else. No text. */
int lmdb_check_mark(MDB_env *env, MDB_val *key, MDB_val *mark, const char *make_in, MDB_dbi *dbi);

/* What LMDB's status is as one of ours. */
int lmdb_status(int rc);

#endif
