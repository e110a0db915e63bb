# shellcheck shell=bash
# budget NAME: the limit of tests/budgets, which says what it is. Sourced; needs nothing.
budget() {
	awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }' "$(dirname "${BASH_SOURCE[0]}")/../../budgets" ||
		{ echo "tests/budgets has no line \"$1\"" >&2; return 1; }
}
