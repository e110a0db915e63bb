/*
 * problems: see problems.h. What is all right costs nothing: a problem has memory from its first
 * time on.
 */
#include "node/problems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"

struct problem {
	const char *name; /* borrowed */
	struct trouble trouble;
	char text[ERR_TEXT_MAX];
};

void problems_done(struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		free(problems->list[i]);
	*problems = (struct problems){ 0 };
}

static struct problem *find(const struct problems *problems, const char *name)
{
	for (size_t i = 0; i < problems->n; i++)
		if (!strcmp(problems->list[i]->name, name))
			return problems->list[i];
	return NULL;
}

static struct problem *add(struct problems *problems, const char *name)
{
	struct problem *p = problems->n < PROBLEMS_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	p->name = name;
	problems->list[problems->n++] = p;
	return p;
}

static void begin(struct problems *problems, const char *name, const struct err *err)
{
	struct problem *p = find(problems, name);

	if (!p)
		p = add(problems, name);
	if (!p) {
		log_seldom(LOG_LEVEL_WARNING, "%s", err->text); /* that at least */
		return;
	}
	if (trouble_is(&p->trouble, err->code, clock_now_us()))
		log_warning("%s", err->text);
	(void) snprintf(p->text, sizeof(p->text), "%s", err->text);
}

static void end(struct problem *p)
{
	char span[PACE_SPAN_MAX];
	struct trouble_end end;

	if (trouble_over(&p->trouble, clock_now_us(), &end))
		log_notice("no longer so, after %s: %s", pace_span_format(end.lasted_us, span),
			p->text);
	p->text[0] = 0;
}

void problem_set(struct problems *problems, const char *name, const struct err *err)
{
	struct problem *p;

	if (err && err->code) {
		begin(problems, name, err);
		return;
	}
	p = find(problems, name);
	if (p)
		end(p);
}

const char *problem_text(const struct problems *problems, const char *name)
{
	const struct problem *p = find(problems, name);

	return p ? p->text : "";
}

size_t problems_texts(const struct problems *problems, const char *ret[static PROBLEMS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < problems->n; i++)
		if (problems->list[i]->text[0])
			ret[n++] = problems->list[i]->text;
	return n;
}
