# Verbs and options of Hearth's programs for bash, as each tells them itself; installed under the name of each.
_hearth_options() {	# COMMAND...: those that its help names
	"$@" --help 2>/dev/null | tr -s '][|,() \t' '\n' | grep -xE -- '--?[a-zA-Z0-9][a-z0-9-]*(=.*)?' | sed 's/=.*//'
	echo --help
}
_hearth()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]:-} object=${COMP_WORDS[2]:-} help='' words='' files=''
	case ${1##*/} in
	hearth | hearth-coord | hearth-relay) help=$("$program" --help 2>/dev/null) ;;
	hearthd | enroll-node) files=1 ;;
	esac
	if [ -n "$help" ] && [ "$COMP_CWORD" -eq 1 ]; then
		words="$(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"$help") --help --version"
	elif grep -qE "^  $verb [a-z]+ " <<<"$help" && [ "$COMP_CWORD" -eq 2 ]; then
		words=$(sed -nE "s/^  $verb ([a-z]+) .*/\1/p" <<<"$help")
	elif [ "$prev" = --role ]; then
		words="worker control-plane member"
	elif grep -q "^  $verb $object " <<<"$help"; then
		words=$(_hearth_options "$program" "$verb" "$object")
	elif [ -n "$help" ]; then
		words=$(_hearth_options "$program" "$verb")
	else
		words=$(_hearth_options "$program")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; [ -z "$files" ] || compgen -f -- "$cur")
}
complete -F _hearth hearth hearthd hearth-coord hearth-relay hearth-wg enroll-node
