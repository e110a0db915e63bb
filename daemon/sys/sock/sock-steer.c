/* sock-steer: see sock.h. */
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sys/sock/sock.h"

/*
 * The kernel runs it on what lies behind the UDP header; the IP header is at SKF_NET_OFF. Of an
 * IPv6 address the first two words, of an IPv4 one a zero before it.
 */
#define ABSOLUTE (BPF_LD | BPF_W | BPF_ABS)
#define SOURCE_4 ((uint32_t) SKF_NET_OFF + 12)
#define SOURCE_6 ((uint32_t) SKF_NET_OFF + 8)

static unsigned bits_of(unsigned n)
{
	unsigned bits = 0;

	while (1U << bits < n)
		bits++;
	return bits;
}

/* A load beyond the end would choose socket 0: short ones go before that. */
static int attach(int fd, bool ipv4, const struct sock_steer *steer)
{
	const uint32_t shift = 32 - bits_of(steer->n_spread);
	struct sock_filter code[] = {
		/*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		/*  1 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 4, 0, 3),
		/*  2 */ BPF_STMT(ABSOLUTE, 0),
		/*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, steer->spread, 3, 0),
		/*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, steer->next, 1, 0),
		/*  5 */ BPF_STMT(BPF_RET | BPF_K, steer->n_spread + 1),
		/*  6 */ BPF_STMT(BPF_RET | BPF_K, steer->n_spread),
		/*  7 */ BPF_STMT(ipv4 ? BPF_LD | BPF_IMM : ABSOLUTE, ipv4 ? 0 : SOURCE_6),
		/*  8 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
		/*  9 */ BPF_STMT(ABSOLUTE, ipv4 ? SOURCE_4 : SOURCE_6 + 4),
		/* 10 */ BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 31),
		/* 11 */ BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		/* 12 */ BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, steer->odd | 1),
		/* 13 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, shift),
		/* 14 */ BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };
	int r = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));

	return r < 0 ? -errno : 0;
}

int sock_steer(const struct sock *sock, const struct sock_steer *steer)
{
	int r = sock->fd4 < 0 ? 0 : attach(sock->fd4, true, steer);

	return r < 0 || sock->fd6 < 0 ? r : attach(sock->fd6, false, steer);
}
