/* talk: see talk.h. Nothing secret is ever handed to it. */
#include "provision/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"

static const char *const state_words[] = {
	[TALK_DONE] = "done", [TALK_KEPT] = "ok", [TALK_WOULD] = "would", [TALK_NOTE] = "note"
};

void talk_done(struct talk *talk)
{
	json_decref(talk->steps);
	json_decref(talk->next);
	*talk = (struct talk){ 0 };
}

/* Coordinators, hearthd and kubeadm have their words in it: made fit for a terminal. */
__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list ap)
{
	CLEANUP(free_p) char *text = NULL;
	int len = vasprintf(&text, format, ap);
	char *clean = len < 0 ? NULL : malloc(TEXT_GROWTH * (size_t) len + 1);

	if (clean)
		(void) text_clean(
			text, (size_t) len, TEXT_LINE, clean, TEXT_GROWTH * (size_t) len + 1);
	return clean;
}

static bool on_terminal(void)
{
	return isatty(STDERR_FILENO);
}

void talk_step(struct talk *talk, enum talk_state state, const char *step, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	CLEANUP(free_p) char *text = format_text(format, ap);

	va_end(ap);
	talk->done += state == TALK_DONE || state == TALK_WOULD;
	if (!talk->steps)
		talk->steps = json_array();
	json_array_append_new(talk->steps, json_pack("{s:s, s:s, s:s}", "step", step, "state",
						   state_words[state], "text", text ? text : ""));
	if (!talk->quiet)
		fprintf(stderr, "%s%-5s %-10s %s\n", on_terminal() ? "\r\033[K" : "",
			state_words[state], step, text ? text : "");
}

void talk_wait(struct talk *talk, const char *step, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	CLEANUP(free_p) char *text = format_text(format, ap);

	va_end(ap);
	if (talk->quiet)
		return;
	fprintf(stderr, "%s%-5s %-10s %s%s", on_terminal() ? "\r\033[K" : "", "...", step,
		text ? text : "", on_terminal() ? "" : "\n");
	(void) fflush(stderr);
}

void talk_next(struct talk *talk, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	CLEANUP(free_p) char *text = format_text(format, ap);

	va_end(ap);
	if (!talk->next)
		talk->next = json_array();
	json_array_append_new(talk->next, json_string(text ? text : ""));
}

static void print_json(struct talk *talk, json_t *out)
{
	if (!out)
		return;
	json_object_set(out, "steps", talk->steps ? talk->steps : json_array());
	json_object_set(out, "next", talk->next ? talk->next : json_array());
	CLEANUP(free_p) char *text = json_dumps(out, JSON_INDENT(2) | JSON_ENSURE_ASCII);

	if (text)
		puts(text);
}

void talk_failed(struct talk *talk, const char *step, const struct err *err)
{
	if (on_terminal())
		fputs("\r\033[K", stderr);
	text_say(stderr, "enroll-node: %s: %s", step, err->text);
	fprintf(stderr, "What was done stays. "
			"When that is put right, run enroll-node again: it goes on from there.\n");
	if (!talk->json_output)
		return;
	CLEANUP_JSON json_t *out = json_pack("{s:{s:s, s:s}, s:b}", "failed", "step", step,
		"message", err->text, "changed", talk->done);

	print_json(talk, out);
}

void talk_end(struct talk *talk, const char *sentence, const json_t *about)
{
	if (talk->json_output) {
		CLEANUP_JSON json_t *out = about ? json_deep_copy(about) : json_object();

		json_object_set_new(out, "changed", json_boolean(talk->done));
		json_object_set_new(out, "result", json_string(sentence));
		print_json(talk, out);
		return;
	}
	text_say(stdout, "%s", sentence);
	size_t i;
	json_t *next;

	if (json_array_size(talk->next))
		puts("Next:");
	json_array_foreach(talk->next, i, next)
	{
		printf("  - %s\n", json_string_value(next));
	}
}
