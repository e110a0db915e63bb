/*
 * aead-mix VECTORS: seals packets of all kinds, writes what comes out to standard output, opens it
 * again, forged in places, and checks known answers. Two implementations are right alike if they write
 * the same. Built as it is, that is libcrypto's; with -DAEAD_CODE=aead_neon it is that one, which
 * then needs nothing but the C library: for an emulated processor (tests/lab/test-aead-emulated).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/tunnel/aead-known.h"

enum { N = 40, SLOT = 2100, ROUNDS = 60 };

static uint8_t key[AEAD_KEY_LEN], in[N][SLOT], out[N][SLOT];

#ifdef AEAD_CODE
static void seal(struct aead_packet *p, size_t n)
{
	AEAD_CODE.seal(key, 0, p, n);
}

static void open(struct aead_packet *p, size_t n)
{
	AEAD_CODE.open(key, 0, p, n);
}

static bool known(const char *path)
{
	int n = known_answers(&AEAD_CODE, path);

	fprintf(stderr, "%s: %d known answers\n", AEAD_CODE.name, n);
	return n > 0;
}
#else
static struct aead *aead;

static void seal(struct aead_packet *p, size_t n)
{
	if (aead_seal(aead, key, p, n) < 0)
		exit(1);
}

static void open(struct aead_packet *p, size_t n)
{
	aead_open(aead, key, p, n);
}

static bool known(const char *path)
{
	aead = aead_new_as("libcrypto");
	return aead;
}
#endif

static uint32_t number(uint32_t below)
{
	static uint64_t x = 1;

	x = x * 6364136223846793005 + 1442695040888963407;
	return (uint32_t) (x >> 40) % below;
}

static void fill(uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t) number(256);
}

static void round_trip(bool equal, size_t len)
{
	static uint8_t text[N][SLOT];
	size_t n = 1 + number(N), forged = number(2 * N);
	struct aead_packet p[N];

	fill(key, sizeof(key));
	fill(text[0], sizeof(text));
	memcpy(in, text, sizeof(in));
	memset(out, 0, sizeof(out));
	for (size_t i = 0; i < n; i++) {
		p[i] = (struct aead_packet){ .counter = (uint64_t) number(1 << 20) << 40 |
							number(1 << 20),
			.in = in[i],
			.out = i % 3 ? out[i] : in[i],
			.front = i % 3 ? 64 * number(4) : 0,
			.len = equal ? len : number(2049),
			.pad = number(16) };
		memcpy(out[i], in[i], p[i].front < p[i].len ? p[i].front : p[i].len);
	}
	seal(p, n);
	for (size_t i = 0; i < n; i++) {
		p[i].len += p[i].pad + AEAD_TAG_LEN;
		p[i].in = p[i].out;
		if (fwrite(p[i].in, 1, p[i].len, stdout) != p[i].len)
			exit(1);
		if (i == forged)
			p[i].out[number((uint32_t) p[i].len)] ^= 0x10;
	}
	open(p, n);
	for (size_t i = 0; i < n; i++) {
		size_t rest = p[i].len - p[i].pad - AEAD_TAG_LEN;

		if (p[i].ok != (i != forged) || (p[i].ok && memcmp(p[i].out, text[i], rest) != 0)) {
			fprintf(stderr, "packet %zu of %zu, %zu bytes: wrong\n", i, n, p[i].len);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 2 || !known(argv[1]))
		return 1;
	for (size_t i = 0; i < ROUNDS; i++) {
		round_trip(true, 21 * i);
		round_trip(true, 1280 + 16 * i % 160);
		round_trip(false, 0);
	}
	return fflush(stdout) != 0;
}
