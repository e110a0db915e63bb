/*
 * aead [ROUNDS]: nanoseconds per packet of each AEAD implementation that this machine can run, beside
 * libcrypto. All take turns in every round and the best round counts, so that other work on the machine
 * disturbs little. Sealing reads from one place and writes to another, opening is in place: as the
 * tunnel does it. A line each: bytes, packets in a batch, and seal and open of each implementation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tunnel/aead.h"

enum { PACKETS_MAX = 16, SLOT = 2048, BATCHES = 4096 / PACKETS_MAX };

static const char *const names[] = { "libcrypto", "neon", "avx2", "avx512" };
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static uint8_t in[PACKETS_MAX][SLOT], out[PACKETS_MAX][SLOT];
static const uint8_t key[AEAD_KEY_LEN] = { 1, 2, 3 };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static void set_packets(struct aead_packet *p, size_t n, size_t len)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (struct aead_packet){ .counter = i, .in = in[i], .out = out[i], .len = len };
}

static double seal_ns(struct aead *aead, size_t n, size_t len, size_t times)
{
	struct aead_packet p[PACKETS_MAX];
	double start;

	set_packets(p, n, len);
	start = now_ns();
	for (size_t i = 0; i < times; i++)
		if (aead_seal(aead, key, p, n) < 0)
			exit(1);
	return (now_ns() - start) / (double) (n * times);
}

/* Opening in place destroys the ciphertext, so it works on copies; copying is not counted. */
static double open_ns(struct aead *aead, size_t n, size_t len, size_t times)
{
	enum { COPIES = 4 };
	static uint8_t work[COPIES][PACKETS_MAX][SLOT];
	struct aead_packet p[PACKETS_MAX];
	double start, sum = 0;

	set_packets(p, n, len);
	if (aead_seal(aead, key, p, n) < 0)
		exit(1);
	for (size_t i = 0; i < n; i++)
		p[i].len += AEAD_TAG_LEN;
	for (size_t i = 0; i < times; i += COPIES) {
		for (size_t j = 0; j < COPIES * n; j++)
			memcpy(work[j / n][j % n], out[j % n], len + AEAD_TAG_LEN);
		start = now_ns();
		for (size_t j = 0; j < COPIES; j++) {
			for (size_t k = 0; k < n; k++)
				p[k].in = p[k].out = work[j][k];
			aead_open(aead, key, p, n);
		}
		sum += now_ns() - start;
	}
	if (!p[0].ok || !p[n - 1].ok)
		exit(1);
	return sum / (double) (n * times);
}

static void measure(struct aead *const aeads[], size_t n, size_t len, int rounds)
{
	double best[NAMES][2];

	for (int r = 0; r < rounds; r++)
		for (size_t i = 0; i < NAMES; i++) {
			double seal, open;

			if (!aeads[i])
				continue;
			seal = seal_ns(aeads[i], n, len, BATCHES / n);
			open = open_ns(aeads[i], n, len, BATCHES / n);
			best[i][0] = r == 0 || seal < best[i][0] ? seal : best[i][0];
			best[i][1] = r == 0 || open < best[i][1] ? open : best[i][1];
		}
	printf("%6zu %8zu", len, n);
	for (size_t i = 0; i < NAMES; i++)
		if (aeads[i])
			printf("  %7.0f %7.0f", best[i][0], best[i][1]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const size_t lens[] = { 64, 1280, 1408, 1424 }, counts[] = { 1, 4, 8, 16 };
	int rounds = argc > 1 ? atoi(argv[1]) : 40;
	struct aead *aeads[NAMES];

	printf("%6s %8s", "bytes", "packets");
	for (size_t i = 0; i < NAMES; i++) {
		aeads[i] = aead_new_as(names[i]);
		if (aeads[i])
			printf("  %15s", names[i]);
	}
	printf("\n");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (size_t j = 0; j < sizeof(lens) / sizeof(lens[0]); j++)
			measure(aeads, counts[i], lens[j], rounds);
	for (size_t i = 0; i < NAMES; i++)
		aeads[i] = aead_free(aeads[i]);
	return 0;
}
