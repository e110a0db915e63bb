/*
 * listen: the place of a local socket. For the server of ipc.h alone.
 */
#pragma once

#include <sys/types.h>

/*
 * Makes and binds what ipc_server_new() promises. @ret_path is where the socket lies (heap): @path,
 * or where that link points. 0, or -errno.
 */
int ipc_listen(const char *path, mode_t mode, gid_t gid, int *ret_fd, char **ret_path);
