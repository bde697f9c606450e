#!/bin/sh
# Prints the licences of all modules whose code is in lvsd, each in full: most of them
# ask for that.
set -eu

echo "lvsd holds code of these Go modules. Their licences follow, each after the module"
echo "that it is of."
modules=$(GOOS=linux go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/lvsd)
echo "$modules" | LC_ALL=C sort -u | while read -r module version directory; do
	[ -n "$module" ] || continue
	found=
	for file in "$directory"/LICEN[CS]E* "$directory"/COPYING* "$directory"/NOTICE*; do
		[ -f "$file" ] || continue
		found=yes
		printf '\n==== %s %s, %s ====\n\n' "$module" "$version" "${file##*/}"
		cat "$file"
	done
	if [ -z "$found" ]; then
		echo "$module has no licence file in $directory" >&2
		exit 1
	fi
done
printf '\n==== Go %s, LICENSE ====\n\n' "$(go env GOVERSION)"
cat "$(go env GOROOT)/LICENSE"
