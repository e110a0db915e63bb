/*
 * Three lines: a proxy's URL, a list of what needs none, a host. What is understood as a URL is
 * understood in the form for people, too; and a host is excepted by a list that names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "wire/proxy.h"

enum { INPUT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const char *url)
{
	struct proxy proxy, again;
	char text[PROXY_TEXT_MAX];
	struct err err = { 0 };

	if (proxy_parse(url, &proxy, &err) < 0)
		return;
	if (proxy_parse(proxy_text(&proxy, text), &again, &err) < 0 || again.has_user ||
		strcmp(proxy.host, again.host) != 0 || proxy.port != again.port)
		abort();
}

static void check_list(const char *list, const char *host)
{
	struct ip_addr addr;
	char all[INPUT_MAX + 8];

	(void) proxy_is_excepted(list, host, 443);
	if (ip_addr_parse(host, &addr) < 0)
		return;
	(void) snprintf(all, sizeof(all), "%s,%s", list, host);
	if (!proxy_is_excepted(all, host, 443))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[INPUT_MAX], *list, *host;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	list = text + strcspn(text, "\n");
	list += *list ? (*list = 0, 1) : 0;
	host = list + strcspn(list, "\n");
	host += *host ? (*host = 0, 1) : 0;
	check_url(text);
	check_list(list, host);
	return 0;
}
