/*
 * aead-lanes-chacha20: the part of aead-lanes.h, which alone includes it, that makes ChaCha20's
 * streams and lays them over texts.
 */
#pragma once

/*
 * Where a lane's stream goes: over @text bytes, then, as the padding is zero, as it is for @zeros.
 */
struct target {
	const uint8_t *in;
	uint8_t *out;
	uint32_t text, zeros;
	const struct aead_packet *packet; /* NULL: for a key */
};

struct lanes {
	_Alignas(64) uint32_t block[LANES], counter_low[LANES], counter_high[LANES];
	uint8_t stream[LANES][BLOCK]; /* of the lanes that are no whole block, or that wait */
	struct target to[LANES];
	uint32_t key[8], nonce_head;
	size_t n;
};

#if !BESIDE
INLINE void quarter(vec *a, vec *b, vec *c, vec *d)
{
	*a = add32(*a, *b);
	*d = xor(*d, *a);
	*d = rol32(*d, 16);
	*c = add32(*c, *d);
	*b = xor(*b, *c);
	*b = rol32(*b, 12);
	*a = add32(*a, *b);
	*d = xor(*d, *a);
	*d = rol32(*d, 8);
	*c = add32(*c, *d);
	*b = xor(*b, *c);
	*b = rol32(*b, 7);
}

INLINE void own_rounds(vec x[16], struct poly1305_run *beside, const struct poly1305_key *keys)
{
	for (int i = 0; i < 10; i++) {
		quarter(&x[0], &x[4], &x[8], &x[12]);
		quarter(&x[1], &x[5], &x[9], &x[13]);
		quarter(&x[2], &x[6], &x[10], &x[14]);
		quarter(&x[3], &x[7], &x[11], &x[15]);
		quarter(&x[0], &x[5], &x[10], &x[15]);
		quarter(&x[1], &x[6], &x[11], &x[12]);
		quarter(&x[2], &x[7], &x[8], &x[13]);
		quarter(&x[3], &x[4], &x[9], &x[14]);
	}
}
#endif

/* What the lanes differ in: block number, and nonce. */
struct where {
	vec block, counter_low, counter_high;
};

INLINE void initial(const struct lanes *l, const struct where *at, vec x[16])
{
	x[0] = set32(0x61707865);
	x[1] = set32(0x3320646e);
	x[2] = set32(0x79622d32);
	x[3] = set32(0x6b206574);
	for (int i = 0; i < 8; i++)
		x[4 + i] = set32(l->key[i]);
	x[12] = at->block;
	x[13] = set32(l->nonce_head);
	x[14] = at->counter_low;
	x[15] = at->counter_high;
}

/* x[i] becomes word i of every lane's stream. */
INLINE void rounds(const struct lanes *l, const struct where *at, vec x[16],
	struct poly1305_run *beside, const struct poly1305_key *keys)
{
	vec first[16];

	initial(l, at, x);
	own_rounds(x, beside, keys);
	initial(l, at, first);
	for (int i = 0; i < 16; i++)
		x[i] = add32(x[i], first[i]);
}

/* Four words of four lanes of each column: x[j] gets those of the column's lane j. */
INLINE void transpose(vec x[4])
{
	vec a = low32(x[0], x[1]), b = low32(x[2], x[3]);
	vec c = high32(x[0], x[1]), d = high32(x[2], x[3]);

	x[0] = low64(a, b);
	x[1] = high64(a, b);
	x[2] = low64(c, d);
	x[3] = high64(c, d);
}

INLINE void apply_block(uint8_t *out, const uint8_t *in, const vec *stream)
{
	vec text[BLOCK / sizeof(vec)];

	for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
		text[i] = load(in + i * sizeof(vec));
	for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
		store(out + i * sizeof(vec), xor(text[i], stream[i]));
}

/* Words to streams, and each over its block: @wide, blocks in a row at @out, else where @l says. */
INLINE void put_streams(
	struct lanes *l, vec x[16], bool keep, uint8_t *wide, const uint8_t *wide_in)
{
	for (int i = 0; i < 16; i += 4)
		transpose(x + i);
	for (int j = 0; j < 4; j++) {
		vec q[4] = { x[j], x[4 + j], x[8 + j], x[12 + j] };

		columns(q);
		for (int c = 0; c < LANES / 4; c++) {
			const vec *stream = q + c * (BLOCK / (int) sizeof(vec));
			int lane = 4 * c + j;

			if (wide)
				apply_block(wide + BLOCK * lane, wide_in + BLOCK * lane, stream);
			else if (!keep && l->to[lane].text == BLOCK)
				apply_block(l->to[lane].out, l->to[lane].in, stream);
			else
				for (size_t i = 0; i < BLOCK / sizeof(vec); i++)
					store(l->stream[lane] + i * sizeof(vec), stream[i]);
		}
	}
}

static void apply_kept(const struct target *to, const uint8_t *stream)
{
	size_t i = 0;

	for (; i + 8 <= to->text; i += 8) {
		uint64_t text, word;

		memcpy(&text, to->in + i, 8);
		memcpy(&word, stream + i, 8);
		text ^= word;
		memcpy(to->out + i, &text, 8);
	}
	for (; i < to->text; i++)
		to->out[i] = to->in[i] ^ stream[i];
	memcpy(to->out + i, stream + i, to->zeros);
}

INLINE void put_lane(struct lanes *l, uint64_t counter, uint32_t block, struct target to)
{
	l->block[l->n] = block;
	l->counter_low[l->n] = (uint32_t) counter;
	l->counter_high[l->n] = (uint32_t) (counter >> 32);
	l->to[l->n] = to;
	l->n++;
}

static void put_key(struct lanes *l, const struct aead_packet *p, uint8_t key[static 32])
{
	static const uint8_t zeros[32];

	put_lane(l, p->counter, 0, (struct target){ .in = zeros, .out = key, .text = 32 });
}

/*
 * What a packet's stream covers: @text bytes and @pad zeros, of which @front bytes are read from
 * @out.
 */
struct span {
	const struct aead_packet *packet;
	size_t front, text, pad;
};

INLINE size_t span_blocks(const struct span *s)
{
	return (s->text + s->pad + BLOCK - 1) / BLOCK;
}

/* The @i-th 64 bytes. */
INLINE void put_block(struct lanes *l, const struct span *s, size_t i)
{
	const struct aead_packet *p = s->packet;
	size_t at = i * BLOCK, in_text = s->text > at ? s->text - at : 0,
	       all = s->text + s->pad - at;
	struct target to = {
		.in = (at < s->front ? p->out : p->in) + at, .out = p->out + at, .packet = p
	};

	to.text = (uint32_t) (in_text < BLOCK ? in_text : BLOCK);
	to.zeros = (uint32_t) (all < BLOCK ? all : BLOCK) - to.text;
	put_lane(l, p->counter, (uint32_t) i + 1, to);
}
