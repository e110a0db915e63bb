/* fake-core: see fake-core.h. */
#include "fake-core.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "base/log.h"

enum { NODES_MAX = 8, LINES_MAX = 1024, LINE_MAX_LEN = 1200 };

bool fake_core_log_is_on_its_way;
struct err fake_core_unsaved;
static struct core core;
static struct netmap *map;
static struct presence presences[NODES_MAX];
static bool announced[NODES_MAX];
static char lines[LINES_MAX][LINE_MAX_LEN];
static size_t n_lines;

/* --- instead of board/book --- */

const struct netmap *book_netmap(const struct book *book)
{
	return map;
}

const struct presence *book_presence(const struct book *book, uint32_t id)
{
	return id < NODES_MAX && announced[id] ? &presences[id] : NULL;
}

bool book_log_is_on_its_way(const struct book *book)
{
	return fake_core_log_is_on_its_way;
}

const struct err *book_unsaved(const struct book *book)
{
	return &fake_core_unsaved;
}

/* --- instead of base/log --- */

const char *const log_level_names[] = { NULL };

void log_open(const char *program)
{
}

void log_set_level(enum log_level level)
{
}

__attribute__((format(printf, 1, 0))) static void keep(const char *format, va_list args)
{
	assert_true(n_lines < LINES_MAX);
	(void) vsnprintf(lines[n_lines++], LINE_MAX_LEN, format, args);
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	keep(format, args);
	va_end(args);
}

void log_line_seldom(struct pace *pace, enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	keep(format, args);
	va_end(args);
}

bool log_enabled(enum log_level level)
{
	return true;
}

size_t fake_core_logged(const char *words)
{
	size_t found = 0;

	for (size_t i = 0; i < n_lines; i++)
		found += strstr(lines[i], words) != NULL;
	n_lines = 0;
	return found;
}

/* --- the core --- */

void fake_core_put_node(const struct node *node)
{
	assert_true(maker_apply(map, RECORD_TYPE_NODE, node_to_json(node), NULL, NULL) >= 0);
}

void fake_core_put(uint32_t id, uint32_t number, const char *name)
{
	CLEANUP_NODE struct node node = maker_node(id, number, name);

	fake_core_put_node(&node);
}

struct presence *fake_core_announce(uint32_t id)
{
	assert_true(id < NODES_MAX);
	announced[id] = true;
	presences[id].node = id;
	return &presences[id];
}

void fake_core_wrong(const struct core *c, const char *name, const char *words)
{
	const char *text = problem_text(&c->problems, name);

	if (!words)
		assert_string_equal(text, "");
	else if (!*text || !strstr(text, words))
		fail_msg("problem %s: \"%s\" does not say \"%s\"", name, text, words);
}

struct core *fake_core_new(void)
{
	struct settings settings = maker_settings();

	fake_event_reset();
	n_lines = 0;
	fake_core_log_is_on_its_way = false;
	fake_core_unsaved = (struct err){ 0 };
	memset(presences, 0, sizeof(presences));
	memset(announced, 0, sizeof(announced));
	map = maker_netmap(&settings);
	settings_done(&settings);
	for (uint32_t id = 1; id <= 3; id++)
		fake_core_put(id, id, NULL);
	core = (struct core){
		.helper_path = FAKE_RUN "/helper.sock",
		.host_path = "/etc",
		.paths = { .etc = "/etc/hearth", .run = FAKE_RUN },
		.config = { .mesh = "home", .node = 1, .interface = "hearth0" },
	};
	assert_true(sd_event_new(&core.event) >= 0);
	return &core;
}

struct core *fake_core_free(struct core *c)
{
	assert_int_equal(fake_event_sources(), 0);
	problems_done(&c->problems);
	c->event = sd_event_unref(c->event);
	map = netmap_free(map);
	return NULL;
}
