# Verbs and options of Hearth's programs for bash; installed under the name of each.
_hearth()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' files=''
	case ${1##*/}:${COMP_WORDS[1]}:$COMP_CWORD in
	hearth:*:1) words="status ping ip reload kube token node --help --version" ;;
	hearth:token:2) words="create list revoke" ;;
	hearth:node:2) words="list remove rename label" ;;
	hearth:kube:2) words="publish approve" ;;
	hearth:token:*)
		words="--role --name --ttl --reusable --replace --tag --label --json --help"
		[ "$prev" != --role ] || words="worker control-plane member" ;;
	hearth:status:*) words="--verbose --json --help" ;;
	hearth:kube:*) words="--ttl --control-plane --wait --json --help" ;;
	hearth:*) words="--json --help -4 -6 -c" ;;
	hearthd:*) words="--config --check --down --background --user --hosts --help --version" files=1 ;;
	hearth-coord:*:1) words="init serve --help --version" ;;
	hearth-coord:*)
		words=$("${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE -- '--[a-z0-9-]+' | sort -u) ;;
	hearth-wg:*) words="-f --foreground --help --version" ;;
	enroll-node:*)
		words=$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE -- '--[a-z0-9-]+' | sort -u) files=1 ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; [ -z "$files" ] || compgen -f -- "$cur")
}
complete -F _hearth hearth hearthd hearth-coord hearth-wg enroll-node
