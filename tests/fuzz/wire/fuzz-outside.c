/*
 * outside and foreign: what is accepted of a text is what a record may hold, and reads as itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct err *err)
{
	if (r && (r != -EINVAL || err->code != r || !err->text[0]))
		abort();
}

static void try_place(const char *text)
{
	struct outside at, again;
	struct err err = { 0 };
	char written[OUTSIDE_TEXT_MAX];
	int r;

	if (outside_parse(text, &at) == 0 && strcmp(outside_format(&at, written), text) != 0)
		abort();
	r = outside_choose(text, 7, &at, &err);
	check(r, &err);
	if (r)
		return;
	if (!outside_host_is_valid(at.host) ||
		outside_parse(outside_format(&at, written), &again) || !outside_equal(&at, &again))
		abort();
}

static void try_url(const char *text)
{
	struct err err = { 0 };
	char url[FIELD_URL_MAX], again[FIELD_URL_MAX], host[FIELD_URL_MAX];
	const char *port;
	int r = outside_choose_url(text, url, &err);

	check(r, &err);
	if (r)
		return;
	if (!field_url_split(url, host, &port) || outside_choose_url(url, again, NULL) ||
		strcmp(url, again) != 0)
		abort();
}

static void try_relay(const char *text)
{
	struct foreign relay, again;
	struct err err = { 0 };
	int r = foreign_choose(text, &relay, &err);

	check(r, &err);
	if (r)
		return;
	CLEANUP_JSON json_t *json = foreign_to_json(&relay, NULL);

	if (!json || foreign_from_json(json, &again, NULL) || !foreign_equal(&relay, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = strndup((const char *) data, size);

	if (!text)
		return 0;
	try_place(text);
	try_url(text);
	try_relay(text);
	return 0;
}
