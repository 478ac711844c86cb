/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "backends/backends.h"
#include "copy_places.h"
#include "fs/fs.h"
#include "odd_place.h"
#include "tmpdir.h"

char *scratch;
struct larder_fs *memory, *local, *piped;

int copy_places_register(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    odd_register();
    return 0;
}

int copy_places_open(void **state)
{
    odd_reset();
    scratch = tmpdir_make();
    assert_ok(fs_open(NULL, "memory://copy", NULL, &memory, NULL));
    assert_ok(fs_open(NULL, "piped://copy", NULL, &piped, NULL));
    assert_ok(fs_open(NULL, scratch, NULL, &local, NULL));
    return larder_makedirs(memory, "", true);
}

int copy_places_close(void **state)
{
    int rc = larder_rm(memory, "", true);
    larder_fs_free(memory);
    larder_fs_free(piped);
    larder_fs_free(local);
    tmpdir_remove(scratch);
    return rc;
}
