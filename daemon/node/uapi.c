/* uapi: see uapi.h. */
#include "node/uapi.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/job.h"
#include "tunnel/uapi-server.h"

#define CALL_US (5 * USEC_PER_SEC)

struct uapi {
	struct core *core;     /* borrowed */
	struct tunnel *tunnel; /* borrowed; NULL: there is none */
	struct job job;
	struct trouble trouble;
	struct uapi_server *server;
	sd_event_source *source;
};

struct uapi *uapi_new(struct core *core)
{
	struct uapi *uapi = calloc(1, sizeof(*uapi));

	if (uapi)
		uapi->core = core;
	return uapi;
}

struct uapi *uapi_free(struct uapi *uapi)
{
	uapi_close(uapi);
	free(uapi);
	return NULL;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	uapi_server_run(((struct uapi *) ctx)->server);
	return 0;
}

static void serve(struct uapi *uapi, int fd)
{
	int r = uapi_server_new(uapi->tunnel, fd, &uapi->server);

	if (r == 0)
		r = sd_event_add_io(uapi->core->event, &uapi->source, uapi_server_fd(uapi->server),
			EPOLLIN, on_readable, uapi);
	if (r < 0)
		log_notice("`wg show %s` will not work: %s", uapi->core->config.interface,
			strerror(-r));
}

static void opened(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct uapi *uapi = ctx;
	const char *ifname = uapi->core->config.interface;
	struct trouble_end end;

	job_ended(&uapi->job);
	if (r < 0) {
		if (trouble_is(&uapi->trouble, err->code, clock_now_us()))
			log_notice("`wg show %s` does not work yet: hearth-helper: %s", ifname,
				err->text);
		job_failed(&uapi->job);
		return;
	}
	(void) trouble_over(&uapi->trouble, clock_now_us(), &end); /* seen by who cares */
	job_clear(&uapi->job);
	if (reply->fd < 0)
		log_notice("`wg show %s` will not work: hearth-helper sent no socket", ifname);
	else
		serve(uapi, take_fd(&reply->fd));
}

static void ask(struct uapi *uapi)
{
	CLEANUP_JSON json_t *args = json_pack("{s:s}", "ifname", uapi->core->config.interface);

	if (args)
		job_ask(&uapi->job, uapi->core, "uapi.open", args, CALL_US, opened, uapi);
}

static void stop(struct uapi *uapi)
{
	job_cancel(&uapi->job);
	uapi->source = sd_event_source_disable_unref(uapi->source);
	uapi->server = uapi_server_free(uapi->server);
}

void uapi_open(struct uapi *uapi, struct tunnel *tunnel)
{
	stop(uapi);
	uapi->tunnel = tunnel;
	ask(uapi);
}

void uapi_close(struct uapi *uapi)
{
	if (!uapi)
		return;
	stop(uapi);
	uapi->tunnel = NULL;
}

void uapi_keep(struct uapi *uapi)
{
	if (!uapi->server || uapi_server_has_path(uapi->server))
		return;
	log_notice("the socket of `wg show %s` was removed by another program; listening again",
		uapi->core->config.interface);
	stop(uapi);
	ask(uapi);
}

void uapi_retry(struct uapi *uapi)
{
	if (uapi->tunnel && job_is_due(&uapi->job))
		ask(uapi);
}

void uapi_hurry(struct uapi *uapi)
{
	job_hurry(&uapi->job);
}
