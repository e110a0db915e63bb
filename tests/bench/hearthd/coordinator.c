/* coordinator: see coordinator.h. There is one board that polls, and so one poll that waits. */
#include "coordinator.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "sys/httpd/httpd.h"
#include "sys/listen/listen.h"
#include "sys/x509/x509.h"
#include "wire/api.h"

static const char instance[] = "0123456789abcdef";

struct coordinator {
	const struct mesh *mesh;
	struct httpd *httpd;
	char *certificate, *key;
	struct httpd_request *waiting; /* NULL: none */
	uint64_t seq, number;          /* what it knows already */
	sd_event_source *timer;        /* when it is answered in any case */
};

static struct api_cursor cursor_of(const struct mesh *mesh)
{
	struct api_cursor cursor = { .number = mesh->number };

	memcpy(cursor.instance, instance, sizeof(instance));
	return cursor;
}

/* As many as one reply holds; the cursor tells how far that is, and the next poll has the rest. */
static json_t *presences_after(const struct mesh *mesh, uint64_t number, struct api_cursor *cursor)
{
	json_t *list = json_array();

	while (number < mesh->number && json_array_size(list) < API_PRESENCES_MAX) {
		number++;
		for (size_t i = 0; i < mesh->n; i++)
			if (mesh->boards[i].doc && mesh->boards[i].number == number)
				(void) json_array_append(list, mesh->boards[i].doc);
	}
	cursor->number = number;
	return list;
}

static json_t *news_after(const struct mesh *mesh, uint64_t seq, uint64_t number)
{
	uint64_t head = mesh_log_head(mesh->log);
	struct api_news news = { .cursor = cursor_of(mesh), .head_seq = head };
	json_t *json;

	news.records = calloc(API_RECORDS_MAX, sizeof(*news.records));
	if (!news.records)
		mesh_die("answer a poll", -ENOMEM);
	while (seq < head && news.n_records < API_RECORDS_MAX)
		news.records[news.n_records++] = *mesh_log_get(mesh->log, ++seq);
	memcpy(news.head_hash, mesh_log_head_hash(mesh->log), sizeof(news.head_hash));
	news.presence = presences_after(mesh, number, &news.cursor);
	json = api_news_to_json(&news);
	json_decref(news.presence);
	free(news.records); /* they are the log's */
	return json;
}

static void answer(struct coordinator *c)
{
	struct httpd_request *request = c->waiting;

	c->waiting = NULL;
	(void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	if (request)
		httpd_reply(request, 200, news_after(c->mesh, c->seq, c->number));
}

void coordinator_tell(struct coordinator *c)
{
	if (c->seq < mesh_log_head(c->mesh->log) || c->number < c->mesh->number)
		answer(c);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	answer(ctx);
	return 0;
}

static uint64_t number_of(const struct httpd_request *request, const char *name)
{
	const char *text = httpd_request_query(request, name);

	return text ? strtoull(text, NULL, 10) : 0;
}

static void take_poll(struct coordinator *c, struct httpd_request *request)
{
	const char *text = httpd_request_query(request, "cursor");
	uint64_t wait_s = number_of(request, "wait");
	struct api_cursor cursor = { 0 };

	answer(c); /* of a connection that is gone */
	if (text && api_cursor_parse(text, &cursor) == 0 && strcmp(cursor.instance, instance) != 0)
		cursor.number = 0;
	c->waiting = request;
	c->seq = number_of(request, "seq");
	c->number = cursor.number;
	printf("poll %" PRIu64 " %" PRIu64 "\n", c->seq, c->number);
	(void) sd_event_source_set_time_relative(c->timer, wait_s * USEC_PER_SEC);
	(void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	coordinator_tell(c);
}

static size_t on_head(void *ctx, struct httpd_request *request)
{
	httpd_request_is_known(request);
	return API_REQUEST_MAX;
}

static void on_request(void *ctx, struct httpd_request *request)
{
	struct coordinator *c = ctx;
	struct api_cursor cursor = cursor_of(c->mesh);

	if (!strcmp(httpd_request_path(request), "/v1/poll"))
		take_poll(c, request);
	else if (!strcmp(httpd_request_path(request), "/v1/presence"))
		httpd_reply(request, 200, api_cursor_to_json(&cursor));
	else
		httpd_reply_error(request, 404, "not_found", "There is no such call.");
}

void coordinator_open(
	sd_event *event, const struct mesh *mesh, const char *where, struct coordinator **ret)
{
	struct coordinator *c = calloc(1, sizeof(*c));
	struct httpd_config config = {
		.connections_max = 64, .head = on_head, .handler = on_request, .ctx = c
	};
	struct err err = { 0 };

	if (!c || x509_certificate_pem(mesh->tls_seed, "coordinator", &c->certificate) < 0 ||
		x509_key_pem(mesh->tls_seed, &c->key) < 0)
		mesh_die("make a certificate", -ENOMEM);
	c->mesh = mesh;
	config.certificate = c->certificate;
	config.key = c->key;
	if (listen_open(where, &config.listen_fd, &err) < 0 ||
		httpd_new(event, &config, &c->httpd, &err) < 0 ||
		sd_event_add_time(
			event, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, c) < 0)
		mesh_die(err.text, err.code);
	*ret = c;
}
