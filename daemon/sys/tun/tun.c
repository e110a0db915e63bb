/*
 * Opens TUN devices with IFF_NO_PI. Every failure names the device and what a person can do.
 * Offloads are asked for from the best set to the worst; a kernel that lacks one is no failure.
 */
#include "sys/tun/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Newer than the headers we may be built with. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

enum { HEAD_LEN = 10 }; /* struct virtio_net_hdr */

static const char clone_device[] = "/dev/net/tun";

int tun_explain(int code, struct err *err)
{
	switch (code) {
	case -ENOENT:
		return err_set(err, code,
			"%s does not exist: load the module (`modprobe tun`); "
			"in a container, have the host pass the device in",
			clone_device);
	case -ENODEV:
	case -ENXIO:
		return err_set(err, code,
			"%s: this kernel has no TUN driver: load the module (`modprobe tun`)",
			clone_device);
	case -EPERM: /* rights would be EACCES */
		return err_set(err, code,
			"open %s: %s: not a matter of rights, the device is forbidden here "
			"for everybody. In a container, have the host allow it (c 10:200 rwm); "
			"in a systemd unit, DeviceAllow=/dev/net/tun rw",
			clone_device, strerror(-code));
	case -EACCES:
		return err_set(err, code,
			"open %s: %s: root is needed, or the file's usual mode (`chmod 666 "
			"/dev/net/tun`); on a file system mounted with nodev nobody may",
			clone_device, strerror(-code));
	default:
		return err_set(err, code, "open %s: %s", clone_device, strerror(-code));
	}
}

static int refuse_name(const char *name, struct err *err)
{
	int code = -errno;

	if (code == -EBUSY || code == -EINVAL || code == -EEXIST)
		return err_set(err, -EBUSY,
			"interface %s exists already (ip link show dev %s): "
			"remove it or choose another name",
			name, name);
	if (code == -EPERM || code == -EACCES)
		return err_set(
			err, code, "make interface %s: %m: root or CAP_NET_ADMIN is needed", name);
	return err_set(err, code, "make interface %s: %m", name);
}

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);
	const char *percent = strchr(name, '%');

	if (len == 0 || len >= IF_NAMESIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || (unsigned char) *name <= ' ' ||
			(unsigned char) *name >= 0x7f)
			return false;
	return true;
}

static bool set_features(int fd, unsigned features)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long) features) == 0;
}

/* Agrees on the header's form and finds the best set of offloads that the kernel has. */
static int negotiate(int fd, bool header, struct tun_offload *ret)
{
	static const int len = HEAD_LEN, on = 1;
	const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int got = 0;

	*ret = (struct tun_offload){ .header = header };
	if (!header) {
		/* A persistent device keeps what its last user asked for. */
		(void) set_features(fd, 0);
		return 0;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &len) < 0 || ioctl(fd, TUNGETVNETHDRSZ, &got) < 0)
		return -errno;
	/* Big endian machines need it; a kernel that lacks it is little endian or old. */
	if (ioctl(fd, TUNSETVNETLE, &on) < 0 && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		return -errno;
	ret->uso = set_features(fd, tso | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6);
	ret->tso = ret->uso || set_features(fd, tso | TUN_F_TSO_ECN) || set_features(fd, tso);
	ret->csum = ret->tso || set_features(fd, TUN_F_CSUM);
	if (!ret->csum)
		(void) set_features(fd, 0);
	return 0;
}

/* Attaches @fd to the device, with a virtio-net header if that is wanted and possible. */
static int attach(int fd, struct ifreq *ifr, bool offload, bool *ret_header)
{
	const struct ifreq asked = *ifr;

	*ret_header = offload;
	ifr->ifr_flags |= offload ? IFF_VNET_HDR : 0;
	if (ioctl(fd, TUNSETIFF, ifr) == 0)
		return 0;
	if (!offload || errno != EINVAL)
		return -errno;
	*ifr = asked;
	*ret_header = false;
	return ioctl(fd, TUNSETIFF, ifr) < 0 ? -errno : 0;
}

static int open_clone(void)
{
	int fd = open(clone_device, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* @flags besides those of all devices. */
static int open_device(const char *name, short flags, bool persistent, bool offload,
	char ret_name[static IF_NAMESIZE], struct tun_offload *ret_offload, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = (short) (IFF_TUN | IFF_NO_PI | flags) };
	CLEANUP(close_p) int fd = -1;
	bool header;
	int r;

	if (!name_is_valid(name))
		return err_set(err, -EINVAL,
			"\"%.32s\" cannot name an interface: "
			"1 to 15 characters without space, '/' and ':'",
			name);
	fd = open_clone();
	if (fd < 0)
		return tun_explain(fd, err);
	memcpy(ifr.ifr_name, name, strlen(name));
	r = attach(fd, &ifr, offload, &header);
	errno = -r;
	if (r < 0)
		return refuse_name(name, err);
	if (ioctl(fd, TUNSETPERSIST, persistent ? 1 : 0) < 0)
		return err_set(err, -errno, "interface %.15s: set persistent: %m", ifr.ifr_name);
	r = negotiate(fd, header, ret_offload);
	errno = -r;
	if (r < 0)
		return err_set(err, r, "interface %.15s: virtio-net header: %m", ifr.ifr_name);
	memcpy(ret_name, ifr.ifr_name, IF_NAMESIZE);
	return take_fd(&fd);
}

int tun_open(const char *name, bool persistent, bool offload, char ret_name[static IF_NAMESIZE],
	struct tun_offload *ret_offload, struct err *err)
{
	return open_device(name, 0, persistent, offload, ret_name, ret_offload, err);
}

/* One more queue of a device that was made with IFF_MULTI_QUEUE. */
static int open_queue(const char name[static IF_NAMESIZE], bool header)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE };
	CLEANUP(close_p) int fd = open_clone();

	if (fd < 0)
		return fd;
	ifr.ifr_flags |= header ? IFF_VNET_HDR : 0;
	memcpy(ifr.ifr_name, name, IF_NAMESIZE);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	return take_fd(&fd);
}

