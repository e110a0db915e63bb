/*
 * aead-known: runs aead-vectors.txt through one implementation, with every vector in one lane and in
 * many. Needs neither cmocka nor a cipher library, so that it runs on any emulated processor.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tunnel/aead-code.h"

enum { KNOWN_LEN = 1024, KNOWN_COPIES = 19 };

/* A hexadecimal word of a line, or "-". -1: too long, or none. */
static inline int known_hex(char **line, uint8_t *ret, size_t max)
{
	char *word = strsep(line, " \n");
	size_t n = word ? strlen(word) / 2 : max + 1;

	if (n > max)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (sscanf(word + 2 * i, "%2hhx", &ret[i]) != 1)
			return -1;
	return (int) n;
}

/* The first half of ChaCha20's block 0: Poly1305's key. Plainly, as RFC 8439 section 2.3 has it. */
static inline void known_poly_key(const uint8_t key[32], const uint8_t nonce[12], uint8_t ret[32])
{
	static const uint8_t order[8][4] = { { 0, 4, 8, 12 }, { 1, 5, 9, 13 }, { 2, 6, 10, 14 },
		{ 3, 7, 11, 15 }, { 0, 5, 10, 15 }, { 1, 6, 11, 12 }, { 2, 7, 8, 13 },
		{ 3, 4, 9, 14 } };
	static const uint8_t turn[4] = { 16, 12, 8, 7 };
	uint32_t first[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];

	memcpy(first + 4, key, 32);
	memcpy(first + 13, nonce, 12);
	for (int i = 4; i < 16; i++)
		first[i] = le32toh(first[i]);
	memcpy(x, first, sizeof(x));
	for (int i = 0; i < 80; i++)
		for (int j = 0; j < 4; j++) {
			const uint8_t *o = order[i % 8];
			uint32_t *a = &x[o[j % 2 ? 2 : 0]], *b = &x[o[j % 2 ? 3 : 1]];
			uint32_t *c = &x[o[j % 2 ? 1 : 3]];

			*a += *b;
			*c ^= *a;
			*c = *c << turn[j] | *c >> (32 - turn[j]);
		}
	for (int i = 0; i < 8; i++) {
		uint32_t word = htole32(x[i] + first[i]);

		memcpy(ret + 4 * i, &word, 4);
	}
}

/* @copies of one message at once. */
static inline bool known_poly(const struct aead_code *code, const uint8_t key[32],
	const uint8_t *text, size_t blocks, const uint8_t tag[16], size_t copies)
{
	struct aead_poly1305 m[KNOWN_COPIES];

	for (size_t i = 0; i < copies; i++) {
		m[i] = (struct aead_poly1305){ .text = text, .blocks = blocks };
		memcpy(m[i].key, key, 32);
	}
	code->poly1305(m, copies);
	for (size_t i = 0; i < copies; i++)
		if (memcmp(m[i].tag, tag, 16) != 0)
			return false;
	return true;
}

struct known {
	uint8_t key[32], nonce[12], aad[KNOWN_LEN], text[KNOWN_LEN], tag[16];
	size_t aad_len, text_len;
};

/* Associated data is not in the interface: then the tag is made of its parts. */
static inline bool known_aad(
	const struct aead_code *code, const struct known *k, const uint8_t *sealed, size_t copies)
{
	uint8_t message[2 * KNOWN_LEN + 48] = { 0 }, poly_key[32];
	size_t at = (k->aad_len + 15) / 16 * 16, end = at + (k->text_len + 15) / 16 * 16;
	uint64_t lens[2] = { htole64(k->aad_len), htole64(k->text_len) };

	memcpy(message, k->aad, k->aad_len);
	memcpy(message + at, sealed, k->text_len);
	memcpy(message + end, lens, sizeof(lens));
	known_poly_key(k->key, k->nonce, poly_key);
	return known_poly(code, poly_key, message, end / 16 + 1, k->tag, copies);
}

static inline bool known_aead(const struct aead_code *code, const struct known *k, size_t copies)
{
	static uint8_t data[KNOWN_COPIES][KNOWN_LEN + AEAD_TAG_LEN];
	struct aead_packet p[KNOWN_COPIES];
	uint64_t counter;
	uint32_t head;

	memcpy(&head, k->nonce, sizeof(head));
	memcpy(&counter, k->nonce + 4, sizeof(counter));
	for (size_t i = 0; i < copies; i++) {
		memcpy(data[i], k->text, k->text_len);
		p[i] = (struct aead_packet){ .counter = le64toh(counter),
			.in = data[i],
			.out = data[i],
			.len = k->text_len };
	}
	code->seal(k->key, le32toh(head), p, copies);
	for (size_t i = 0; i < copies; i++) {
		if (k->aad_len == 0 && memcmp(data[i] + k->text_len, k->tag, 16) != 0)
			return false;
		if (!known_aad(code, k, data[i], copies))
			return false;
		p[i].len += AEAD_TAG_LEN;
	}
	code->open(k->key, le32toh(head), p, copies);
	for (size_t i = 0; i < copies; i++)
		if (!p[i].ok || memcmp(data[i], k->text, k->text_len) != 0)
			return false;
	return true;
}

static inline bool known_line(const struct aead_code *code, char *line)
{
	static const size_t copies[] = { 1, 2, 3, 8, KNOWN_COPIES };
	const char *kind = strsep(&line, " ");
	bool poly = strcmp(kind, "poly") == 0, ok = true;
	struct known k;
	int n;

	if (known_hex(&line, k.key, 32) != 32)
		return false;
	if (!poly && known_hex(&line, k.nonce, 12) != 12)
		return false;
	n = poly ? 0 : known_hex(&line, k.aad, KNOWN_LEN);
	k.aad_len = (size_t) n;
	if (n < 0 || (n = known_hex(&line, k.text, KNOWN_LEN)) < 0)
		return false;
	k.text_len = (size_t) n;
	if (known_hex(&line, k.tag, 16) != 16)
		return false;
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]) && ok; i++)
		ok = poly ? known_poly(code, k.key, k.text, k.text_len / 16, k.tag, copies[i])
			  : known_aead(code, &k, copies[i]);
	return ok;
}

/* The number of vectors that are right, or minus the number of the line that is not. */
static inline int known_answers(const struct aead_code *code, const char *path)
{
	static char line[4 * KNOWN_LEN];
	FILE *f = fopen(path, "re");
	int n = 0, number = 0;

	while (f && n >= 0 && fgets(line, sizeof(line), f)) {
		number++;
		if (line[0] == '#')
			continue;
		n = known_line(code, line) ? n + 1 : -number;
	}
	if (f)
		(void) fclose(f);
	return n;
}
