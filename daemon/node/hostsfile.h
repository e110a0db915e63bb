/*
 * hostsfile: watches the hosts file for programs that write it, too, and tells whether Hearth's
 * block in it is the one that should be there. It only reads; hearth-helper writes.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

struct hostsfile;

/* Something happened to the file, or hostsfile_wait() is over: look. */
typedef void (*hostsfile_touched_fn)(void *ctx);

int hostsfile_new(sd_event *event, hostsfile_touched_fn touched, void *ctx, struct hostsfile **ret);
struct hostsfile *hostsfile_free(struct hostsfile *file);

/* Watches @path from now on (absolute, not "": copied); a link is followed each time. */
void hostsfile_watch(struct hostsfile *file, const char *path);
/* The path watched, "" if none is yet. Borrowed. */
const char *hostsfile_path(const struct hostsfile *file);

/*
 * 1 if @ifname's block is what hearth-helper would make of @entries (JSON text of a list), 0 if it
 * is not, or -errno: the file cannot be read, so nothing is known. Of a file that has not changed
 * since it was right nothing is read.
 */
int hostsfile_look(struct hostsfile *file, const char *ifname, const char *entries);

/* It could not be written: what it looks like is remembered. */
void hostsfile_failed(struct hostsfile *file);
/*
 * Whether it has changed since, or what it lies on: another content, attributes, mount, a file
 * system that is writable now or has room. True before it failed.
 */
bool hostsfile_has_changed(const struct hostsfile *file);

/* touched() again after so long. */
void hostsfile_wait(struct hostsfile *file, uint64_t wait_us);