int tun_open_queues(const char *name, bool offload, unsigned n, int *ret_fds,
	char ret_name[static IF_NAMESIZE], struct tun_offload *ret_offload, struct err *err)
{
	/* Without EXCL it would become one more queue of a device in use. */
	const short flags = (short) (IFF_MULTI_QUEUE | IFF_TUN_EXCL);
	unsigned got = 1;
	int fd = open_device(name, flags, false, offload, ret_name, ret_offload, err);

	if (fd < 0)
		return fd;
	for (ret_fds[0] = fd; got < n; got++) {
		fd = open_queue(ret_name, ret_offload->header);
		if (fd < 0)
			break;
		ret_fds[got] = fd;
	}
	return (int) got;
}

int tun_adopt(int fd, bool offload, char ret_name[static IF_NAMESIZE],
	struct tun_offload *ret_offload, struct err *err)
{
	struct ifreq ifr = { 0 };
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || ioctl(fd, TUNGETIFF, &ifr) < 0)
		return err_set(err, -errno, "descriptor %d is no TUN device: %m", fd);
	if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI))
		return err_set(err, -EINVAL,
			"descriptor %d (%.15s) must be a TUN opened with IFF_NO_PI", fd,
			ifr.ifr_name);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, -errno, "descriptor %d: %m", fd);
	r = negotiate(fd, ifr.ifr_flags & IFF_VNET_HDR, ret_offload);
	if (r == 0 && ret_offload->header && !offload) {
		(void) set_features(fd, 0); /* the header stays, nothing else does */
		*ret_offload = (struct tun_offload){ .header = true };
	}
	errno = -r;
	if (r < 0)
		return err_set(err, r, "descriptor %d: virtio-net header: %m", fd);
	memcpy(ret_name, ifr.ifr_name, IF_NAMESIZE);
	ret_name[IF_NAMESIZE - 1] = '\0';
	return 0;
}

int tun_name(int fd, char ret_name[static IF_NAMESIZE])
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	memcpy(ret_name, ifr.ifr_name, IF_NAMESIZE);
	ret_name[IF_NAMESIZE - 1] = '\0';
	return 0;
}

int tun_set_persistent(int fd, bool persistent)
{
	return ioctl(fd, TUNSETPERSIST, persistent ? 1 : 0) < 0 ? -errno : 0;
}

/*
 * Is the device in our namespace? Elsewhere its name may be that of another device here. Without
 * the right to ask (or before Linux 5.2) it is taken to be here.
 */
static bool is_here(int fd)
{
	CLEANUP(close_p) int ns = ioctl(fd, TUNGETDEVNETNS);
	struct stat theirs, ours;

	if (ns < 0 || fstat(ns, &theirs) < 0 || stat("/proc/thread-self/ns/net", &ours) < 0)
		return true;
	return theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

static int mtu_ioctl(int fd, unsigned long request, struct ifreq *ifr)
{
	CLEANUP(close_p) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = tun_name(fd, ifr->ifr_name);

	if (r < 0)
		return r;
	if (!is_here(fd))
		return -EXDEV;
	if (sock < 0 || ioctl(sock, request, ifr) < 0)
		return -errno;
	return 0;
}

uint32_t tun_mtu(int fd)
{
	struct ifreq ifr = { 0 };

	if (mtu_ioctl(fd, SIOCGIFMTU, &ifr) < 0 || ifr.ifr_mtu < 0)
		return 0;
	return (uint32_t) ifr.ifr_mtu;
}

int tun_set_mtu(int fd, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int) mtu };

	return mtu_ioctl(fd, SIOCSIFMTU, &ifr);
}

/* RTM_NEWLINK for one device with two attributes, as it lies on the wire. */
struct super_max_request {
	struct nlmsghdr nlh;
	struct ifinfomsg link;
	struct {
		struct nlattr attr;
		uint32_t value;
	} values[2];
};

struct ack {
	struct nlmsghdr nlh;
	struct nlmsgerr error;
};

static int ask_kernel(int sock, const struct super_max_request *request)
{
	_Alignas(struct nlmsghdr) uint8_t data[1024];
	struct ack ack;
	ssize_t n;

	if (send(sock, request, sizeof(*request), 0) < 0)
		return -errno;
	do
		n = recv(sock, data, sizeof(data), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t) n < sizeof(ack))
		return -EBADMSG;
	memcpy(&ack, data, sizeof(ack));
	return ack.nlh.nlmsg_type == NLMSG_ERROR ? ack.error.error : -EBADMSG;
}

int tun_set_super_max(int fd, uint32_t segments, uint32_t bytes)
{
	CLEANUP(close_p)
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct super_max_request request = {
		.nlh = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_family = AF_UNSPEC },
		.values = { { { sizeof(request.values[0]), IFLA_GSO_MAX_SEGS }, segments },
			{ { sizeof(request.values[1]), IFLA_GSO_MAX_SIZE }, bytes } },
	};
	struct ifreq ifr = { 0 };
	int r = mtu_ioctl(fd, SIOCGIFINDEX, &ifr);

	if (r < 0)
		return r;
	if (sock < 0)
		return -errno;
	request.link.ifi_index = ifr.ifr_ifindex;
	return ask_kernel(sock, &request);
}
