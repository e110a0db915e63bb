/*
 * Split: ten bytes of virtio-net header, then a packet. Whatever they say, segments lie inside the packet,
 * follow each other without gap or overlap, and each is a right IP packet by itself.
 */
#include <sys/socket.h>

#include "../../unit/packet/packets.h"
#include "packet/segment.h"

enum { CHECKED = 64 }; /* segments looked at closely: the slow sums take time */

static bool has_extensions(const uint8_t *p, size_t head_len)
{
	return p[0] >> 4 == 6 && p[6] != TCP && p[6] != UDP;
}

static void check_segment(const struct segment_plan *plan, size_t i, const uint8_t **at)
{
	static uint8_t room[PACKET_ROOM];
	const uint8_t *payload;
	size_t payload_len;

	memset(room, 0xee, SEGMENT_HEAD_MAX + 8);
	segment_head(plan, i, room, &payload, &payload_len);
	CHECK(payload == *at && payload_len > 0);
	CHECK(room[plan->head_len] == 0xee);
	*at += payload_len;
	CHECK(plan->head_len + payload_len == segment_len(plan, i));
	CHECK(i + 1 == plan->n || segment_len(plan, i) == segment_len(plan, 0));
	if (i >= CHECKED && i + 1 != plan->n)
		return;
	memcpy(room + plan->head_len, payload, payload_len);
	if (plan->n > 1 && !has_extensions(room, plan->head_len))
		CHECK(packet_fault(room, plan->head_len + payload_len) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_plan plan;
	struct vnet_head head;
	size_t len = size - VNET_HEAD_LEN;
	const uint8_t *at;
	uint8_t *packet;

	if (size < VNET_HEAD_LEN || len > PACKET_ROOM || vnet_parse(data, &head) < 0)
		return 0;
	packet = malloc(len ? len : 1);
	CHECK(packet);
	memcpy(packet, data + VNET_HEAD_LEN, len);
	if (segment_plan(&head, packet, len, &plan) == 0) {
		size_t address = plan.family == AF_INET ? 4 : 16;

		CHECK(plan.n > 0 && plan.head_len <= SEGMENT_HEAD_MAX);
		CHECK((plan.n == 1) == (plan.head_len == 0));
		CHECK(plan.src > packet && plan.dst + address <= packet + len);
		at = packet + plan.head_len;
		for (size_t i = 0; i < plan.n; i++)
			check_segment(&plan, i, &at);
		CHECK(at <= packet + len);
		CHECK(at == packet + (plan.family == AF_INET ? get16(packet + 2)
							     : 40 + get16(packet + 4)));
	}
	free(packet);
	return 0;
}
