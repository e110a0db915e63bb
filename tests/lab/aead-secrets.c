/*
 * Runs one implementation (SECRETS_SOURCE, its .c file) on keys and texts that valgrind is told are
 * undefined: it then reports every branch and every address that depends on them. For
 * tests/lab/test-aead-secrets; alone it does nothing useful. With an argument it makes such a branch
 * itself, so that the test sees a report. With SECRETS_IN_C the vector operations are C as well, and no
 * vector unit is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

#define AEAD_PUBLIC(at, len) VALGRIND_MAKE_MEM_DEFINED(at, len)
#include SECRETS_SOURCE

enum { N = 70, SLOT = 1500 };

static uint8_t key[AEAD_KEY_LEN], in[N][SLOT], out[N][SLOT];

/* Texts of one length, or of many; a secret text, key and front. */
static void try(size_t n, size_t len, size_t step)
{
	struct aead_packet p[N];

	VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof(key));
	VALGRIND_MAKE_MEM_UNDEFINED(in, sizeof(in));
	VALGRIND_MAKE_MEM_UNDEFINED(out, sizeof(out));
	for (size_t i = 0; i < n; i++)
		p[i] = (struct aead_packet){ .counter = i,
			.in = in[i],
			.out = out[i],
			.front = 64 * (i % 3),
			.len = (len + step * i) % (SLOT - 31),
			.pad = i % 16 };
	SECRETS_CODE.seal(key, 0, p, n);
	VALGRIND_MAKE_MEM_DEFINED(out, sizeof(out)); /* that is what ciphertext is for */
	for (size_t i = 0; i < n; i++) {
		p[i].in = out[i];
		p[i].out = i % 2 ? out[i] : in[i];
		p[i].len += p[i].pad + AEAD_TAG_LEN;
		out[i][0] ^= i % 4 == 3;
	}
	SECRETS_CODE.open(key, 0, p, n);
	for (size_t i = 0; i < n; i++)
		if (p[i].ok == (i % 4 == 3)) {
			printf("packet %zu of %zu: %s\n", i, n,
				p[i].ok ? "forged, opened" : "refused");
			exit(1);
		}
}

int main(int argc, char **argv)
{
	static const size_t counts[] = { 1, 2, 3, 5, 8, 16, N };

#ifndef SECRETS_IN_C
	if (!SECRETS_CODE.supported()) {
		printf("not supported by this machine\n");
		return 77;
	}
#endif
	if (argc > 1) {
		VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof(key));
		printf("%s\n", key[0] ? "one" : "zero");
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		try(counts[i], 1280, 0);
		try(counts[i], 40, 0);
		try(counts[i], 7, 61);
	}
	return 0;
}
