/* resolve: what getaddrinfo() says, told from the loop; and nobody waits for it who does not want to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/resolve/resolve.h"

enum { ADDRS_MAX = 12 };

static sem_t gate, gone; /* it may answer; it has */
static _Atomic int code;
static const char *addrs[ADDRS_MAX];
static size_t n_addrs;
static char asked[64];
static pthread_t loop;
static bool elsewhere;

static void put(struct addrinfo *info, const char *text)
{
	struct sockaddr_storage *sa = (struct sockaddr_storage *) (info + 1);
	struct endpoint at = { 0 };

	assert_int_equal(ip_addr_parse(text, &at.addr), 0);
	info->ai_addrlen = endpoint_to_sockaddr(&at, sa);
	info->ai_addr = (struct sockaddr *) sa;
	info->ai_family = sa->ss_family;
}

int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	struct addrinfo **end = ret;

	(void) sem_wait(&gate);
	elsewhere = !pthread_equal(pthread_self(), loop);
	assert_int_equal(hints->ai_socktype, SOCK_DGRAM); /* else each comes three times */
	(void) strncpy(asked, node, sizeof(asked) - 1);
	*ret = NULL;
	for (size_t i = 0; i < n_addrs; i++) {
		*end = calloc(1, sizeof(struct addrinfo) + sizeof(struct sockaddr_storage));
		put(*end, addrs[i]);
		end = &(*end)->ai_next;
	}
	errno = EMFILE;
	(void) sem_post(&gone);
	return code;
}

void __wrap_freeaddrinfo(struct addrinfo *info);
void __wrap_freeaddrinfo(struct addrinfo *info)
{
	while (info) {
		struct addrinfo *next = info->ai_next;

		free(info);
		info = next;
	}
}

static struct {
	unsigned times;
	struct ip_addr list[RESOLVE_MAX];
	size_t n;
	struct err err;
} answer;

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	assert_ptr_equal(ctx, &answer);
	assert_true(pthread_equal(pthread_self(), loop));
	answer.times++;
	answer.n = n;
	memcpy(answer.list, list, n * sizeof(*list));
	answer.err = *err;
}

static sd_event *event;

static int set_up(void **state)
{
	memset(&answer, 0, sizeof(answer));
	code = 0;
	n_addrs = 0;
	loop = pthread_self();
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	assert_int_equal(sem_init(&gone, 0, 0), 0);
	return sd_event_new(&event) < 0;
}

static int tear_down(void **state)
{
	event = sd_event_unref(event);
	return 0;
}

static struct resolve *ask(void)
{
	struct resolve *r = NULL;

	assert_int_equal(resolve_start(event, "vps.example.org", on_answer, &answer, &r, NULL), 0);
	assert_non_null(r);
	return r;
}

static void ask_and_wait(void)
{
	(void) ask();
	assert_int_equal(sd_event_run(event, 0), 0); /* nobody waits here */
	(void) sem_post(&gate);
	while (!answer.times)
		assert_true(sd_event_run(event, UINT64_MAX) >= 0);
}

static bool is(size_t i, const char *text)
{
	char found[IP_TEXT_MAX];

	return !strcmp(ip_addr_format(&answer.list[i], found), text);
}

static void test_found(void **state)
{
	n_addrs = 3;
	addrs[0] = "2001:db8::7";
	addrs[1] = "203.0.113.7";
	addrs[2] = "2001:db8::7";
	ask_and_wait();
	assert_string_equal(asked, "vps.example.org");
	assert_true(elsewhere);
	assert_int_equal(answer.n, 2);
	assert_true(is(0, "2001:db8::7"));
	assert_true(is(1, "203.0.113.7"));
}

static void test_many(void **state)
{
	static char text[ADDRS_MAX][16];

	for (n_addrs = 0; n_addrs < ADDRS_MAX; n_addrs++) {
		(void) snprintf(text[n_addrs], 16, "192.0.2.%zu", n_addrs);
		addrs[n_addrs] = text[n_addrs];
	}
	ask_and_wait();
	assert_int_equal(answer.n, RESOLVE_MAX);
	assert_true(is(RESOLVE_MAX - 1, "192.0.2.7"));
}

static void test_none(void **state)
{
	static const struct {
		int code;
		const char *says;
	} cases[] = {
		{ EAI_NONAME, "vps.example.org cannot be looked up: Name or service not known" },
		{ EAI_AGAIN, "Temporary failure in name resolution" },
		{ EAI_SYSTEM, "Too many open files" },
		{ 0, "Name or service not known" }, /* found, and no address among it */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		answer.times = 0;
		code = cases[i].code;
		ask_and_wait();
		assert_int_equal(answer.n, 0);
		assert_non_null(strstr(answer.err.text, cases[i].says));
	}
}

/* Who has given up hears nothing, and need not wait for the thread. */
static void test_cancelled(void **state)
{
	n_addrs = 1;
	addrs[0] = "192.0.2.1";
	assert_null(resolve_cancel(ask()));
	assert_null(resolve_cancel(NULL));
	(void) sem_post(&gate);
	(void) sem_wait(&gone);
	assert_int_equal(sd_event_run(event, 0), 0);
	assert_int_equal(answer.times, 0);
	/* Also between the answer and the word of it. */
	struct resolve *r = ask();

	(void) sem_post(&gate);
	(void) sem_wait(&gone);
	assert_null(resolve_cancel(r));
	assert_int_equal(sd_event_run(event, 0), 0);
	assert_int_equal(answer.times, 0);
}

int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
static int threads_fail;
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return threads_fail ? threads_fail : __real_pthread_create(thread, attr, run, arg);
}

static void test_no_thread(void **state)
{
	struct resolve *r = NULL;
	struct err err = { 0 };

	threads_fail = EAGAIN;
	assert_int_equal(
		resolve_start(event, "vps.example.org", on_answer, &answer, &r, &err), -EAGAIN);
	threads_fail = 0;
	assert_null(r);
	assert_string_equal(err.text, "look up vps.example.org: Resource temporarily unavailable");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(found),
		TEST(many),
		TEST(none),
		TEST(cancelled),
		TEST(no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
