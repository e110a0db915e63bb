/*
 * faultsock: a preloaded library in whose world the kernel fails now and then, or lacks what newer
 * ones have. Only UDP sockets and TUN devices are touched.
 *
 *   FAULT_SEND=PERMILLE:ERRNO[,ERRNO...]   sendmsg, sendmmsg on a UDP socket (names as EIO, ENOBUFS)
 *   FAULT_RECV=...                         recvmsg, recvmmsg on one
 *   FAULT_TUN_WRITE=...  FAULT_TUN_READ=...
 *   FAULT_TUN_SUPER=ERRNO  every super-packet written to the device
 *   FAULT_GSO=ERRNO      every sending with UDP_SEGMENT, as where the card makes no checksums
 *   FAULT_NO_GSO=1       UDP_SEGMENT is not known at all     FAULT_NO_GRO=1   UDP_GRO neither
 *   FAULT_NO_VNET=1      a TUN device without virtio header  FAULT_NO_OFFLOAD=1  without offloads
 *   FAULT_NO_USO=1       with those of TCP only (before Linux 6.2)
 *   FAULT_RCVBUF=BYTES   no receive buffer gets larger
 *
 * At the end of the process one line tells how many calls failed: "faultsock: send 12 ...".
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define NEXT(name) ((__typeof__(&(name))) dlsym(RTLD_NEXT, #name))

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum kind { UNKNOWN, OTHER, UDP, TUN };
enum { FDS = 1024, ERRNOS = 8 };

struct fault {
	const char *variable, *name;
	bool read;
	unsigned permille;
	int errnos[ERRNOS], n;
	atomic_uint count;
};

enum { SEND, RECV, TUN_WRITE, TUN_READ, TUN_SUPER, GSO, FAULTS };
static struct fault faults[FAULTS] = {
	[SEND] = { .variable = "FAULT_SEND", .name = "send" },
	[RECV] = { .variable = "FAULT_RECV", .name = "recv" },
	[TUN_WRITE] = { .variable = "FAULT_TUN_WRITE", .name = "tun-write" },
	[TUN_READ] = { .variable = "FAULT_TUN_READ", .name = "tun-read" },
	[TUN_SUPER] = { .variable = "FAULT_TUN_SUPER", .name = "tun-super" },
	[GSO] = { .variable = "FAULT_GSO", .name = "gso" },
};
static atomic_uchar kinds[FDS];

static int number_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = { { "EIO", EIO }, { "ENOBUFS", ENOBUFS }, { "ENETUNREACH", ENETUNREACH },
		{ "EHOSTUNREACH", EHOSTUNREACH }, { "EMSGSIZE", EMSGSIZE }, { "EPERM", EPERM },
		{ "EINVAL", EINVAL }, { "EAGAIN", EAGAIN }, { "EINTR", EINTR },
		{ "ENOMEM", ENOMEM }, { "ECONNREFUSED", ECONNREFUSED }, { "ENETDOWN", ENETDOWN } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].number;
	(void) fprintf(stderr, "faultsock: %s?\n", name);
	abort();
}

static void fault_read(struct fault *f)
{
	const char *given = getenv(f->variable);
	char text[256], *rest = text, *word, *save = NULL;

	f->read = true;
	if (!given)
		return;
	(void) snprintf(text, sizeof(text), "%s", given);
	f->permille = 1000;
	if (strchr(text, ':')) {
		f->permille = (unsigned) atoi(text);
		rest = strchr(text, ':') + 1;
	}
	while ((word = strtok_r(rest, ",", &save)) && f->n < ERRNOS) {
		f->errnos[f->n++] = number_of(word);
		rest = NULL;
	}
}

__attribute__((constructor)) static void begin(void)
{
	for (int i = 0; i < FAULTS; i++)
		fault_read(&faults[i]);
}

__attribute__((destructor)) static void end(void)
{
	char line[256];
	int len = snprintf(line, sizeof(line), "faultsock:");

	for (int i = 0; i < FAULTS; i++)
		if (faults[i].permille)
			len += snprintf(line + len, sizeof(line) - (size_t) len, " %s %u",
				faults[i].name, atomic_load(&faults[i].count));
	if (strchr(line, ' '))
		(void) fprintf(stderr, "%s\n", line);
}

/* True (and errno): this call fails. */
static bool strikes(struct fault *f)
{
	static _Thread_local uint64_t dice = 88172645463325252;

	if (!f->permille)
		return false;
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	if (dice % 1000 >= f->permille)
		return false;
	errno = f->errnos[(dice >> 20) % (unsigned) f->n];
	atomic_fetch_add(&f->count, 1);
	return true;
}

