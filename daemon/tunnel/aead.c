/*
 * Chooses an implementation: the fastest that processor and kernel support and that agrees with
 * libcrypto on a few packets of every shape, else libcrypto. One that disagrees is never used, and
 * the log says so.
 */
#include "tunnel/aead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/aead-code.h"
#include "tunnel/aead-libcrypto.h"
#include "base/log.h"

struct aead {
	struct aead_libcrypto *libcrypto;
	const struct aead_code *code; /* NULL: libcrypto */
};

const struct aead_code *const aead_codes[] = {
#if defined(__x86_64__)
	&aead_avx512,
	&aead_avx2,
#elif defined(__aarch64__)
	&aead_neon,
#endif
	NULL,
};

static bool is_sane(const struct aead_packet *packets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (packets[i].len > AEAD_LEN_MAX || packets[i].pad > AEAD_PAD_MAX)
			return false;
	return true;
}

int aead_seal(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	if (!is_sane(packets, n))
		return -EIO;
	if (!aead->code)
		return aead_libcrypto_seal(aead->libcrypto, key, packets, n);
	aead->code->seal(key, 0, packets, n);
	return 0;
}

void aead_open(struct aead *aead, const uint8_t key[static AEAD_KEY_LEN],
	struct aead_packet *packets, size_t n)
{
	if (aead->code)
		aead->code->open(key, 0, packets, n);
	else
		aead_libcrypto_open(aead->libcrypto, key, packets, n);
}

const char *aead_name(const struct aead *aead)
{
	return aead->code ? aead->code->name : "libcrypto";
}

/* --- the self-test --- */

enum { TEST_N = 19, TEST_SLOT = 1536 };

struct self_test {
	uint8_t key[AEAD_KEY_LEN];
	uint8_t text[TEST_N][TEST_SLOT], ours[TEST_N][TEST_SLOT], theirs[TEST_N][TEST_SLOT];
	struct aead_packet packets[TEST_N];
};

/* More than one group, of equal and of odd lengths, whole and with all kinds of ends. */
static size_t test_len(size_t i)
{
	static const size_t odd[] = { 0, 1, 15, 16, 63, 64, 65, 447, 1279, 1280, 1420 };

	return i < 8 ? 1280 : odd[(i - 8) % (sizeof(odd) / sizeof(odd[0]))];
}

static void test_packets(struct self_test *t, uint8_t out[][TEST_SLOT])
{
	for (size_t i = 0; i < TEST_N; i++) {
		t->packets[i] = (struct aead_packet){ .counter = (uint64_t) i << 30 | i,
			.in = t->text[i],
			.out = out[i],
			.front = 64 * (i % 3),
			.len = test_len(i),
			.pad = i % 2 ? (size_t) -test_len(i) % 16 : 0 };
		memset(out[i], 0xa5, TEST_SLOT);
		memcpy(out[i], t->text[i], t->packets[i].front);
	}
}

static bool opens(const struct aead_code *code, struct self_test *t)
{
	size_t forged = TEST_N / 2;

	for (size_t i = 0; i < TEST_N; i++) {
		struct aead_packet *p = &t->packets[i];

		p->in = p->out = t->ours[i];
		p->len += p->pad + AEAD_TAG_LEN;
	}
	t->ours[forged][0] ^= 1;
	code->open(t->key, 0, t->packets, TEST_N);
	for (size_t i = 0; i < TEST_N; i++) {
		const struct aead_packet *p = &t->packets[i];

		if (p->ok != (i != forged))
			return false;
		if (p->ok && memcmp(p->out, t->text[i], p->len - p->pad - AEAD_TAG_LEN) != 0)
			return false;
	}
	return true;
}

/* Whether @code seals to the same bytes as libcrypto, and opens these and nothing else. */
static bool agrees(const struct aead_code *code, struct aead_libcrypto *libcrypto)
{
	struct self_test *t = malloc(sizeof(*t));
	bool ok = false;
	uint32_t x = 1;

	if (!t)
		return false;
	for (size_t i = 0; i < sizeof(t->text); i++)
		t->text[i / TEST_SLOT][i % TEST_SLOT] =
			(uint8_t) ((x = x * 1664525 + 1013904223) >> 24);
	memcpy(t->key, t->text[0] + TEST_SLOT - AEAD_KEY_LEN, AEAD_KEY_LEN);
	test_packets(t, t->theirs);
	if (aead_libcrypto_seal(libcrypto, t->key, t->packets, TEST_N) == 0) {
		test_packets(t, t->ours);
		code->seal(t->key, 0, t->packets, TEST_N);
		ok = memcmp(t->ours, t->theirs, sizeof(t->ours)) == 0 && opens(code, t);
	}
	free(t);
	return ok;
}

/* --- the choice --- */

struct aead *aead_new_as(const char *name)
{
	struct aead *aead = calloc(1, sizeof(*aead));

	if (!aead)
		return NULL;
	aead->libcrypto = aead_libcrypto_new();
	if (!aead->libcrypto)
		return aead_free(aead);
	if (name && strcmp(name, "libcrypto") == 0)
		return aead;
	for (size_t i = 0; aead_codes[i]; i++) {
		const struct aead_code *code = aead_codes[i];

		if ((name && strcmp(name, code->name) != 0) || !code->supported())
			continue;
		if (agrees(code, aead->libcrypto)) {
			aead->code = code;
			return aead;
		}
		log_error("the cipher code for %s disagrees with libcrypto here, not using it",
			code->name);
	}
	return name ? aead_free(aead) : aead;
}

struct aead *aead_new(void)
{
	const char *name = getenv("HEARTH_AEAD");
	struct aead *aead = NULL;

	if (name && *name) {
		aead = aead_new_as(name);
		if (!aead)
			log_error("HEARTH_AEAD=%.32s is not to be had here, ignoring", name);
	}
	if (!aead)
		aead = aead_new_as(NULL);
	if (aead)
		log_debug("ChaCha20-Poly1305 by %s", aead_name(aead));
	return aead;
}

struct aead *aead_free(struct aead *aead)
{
	if (!aead)
		return NULL;
	aead_libcrypto_free(aead->libcrypto);
	free(aead);
	return NULL;
}
