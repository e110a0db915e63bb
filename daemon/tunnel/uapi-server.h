/*
 * uapi-server: lets `wg` speak with a tunnel through a listening unix socket. Never blocks: it
 * hides its clients behind one descriptor for the event loop of the program, and packets do not
 * pass here at all. Who may connect is decided by the mode of the socket.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "tunnel/tunnel.h"

enum {
	UAPI_CLIENTS_MAX = 16,
	UAPI_CLIENT_TIMEOUT_S = 30, /* to finish a request that was begun, or to read a reply */
};

struct uapi_server;

/*
 * The directory where `wg` looks for sockets ("/var/run/wireguard"), and the path in it of
 * @ifname's socket (heap, NULL: out of memory).
 */
extern const char uapi_server_directory[];
char *uapi_server_path(const char *ifname);

/*
 * Makes the socket at @path for root only (umask 077), with its directory. A socket there that
 * nobody listens on is replaced; -EADDRINUSE if somebody does. Returns a descriptor or -errno.
 * Changes the umask for a moment: not while another thread makes files.
 */
int uapi_server_listen(const char *path, struct err *err);

/* Serves @listen_fd, which is taken over (also on failure). @tunnel is borrowed. */
int uapi_server_new(struct tunnel *tunnel, int listen_fd, struct uapi_server **ret);
struct uapi_server *uapi_server_free(struct uapi_server *server);

/* Whether the socket lies still where it was made: somebody may have removed or replaced it. */
bool uapi_server_has_path(const struct uapi_server *server);

/* Readable when uapi_server_run() has something to do. Borrowed. */
int uapi_server_fd(const struct uapi_server *server);
void uapi_server_run(struct uapi_server *server);
