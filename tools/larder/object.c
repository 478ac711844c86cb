/* SPDX-License-Identifier: Apache-2.0 */
/* sign, uploads: what object stores do beside keeping files. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder/s3.h"

#define SIGN_EXPIRES_S 3600

int command_sign(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_fs *fs;
    char *path, *signed_url;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_sign(fs, path, cli->expires_s ? cli->expires_s : SIGN_EXPIRES_S, &signed_url);
    if (rc < 0) {
        code = complain(url, rc);
    } else if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "url", json_name(signed_url));
        out_json(object);
    } else {
        out_name(cli, signed_url, "");
    }
    if (rc == 0)
        larder_free(signed_url);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

/* The key behind the root's URL, as it is: it need be no path. malloc. */
static char *upload_url(struct larder_fs *fs, const char *path)
{
    char *root, *url;
    if (larder_fs_url(fs, "", &root) < 0)
        return NULL;
    bool slash = root[strlen(root) - 1] != '/';
    int size = asprintf(&url, "%s%s%s", root, slash ? "/" : "", path);
    larder_free(root);
    return size < 0 ? NULL : url;
}

static int out_upload(const struct cli *cli, const struct larder_s3_upload *upload, const char *url)
{
    char time[TIME_TEXT_SIZE] = "-";
    if (upload->begun_ns != 0)
        format_time(upload->begun_ns, false, time);
    if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "url", json_name(url));
        json_object_set_new(object, "id", json_name(upload->id));
        if (upload->begun_ns != 0)
            json_object_set_new(object, "begun", json_string(time));
        return out_json(object);
    }
    out_format("%s\t%s\t", time, upload->id);
    return out_name(cli, url, "");
}

/* Each is printed: with --abort, once it is gone. */
static int out_uploads(const struct cli *cli, struct larder_fs *fs, const struct larder_s3_uploads *uploads)
{
    struct outcome outcome = {0};
    for (size_t i = 0; i < uploads->count && !interrupted(); i++) {
        const struct larder_s3_upload *upload = &uploads->upload[i];
        char *url = upload_url(fs, upload->path);
        int rc = !url ? -ENOMEM : cli->abort ? larder_s3_abort(fs, upload) : 0;
        outcome_add(&outcome, rc < 0 ? complain(upload->path, rc) : DONE);
        int stopped = rc == 0 ? out_upload(cli, upload, url) : 0;
        free(url);
        if (stopped < 0)
            break; /* which out_finish tells */
    }
    return outcome_code(&outcome);
}

int command_uploads(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_s3_uploads uploads;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_s3_uploads(fs, path, &uploads);
    if (rc == 0) {
        code = out_uploads(cli, fs, &uploads);
        larder_s3_uploads_free(&uploads);
    } else {
        code = complain(url, rc);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
