/*
 * A socket in the other namespace would keep that alive after all others have left it, and with it
 * the device. So it is asked and watched through its id (nsid) in ours. That takes Linux 4.20 and
 * CAP_NET_ADMIN; without them a device away from home keeps the MTU it had.
 */
#include "sys/tun/place.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sys/net/link.h"
#include "sys/net/monitor.h"
#include "sys/net/netns.h"
#include "sys/tun/tun.h"

/* Its id in our namespace, -1: it is at home (or nobody can tell). */
static int find(const struct place *place, int tun_fd)
{
	CLEANUP(close_p) int ns = ioctl(tun_fd, TUNGETDEVNETNS, NULL);
	struct stat there, here;
	int id;

	if (ns < 0 || fstat(ns, &there) < 0 || stat("/proc/thread-self/ns/net", &here) < 0)
		return -1;
	if (there.st_ino == here.st_ino && there.st_dev == here.st_dev)
		return -1;
	id = netns_id_make(place->nl, ns);
	return id < 0 ? -1 : id;
}

uint32_t place_mtu(struct place *place, int tun_fd)
{
	struct link link;
	char name[IF_NAMESIZE];
	int id;

	if (!place->nl)
		return tun_mtu(tun_fd);
	id = find(place, tun_fd);
	if (id < 0)
		close_p(&place->watch_fd);
	if (id < 0)
		place->watch_fd = -1;
	else if (place->watch_fd < 0)
		place->watch_fd = monitor_open(MONITOR_LINKS | MONITOR_EVERYWHERE, NULL);
	if (tun_name(tun_fd, name) < 0 || link_find_in(place->nl, name, id, &link, NULL) < 0)
		return 0;
	return link.mtu;
}
