/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_ALIASES_H
#define LARDER_ALIASES_H
/* The other names that fsspec has for its operations; larder.h leaves them out. */
#include "larder/copy.h"
#include "larder/fs.h"

#define larder_listdir     larder_ls
#define larder_stat        larder_info
#define larder_makedir     larder_mkdir
#define larder_mkdirs      larder_makedirs
#define larder_delete      larder_rm
#define larder_disk_usage  larder_du
#define larder_read_bytes  larder_cat_file
#define larder_write_bytes larder_pipe_file
#define larder_cp          larder_copy
#define larder_move        larder_mv
#define larder_rename      larder_mv
#define larder_upload      larder_put
#define larder_download    larder_get

#endif
