/*
 * Opens TUN devices with IFF_NO_PI. Every failure names the device and what a person can do.
 */
#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static const char clone_device[] = "/dev/net/tun";

static int refuse_device(struct err *err)
{
	int code = -errno;

	if (code == -ENOENT)
		return err_set(err, code,
			"%s does not exist: load the module (modprobe tun), or give this container "
			"the device",
			clone_device);
	if (code == -ENODEV || code == -ENXIO)
		return err_set(err, -ENODEV, "%s: no TUN driver in this kernel (modprobe tun)",
			clone_device);
	if (code == -EACCES || code == -EPERM)
		return err_set(
			err, code, "open %s: %m: root or CAP_NET_ADMIN is needed", clone_device);
	return err_set(err, code, "open %s: %m", clone_device);
}

static int refuse_name(const char *name, struct err *err)
{
	int code = -errno;

	if (code == -EBUSY || code == -EINVAL || code == -EEXIST)
		return err_set(err, -EBUSY,
			"interface %s exists already (ip link show dev %s): remove it or choose "
			"another name",
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

int tun_open(const char *name, bool persistent, char ret_name[static IF_NAMESIZE], struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	CLEANUP(close_p) int fd = -1;

	if (!name_is_valid(name))
		return err_set(err, -EINVAL,
			"\"%.32s\" cannot name an interface: 1 to 15 characters without space, '/' "
			"and ':'",
			name);
	fd = open(clone_device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return refuse_device(err);
	memcpy(ifr.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return refuse_name(name, err);
	if (ioctl(fd, TUNSETPERSIST, persistent ? 1 : 0) < 0)
		return err_set(err, -errno, "interface %s: set persistent: %m", ifr.ifr_name);
	memcpy(ret_name, ifr.ifr_name, IF_NAMESIZE);
	return take_fd(&fd);
}

int tun_adopt(int fd, char ret_name[static IF_NAMESIZE], struct err *err)
{
	struct ifreq ifr = { 0 };
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || ioctl(fd, TUNGETIFF, &ifr) < 0)
		return err_set(err, -errno, "descriptor %d is no TUN device: %m", fd);
	if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI) ||
		(ifr.ifr_flags & IFF_VNET_HDR))
		return err_set(err, -EINVAL,
			"descriptor %d (%.15s) must be a TUN opened with IFF_NO_PI and without "
			"IFF_VNET_HDR",
			fd, ifr.ifr_name);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, -errno, "descriptor %d: %m", fd);
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

static int mtu_ioctl(int fd, unsigned long request, struct ifreq *ifr)
{
	CLEANUP(close_p) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = tun_name(fd, ifr->ifr_name);

	if (r < 0)
		return r;
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