static enum kind ask_kind(int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(int);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return OTHER;
	if (S_ISCHR(st.st_mode))
		return st.st_rdev == makedev(10, 200) ? TUN : OTHER;
	if (!S_ISSOCK(st.st_mode) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return OTHER;
	return type == SOCK_DGRAM && (domain == AF_INET || domain == AF_INET6) ? UDP : OTHER;
}

static enum kind kind_of(int fd)
{
	int saved = errno;
	enum kind kind;

	if (fd < 0 || fd >= FDS)
		return OTHER;
	kind = atomic_load(&kinds[fd]);
	if (kind == UNKNOWN) {
		kind = ask_kind(fd);
		atomic_store(&kinds[fd], (unsigned char) kind);
	}
	errno = saved;
	return kind;
}

EXPORT int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&kinds[fd], UNKNOWN);
	return NEXT(close)(fd);
}

static bool has_segment(const struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *) msg, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

static bool send_fails(const struct msghdr *msg)
{
	if (has_segment(msg)) {
		if (strikes(&faults[GSO]))
			return true;
		if (getenv("FAULT_NO_GSO")) {
			errno = EINVAL;
			return true;
		}
	}
	return strikes(&faults[SEND]);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (kind_of(fd) == UDP && send_fails(msg))
		return -1;
	return NEXT(sendmsg)(fd, msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	unsigned good = n;

	if (kind_of(fd) == UDP) {
		for (good = 0; good < n && !send_fails(&msgs[good].msg_hdr);)
			good++;
		if (good == 0 && n > 0)
			return -1;
	}
	return NEXT(sendmmsg)(fd, msgs, good, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (kind_of(fd) == UDP && strikes(&faults[RECV]))
		return -1;
	return NEXT(recvmsg)(fd, msg, flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout)
{
	if (kind_of(fd) == UDP && strikes(&faults[RECV]))
		return -1;
	return NEXT(recvmmsg)(fd, msgs, n, flags, timeout);
}

EXPORT ssize_t read(int fd, void *data, size_t len)
{
	if (kind_of(fd) == TUN && strikes(&faults[TUN_READ]))
		return -1;
	return NEXT(read)(fd, data, len);
}

EXPORT ssize_t __read_chk(int fd, void *data, size_t len, size_t room);
EXPORT ssize_t __read_chk(int fd, void *data, size_t len, size_t room)
{
	if (len > room)
		abort();
	return read(fd, data, len);
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (kind_of(fd) == TUN && strikes(&faults[TUN_READ]))
		return -1;
	return NEXT(readv)(fd, iov, n);
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
	if (kind_of(fd) == TUN && strikes(&faults[TUN_WRITE]))
		return -1;
	return NEXT(write)(fd, data, len);
}

/* With a virtio-net header of its own that has a kind of segmentation. */
static bool is_super(const struct iovec *iov, int n)
{
	enum { HEAD_LEN = 10, GSO_TYPE = 1 };

	return n > 1 && iov[0].iov_len == HEAD_LEN && ((const uint8_t *) iov[0].iov_base)[GSO_TYPE];
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (kind_of(fd) == TUN &&
		(strikes(&faults[TUN_WRITE]) || (is_super(iov, n) && strikes(&faults[TUN_SUPER]))))
		return -1;
	return NEXT(writev)(fd, iov, n);
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	const char *most = getenv("FAULT_RCVBUF");
	int size = most ? atoi(most) : 0;

	if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE) && most &&
		kind_of(fd) == UDP && len == sizeof(int))
		value = &size;
	if (level == IPPROTO_UDP && ((name == UDP_GRO && getenv("FAULT_NO_GRO")) ||
					    (name == UDP_SEGMENT && getenv("FAULT_NO_GSO")))) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return NEXT(setsockopt)(fd, level, name, value, len);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	const struct ifreq *ifr;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	ifr = arg;
	if ((request == TUNSETIFF && getenv("FAULT_NO_VNET") && (ifr->ifr_flags & IFF_VNET_HDR)) ||
		(request == TUNSETOFFLOAD && getenv("FAULT_NO_OFFLOAD") && arg) ||
		(request == TUNSETOFFLOAD && getenv("FAULT_NO_USO") &&
			((uintptr_t) arg & (TUN_F_USO4 | TUN_F_USO6)))) {
		errno = EINVAL;
		return -1;
	}
	return NEXT(ioctl)(fd, request, arg);
}
