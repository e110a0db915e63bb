/* fake-machine: see fake-machine.h. */
#include "fake-machine.h"

#include <errno.h>
#include <ifaddrs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/locals.h"
#include "coordinator/addrs.h"
#include "sys/net/monitor.h"

struct fake_machine fake_machine;

static struct monitor_event event;
static int monitor_says; /* what monitor_read() returns */

int getifaddrs(struct ifaddrs **ret)
{
	struct ifaddrs *list = NULL;

	fake_machine.asked++;
	if (fake_machine.addrs_fail) {
		errno = fake_machine.addrs_fail;
		return -1;
	}
	for (size_t i = 0; i < FAKE_ADDRS_MAX; i++) {
		struct ifaddrs *one = calloc(1, sizeof(*one));
		struct sockaddr_storage *sa = calloc(1, sizeof(*sa));
		struct endpoint e = { 0 };

		assert_non_null(one);
		assert_non_null(sa);
		if (fake_machine.addrs[i]) {
			assert_int_equal(ip_addr_parse(fake_machine.addrs[i], &e.addr), 0);
			(void) endpoint_to_sockaddr(&e, sa);
			one->ifa_addr = (struct sockaddr *) sa;
		} else {
			free(sa);
		}
		one->ifa_next = list;
		list = one;
	}
	*ret = list;
	fake_machine.lists++;
	return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
	fake_machine.lists--;
	for (struct ifaddrs *next; list; list = next) {
		next = list->ifa_next;
		free(list->ifa_addr);
		free(list);
	}
}

int addrs_urls(
	const struct settings *settings, uint16_t port, char (*ret)[FIELD_URL_MAX], struct err *err)
{
	int n = 0;

	fake_machine.asked_urls++;
	if (fake_machine.urls_fail)
		return err_set(err, -fake_machine.urls_fail, "the kernel says no");
	for (size_t i = 0; i < FAKE_ADDRS_MAX; i++)
		if (fake_machine.urls[i])
			(void) snprintf(ret[n++], FIELD_URL_MAX, "%s", fake_machine.urls[i]);
	return n;
}

int locals_read(const struct locals_own *own, struct locals *ret, struct err *err)
{
	if (fake_machine.locals_fail)
		return err_set(err, -fake_machine.locals_fail, "the kernel says no");
	ret->list = calloc(FAKE_ADDRS_MAX, sizeof(*ret->list));
	assert_non_null(ret->list);
	for (size_t i = 0; i < FAKE_ADDRS_MAX; i++) {
		struct ranges_local *local = &ret->list[ret->n];

		if (!fake_machine.locals[i])
			continue;
		assert_int_equal(ip_prefix_parse(fake_machine.locals[i], &local->prefix), 0);
		local->name = "lan0";
		ret->n++;
	}
	ret->tailscale = fake_machine.tailscale;
	return 0;
}

void locals_done(struct locals *locals)
{
	free(locals->list);
}

int monitor_open(unsigned what, struct err *err)
{
	if (fake_machine.monitor_fails)
		return err_set(err, -fake_machine.monitor_fails, "watch addresses: no");
	return FAKE_MONITOR_FD;
}

int monitor_read(int fd, monitor_changed *changed, void *ctx)
{
	int r = monitor_says;

	assert_int_equal(fd, FAKE_MONITOR_FD);
	if (r > 0)
		changed(ctx, &event);
	monitor_says = 0;
	return r;
}

void fake_monitor_link(const char *name, int gone)
{
	memset(&event, 0, sizeof(event));
	event.what = MONITOR_LINKS;
	event.gone = gone;
	(void) snprintf(event.link.name, sizeof(event.link.name), "%s", name);
	monitor_says = 1;
}

void fake_monitor_addr(const char *addr, int gone)
{
	memset(&event, 0, sizeof(event));
	event.what = MONITOR_ADDRS;
	event.gone = gone;
	assert_int_equal(ip_addr_parse(addr, &event.addr.addr), 0);
	monitor_says = 1;
}

void fake_monitor_lost(void)
{
	monitor_says = -ENOBUFS;
}
