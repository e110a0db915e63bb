/*
 * upnp: see upnp.h. What is said of the gateway is used only where it leads back to the gateway:
 * the search's answers (anybody on the LAN may send one), the description's addresses for calls.
 */
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/number.h"
#include "sys/portmap/upnp.h"

/* Of the Forum's WANIPConnection services, version 1 and 2. */
enum {
	INVALID_ACTION = 401,
	INVALID_ARGS = 402,       /* of some: a lease is none that they know */
	CONFLICT = 718,           /* somebody else has the port */
	SAME_PORT_REQUIRED = 724, /* outside as inside */
	ONLY_PERMANENT_LEASES = 725,
	NO_PORT_MAPS_AVAILABLE = 728,
};
enum { DEVICES_MAX = 4, TRIES_MAX = 8, PORTS_FROM = 1024 };

struct device {
	struct UPNPUrls urls;
	struct IGDdatas data;
};

bool upnp_url_is_at(const char *url, const struct ip_addr *gateway)
{
	static const char scheme[] = "http://";
	char text[IP_TEXT_MAX];
	size_t len = strlen(ip_addr_format(gateway, text)), digits;

	if (gateway->family != AF_INET || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return false;
	url += sizeof(scheme) - 1;
	if (strncmp(url, text, len) != 0)
		return false;
	url += len;
	if (*url == ':') {
		digits = strspn(++url, "0123456789");
		if (!digits || digits > 5)
			return false;
		url += digits;
	}
	return *url == '/';
}

/* Connections of both kinds have the same calls. */
static bool is_connection(const struct IGDdatas_service *service)
{
	static const char ip[] = "urn:schemas-upnp-org:service:WANIPConnection:";
	static const char ppp[] = "urn:schemas-upnp-org:service:WANPPPConnection:";

	return service->controlurl[0] &&
	       (!strncmp(service->servicetype, ip, sizeof(ip) - 1) ||
		       !strncmp(service->servicetype, ppp, sizeof(ppp) - 1));
}

static bool has_any_mapping(const struct device *d)
{
	return !strcmp(d->data.first.servicetype, "urn:schemas-upnp-org:service:WANIPConnection:2");
}

/* 0, or what the library or the gateway says. */
static int outside_address(const struct device *d, struct ip_addr *ret)
{
	char text[64] = "";
	int r = UPNP_GetExternalIPAddress(d->urls.controlURL, d->data.first.servicetype, text);

	if (r != 0)
		return r;
	return ip_addr_parse(text, ret) == 0 ? 0 : UPNPCOMMAND_INVALID_RESPONSE;
}

/* The port that is tried when others are taken: the same each time, so that it is found again. */
static uint16_t another_port(const struct upnp_job *job, unsigned i)
{
	uint64_t hash = fnv64(FNV64_START, job->own.bytes, 4);

	hash = fnv64(hash, &job->port, sizeof(job->port));
	hash = fnv64(hash, &i, sizeof(i));
	return (uint16_t) (PORTS_FROM + hash % (UINT16_MAX + 1 - PORTS_FROM));
}

/* 0 and the port that it is in @ret_port, or what the library or the gateway says. */
static int add(const struct device *d, const struct upnp_job *job, uint16_t port,
	uint32_t lifetime_s, uint16_t *ret_port)
{
	char outside[8], inside[8], lease[16], own[IP_TEXT_MAX], reserved[16] = "";
	const char *url = d->urls.controlURL, *type = d->data.first.servicetype;
	uint64_t number;
	int r = INVALID_ACTION;

	(void) snprintf(outside, sizeof(outside), "%u", port);
	(void) snprintf(inside, sizeof(inside), "%u", job->port);
	(void) snprintf(lease, sizeof(lease), "%u", lifetime_s);
	(void) ip_addr_format(&job->own, own);
	*ret_port = port;
	if (has_any_mapping(d))
		r = UPNP_AddAnyPortMapping(
			url, type, outside, inside, own, job->name, "UDP", NULL, lease, reserved);
	if (r == INVALID_ACTION)
		return UPNP_AddPortMapping(
			url, type, outside, inside, own, job->name, "UDP", NULL, lease);
	if (r == 0 && (number_parse(reserved, 1, UINT16_MAX, &number) < 0))
		return UPNPCOMMAND_INVALID_RESPONSE;
	if (r == 0)
		*ret_port = (uint16_t) number;
	return r;
}

/* Each refusal leads to another try, or to the end. */
static void map(const struct device *d, const struct upnp_job *job, struct upnp_end *end)
{
	uint16_t port = job->wanted;

	end->lifetime_s = job->lifetime_s;
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		end->code = add(d, job, port, end->lifetime_s, &end->outside.port);
		if (end->code == 0)
			break;
		if ((end->code == ONLY_PERMANENT_LEASES || end->code == INVALID_ARGS) &&
			end->lifetime_s)
			end->lifetime_s = 0;
		else if (end->code == SAME_PORT_REQUIRED && port != job->port)
			port = job->port;
		else if (end->code == CONFLICT)
			port = another_port(job, i);
		else
			break;
	}
	end->result = end->code == 0 ? UPNP_DONE : UPNP_REFUSED;
}

