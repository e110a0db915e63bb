/*
 * hearthd-mesh N DIR ADDRESS: makes a mesh of one board, on which hearthd is to run, and N others.
 * Writes what that board has on its disk to DIR/etc and DIR/state, then is the others (ends.h) and
 * their coordinator, https://ADDRESS:8443, until its input ends. Says "ready", then takes lines
 *
 *	presence ID      board ID has another address now
 *	rename ID        board ID has another name: a record
 *	add              one more board: a record
 *
 * and answers each with "at SEQ NUMBER NAME": where log and presences are now, and the board's
 * name. Between these, "poll SEQ NUMBER" for each poll: how far hearthd was when it asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>

#include "coordinator.h"
#include "ends.h"

struct program {
	sd_event *event;
	struct mesh mesh;
	struct ends *ends;
	struct coordinator *coordinator;
};

/* The board whose number follows @word in @line. */
static struct mesh_board *board_of(struct program *p, const char *line, const char *word)
{
	unsigned id = 0;

	if (strncmp(line, word, strlen(word)) != 0 || sscanf(line + strlen(word), " %u", &id) != 1)
		return NULL;
	return id >= 2 && id <= p->mesh.n ? &p->mesh.boards[id - 1] : NULL;
}

static void obey(struct program *p, const char *line)
{
	struct mesh_board *board;

	if ((board = board_of(p, line, "presence"))) {
		mesh_move(&p->mesh, board->node.id);
	} else if ((board = board_of(p, line, "rename"))) {
		mesh_rename(&p->mesh, board->node.id);
	} else if (!strcmp(line, "add\n")) {
		mesh_add(&p->mesh);
		board = &p->mesh.boards[p->mesh.n - 1];
	} else {
		mesh_die(line, -EINVAL);
	}
	printf("at %" PRIu64 " %" PRIu64 " %s\n", mesh_log_head(p->mesh.log), p->mesh.number,
		board->node.name);
	coordinator_tell(p->coordinator);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct program *p = ctx;
	char line[128];

	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(p->event, 0);
	obey(p, line);
	return 0;
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	char where[64], url[80];
	unsigned long n = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;

	if (n < 1 || n > MESH_BOARDS_MAX / 2 || sodium_init() < 0) {
		fprintf(stderr, "usage: hearthd-mesh N DIR ADDRESS\n");
		return 2;
	}
	(void) setvbuf(stdin, NULL, _IONBF, 0); /* else a second line would wait in a buffer */
	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	(void) snprintf(where, sizeof(where), "%s:8443", argv[3]);
	(void) snprintf(url, sizeof(url), "https://%s", where);
	mesh_make(url, n, &p.mesh);
	mesh_write(&p.mesh, argv[2]);
	if (sd_event_default(&p.event) < 0 ||
		sd_event_add_io(p.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &p) < 0)
		mesh_die("set up the event loop", -errno);
	ends_open(p.event, &p.mesh, &p.ends);
	coordinator_open(p.event, &p.mesh, where, &p.coordinator);
	puts("ready");
	return sd_event_loop(p.event) < 0;
}
