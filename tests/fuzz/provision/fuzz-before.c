/* before.json, as --leave reads it: root writes only below net/, and the end is reached. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "provision/enroll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct enroll e;
	struct before_sysctl sysctl;
	size_t n = 0;

	e.before = json_parse((const char *) data, size, NULL);
	if (!json_is_object(e.before)) { /* before_load() begins anew */
		json_decref(e.before);
		return 0;
	}
	for (size_t i = 0; before_sysctl(&e, i, &sysctl); i = sysctl.next, n++)
		if (strncmp(sysctl.name, "net/", 4) || strstr(sysctl.name, "..") ||
			!before_knows(&e, sysctl.name) || sysctl.next <= i || n > size)
			abort();
	(void) before_has_link(&e, "br0");
	before_note_sysctl(&e, "net/ipv4/ip_forward", "0", "1");
	before_note_link(&e, "br0");
	if (!before_knows(&e, "net/ipv4/ip_forward") || !before_has_link(&e, "br0"))
		abort();
	json_decref(e.before);
	return 0;
}
