/* portowner: see portowner.h. */
#include "board/portowner.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/number.h"

enum { TABLE_BYTES_MAX = 16 << 20, COMM_MAX = 32, LISTEN = 0x0a };

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}
#define CLEANUP_DIR CLEANUP(close_dir)

/* Columns of a line, counted from 0: "0: 0100007F:1F90 00000000:0000 0A ... 21004 ...". */
enum { COLUMN_LOCAL = 1, COLUMN_STATE = 3, COLUMN_INODE = 9, COLUMN_MAX = 40 };

/* Copies column @n of the line at @line. */
static const char *column(const char *line, unsigned n, char ret[static COLUMN_MAX])
{
	size_t len;

	line += strspn(line, " ");
	while (n-- > 0) {
		line += strcspn(line, " \n");
		line += strspn(line, " ");
	}
	len = strcspn(line, " \n");
	(void) snprintf(ret, COLUMN_MAX, "%.*s", len < COLUMN_MAX ? (int) len : 0, line);
	return ret;
}

static bool is_hex(const char *text, unsigned long wanted)
{
	char *end;

	return *text && strtoul(text, &end, 16) == wanted && !*end;
}

uint64_t portowner_inode(const char *text, bool listening, uint16_t port)
{
	for (const char *line = strchr(text, '\n'); line; line = strchr(line, '\n')) {
		char local[COLUMN_MAX], state[COLUMN_MAX], inode[COLUMN_MAX];
		const char *colon;
		uint64_t ret;

		line++;
		colon = strrchr(column(line, COLUMN_LOCAL, local), ':');
		if (colon && is_hex(colon + 1, port) &&
			(!listening || is_hex(column(line, COLUMN_STATE, state), LISTEN)) &&
			number_parse(column(line, COLUMN_INODE, inode), 0, UINT64_MAX, &ret) == 0)
			return ret;
	}
	return 0;
}

/* Process @pid holds socket @inode. */
static bool holds(const char *pid, uint64_t inode)
{
	char path[300], wanted[40], target[40];
	CLEANUP_DIR DIR *dir = NULL;

	(void) snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	(void) snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	for (const struct dirent *e; dir && (e = readdir(dir));) {
		ssize_t n;

		(void) snprintf(path, sizeof(path), "/proc/%.16s/fd/%.255s", pid, e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (!strcmp(target, wanted))
			return true;
	}
	return false;
}

static void name_process(const char *pid, char ret_who[static PORTOWNER_TEXT_MAX])
{
	CLEANUP_BUF struct buf comm = { 0 };
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	if (file_read(path, COMM_MAX, &comm) < 0)
		return;
	(void) snprintf(ret_who, PORTOWNER_TEXT_MAX, "%.*s (process %.16s)",
		(int) strcspn(buf_str(&comm), "\n"), buf_str(&comm), pid);
}

static void find_process(uint64_t inode, char ret_who[static PORTOWNER_TEXT_MAX])
{
	CLEANUP_DIR DIR *proc = opendir("/proc");

	(void) snprintf(ret_who, PORTOWNER_TEXT_MAX, "another program");
	for (const struct dirent *e; proc && (e = readdir(proc));)
		if (isdigit((unsigned char) e->d_name[0]) && holds(e->d_name, inode)) {
			name_process(e->d_name, ret_who);
			return;
		}
}

bool portowner_find(bool tcp, uint16_t port, char ret_who[static PORTOWNER_TEXT_MAX])
{
	static const char *const tables[2][2] = { { "/proc/net/udp", "/proc/net/udp6" },
		{ "/proc/net/tcp", "/proc/net/tcp6" } };

	for (size_t i = 0; i < 2; i++) {
		CLEANUP_BUF struct buf text = { 0 };
		uint64_t inode;

		if (file_read(tables[tcp][i], TABLE_BYTES_MAX, &text) < 0)
			continue;
		inode = portowner_inode(buf_str(&text), tcp, port);
		if (inode) {
			find_process(inode, ret_who);
			return true;
		}
	}
	return false;
}
