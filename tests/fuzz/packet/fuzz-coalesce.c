/*
 * Joining: the input is a programme of eight bytes a packet: which of eight flows, what differs from its
 * last packet, and which byte is spoilt (with its checksums made right again or not); or raw bytes. All
 * that receiver.h checks holds for every one of them.
 */
#include "../../unit/packet/receiver.h"

enum { STEP = 8, BATCH_MOST = 100 };

static const uint8_t option_room[44] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
static const uint8_t extra_room[8] = { 0, 0, 1, 4 };

static size_t apply(struct packet_spec *s, const uint8_t step[static STEP], uint8_t *room)
{
	struct packet_spec now = *s;
	size_t len;

	now.payload_len = 100 + step[1] % 3;
	if (step[1] & 0x80) /* a few fill a super-packet, if it is asked for */
		now.payload_len = (step[1] & 0x7fu) * (step[7] & 8 ? 511 : 5);
	if (step[1] == 0)
		now.payload_len = 0;
	now.flags = ACK | (step[2] & 0xc0 ? 0 : step[2]);
	now.seq += step[3] < 4 ? step[3] : 0;
	now.id = (uint16_t) (now.id + (step[3] & 0x10 ? step[3] : 0));
	now.df = step[0] & 0x10;
	if (step[4] > 0xe0)
		now.tos = step[4];
	if (step[4] == 0xe0)
		now.options_len = 4 * (step[5] % 11);
	if (step[4] == 0xdf)
		now.ip_extra_len = now.v6 ? 8 : 4;
	if (step[4] == 0xde)
		now.ack++;
	len = packet_build(&now, room);
	s->seq = now.seq + (uint32_t) now.payload_len;
	s->id = (uint16_t) (now.id + 1);
	if (step[6])
		room[step[5] % (len < 80 ? len : 80)] ^= step[6];
	if (step[7] & 1 && !now.v6)
		fix_v4_sum(room);
	if (step[7] & 2)
		fix_transport_sum(room, len, packet_transport(&now), now.protocol);
	return step[7] & 4 && len > step[5] ? len - step[5] : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[2 * PACKET_ROOM], payload[PACKET_ROOM];
	struct packet_spec flows[8];
	struct receiver *r;

	if (size < 1)
		return 0;
	r = receiver_new(!(data[0] & 1), !(data[0] & 2));
	for (unsigned i = 0; i < 8; i++)
		flows[i] = (struct packet_spec){ .v6 = i & 1,
			.protocol = i & 2 ? TCP : UDP,
			.host = (uint8_t) (i >> 2),
			.ttl = 9,
			.options = option_room,
			.options_len = 12,
			.ip_extra = extra_room,
			.extra_type = DST_OPTIONS,
			.payload = payload };
	for (data++, size--; size >= STEP; data += STEP, size -= STEP) {
		struct packet_spec *s = &flows[data[0] & 7];

		s->sport = data[0] >> 5; /* more flows than are joined at a time */
		if (data[0] & 8 && data[1] < size - STEP) { /* raw */
			receiver_put(r, data + STEP, data[1]);
			size -= data[1];
			data += data[1];
		} else {
			receiver_put(r, room, apply(s, data, room));
		}
		if (r->n_sent == BATCH_MOST)
			receiver_flush(r);
	}
	receiver_free(r);
	return 0;
}
