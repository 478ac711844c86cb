/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_FILE_H
#define LARDER_FILE_H
/*
 * Open files: reading in order or at random through a buffer, writing that appears whole.
 *
 * A reader is of one version, that of its first answer. When the place has another one by then, a read that asks it is
 * -ESTALE, unless `follow` was set. What is buffered is not asked for again.
 *
 * A writer's bytes go to the place, or into an unnamed temporary file, as they come, and show at larder_file_close: all
 * of them at that moment. Discarded, or never closed because the process died, they never show. Once a write has
 * failed, every later one and the close fail like it, and nothing shows.
 *
 * An open file belongs to no thread: hand it on freely, between threads and tasks, one call at a time. A second one gets
 * -EBUSY and does nothing; but larder_file_pread may run beside larder_file_pread. After a fork() the child may go on
 * reading what it inherited; writers stayed with the parent (-ECHILD), and closing or discarding them in the child
 * frees the child's memory and nothing else.
 *
 *     option of a reader     default     meaning
 *     strategy               readahead   what is asked for and kept, beyond what is read:
 *                                          readahead  a window that grows while reads are in order; the next ones are
 *                                                     fetched while the caller works
 *                                          block      the last used of the file's blocks; for reads at random
 *                                          whole      all of it, when it is opened
 *                                          none       nothing: a read is a request, into the caller's memory
 *     block_size             1M          of the first window, of a block
 *     window_max             8M          the largest window
 *     prefetch               1           windows fetched ahead, up to 16; 0: none. Not of memory and local files
 *     blocks_max             32          blocks that are kept
 *     follow                 false       read on when the file has changed; then parts of two versions may follow
 *                                        each other
 *
 *     option of a writer
 *     parents                false       make missing parent directories
 *     sync                   false       on the disk when larder_file_close returns (local)
 *     part_size              (chosen)    of what is sent at a time: 8M, or 1M where there is no network; fitted to
 *                                        what the place takes. A smaller file is one write, and waits for the close
 *     parts_max              3           parts on their way while the next is filled, up to 16
 *
 *     option of either
 *     compression            none        gzip, zstd, or auto: by the first bytes when reading, by the name's .gz or
 *                                        .zst when writing
 *     level                  (chosen)    of compression
 *
 * A reader holds up to (1 + prefetch) * window_max bytes, or blocks_max * block_size, or the file; a writer
 * (1 + parts_max) * part_size. A place that cannot send ranges is read as one stream, whatever the strategy (but
 * `whole`): a seek back is a new request, one forward reads what lies between. Such a stream is a call under way, until
 * its file is closed, for who disconnects its filesystem.
 */
#include <stdio.h> /* SEEK_SET, SEEK_CUR, SEEK_END */

#include "larder/fs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct larder_file;

/*
 * Open the file at `path`. Modes (a "b" may follow; nothing is ever translated):
 *   "r"  read. One request, whose bytes are read first (readahead, whole) or which asks what the file is (block, none)
 *   "w"  write a new file in place of what is there. No request
 *   "x"  the same; -EEXIST if there is something, also at close if something has come meanwhile
 *   "a"  write behind what is there, which is read and written anew with the first write: nowhere is a file changed in
 *        place. -ESTALE at close, or earlier, if it was changed meanwhile, so that nobody's change is lost. -ENOTSUP
 *        where there is a file of which no version is known. Missing: as "w", but -ESTALE if it has come meanwhile
 * `options` are a NULL-ended list of "key=value", as above; those of the other kind are passed over. Expect:
 *   -ENOENT   "r": missing                   -EINVAL   not a mode, or an option is wrong
 *   -EISDIR   "r", "a": a directory
 */
LARDER_API LARDER_WAITS int larder_file_open(struct larder_fs *fs, const char *path, const char *mode,
                                             const char *const options[], struct larder_file **out);

/*
 * Read up to `size` bytes at the file's position, and move it. Returns how many: all of them but at the end, where it
 * is 0. After a failure the position is as it was. -ESTALE: the file changed; -EBADMSG: compressed data is damaged,
 * ends too early, or is none; -EBADF: a writer.
 */
LARDER_API LARDER_WAITS int64_t larder_file_read(struct larder_file *file, void *buffer, size_t size);
/* The same at `offset`, leaving the position alone; several may run at once. What is not buffered goes straight into
 * `buffer`, or through the blocks. -ESPIPE: compressed. */
LARDER_API LARDER_WAITS int64_t larder_file_pread(struct larder_file *file, void *buffer, size_t size,
                                                  int64_t offset);
/* Write all of `size` bytes. -EFBIG: more parts than the place takes; -EBADF: a reader. */
LARDER_API LARDER_WAITS int larder_file_write(struct larder_file *file, const void *data, size_t size);
/*
 * Move the position (SEEK_SET, SEEK_CUR, SEEK_END) and return it. Beyond the end nothing is read. Asks the place only
 * for SEEK_END of a size that is not known. Of compressed data the position is in what it holds; a move back begins it
 * again, and SEEK_END is -ESPIPE before its end was read. A writer moves nowhere: -ESPIPE, but to where it is.
 */
LARDER_API LARDER_WAITS int64_t larder_file_seek(struct larder_file *file, int64_t offset, int whence);
/* A writer's is the count of bytes; of "a" with those that were there, which are counted as they lie there: compressed. */
LARDER_API int64_t larder_file_tell(struct larder_file *file);
/* The file's size; of a writer as it would be now. -ENODATA: nobody knows (compressed, or a place that does not tell). */
LARDER_API LARDER_WAITS int64_t larder_file_size(struct larder_file *file);
/* All that was written is with the place, or in the temporary file. It does not show yet. A reader: nothing. */
LARDER_API LARDER_WAITS int larder_file_flush(struct larder_file *file);
/*
 * Make what was written show, and free the file. On failure nothing shows, and the file is freed all the same; only
 * -EBUSY, and -EDEADLK on a loop's thread, leave it as it is. Closing a reader never fails. NULL is fine.
 */
LARDER_API LARDER_WAITS int larder_file_close(struct larder_file *file);
/* Free the file, and drop what was written, also what the place holds of it. On a loop's thread outside a task the place
 * is told soon. No other call may be under way. NULL is fine. */
LARDER_API void larder_file_discard(struct larder_file *file);

/* What a reader did so far. */
struct larder_file_stats {
    size_t size;              /* in: the sizeof that the caller knows */
    uint64_t hits, misses;    /* reads that were answered out of the buffer alone, and those that were not */
    uint64_t requests;        /* to the filesystem, those that fetch ahead too */
    uint64_t requested_bytes; /* by them */
};
LARDER_API int larder_file_stats(struct larder_file *file, struct larder_file_stats *out);

#ifdef __cplusplus
}
#endif
#endif
