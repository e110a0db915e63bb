/* fake-kernel: see fake-kernel.h. A request's sequence number is put into the answers to it. */
#include "fake-kernel.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len)   ((void) (at), (void) (len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void) (at), (void) (len))
#endif

static const uint8_t *left;
static size_t n_left;
static uint32_t seq;
static uint8_t *poisoned;
static size_t n_poisoned;

void fake_kernel_begin(const uint8_t *data, size_t size)
{
	left = data;
	n_left = size;
}

void fake_kernel_end(void)
{
	ASAN_UNPOISON_MEMORY_REGION(poisoned, n_poisoned);
	poisoned = NULL;
	n_poisoned = 0;
	n_left = 0;
}

/* The answers to a request carry its number. */
static void number(uint8_t *data, size_t n)
{
	struct nlmsghdr head;
	size_t at = 0;

	while (n - at >= sizeof(head)) {
		memcpy(&head, data + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > n - at)
			break;
		head.nlmsg_seq = seq;
		memcpy(data + at, &head, sizeof(head));
		at += NLMSG_ALIGN((size_t) head.nlmsg_len);
		if (at > n)
			break;
	}
}

static ssize_t deliver(void *buf, size_t size, int flags)
{
	size_t n, whole;

	ASAN_UNPOISON_MEMORY_REGION(poisoned, n_poisoned);
	n_poisoned = 0;
	if (n_left < 2) {
		errno = EAGAIN;
		return -1;
	}
	whole = (size_t) (left[0] | left[1] << 8);
	left += 2;
	n_left -= 2;
	whole = whole < n_left ? whole : n_left;
	n = whole < size ? whole : size;
	memcpy(buf, left, n);
	left += whole;
	n_left -= whole;
	number(buf, n);
	/* Shadow memory knows groups of eight bytes: a start inside one is rounded up by it. */
	poisoned = (uint8_t *) buf + n;
	n_poisoned = size - n;
	ASAN_POISON_MEMORY_REGION(poisoned, n_poisoned);
	return (ssize_t) (flags & MSG_TRUNC ? whole : n);
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	return deliver(buf, size, flags);
}

ssize_t __wrap_recvfrom(
	int fd, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_len);
ssize_t __wrap_recvfrom(
	int fd, void *buf, size_t size, int flags, struct sockaddr *from, socklen_t *from_len)
{
	return deliver(buf, size, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = deliver(msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len, MSG_TRUNC);

	msg->msg_flags = n > (ssize_t) msg->msg_iov[0].iov_len ? MSG_TRUNC : 0;
	return n;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_len)
{
	const struct nlmsghdr *head = data;

	if (size < sizeof(*head))
		abort();
	seq = head->nlmsg_seq;
	return (ssize_t) size;
}
