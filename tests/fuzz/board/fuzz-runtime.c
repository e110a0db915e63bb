/* containerd's configuration, as somebody may have left it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "board/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct runtime_where where = {
		.etc = "/nowhere", .bin = "/nowhere", .plugin = "/nowhere/hearth"
	};
	CLEANUP(free_p) char *text = strndup((const char *) data, size);
	struct err err = { 0 };

	if (!text)
		abort();
	int r = runtime_check_containerd(text, "config.toml", &where, &err);

	if (r > 0 || r != err.code || (r < 0) != (err.text[0] != 0))
		abort();
	return 0;
}