static void take_away(const struct device *d, const struct upnp_job *job, struct upnp_end *end)
{
	char outside[8];

	(void) snprintf(outside, sizeof(outside), "%u", job->wanted);
	end->code = UPNP_DeletePortMapping(
		d->urls.controlURL, d->data.first.servicetype, outside, "UDP", NULL);
	end->result = end->code == 0 ? UPNP_DONE : UPNP_REFUSED;
}

/* The device has two connections, of which the first is not in use. */
static bool take_second(struct device *d, const char *url)
{
	if (!is_connection(&d->data.second))
		return false;
	d->data.first = d->data.second;
	FreeUPNPUrls(&d->urls);
	GetUPNPUrls(&d->urls, &d->data, url, 0);
	return true;
}

static bool leads_back(const struct device *d, const struct ip_addr *gateway)
{
	return d->urls.controlURL && upnp_url_is_at(d->urls.controlURL, gateway);
}

static void ask(struct device *d, const struct upnp_job *job, const char *url, struct upnp_end *end)
{
	int r;

	if (!is_connection(&d->data.first) || !leads_back(d, &job->gateway)) {
		end->result = UPNP_BROKEN;
		return;
	}
	if (job->remove) {
		take_away(d, job, end);
		return;
	}
	r = outside_address(d, &end->outside.addr);
	if (r != 0 && take_second(d, url) && leads_back(d, &job->gateway))
		r = outside_address(d, &end->outside.addr);
	if (r == 0) {
		map(d, job, end);
		return;
	}
	end->result = UPNP_NO_ADDRESS;
	end->code = r;
}

/* False: there is none at @url. */
static bool ask_at(const char *url, const struct upnp_job *job, struct upnp_end *end)
{
	struct device d = { 0 };
	char own[IP_TEXT_MAX] = "";

	if (!upnp_url_is_at(url, &job->gateway) || strlen(url) >= UPNP_URL_MAX)
		return false;
	if (UPNP_GetIGDFromUrl(url, &d.urls, &d.data, own, sizeof(own)) != 1)
		return false;
	(void) snprintf(end->url, sizeof(end->url), "%s", url);
	ask(&d, job, url, end);
	FreeUPNPUrls(&d.urls);
	return true;
}

/* A device answers several times: what is the same as before is not asked again. */
static bool was_asked(const struct UPNPDev *list, const struct UPNPDev *dev)
{
	for (; list != dev; list = list->pNext)
		if (!strcmp(list->descURL, dev->descURL))
			return true;
	return false;
}

static void search(const struct upnp_job *job, struct upnp_end *end)
{
	char own[IP_TEXT_MAX];
	int error = 0, asked = 0;
	/* Not by minissdpd ("/"): that is another program's word. */
	struct UPNPDev *list = upnpDiscover(UPNP_SEARCH_MS, ip_addr_format(&job->own, own), "/",
		UPNP_LOCAL_PORT_ANY, 0, 2, &error);

	for (struct UPNPDev *dev = list; dev && asked < DEVICES_MAX; dev = dev->pNext) {
		if (!upnp_url_is_at(dev->descURL, &job->gateway) || was_asked(list, dev))
			continue;
		asked++;
		if (ask_at(dev->descURL, job, end) && end->result == UPNP_DONE)
			break;
	}
	freeUPNPDevlist(list);
}

void upnp_do(const struct upnp_job *job, struct upnp_end *ret)
{
	*ret = (struct upnp_end){ .result = UPNP_NOBODY };
	if (job->url[0] && ask_at(job->url, job, ret) && ret->result == UPNP_DONE)
		return;
	if (!job->remove)
		search(job, ret);
}
