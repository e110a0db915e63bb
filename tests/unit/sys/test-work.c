/* work: jobs in order, reported from the loop, while the loop goes on; an end to the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/work/work.h"

enum { JOBS = 40 };

struct stage;
struct part {
	struct stage *stage;
	int number;
};

struct stage {
	sd_event *event;
	struct work *work;
	struct part parts[2 * WORK_MAX];
	int gate[2]; /* the thread waits for a byte */
	int run, done;
	bool run_in_order, elsewhere; /* the thread's, as run is */
	bool ordered;                 /* the loop's */
	pthread_t loop;
	int again; /* so many more are handed over by reports */
};

static void run_part(void *job)
{
	struct part *p = job;

	p->stage->run_in_order = p->stage->run_in_order && p->number == p->stage->run;
	p->stage->elsewhere = p->stage->elsewhere && !pthread_equal(pthread_self(), p->stage->loop);
	p->stage->run++;
}

static void run_gated(void *job)
{
	struct part *p = job;
	char byte;

	(void) !read(p->stage->gate[0], &byte, 1);
	run_part(job);
}

static void part_done(void *job)
{
	struct part *p = job;
	struct stage *s = p->stage;

	assert_true(pthread_equal(pthread_self(), s->loop));
	s->ordered = s->ordered && p->number == s->done;
	s->done++;
	if (s->again && s->again--) {
		struct part *next = &s->parts[p->number + 1];

		*next = (struct part){ s, p->number + 1 };
		assert_int_equal(work_do(s->work, run_part, part_done, next), 0);
	}
}

static void begin(struct stage *s)
{
	*s = (struct stage){
		.run_in_order = true, .ordered = true, .elsewhere = true, .loop = pthread_self()
	};
	for (int i = 0; i < 2 * WORK_MAX; i++)
		s->parts[i] = (struct part){ s, i };
	assert_int_equal(pipe2(s->gate, O_CLOEXEC), 0);
	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(work_new(s->event, "test", &s->work, NULL), 0);
}

static void end(struct stage *s)
{
	s->work = work_free(s->work);
	s->event = sd_event_unref(s->event);
	close_p(&s->gate[0]);
	close_p(&s->gate[1]);
}

static void test_order(void **state)
{
	struct stage s;

	begin(&s);
	for (int i = 0; i < JOBS; i++)
		assert_int_equal(work_do(s.work, run_part, part_done, &s.parts[i]), 0);
	while (s.done < JOBS)
		assert_true(sd_event_run(s.event, UINT64_MAX) >= 0);
	assert_true(s.run_in_order && s.ordered && s.elsewhere);
	assert_int_equal(s.run, JOBS);
	end(&s);
}

/* What blocks the thread does not block the loop, and nobody waits for room. */
static void test_blocked(void **state)
{
	struct stage s;
	int given = 0;

	begin(&s);
	assert_int_equal(work_do(s.work, run_gated, part_done, &s.parts[given++]), 0);
	while (work_do(s.work, run_part, part_done, &s.parts[given]) == 0)
		given++;
	assert_int_equal(given, WORK_MAX);
	assert_int_equal(work_do(s.work, run_part, part_done, &s.parts[given]), -EBUSY);
	assert_true(sd_event_run(s.event, 0) >= 0);
	assert_int_equal(s.done, 0);
	assert_int_equal(write(s.gate[1], "x", 1), 1);
	while (s.done < given)
		assert_true(sd_event_run(s.event, UINT64_MAX) >= 0);
	assert_int_equal(work_do(s.work, run_part, part_done, &s.parts[given]), 0);
	work_drain(s.work);
	assert_int_equal(s.done, given + 1);
	assert_true(s.ordered);
	end(&s);
}

/* The end carries out and reports all, also what reports hand over. */
static void test_end(void **state)
{
	struct stage s;

	begin(&s);
	s.again = 5;
	assert_int_equal(work_do(s.work, run_gated, part_done, &s.parts[0]), 0);
	assert_int_equal(write(s.gate[1], "x", 1), 1);
	s.work = work_free(s.work);
	assert_int_equal(s.done, 6);
	assert_true(s.run_in_order && s.ordered && s.elsewhere);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
