/* settings_from_json(), and what follows from the ranges it accepted. */
#include "round-trip.h"

#include "wire/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);
	CLEANUP_SETTINGS struct settings settings = { 0 };

	if (!json)
		return 0;
	ROUND_TRIP(struct settings, settings, json);
	if (settings_from_json(json, &settings, NULL))
		return 0;
	struct ip_prefix four = settings_reserved4(&settings), six = settings_reserved6(&settings);

	if (!ip_prefix_contains(&settings.mesh4, &four.addr) ||
		!ip_prefix_contains(&settings.mesh6, &six.addr))
		abort();
	settings_set_virtual(&settings);
	if (!ip_prefix_contains(&four, &settings.dns4) || settings_check_ranges(&settings, NULL))
		abort();
	return 0;
}
