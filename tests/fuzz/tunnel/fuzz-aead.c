/*
 * The AEAD's implementations against libcrypto. The input is a batch: a byte for their number and
 * order, six bytes for each packet (length, front, padding, what is forged), and the key and text from
 * the rest, over and over. Each that this machine can run must seal to the same bytes, open them, and
 * refuse what was changed.
 */
#include <stdlib.h>
#include <string.h>

#include "tunnel/aead-code.h"
#include "tunnel/aead-libcrypto.h"

enum { N = 80, LEN = 2048, SLOT = LEN + AEAD_PAD_MAX + AEAD_TAG_LEN };

struct batch {
	uint8_t key[AEAD_KEY_LEN];
	bool in_place;
	size_t n;
	struct aead_packet packets[N];
	uint8_t forge[N]; /* 0: not; else where, and which bit */
	uint8_t text[N][LEN], in[N][SLOT], ours[N][SLOT], theirs[N][SLOT];
};

/* Bytes of @data from @at on, repeated. */
static void spread(uint8_t *out, size_t len, const uint8_t *data, size_t size, size_t at)
{
	for (size_t i = 0; i < len; i++)
		out[i] = size ? (uint8_t) (data[(at + i) % size] + (at + i) / size) : (uint8_t) i;
}

static void parse(struct batch *b, const uint8_t *data, size_t size)
{
	b->n = size > 0 ? data[0] % (N + 1) : 0;
	b->in_place = size > 1 && data[1] & 1;
	data += size < 2 ? size : 2;
	size -= size < 2 ? size : 2;
	for (size_t i = 0; i < b->n; i++) {
		uint8_t d[6] = { 0 };

		spread(d, sizeof(d), data, size, 6 * i);
		b->packets[i] = (struct aead_packet){ .counter = (uint64_t) d[5] << 30 | i,
			.front = d[2] % 8 * 64,
			.len = (size_t) (d[0] | d[1] << 8) % (LEN + 1),
			.pad = d[3] % 16 };
		b->forge[i] = d[4] & 1 ? d[4] : 0;
		spread(b->text[i], b->packets[i].len, data, size, 7 * i + 3);
	}
	spread(b->key, sizeof(b->key), data, size, 1);
}

static void aim(struct batch *b, uint8_t out[][SLOT])
{
	for (size_t i = 0; i < b->n; i++) {
		struct aead_packet *p = &b->packets[i];

		p->in = b->in_place ? out[i] : b->text[i];
		p->out = out[i];
		memcpy(out[i], b->text[i], b->in_place || p->front > p->len ? p->len : p->front);
	}
}

static void check(const struct aead_code *code, struct batch *b)
{
	aim(b, b->ours);
	code->seal(b->key, 0, b->packets, b->n);
	for (size_t i = 0; i < b->n; i++) {
		struct aead_packet *p = &b->packets[i];
		size_t len = p->len + p->pad + AEAD_TAG_LEN;

		if (memcmp(b->ours[i], b->theirs[i], len) != 0)
			abort();
		if (b->forge[i])
			b->ours[i][b->forge[i] * 131u % len] ^= (uint8_t) (1 << b->forge[i] % 7);
		p->in = b->ours[i];
		p->out = b->in_place ? b->ours[i] : b->in[i];
		p->len = len;
	}
	code->open(b->key, 0, b->packets, b->n);
	for (size_t i = 0; i < b->n; i++) {
		struct aead_packet *p = &b->packets[i];

		p->len -= p->pad + AEAD_TAG_LEN;
		if (p->ok != !b->forge[i] || (p->ok && memcmp(p->out, b->text[i], p->len) != 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct aead_libcrypto *libcrypto;
	static struct batch b;

	if (!libcrypto)
		libcrypto = aead_libcrypto_new();
	parse(&b, data, size);
	aim(&b, b.theirs);
	if (!libcrypto || aead_libcrypto_seal(libcrypto, b.key, b.packets, b.n) < 0)
		abort();
	for (size_t i = 0; aead_codes[i]; i++)
		if (aead_codes[i]->supported())
			check(aead_codes[i], &b);
	return 0;
}
