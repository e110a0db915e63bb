/*
 * act: carries out checked requests as root.
 */
#pragma once

#include "base/err.h"
#include "board/trust.h"
#include "wire/hosts.h"

/*
 * Root's own configuration, and that @ifname is the interface in it: hearthd's user gets nothing
 * for another one. 0,
 * -ENOENT (this board is in no mesh), -EPERM, ...
 */
int act_check_interface(
	const struct paths *paths, const char *ifname, struct config *ret, struct err *err);

/*
 * That each name is, in the log as root believes it (@netmap), the one of the board that has that
 * address: so neither another domain's name nor another board's address gets into the hosts file.
 * 0, -EPERM (another domain), -EACCES (not in the log).
 */
int act_check_names(
	const struct netmap *netmap, const struct hosts_entry *entries, size_t n, struct err *err);

/*
 * Puts the block of @ifname into the hosts file @path (a symbolic link is followed, mode and owner
 * stay). The file is replaced atomically; where it is a mount of its own, as in containers, it is
 * written in place. 1 if written, 0 if it was right already, or -errno. *ret_taken: as
 * hosts_find_taken() says, else NULL.
 */
int act_write_hosts(const char *path, const char *ifname, const struct hosts_entry *entries,
	size_t n, const char **ret_taken, struct err *err);

/*
 * Listens on @dir/@ifname.sock with mode 0600, replacing a socket that nobody answers on. Returns
 * the descriptor, -EADDRINUSE if another program has the interface, or -errno.
 */
int act_open_uapi(const char *dir, const char *ifname, struct err *err);

/*
 * Sets disable_ipv6 of the TUN device @ifname to 0, as is done for a pod's link; no other kind of
 * link is touched. 1 if it was written, 0 if it was so already, -ENOENT if this kernel has no IPv6,
 * or -errno.
 */
int act_enable_ipv6(const char *ifname, struct err *err);

/* Opens /dev/net/tun, nothing more: which interface it becomes is for hearthd's own rights. */
int act_open_tun(struct err *err);
