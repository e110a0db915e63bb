/*
 * facts: see facts.h. Everything read here comes from the kernel or from root's own file, yet is
 * cut to size and cleaned: a model name goes to the terminal and to the coordinator.
 */
#include "provision/facts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

enum { PROC_FILE_MAX = 1 << 20, FACTS_FILE_MAX = 16 * 1024, CORES_MAX = 4096 };
#define MEMORY_MAX_KIB (UINT64_C(1) << 40)

/* One line of text, printable ASCII only, blanks at both ends cut off. */
static void clean(char *ret, size_t size, const char *from)
{
	size_t n = 0;

	memset(ret, 0, size);
	while (*from == ' ')
		from++;
	for (; *from && *from != '\n' && n + 1 < size; from++)
		ret[n++] = isprint((unsigned char) *from) ? *from : '?';
	while (n && ret[n - 1] == ' ')
		ret[--n] = 0;
}

/* Where the files come from: a function, so that a test can make them up. */
struct source {
	facts_file_fn *read;
	void *ctx;
};

static int read_below(const struct source *from, const char *path, struct buf *ret)
{
	int r = from->read(from->ctx, path, ret);

	return r < 0 ? r : ret->len ? 0 : -ENODATA;
}

static void read_word(const struct source *from, const char *path, char *ret, size_t size)
{
	CLEANUP_BUF struct buf text = { 0 };

	*ret = 0;
	if (read_below(from, path, &text) == 0)
		clean(ret, size, buf_str(&text));
}

/* The value behind "key<blanks>:" in the first line that begins so, "" if none does. */
static void read_value(const char *text, const char *key, char *ret, size_t size)
{
	*ret = 0;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		size_t n = strlen(key);

		if (strncmp(line, key, n))
			continue;
		const char *p = line + n + strspn(line + n, " \t");

		if (*p == ':') {
			clean(ret, size, p + 1);
			return;
		}
	}
}

static unsigned count_lines(const char *text, const char *start)
{
	unsigned n = 0;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		n += !strncmp(line, start, strlen(start));
	}
	return n;
}

/* A PC's own name is often "Default string": the processor says more. */
static void read_dmi(const struct source *from, const char *cpu, struct facts *facts)
{
	static const char *const empty[] = { "", "Default string", "To Be Filled By O.E.M.",
		"To be filled by O.E.M.", "System Product Name", "System manufacturer",
		"Not Specified", "None", NULL };
	char vendor[48], product[48];

	read_word(from, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	read_word(from, "/sys/class/dmi/id/product_name", product, sizeof(product));
	for (size_t i = 0; empty[i]; i++) {
		if (!strcmp(vendor, empty[i]))
			*vendor = 0;
		if (!strcmp(product, empty[i]))
			*product = 0;
	}
	char model[sizeof(facts->model)]; /* a name that is cut may end in a blank */

	(void) snprintf(model, sizeof(model), "%s%s%s%s%.28s", vendor,
		*vendor && *product ? " " : "", product, (*vendor || *product) && *cpu ? ", " : "",
		cpu);
	clean(facts->model, sizeof(facts->model), model);
}

/* "/dev/mmcblk0p2" -> "mmcblk0", "/dev/sda1" -> "sda", "/dev/nvme0n1p2" -> "nvme0n1" */
static void disk_of(const char *device, char *ret, size_t size)
{
	const char *name = strrchr(device, '/');

	(void) snprintf(ret, size, "%s", name ? name + 1 : device);
	size_t n = strlen(ret);

	while (n && isdigit((unsigned char) ret[n - 1]))
		n--;
	bool p = n > 1 && ret[n - 1] == 'p' && isdigit((unsigned char) ret[n - 2]) && ret[n];

	if (p)
		ret[n - 1] = 0;
	else if (!strncmp(ret, "sd", 2) || !strncmp(ret, "vd", 2) || !strncmp(ret, "hd", 2))
		ret[n] = 0;
}

static void read_storage(const struct source *from, struct facts *facts)
{
	CLEANUP_BUF struct buf mounts = { 0 };
	char disk[128] = "", rotational[4], path[192];

	if (read_below(from, "/proc/mounts", &mounts) < 0)
		return;
	char *rest = mounts.data;

	for (char *line; (line = strsep(&rest, "\n"));) {
		char device[128], where[128];

		if (sscanf(line, "%127s %127s", device, where) == 2 && !strcmp(where, "/"))
			disk_of(device, disk, sizeof(disk));
	}
	const char *kind = "";

	if (!strncmp(disk, "mmcblk", 6)) {
		kind = "sd";
	} else if (!strncmp(disk, "nvme", 4)) {
		kind = "nvme";
	} else if (!strncmp(disk, "sd", 2) || !strncmp(disk, "vd", 2)) {
		(void) snprintf(path, sizeof(path), "/sys/class/block/%s/queue/rotational", disk);
		read_word(from, path, rotational, sizeof(rotational));
		kind = !strcmp(rotational, "0") ? "ssd" : !strcmp(rotational, "1") ? "hdd" : "";
	}
	(void) snprintf(facts->storage, sizeof(facts->storage), "%s", kind);
}

static void set_arch(const char *machine, struct facts *facts)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" },
		{ "armv7l", "arm" }, { "armv6l", "arm" }, { "i686", "386" }, { NULL, NULL } };
	size_t i = 0;

	while (names[i][0] && strcmp(names[i][0], machine))
		i++;
	clean(facts->arch, sizeof(facts->arch), names[i][0] ? names[i][1] : machine);
}

/* Memory as it is sold: Linux sees up to an eighth less of it. */
static unsigned sold_gib(uint64_t memory_bytes)
{
	unsigned gib = 1;

	while ((uint64_t) gib << 30 < memory_bytes)
		gib *= 2;
	return gib;
}

