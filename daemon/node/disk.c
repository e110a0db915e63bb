/* disk: see disk.h. */
#include "node/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sys/work/work.h"

struct disk {
	struct work *work;
};

struct job {
	struct write *write;
	disk_done_fn done;
	void *ctx;
};

int disk_new(sd_event *event, struct disk **ret, struct err *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int r = disk ? work_new(event, "disk", &disk->work, err)
		     : err_set(err, -ENOMEM, "out of memory");

	if (r < 0) {
		free(disk);
		return r;
	}
	*ret = disk;
	return 0;
}

struct disk *disk_free(struct disk *disk)
{
	if (disk)
		disk->work = work_free(disk->work);
	free(disk);
	return NULL;
}

static void run(void *job)
{
	write_run(((struct job *) job)->write);
}

static void ended(void *arg)
{
	struct job *job = arg;

	if (job->done)
		job->done(job->ctx, job->write);
	else
		write_free(job->write);
	free(job);
}

void disk_write(struct disk *disk, struct write *write, disk_done_fn done, void *ctx)
{
	struct job *job, here = { write, done, ctx };
	int r;

	if (!write)
		return;
	job = malloc(sizeof(*job));
	if (job)
		*job = here;
	r = !job ? -ENOMEM : disk ? work_do(disk->work, run, ended, job) : 1;
	if (r == 0)
		return;
	if (r > 0)
		write_run(write);
	else
		write->result = r;
	if (done)
		done(ctx, write);
	else
		write_free(write);
	free(job);
}

static void restored(void *ctx, struct write *w)
{
	if (w->result == 0)
		log_notice("%s was removed by another program; written again", w->path);
	else
		log_seldom(LOG_LEVEL_WARNING, "%s is gone and cannot be written again: %s", w->path,
			strerror(-w->result));
	write_free(w);
}

void disk_restore(struct disk *disk, struct write *write)
{
	disk_write(disk, write, restored, NULL);
}

void disk_drain(struct disk *disk)
{
	if (disk)
		work_drain(disk->work);
}
