/* env: see env.h. */
#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/number.h"

enum { SAID_MAX = 16 };

static const char *value_of(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* @name is a literal of the caller's. Programs read their environment before they have threads. */
static void say(const char *name, const char *value, const char *what, const char *instead)
{
	static const char *said[SAID_MAX];
	size_t i = 0;

	while (i < SAID_MAX && said[i] && strcmp(said[i], name) != 0)
		i++;
	if (i == SAID_MAX || said[i])
		return;
	said[i] = name;
	log_error("%s=%.80s is %s; it counts as %s", name, value, what, instead);
}

const char *env_dir(const char *name, const char *fallback)
{
	const char *value = value_of(name);

	if (!value)
		return fallback;
	if (value[0] == '/')
		return value;
	say(name, value, "no absolute path", fallback);
	return fallback;
}

uint64_t env_number(const char *name, uint64_t min, uint64_t max, uint64_t fallback)
{
	const char *value = value_of(name);
	char what[80], instead[24];
	uint64_t n;

	if (!value)
		return fallback;
	if (number_parse(value, min, max, &n) == 0)
		return n;
	(void) snprintf(what, sizeof(what), "no number from %llu to %llu", (unsigned long long) min,
		(unsigned long long) max);
	(void) snprintf(instead, sizeof(instead), "%llu", (unsigned long long) fallback);
	say(name, value, what, instead);
	return fallback;
}

int env_choice(const char *name, const char *const *choices, int fallback)
{
	const char *value = value_of(name);
	CLEANUP_BUF struct buf what = { 0 };
	int i = 0;

	for (; value && choices[i]; i++)
		if (!strcmp(value, choices[i]))
			return i;
	if (!value)
		return fallback;
	buf_add_str(&what, "none of ");
	for (i = 0; choices[i]; i++)
		buf_printf(&what, "%s%s", i ? ", " : "", choices[i]);
	say(name, value, buf_str(&what), choices[fallback]);
	return fallback;
}

void env_open_log(const char *program)
{
	log_open(program);
	log_set_level((enum log_level) env_choice("HEARTH_LOG", log_level_names, LOG_LEVEL_INFO));
}
