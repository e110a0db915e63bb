/*
 * Runs a fuzz entry once for every file named on the command line (and every file in a directory
 * named there): the corpus as a regression test, with any compiler.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f) {
		fprintf(stderr, "open %s: %s\n", path, strerror(errno));
		return -1;
	}
	/* Exactly the file's size, on the heap: a sanitizer sees one byte too many. */
	struct stat st;

	if (fstat(fileno(f), &st) < 0) {
		fclose(f);
		return -1;
	}
	size_t len = (size_t) st.st_size;
	uint8_t *data = malloc(len ? len : 1);

	if (!data || fread(data, 1, len, f) != len) {
		fprintf(stderr, "read %s failed\n", path);
		free(data);
		fclose(f);
		return -1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (!dir) {
			if (run_file(argv[i]) < 0)
				return 1;
			files++;
			continue;
		}
		for (struct dirent *e; (e = readdir(dir));) {
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			if (run_file(path) < 0) {
				closedir(dir);
				return 1;
			}
			files++;
		}
		closedir(dir);
	}
	printf("%d inputs\n", files);
	return files ? 0 : 1;
}
