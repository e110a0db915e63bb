/*
 * The files of any machine: what is made of them is printable, and read as recorded facts it is the
 * same. Files are separated by zero bytes: the one that is asked for first is the first.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "provision/facts.h"

struct files {
	const char *at;
	size_t left;
};

static int next_file(void *ctx, const char *path, struct buf *ret)
{
	struct files *files = ctx;
	size_t n = strnlen(files->at, files->left);

	if (strncmp(path, "/proc/", 6) && strncmp(path, "/sys/", 5))
		abort();
	if (!files->left)
		return -ENOENT;
	buf_add(ret, files->at, n);
	n += n < files->left;
	files->at += n;
	files->left -= n;
	return 0;
}

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		abort();
	for (; *text; text++)
		if (!isprint((unsigned char) *text))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct files files = { (const char *) data, size };
	struct err err = { 0 };
	struct facts facts, again;

	facts_read_from(next_file, &files, "x86_64", &facts);
	check_text(facts.model, sizeof(facts.model));
	check_text(facts.board, sizeof(facts.board));
	check_text(facts.storage, sizeof(facts.storage));
	CLEANUP_JSON json_t *json = facts_to_json(&facts);

	if (!json || facts_from_json(json, &again, &err) < 0 ||
		memcmp(&facts, &again, sizeof(facts)) != 0)
		abort();
	return 0;
}
