/* What comes in at a raw ICMP socket, of either family. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "node/ping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ping_reply reply;

	if (ping_parse_reply(AF_INET, data, size, &reply) &&
		!memmem(data, size, reply.nonce, PING_NONCE))
		abort();
	if (ping_parse_reply(AF_INET6, data, size, &reply) &&
		(size < 16 || data[0] != 129 || memcmp(data + 8, reply.nonce, PING_NONCE)))
		abort();
	return 0;
}