/* The label value. Boards that we do not know are called by their architecture. */
static void recognise(struct facts *facts)
{
	static const struct {
		const char *sign, *board;
		bool sizes; /* sold with different memories, which the name tells */
	} boards[] = {
		{ "Raspberry Pi 3 ", "pi3", false },
		{ "Raspberry Pi 4 ", "pi4", true },
		{ "Raspberry Pi Compute Module 4", "cm4", true },
		{ "Raspberry Pi 5 ", "pi5", true },
		{ "Raspberry Pi Compute Module 5", "cm5", true },
		{ "Raspberry Pi Zero 2", "pizero2", false },
		{ "N100", "n100", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
		if (!strstr(facts->model, boards[i].sign))
			continue;
		if (boards[i].sizes && facts->memory_bytes)
			(void) snprintf(facts->board, sizeof(facts->board), "%s-%ug",
				boards[i].board, sold_gib(facts->memory_bytes));
		else
			(void) snprintf(facts->board, sizeof(facts->board), "%s", boards[i].board);
		return;
	}
	(void) snprintf(facts->board, sizeof(facts->board), "generic%s%s", *facts->arch ? "-" : "",
		facts->arch);
}

void facts_read_from(facts_file_fn *read, void *ctx, const char *machine, struct facts *ret)
{
	const struct source source = { read, ctx }, *from = &source;
	CLEANUP_BUF struct buf cpuinfo = { 0 };
	CLEANUP_BUF struct buf meminfo = { 0 };
	char cpu[64] = "", total[32] = "";
	struct facts facts = { 0 };

	set_arch(machine, &facts);
	if (read_below(from, "/proc/cpuinfo", &cpuinfo) == 0) {
		read_value(cpuinfo.data, "model name", cpu, sizeof(cpu));
		facts.cores = count_lines(cpuinfo.data, "processor");
		if (facts.cores > CORES_MAX)
			facts.cores = CORES_MAX;
	}
	if (read_below(from, "/proc/meminfo", &meminfo) == 0) {
		read_value(meminfo.data, "MemTotal", total, sizeof(total));
		uint64_t kib = strtoull(total, NULL, 10);

		facts.memory_bytes = kib <= MEMORY_MAX_KIB ? kib * 1024 : 0;
	}
	read_word(from, "/proc/device-tree/model", facts.model, sizeof(facts.model));
	if (!*facts.model)
		read_dmi(from, cpu, &facts);
	read_storage(from, &facts);
	recognise(&facts);
	*ret = facts;
}

static int read_disk(void *root, const char *path, struct buf *ret)
{
	char full[4096];

	(void) snprintf(full, sizeof(full), "%s%s", (const char *) root, path);
	return file_read(full, PROC_FILE_MAX, ret);
}

void facts_read(const char *root, const char *machine, struct facts *ret)
{
	facts_read_from(read_disk, (char *) (uintptr_t) root, machine, ret);
}

/* --- recorded --- */

static int get_word(const json_t *json, const char *key, char *ret, size_t size, struct err *err)
{
	const char *s = "";
	int r = json_has(json, key) ? json_get_str(json, key, &s, err) : 0;

	if (r == 0)
		clean(ret, size, s);
	return r;
}

int facts_from_json(const json_t *json, struct facts *ret, struct err *err)
{
	static const char *const known[] = { "model", "arch", "cores", "memory", "storage", "board",
		NULL };
	static const char *const storages[] = { "", "nvme", "ssd", "sd", "hdd", NULL };
	struct facts facts = { 0 };
	uint64_t cores = 0;
	int r = json_only(json, known, err);

	if (r == 0)
		r = get_word(json, "model", facts.model, sizeof(facts.model), err);
	if (r == 0)
		r = get_word(json, "arch", facts.arch, sizeof(facts.arch), err);
	if (r == 0)
		r = get_word(json, "storage", facts.storage, sizeof(facts.storage), err);
	if (r == 0 && json_has(json, "cores"))
		r = json_get_u64(json, "cores", CORES_MAX, &cores, err);
	if (r == 0 && json_has(json, "memory"))
		r = json_get_u64(json, "memory", MEMORY_MAX_KIB * 1024, &facts.memory_bytes, err);
	if (r)
		return r;
	size_t i = 0;

	while (storages[i] && strcmp(storages[i], facts.storage))
		i++;
	if (!storages[i])
		return err_set(err, -EINVAL, "field \"storage\" must be nvme, ssd, sd or hdd");
	facts.cores = (unsigned) cores;
	recognise(&facts);
	*ret = facts;
	return 0;
}

json_t *facts_to_json(const struct facts *facts)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:s}", "model", facts->model, "board",
		facts->board, "arch", facts->arch, "cores", (int) facts->cores, "memory",
		(json_int_t) facts->memory_bytes, "storage", facts->storage);
}

int facts_get(const char *etc, struct facts *ret, struct err *err)
{
	char path[4096];
	const char *named = getenv("HEARTH_FACTS");

	if (named && !*named)
		named = NULL;
	(void) snprintf(path, sizeof(path), "%s/facts.json", etc);
	if (!named && access(path, F_OK) < 0) {
		struct utsname uts;

		facts_read("", uname(&uts) < 0 ? "" : uts.machine, ret);
		return 0;
	}
	if (named)
		(void) snprintf(path, sizeof(path), "%s", named);
	CLEANUP_JSON json_t *json = json_read_file(path, FACTS_FILE_MAX, err);

	if (!json)
		return err->code;
	int r = facts_from_json(json, ret, err);

	return r ? err_prefix(err, "%s", path) : 0;
}
