/* fake-disk: see fake-disk.h. */
#include "fake-disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct waiting {
	struct write *write;
	bool restores;
	disk_done_fn done;
	void *ctx;
};

static struct waiting queue[FAKE_DISK_MAX]; /* the oldest first */
static size_t n_queue;

void fake_disk_reset(void)
{
	assert_int_equal(n_queue, 0);
}

size_t fake_disk_waiting(void)
{
	return n_queue;
}

const struct write *fake_disk_next(void)
{
	assert_true(n_queue > 0);
	return queue[0].write;
}

bool fake_disk_restores(void)
{
	assert_true(n_queue > 0);
	return queue[0].restores;
}

void fake_disk_end(int r)
{
	struct waiting first = queue[0];

	assert_true(n_queue > 0);
	memmove(queue, queue + 1, --n_queue * sizeof(*queue));
	if (r < 0)
		first.write->result = r;
	else
		write_run(first.write);
	if (first.done)
		first.done(first.ctx, first.write);
	else
		write_free(first.write);
}

static void add(struct write *write, bool restores, disk_done_fn done, void *ctx)
{
	if (!write)
		return;
	assert_true(n_queue < FAKE_DISK_MAX);
	queue[n_queue++] = (struct waiting){ write, restores, done, ctx };
}

void disk_write(struct disk *disk, struct write *write, disk_done_fn done, void *ctx)
{
	add(write, false, done, ctx);
}

void disk_restore(struct disk *disk, struct write *write)
{
	add(write, true, NULL, NULL);
}

void disk_drain(struct disk *disk)
{
	while (n_queue)
		fake_disk_end(0);
}
