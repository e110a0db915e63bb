/* serve-open: see serve-internal.h. */
#include "relay/serve-internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "sys/listen/listen.h"

enum {
	CLIENTS_MAX = 6144,
	PER_SOURCE_MAX = 512,
	CARRIED_MAX = 2048, /* connections to coordinators */
	CARRIED_PER_SOURCE_MAX = 256,
	ELSEWHERE_MAX = 1024, /* connections to other servers */
	ELSEWHERE_PER_SOURCE_MAX = 256,
	DESCRIPTORS = 16384, /* as the unit has it */
	POOL_MAX = 64 << 20,
};

int serve_open_udp(struct serve *s, struct err *err)
{
	const struct udp_options options = { .port = s->file.relay.udp };

	if (!s->file.relay.udp)
		return 0;
	if (udp_new(&s->core, &options, &s->udp, err) < 0)
		return err->code;
	if (udp_has_small_buffers(s->udp))
		log_notice("the kernel grants small socket buffers (net.core.rmem_max): bursts "
			   "are lost sooner");
	return 0;
}

int serve_listen_tcp(struct serve *s, struct err *err)
{
	char where[16];
	int r = listen_inherited(&s->listen_fd, err);

	(void) snprintf(where, sizeof(where), "%u", s->file.relay.tcp);
	if (r == 0)
		r = listen_open(where, &s->listen_fd, err);
	if (r < 0)
		return r;
	s->tcp_port = listen_port(s->listen_fd);
	if (s->tcp_port != s->file.relay.tcp)
		log_warning("systemd listens on TCP port %u, but " RELAYFILE_NAME
			    " tells others of %u: run `hearth relay enable` again",
			s->tcp_port, s->file.relay.tcp);
	return 0;
}

static unsigned at_most(unsigned n, unsigned max)
{
	return n < max ? n : max;
}

static int open_derp(struct serve *s, unsigned descriptors, struct err *err)
{
	/* A home comes from one address after a power cut; an attacker may have many. */
	const struct derp_config config = {
		.tls_seed = s->tls_seed,
		.name = "hearth-relay",
		.clients_max = at_most(descriptors / 8 * 3, CLIENTS_MAX),
		.per_source_max = PER_SOURCE_MAX,
		.rates = { .stranger = { 32, 2 * USEC_PER_SEC },
			.strangers = { 1000, USEC_PER_SEC / 200 },
			.proven = { 1000, USEC_PER_SEC / 50 },
			.proven_for_us = 3600 * USEC_PER_SEC },
		.pool_max = POOL_MAX,
	};

	return derp_new(&s->core, &config, &s->derp, err);
}

static int open_pass(struct serve *s, unsigned descriptors, struct err *err)
{
	/* A coordinator has limits of its own; these keep strangers from using up what it parks. */
	const struct pass_config config = {
		.tls_seed = s->tls_seed,
		.name = "hearth-relay",
		.clients_max = at_most(descriptors / 8, CARRIED_MAX),
		.per_source_max = CARRIED_PER_SOURCE_MAX,
		.rates = { .stranger = { 256, USEC_PER_SEC / 10 },
			.strangers = { 2000, USEC_PER_SEC / 400 } },
	};

	return pass_new(&s->core, &config, &s->pass, err);
}

static int open_elsewhere(struct serve *s, unsigned descriptors, struct err *err)
{
	const struct elsewhere_config config = {
		.to = s->file.pass_to,
		.max = at_most(descriptors / 16, ELSEWHERE_MAX), /* two for each */
		.per_source = ELSEWHERE_PER_SOURCE_MAX,
		.rates = { .stranger = { 256, USEC_PER_SEC / 100 },
			.strangers = { 2000, USEC_PER_SEC / 400 } },
	};

	return s->file.pass_to.port ? elsewhere_new(&s->core, &config, &s->elsewhere, err) : 0;
}

int serve_open_tcp(struct serve *s, const struct front_hooks *hooks, struct err *err)
{
	unsigned descriptors = descriptors_allow(DESCRIPTORS);
	const struct front_config config = {
		.listen_fd = s->listen_fd,
		.places = at_most(descriptors / 8, FRONT_PLACES_DEFAULT),
		.per_source = FRONT_PER_SOURCE_DEFAULT,
	};
	int r = open_derp(s, descriptors, err);

	if (r == 0)
		r = open_pass(s, descriptors, err);
	if (r == 0)
		r = open_elsewhere(s, descriptors, err);
	if (r == 0)
		r = front_new(&s->core, &config, hooks, s, &s->front, err);
	if (r == 0)
		s->listen_fd = -1;
	return r;
}
