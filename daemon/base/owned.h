/*
 * owned: what root does in a directory of another user's. Who owns a directory puts what he likes
 * in it, under any name, at any moment: a link to a file of root's, a FIFO at which a reader waits
 * for ever, another file than the one that was just looked at. So nothing here follows a link,
 * waits, or acts by name on what it looked at before; and nothing that exists is given away. What
 * is more than reading a file is done as that user (priv_run_as()).
 */
#pragma once

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Reads the regular file @path into @ret (appended): as file_read(), but -ELOOP for a link, and
 * -EMLINK for a file that has another name elsewhere. @ret_stat is of the file that was read.
 */
int owned_read(const char *path, size_t max, struct buf *ret, struct stat *ret_stat);

/*
 * Makes the directory @path, of user @uid, in directories of ours. 1 made; 0 it is there and
 * belongs to @uid; -EPERM it belongs to somebody else, -ENOTDIR it is something else (a link, too):
 * both are left as they are.
 */
int owned_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid);
