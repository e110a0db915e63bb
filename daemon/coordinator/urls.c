/*
 * urls: keeps the settings' URLs in step with this machine's addresses, unless they were given with
 * --url. Addresses are only added, newest first, so that nothing is lost while an uplink is down and
 * an address that comes and goes writes one record, not many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "coordinator/addrs.h"
#include "coordinator/coord.h"

static bool has_url(const struct settings *s, const char *url)
{
	for (size_t i = 0; i < s->n_urls; i++)
		if (!strcmp(s->urls[i], url))
			return true;
	return false;
}

bool urls_merge(const struct coord *c, struct settings *settings)
{
	char found[FIELD_URLS_MAX][FIELD_URL_MAX];
	bool changed = false;
	int n = c->urls_found ? addrs_urls(c->port, found) : 0;
	for (int i = n - 1; i >= 0; i--) {
		if (has_url(settings, found[i]))
			continue;
		size_t keep =
			settings->n_urls < FIELD_URLS_MAX ? settings->n_urls : FIELD_URLS_MAX - 1;
		memmove(settings->urls[1], settings->urls[0], keep * FIELD_URL_MAX);
		memcpy(settings->urls[0], found[i], FIELD_URL_MAX);
		settings->n_urls = keep + 1;
		changed = true;
	}
	return changed;
}

struct refresh {
	struct change change;
	struct coord *coord;
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct coord *c = ((struct refresh *) change)->coord;
	CLEANUP_SETTINGS struct settings s = { 0 };
	settings_copy(coord_settings(c), &s);
	if (!urls_merge(c, &s))
		return 0;
	CLEANUP_JSON json_t *payload = settings_to_json(&s);
	int r = ledger_set_record(change, RECORD_TYPE_SETTINGS, payload);
	return r < 0 ? r : 1;
}

static void done(struct change *change, int r)
{
	if (r < 0)
		log_warning("this machine's new addresses could not be announced, ignoring: %s",
			change->err.text);
	else if (r > 0)
		log_notice(
			"boards now also look for the coordinator at this machine's new addresses");
	free(change);
}

void urls_refresh(struct coord *c)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	settings_copy(coord_settings(c), &s);
	if (!urls_merge(c, &s))
		return;
	struct refresh *refresh = calloc(1, sizeof(*refresh));
	if (!refresh)
		return; /* next time */
	refresh->change = (struct change){ .decide = decide, .done = done };
	refresh->coord = c;
	if (ledger_submit(c->ledger, &refresh->change) < 0)
		free(refresh);
}
